"""Private functions and classes under the same few names in every file: `def _name` is `def _0`.

A name is an interned string on MicroPython's heap, one for all files that have it. Their constants
are gone before that, see link.py. Lines keep their numbers, by which a traceback is read.
"""

from __future__ import annotations

import ast
from collections import Counter

from simulator.vm.edits import Edit, binders, edited, inside, walk

_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def share_names(source: str) -> str:
    """The private functions and classes of a file under names that other files use too."""
    tree = ast.parse(source)
    bound = Counter(binders(tree))
    in_text = inside(tree, ast.JoinedStr)  # Python 3.11 does not know where in a line that is
    fixed = {node.id for node in walk(tree) if isinstance(node, ast.Name) and id(node) in in_text}
    names: dict[str, str] = {}
    for statement in tree.body:
        if not isinstance(statement, _DEFINITIONS) or statement.name in fixed:
            continue
        private = statement.name.startswith("_") and not statement.name.startswith("__")
        if private and bound[statement.name] == 1:
            names[statement.name] = f"_{len(names)}"
    edits: list[Edit] = []
    for node in walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            edits.append(_renamed(node.lineno, node.col_offset, node.id, names))
        elif isinstance(node, _DEFINITIONS) and node.name in names:
            before = len("class " if isinstance(node, ast.ClassDef) else "def ")
            edits.append(_renamed(node.lineno, node.col_offset + before, node.name, names))
    return edited(source, edits)


def _renamed(line: int, column: int, name: str, names: dict[str, str]) -> Edit:
    return Edit(line, column, line, column + len(name), names[name])
