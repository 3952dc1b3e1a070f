"""What is told to people, as one text for each part of an image, cut when it is said.

A string of more than ten characters is an object on MicroPython's heap, 40 bytes with its place in
the table of its module (64 bit), though its letters lie in flash; a shorter one is a name. Whoever
raises or says something makes objects anyway. So in functions all that is said in a `raise`, and
every text of several words, is a piece of one string.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from simulator.vm.edits import Edit, edited, inside, instead_of, walk

_SHORT = re.compile(r"\b_(\d+)\b")
_INTERNED_CHARS = 10  # mpy-cross makes a name of a string up to here


def gathered(parts: Mapping[str, str]) -> dict[str, str]:
    """`parts` (name -> source) with such texts in a string on their first line."""
    used = {int(number) for source in parts.values() for number in _SHORT.findall(source)}
    name = f"_{max(used, default=-1) + 1}"
    return {part: _gathered(source, name) for part, source in parts.items()}


def _gathered(source: str, name: str) -> str:
    said = list(_said(ast.parse(source)))
    text = ""
    # The longest first: a short one is often a piece of another.
    for value in sorted({value for _, value in said}, key=lambda one: (-len(one), one)):
        text += "" if value in text else value
    if not text:
        return source
    edits: list[Edit] = []
    for node, value in said:
        start = text.index(value)
        edits.append(instead_of(node, f"{name}[{start}:{start + len(value)}]"))
    head, _, rest = edited(source, edits).partition("\n")
    return "; ".join(filter(None, (head, f"{name} = {text!r}"))) + "\n" + rest


def _said(tree: ast.Module) -> Iterator[tuple[ast.Constant, str]]:
    in_raise = inside(tree, ast.Raise)
    docstrings = {id(node.value) for node in walk(tree) if isinstance(node, ast.Expr)}
    # Python 3.11 does not know where in a line the parts of an f-string are.
    beside = inside(tree, ast.JoinedStr) | docstrings
    for node in walk(tree):
        for part in _body(node):
            value = part.value
            if not isinstance(value, str) or not value.isascii() or id(part) in beside:
                continue
            if id(part) in in_raise or (len(value) > _INTERNED_CHARS and " " in value):
                yield part, value


def _body(node: ast.AST) -> Iterator[ast.Constant]:
    """The constants that a function has for itself: no others are made when it is called."""
    todo: list[ast.AST] = list(node.body) if isinstance(node, ast.FunctionDef) else []
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Constant):
            yield part
        elif not isinstance(part, ast.FunctionDef | ast.ClassDef):
            todo += ast.iter_child_nodes(part)
