"""Which line of which file a line in a part of an image was, for tracebacks.

A map has rows of five words: a part, a line in it, the line that is in its own file, that file,
the function it is in. A row stands for all lines up to the next one of its part.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator

_TRACED = re.compile(r'File "[^"]*\b(reader_\d+)\.m?py", line (\d+)(?:, in (\w+))?')


def rows(part: str, lines_before: int, module: str, tree: ast.Module) -> Iterator[str]:
    """The rows of a file that stands in `part` behind `lines_before` lines."""
    path = module.replace(".", "/") + ".py"
    for line, function in _functions(tree):
        yield f"{part} {lines_before + line} {line} {path} {function}\n"


def untangled(text: str, line_map: str) -> str:
    """`text` with the files, lines and functions of the source in its tracebacks."""
    found: dict[str, list[list[str]]] = {}
    for row in line_map.splitlines():
        part, *rest = row.split()
        found.setdefault(part, []).append(rest)

    def place(match: re.Match[str]) -> str:
        line, own = int(match[2]), found.get(match[1], [])
        at = bisect_right([int(row[0]) for row in own], line) - 1
        if at < 0:
            return match[0]
        start, own_line, path, function = own[at]
        where = f'File "{path}", line {line - int(start) + int(own_line)}'
        return f"{where}, in {function}" if match[3] else where

    return _TRACED.sub(place, text)


def _functions(tree: ast.Module) -> list[tuple[int, str]]:
    """Lines from which on code belongs to another function, and its name, from the first line."""
    found = {1: "<module>"}

    def look(node: ast.AST, outer: str) -> None:
        for part in ast.iter_child_nodes(node):
            if isinstance(part, ast.FunctionDef) and part.end_lineno is not None:
                found[part.lineno] = part.name
                found.setdefault(part.end_lineno + 1, outer)
                look(part, part.name)
            else:
                look(part, outer)

    look(tree, "<module>")
    return sorted(found.items())
