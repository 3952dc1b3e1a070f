"""Private names, compiled away: `_NAME = 5` becomes `_NAME = const(5)`, `def _name` is `def _0`.

MicroPython keeps a dictionary entry and an interned name for each global, about 40 bytes of heap,
unless a name begins with an underscore and is marked as constant: then the number stands where
the name was used, and the name is gone. Private functions and classes get the same few names in
every file. Sources run on CPython too, so all this is done here, on the way to mpy-cross. Lines
keep their numbers, by which a traceback is read.
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

_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


def fold(source: str) -> str:
    """`source` with its private constants marked and its private functions renamed."""
    source = _share_names(source)
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


def _share_names(source: str) -> str:
    """The private functions and classes of a file under names that other files use too."""
    tree = ast.parse(source)
    bound = _bound(tree)
    names: dict[str, str] = {}
    for statement in tree.body:
        if not isinstance(statement, _DEFINITIONS) or statement.name in bound:
            continue
        if statement.name.startswith("_") and not statement.name.startswith("__"):
            names.setdefault(statement.name, f"_{len(names)}")
    lines = [line.encode() for line in source.split("\n")]
    places: set[tuple[int, int, str]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            places.add((node.lineno, node.col_offset, node.id))
        elif isinstance(node, _DEFINITIONS) and node.name in names:
            before = len("class " if isinstance(node, ast.ClassDef) else "def ")
            places.add((node.lineno, node.col_offset + before, node.name))
    for number, at, name in sorted(places, reverse=True):
        line = lines[number - 1]
        lines[number - 1] = line[:at] + names[name].encode() + line[at + len(name) :]
    return b"\n".join(lines).decode()


def _bound(tree: ast.Module) -> set[str]:
    """Names that are given a value otherwise than by one definition at the top of the file."""
    top = {id(node) for node in tree.body}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        elif isinstance(node, _DEFINITIONS) and id(node) not in top:
            names.add(node.name)
    return names


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
