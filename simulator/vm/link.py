"""Constants, compiled away: where a name stands for a value, the value stands in the image.

A reader pays for each name that a module has: an entry in a dictionary and an interned string,
about 40 bytes of heap, and a look-up whenever it is used. MicroPython's const() spares that within
one file. An image is a closed world, so here it is done for all its files at once: the number, or
the few bytes, go wherever the name is read, in other modules too; then the name goes, and imports
that only fetched it.

In doubt a name stays: when it is bound twice in its file, in whatever scope, when its module is
handed around as a value, named in a string or looks into itself, when a reader is a file that runs
as source. Lines keep their numbers, by which a traceback is read.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.vm.edits import Edit, binders, edited, inside, instead_of, walk

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_BYTES_BINARY = (ast.Add, ast.Mult)
# In a table of constants bytes are an object of their own in every module that has them; longer
# ones would be read from flash as well, but nobody wants to see them in a listing of the source.
_BYTES_MAX = 256
_UNARY: dict[type[ast.unaryop], Callable[[int], int]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
# With these a module can find its own names by their letters.
_INTROSPECTION = frozenset({"__all__", "dir", "eval", "exec", "globals", "locals", "vars"})

# A name in its module; "" is the module itself.
Key = tuple[str, str]


@dataclass(frozen=True)
class _Use:
    """A place where a file reaches for `target`, by its own name `local`."""

    node: ast.Name | ast.Attribute
    local: str
    target: Key
    origin: Key  # where what `target` names was defined


@dataclass
class _File:
    """One module: what it imports, how often it binds each name, and what it reaches for."""

    module: str
    source: str
    tree: ast.Module
    bound: Counter[str]
    imports: list[tuple[ast.Import | ast.ImportFrom, ast.alias, str, Key]]
    meaning: dict[str, Key]  # of the imported names
    uses: list[_Use] = field(default_factory=list)


Program = Mapping[str, _File]
Value = int | bytes
Constants = Mapping[Key, Value]


def inline(
    sources: Mapping[str, str], *, as_source: Collection[str] = (), is_open: bool = False
) -> dict[str, str]:
    """`sources` (by import name) with values for the names of constants.

    What is in `as_source` is not changed, and gets what it asks for by name. In an open program
    others may ask as well: only names with a leading underscore go.
    """
    program = {module: _parsed(module, source) for module, source in sources.items()}
    for file in program.values():
        file.uses += _uses(program, file)
    opened = _opened(program)
    found = _constants(program, opened)
    needed = _needed(program, found, opened, as_source)
    if is_open:
        needed |= {key for key in found if not key[1].startswith("_")}
    return {
        module: file.source if module in as_source else _rewritten(program, file, found, needed)
        for module, file in program.items()
    }


# -- who reaches for what -------------------------------------------------------------------


def _parsed(module: str, source: str) -> _File:
    tree = ast.parse(source, filename=module)
    imports = [
        (node, alias, *_imported(module, node, alias))
        for node in walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    meaning = {local: key for _, _, local, key in imports}
    return _File(module, source, tree, Counter(binders(tree)), imports, meaning)


def _imported(module: str, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, Key]:
    """The name that an import binds, and what it means."""
    if isinstance(node, ast.Import):
        first = alias.name.partition(".")[0]
        return alias.asname or first, (alias.name if alias.asname else first, "")
    if node.level or not node.module:
        raise SyntaxError("relative import", (module, node.lineno, node.col_offset + 1, None))
    return alias.asname or alias.name, (node.module, "" if alias.name == "*" else alias.name)


def _hops(program: Program, key: Key) -> list[Key]:
    """`key`, and if its module has it from another, what it is there; the last is the origin.

    What turns out to be a module ends as (module, "").
    """
    hops: list[Key] = []
    while key not in hops:
        hops.append(key)
        module, name = key
        file = program.get(module)
        if file is not None and name in file.meaning:
            key = file.meaning[name]
        elif name and f"{module}.{name}" in program:
            key = (f"{module}.{name}", "")
    return hops


def _uses(program: Program, file: _File) -> Iterator[_Use]:
    """Every `name` and `module.name` in a file whose name means the same in all of the file."""
    inner: set[int] = set()
    for node in walk(file.tree):  # it shows an attribute before the name it is taken of
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            local = node.value.id
            module, name = _hops(program, (file.module, local))[-1]
            if local in file.meaning and file.bound[local] == 1 and module in program and not name:
                inner.add(id(node.value))
                target = (module, node.attr)
                yield _Use(node, local, target, _hops(program, target)[-1])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if id(node) not in inner and file.bound[node.id] == 1:
                target = (file.module, node.id)
                yield _Use(node, node.id, target, _hops(program, target)[-1])


# -- what is a constant ---------------------------------------------------------------------


def _constants(program: Program, opened: Collection[str]) -> Constants:
    """All names that are a value: assigned once, at the top of their file, never from outside."""
    reassigned = {
        use.origin
        for file in program.values()
        for use in file.uses
        if not isinstance(use.node.ctx, ast.Load)
    }
    found: dict[Key, Value] = {}
    before = -1
    while len(found) > before:  # an expression may want what stands in a file further on
        before = len(found)
        for file in program.values():
            if file.module in opened:
                continue
            origins = {id(use.node): use.origin for use in file.uses}
            for statement in file.tree.body:
                for name, value in _assigned(statement, origins, found).items():
                    if file.bound[name] == 1 and (file.module, name) not in reassigned:
                        found[file.module, name] = value
    return found


def _assigned(
    statement: ast.stmt, origins: Mapping[int, Key], found: Constants
) -> dict[str, Value]:
    """Names and values of a statement that only gives constants to names, one to each."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return {}
    target, value = statement.targets[0], statement.value
    targets, values = [target], [value]
    if isinstance(target, ast.Tuple):
        if not isinstance(value, ast.Tuple) or len(value.elts) != len(target.elts):
            return {}
        targets, values = target.elts, value.elts
    pairs: dict[str, Value] = {}
    for name, expression in zip(targets, values, strict=True):
        constant = _evaluated(expression, origins, found)
        if not isinstance(name, ast.Name) or constant is None:
            return {}
        pairs[name.id] = constant
    return pairs


def _evaluated(node: ast.expr, origins: Mapping[int, Key], found: Constants) -> Value | None:
    """The integer or bytes that an expression is, by the constants found so far; or None."""
    if isinstance(node, ast.Constant):
        value = node.value
        return value if isinstance(value, int | bytes) and not isinstance(value, bool) else None
    if isinstance(node, ast.Name | ast.Attribute):
        return found.get(origins.get(id(node), ("", "")))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        number = _evaluated(node.operand, origins, found)
        return _UNARY[type(node.op)](number) if isinstance(number, int) else None
    if isinstance(node, ast.BinOp):
        left = _evaluated(node.left, origins, found)
        right = _evaluated(node.right, origins, found)
        if left is not None and right is not None:
            return _calculated(node.op, left, right)
    return None


def _calculated(op: ast.operator, left: Value, right: Value) -> Value | None:
    """None for what is not to be done, or cannot: that shall fail where it is written."""
    of_bytes = isinstance(left, bytes) or isinstance(right, bytes)
    if type(op) not in _BINARY or (of_bytes and not isinstance(op, _BYTES_BINARY)):
        return None
    try:
        value: Value = _BINARY[type(op)](left, right)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return None if isinstance(value, bytes) and len(value) > _BYTES_MAX else value


# -- what must stay -------------------------------------------------------------------------


def _opened(program: Program) -> set[str]:
    """Modules in which somebody may find, or set, a name that he does not spell out."""
    todo: list[str] = []
    for file in program.values():
        reached = [use.origin for use in file.uses]
        reached += [
            _hops(program, key)[-1]
            for _, _, local, key in file.imports
            if local == "*" or file.bound[local] != 1
        ]
        todo += [module for module, name in reached if not name]
        todo += _looked_into(program, file)
    opened: set[str] = set()
    while todo:
        module = todo.pop()
        if module in program and module not in opened:
            opened.add(module)
            keys = [_hops(program, key)[-1] for key in program[module].meaning.values()]
            todo += [inner for inner, name in keys if not name]
    return opened


def _looked_into(program: Program, file: _File) -> Iterator[str]:
    """Modules that `file` names in a string or in full, and itself if it looks into itself."""
    for node in walk(file.tree):
        if isinstance(node, ast.Name) and node.id in _INTROSPECTION:
            yield file.module
        elif isinstance(node, ast.Constant) and node.value in program:
            yield str(node.value)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if "." in alias.name and not alias.asname:
                    yield alias.name


def _needed(
    program: Program, found: Constants, opened: Collection[str], as_source: Collection[str]
) -> set[Key]:
    """The names that somebody must still find by their letters, in each module on the way."""
    needed: set[Key] = set()
    for file in program.values():
        # Python 3.11 does not know where in a line the parts of an f-string are.
        fixed = inside(file.tree, ast.Module if file.module in as_source else ast.JoinedStr)
        for use in file.uses:
            if use.origin not in found or id(use.node) in fixed:
                needed.add((file.module, use.local))
                needed.update(_hops(program, use.target))
        for _, _, local, key in file.imports:
            if file.module in opened or file.bound[local] != 1:
                needed.add((file.module, local))
                needed.update(_hops(program, key))
    return needed


# -- the new source -------------------------------------------------------------------------


def _rewritten(program: Program, file: _File, found: Constants, needed: Collection[Key]) -> str:
    """The source of a file with its constants in place, and without the names nobody needs."""
    origins = {id(use.node): use.origin for use in file.uses}
    edits: list[Edit] = []
    gone = inside(file.tree, ast.JoinedStr)
    for statement in file.tree.body:
        pairs = _assigned(statement, origins, found)
        kept = [name for name in pairs if _stays((file.module, name), found, needed)]
        if len(kept) < len(pairs):
            text = "; ".join(f"{name} = {pairs[name]!r}" for name in kept)
            edits.append(instead_of(statement, text or "pass"))
            gone.update(id(node) for node in walk(statement))
    called_on = {id(node.value) for node in walk(file.tree) if isinstance(node, ast.Attribute)}
    for use in file.uses:
        if use.origin in found and id(use.node) not in gone:
            text = repr(found[use.origin])
            bare = not text.startswith("-") and id(use.node) not in called_on
            edits.append(instead_of(use.node, text if bare else f"({text})"))
    edits += _import_edits(program, file, found, needed)
    return edited(file.source, edits)


def _stays(key: Key, found: Constants, needed: Collection[Key]) -> bool:
    return key in needed or key not in found


def _import_edits(
    program: Program, file: _File, found: Constants, needed: Collection[Key]
) -> Iterator[Edit]:
    """Imports without constants, and without modules of which nothing but constants was read."""
    used = {use.local for use in file.uses}
    kept: dict[ast.Import | ast.ImportFrom, list[ast.alias]] = {}
    dropped: set[ast.Import | ast.ImportFrom] = set()
    for node, alias, local, key in file.imports:
        names = kept.setdefault(node, [])
        module, name = origin = _hops(program, key)[-1]
        is_spent = origin in found or (local in used and not name and module in program)
        if is_spent and (file.module, local) not in needed:
            dropped.add(node)
        else:
            names.append(alias)
    for node in dropped:
        statement = "pass"
        if kept[node]:
            start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            statement = start + "import " + ", ".join(ast.unparse(alias) for alias in kept[node])
        yield instead_of(node, statement)
