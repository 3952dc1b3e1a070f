"""Private integer constants, compiled away: `_NAME = 5` becomes `_NAME = const(5)`.

MicroPython keeps a dictionary entry and an interned name for each global, about 40 bytes of heap,
unless a name begins with an underscore and is marked as constant: then the number stands where
the name was used, and the name is gone. Sources run on CPython too, so the mark is set here, on
the way to mpy-cross. Lines keep their numbers.
"""

from __future__ import annotations

import ast

_ARITHMETIC = (
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.expr_context,
)


def fold(source: str) -> str:
    """`source` with its private integer constants marked; nothing else is touched."""
    tree = ast.parse(source)
    lines = source.split("\n")
    once = _assigned_once(tree)
    folded: set[str] = set()
    for statement in tree.body:
        pairs = _constants(statement, once, folded)
        if not pairs or statement.lineno != statement.end_lineno:
            continue
        line = lines[statement.lineno - 1].encode()
        rest = line[statement.end_col_offset :].decode()
        marked = "; ".join(f"{name} = const({ast.unparse(value)})" for name, value in pairs)
        lines[statement.lineno - 1] = marked + rest
        folded.update(name for name, _ in pairs)
    return "\n".join(lines)


def _assigned_once(tree: ast.Module) -> set[str]:
    """Names that one place only ever gives a value, in any scope."""
    count: dict[str, int] = {}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names = [node.id]
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names = list(node.names)
        elif isinstance(node, ast.arg):
            names = [node.arg]
        for name in names:
            count[name] = count.get(name, 0) + 1
    return {name for name, times in count.items() if times == 1}


def _constants(
    statement: ast.stmt, once: set[str], folded: set[str]
) -> list[tuple[str, ast.expr]]:
    """The (name, value) pairs of a statement that does nothing but set private constants."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    targets, values = [target], [value]
    if isinstance(target, ast.Tuple):
        if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
            return []
        targets, values = target.elts, value.elts
    pairs: list[tuple[str, ast.expr]] = []
    for name, number in zip(targets, values, strict=True):
        if not isinstance(name, ast.Name) or not name.id.startswith("_"):
            return []
        if name.id not in once or not _is_number(number, folded):
            return []
        pairs.append((name.id, number))
    return pairs


def _is_number(value: ast.expr, folded: set[str]) -> bool:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant):
            if type(node.value) is not int:
                return False
        elif isinstance(node, ast.Name):
            if node.id not in folded:
                return False
        elif not isinstance(node, _ARITHMETIC):
            return False
    return True
