"""Changing source where its syntax tree says, so that every line keeps its number."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from weakref import WeakKeyDictionary

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
# What is below a file's tree. Nobody changes one: what is changed is its source.
_below: WeakKeyDictionary[ast.AST, tuple[ast.AST, ...]] = WeakKeyDictionary()


def walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a tree, as ast.walk() gives them; of a file's they are looked for only once.

    Linking an image walks each file some thirty times.
    """
    if not isinstance(tree, ast.Module):
        return ast.walk(tree)
    found = _below.get(tree)
    if found is None:
        nodes = ast.walk(tree)
        next(nodes)  # the tree itself: with it in its own value it would stay for ever
        found = _below[tree] = tuple(nodes)
    return chain((tree,), found)


@dataclass(frozen=True, order=True)
class Edit:
    """`text` instead of what stands between two places; lines from 1, columns in UTF-8 bytes."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


def instead_of(node: ast.expr | ast.stmt, text: str) -> Edit:
    """The edit that puts `text` where `node` stands."""
    end_line, end_column = node.end_lineno, node.end_col_offset
    assert end_line is not None and end_column is not None  # the parser has set them
    return Edit(node.lineno, node.col_offset, end_line, end_column, text)


def edited(source: str, edits: Iterable[Edit]) -> str:
    """`source` with edits that do not overlap; lines that one of them has swallowed are empty."""
    lines = [line.encode() for line in source.split("\n")]
    for edit in sorted(edits, reverse=True):
        before = lines[edit.line - 1][: edit.column]
        after = lines[edit.end_line - 1][edit.end_column :]
        lines[edit.line - 1] = before + edit.text.encode() + after
        for number in range(edit.line, edit.end_line):
            lines[number] = b""
    return b"\n".join(lines).decode()


def inside(tree: ast.AST, kind: type[ast.AST]) -> set[int]:
    """The id() of every node that is part of a `kind`."""
    return {id(part) for node in walk(tree) if isinstance(node, kind) for part in walk(node)}


def binders(tree: ast.AST) -> Iterator[str]:
    """A name for each place that gives it a value, in whatever scope."""
    for node in walk(tree):
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.ExceptHandler):
            if node.name:
                yield node.name
        elif isinstance(node, _DEFINITIONS):
            yield node.name
