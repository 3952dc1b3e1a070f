"""What each name in a file means: the scope that binds it, as Python's rules have it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# A place that has a name: reads it, binds it, or declares it to be of another scope.
Place = ast.Name | ast.arg | ast.alias | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(eq=False)
class Scope:
    """A module, class, function or comprehension, and the names it binds (how often)."""

    node: ast.AST
    parent: Scope | None
    bound: dict[str, int] = field(default_factory=dict)
    global_names: set[str] = field(default_factory=set)
    outer_names: set[str] = field(default_factory=set)  # declared nonlocal

    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    def bind(self, name: str) -> None:
        self.bound[name] = self.bound.get(name, 0) + 1


@dataclass(frozen=True)
class Use:
    """A place, the scope that its name is bound in (None: a builtin), the scope it stands in."""

    node: Place
    name: str
    home: Scope | None
    inside: Scope


def resolve(tree: ast.Module) -> tuple[Scope, list[Use]]:
    """The module's scope, and all places with a name in the order of the file."""
    walker = _Walker(tree)
    walker.generic_visit(tree)
    return walker.module, list(walker.uses())


class _Walker(ast.NodeVisitor):
    def __init__(self, tree: ast.Module) -> None:
        self.module = self._scope = Scope(tree, None)
        self._places: list[tuple[Place, str, Scope]] = []

    def uses(self) -> Iterator[Use]:
        for node, name, scope in self._places:
            yield Use(node, name, self._home(name, scope), scope)

    def _home(self, name: str, scope: Scope) -> Scope | None:
        at: Scope | None = scope
        while at is not None:
            if name in at.global_names:
                at = self.module
            # What a class binds is seen in its own body only.
            is_seen = at is scope or not at.is_class()
            if is_seen and name in at.bound and name not in at.outer_names:
                return at
            at = at.parent
        return None

    def _place(self, node: Place, name: str, binds: bool) -> None:
        self._places.append((node, name, self._scope))
        if binds:
            home = self.module if name in self._scope.global_names else self._scope
            home.bind(name)

    def _within(self, node: ast.AST, *parts: ast.AST) -> None:
        """Visit `parts` in a scope of their own."""
        self._scope = Scope(node, self._scope)
        for part in parts:
            self.visit(part)
        assert self._scope.parent is not None  # it was opened here
        self._scope = self._scope.parent

    def visit_Name(self, node: ast.Name) -> None:
        self._place(node, node.id, not isinstance(node.ctx, ast.Load))

    def visit_arg(self, node: ast.arg) -> None:
        self._place(node, node.arg, True)

    def visit_alias(self, node: ast.alias) -> None:
        self._place(node, node.asname or node.name.partition(".")[0], True)

    def visit_Global(self, node: ast.Global) -> None:
        self._scope.global_names.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self._scope.outer_names.update(node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._scope.bind(node.name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._place(node, node.name, True)
        self._function(node, node.decorator_list, node.body)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node, [], [node.body])

    def _function(
        self, node: Function, before: list[ast.expr], body: list[ast.stmt] | list[ast.expr]
    ) -> None:
        arguments = node.args
        defaults = [default for default in arguments.kw_defaults if default is not None]
        for part in (*before, *arguments.defaults, *defaults):
            self.visit(part)
        named = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        starred = [arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None]
        self._within(node, *named, *starred, *body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._place(node, node.name, True)
        for part in (*node.decorator_list, *node.bases, *node.keywords):
            self.visit(part)
        self._within(node, *node.body)

    def _comprehension(self, node: Comprehension) -> None:
        first, *others = node.generators
        self.visit(first.iter)
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._within(node, first.target, *first.ifs, *others, *results)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815
