"""What a program can come to use; everything else need not be on a reader.

It starts from the main program and from statements that do something when their module is run. A
function, class or value that one of them names is reached, and so on from there. A method is
reached when its class is and anything that is reached asks any object for its name, or has the
name as a string. What C code may look for (`__iter__`, all of a foreign class) stays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.vm.edits import walk
from simulator.vm.program import MAIN, Key, Module, Program

_DISPLAYS = (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Constant, ast.Name, ast.Load)
_OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.Subscript, ast.Attribute, ast.Lambda)
_PARTS = (ast.operator, ast.unaryop, ast.arguments, ast.arg, ast.expr_context, ast.keyword)
# What makes a value and does nothing else.
_MAKERS = frozenset({"bytearray", "bytes", "dict", "frozenset", "len", "range", "set", "tuple"})


@dataclass(eq=False)
class _Unit:
    """A statement that is in the image or not: parts of the tree, and what they reach for."""

    module: Module
    node: ast.stmt | ast.alias
    provides: set[Key]
    is_root: bool = False
    owner: _Unit | None = None  # of a method: its class
    is_foreign: bool = False  # a class derived from one that is not ours
    names: set[Key] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)

    def method(self) -> str:
        return self.node.name if isinstance(self.node, ast.FunctionDef) and self.owner else ""


@dataclass
class Reach:
    """`names` that are needed, and the id() of every statement and alias that `is_dead`."""

    names: set[Key]
    dead: set[int]


def reach(program: Program) -> Reach:
    """What of a program is needed."""
    units = [unit for module in program.modules.values() for unit in _units(program, module)]
    names: set[Key] = set()
    attributes: set[str] = set()
    waiting = set(units)
    while True:
        found = {unit for unit in waiting if _is_needed(unit, names, attributes, waiting)}
        if not found:
            return Reach(names, {id(unit.node) for unit in waiting})
        for unit in found:
            names |= unit.names | unit.provides
            attributes |= unit.attributes
        waiting -= found


def _is_needed(unit: _Unit, names: set[Key], attributes: set[str], waiting: set[_Unit]) -> bool:
    if unit.owner is None:
        return unit.is_root or not names.isdisjoint(unit.provides)
    method = unit.method()
    called = method in attributes or (method.startswith("__") and method.endswith("__"))
    return unit.owner not in waiting and (called or unit.owner.is_foreign)


# -- what a file consists of ----------------------------------------------------------------


def _units(program: Program, module: Module) -> Iterator[_Unit]:
    for statement in module.tree.body:
        if module.name == MAIN:
            yield _filled(_Unit(module, statement, set(), is_root=True), statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                if not program.is_ours(statement, alias):
                    yield _Unit(module, alias, {(module.name, alias.asname or alias.name)})
        elif isinstance(statement, ast.ClassDef):
            yield from _class_units(program, module, statement)
        elif not _says_nothing(statement):
            names = _bound(statement) if _is_value(statement) else set()
            provides = {(module.name, name) for name in names}
            yield _filled(_Unit(module, statement, provides, is_root=not names), statement)


def _class_units(program: Program, module: Module, node: ast.ClassDef) -> Iterator[_Unit]:
    unit = _Unit(module, node, {(module.name, node.name)})
    unit.is_foreign = program.is_foreign(module, node)
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    rest = [part for part in node.body if part not in methods]
    yield _filled(unit, *rest, *node.bases, *node.decorator_list)
    for method in methods:
        yield _filled(_Unit(module, method, set(), owner=unit), method)


def _says_nothing(statement: ast.stmt) -> bool:
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or isinstance(statement, ast.Pass)


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef):
        return {statement.name}
    assert isinstance(statement, ast.Assign)
    return {
        node.id
        for target in statement.targets
        for node in walk(target)
        if isinstance(node, ast.Name)
    }


def _is_value(statement: ast.stmt) -> bool:
    """Whether a statement only gives names to what it makes."""
    if isinstance(statement, ast.FunctionDef):
        return not statement.decorator_list
    if not isinstance(statement, ast.Assign):
        return False
    targets_are_names = all(
        isinstance(node, ast.Name | ast.Tuple | ast.Store)
        for target in statement.targets
        for node in walk(target)
    )
    return targets_are_names and _is_made(statement.value)


def _is_made(node: ast.AST) -> bool:
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.Call):
        called = node.func
        if not isinstance(called, ast.Name) or called.id not in _MAKERS:
            return False
    elif not isinstance(node, _DISPLAYS + _OPERATIONS + _PARTS):
        return False
    return all(_is_made(part) for part in ast.iter_child_nodes(node))


def _filled(unit: _Unit, *parts: ast.AST) -> _Unit:
    """`unit` with what `parts` reach for."""
    reads = unit.module.reads
    for node in (node for part in parts for node in walk(part)):
        if id(node) in reads:
            unit.names.add(reads[id(node)])
        elif isinstance(node, ast.Attribute):
            unit.attributes.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            unit.attributes.add(node.value)
    return unit
