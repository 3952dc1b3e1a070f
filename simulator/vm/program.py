"""A program and everything it imports: which definition each name in it means, file by file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from simulator.vm.edits import walk
from simulator.vm.scopes import Scope, Use, resolve

# A name in its module; "" is the module itself.
Key = tuple[str, str]
MAIN = "(main)"  # no import says that
Imports = ast.Import | ast.ImportFrom
# A class does not say where it is from, see bundle.py.
_ORIGIN = frozenset({"__module__", "__qualname__"})
# With these a file looks for names by their letters, or for what it is itself.
_INTROSPECTION = frozenset(
    {"__all__", "__file__", "__name__", "dir", "eval", "exec", "globals", "locals", "vars"}
).union(_ORIGIN)


class CannotLink(Exception):
    """The source says something that needs its modules; the text tells where."""


@dataclass
class Module:
    """One file, and what its names mean: `reads` has a Key by id() of a Name or Attribute."""

    name: str
    source: str
    tree: ast.Module
    scope: Scope
    uses: list[Use]
    changed: set[str]  # names at its top that its functions give new values to
    reads: dict[int, Key] = field(default_factory=dict)
    # The names of modules that an Attribute of `reads` is taken of, with its Key.
    inner: dict[int, Key] = field(default_factory=dict)

    def read(self, use: Use) -> Key | None:
        """The definition that is reached for at a place, if it is one at the top of a file."""
        return self.reads.get(id(use.node), self.inner.get(id(use.node)))

    def cannot(self, node: ast.AST, what: str) -> CannotLink:
        return CannotLink(f"{self.name}:{getattr(node, 'lineno', 0)}: {what}")

    def imports(self) -> Iterator[tuple[Imports, ast.alias, str, Key]]:
        """(statement, alias, name bound, what it means) of all imports, wherever they stand."""
        for node in walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias, alias.asname or alias.name, (alias.name, "")
            elif isinstance(node, ast.ImportFrom):
                if node.level or not node.module:
                    raise self.cannot(node, "relative import")
                for alias in node.names:
                    yield node, alias, alias.asname or alias.name, (node.module, alias.name)


class Program:
    """`main` and, of `sources` (by import name), what it imports; `order` as they are run.

    All of them are run at the first import that `main` has.
    """

    def __init__(self, main: str, sources: Mapping[str, str]) -> None:
        self.modules: dict[str, Module] = {}
        self.order: list[str] = []
        self._sources = sources
        self._imported: dict[Key, Key] = {}
        self.definitions: set[Key] = set()  # what the files do not import, but make
        self._load(MAIN, main)
        for module in self.modules.values():
            self._find_imports(module)
        for module in self.modules.values():
            self._find_reads(module)

    def origin(self, key: Key) -> Key:
        """What a name turns out to be once nobody imports it any more."""
        seen: set[Key] = set()
        while key in self._imported and key not in seen:
            seen.add(key)
            key = self._as_module(self._imported[key])
        return key

    def is_ours(self, node: Imports, alias: ast.alias) -> bool:
        """Whether an import is of a module of the program, or from one."""
        return (alias.name if isinstance(node, ast.Import) else node.module) in self.modules

    def is_foreign(self, module: Module, node: ast.ClassDef) -> bool:
        """Whether a class is derived from one that is neither ours nor one of the language."""
        builtins = {id(use.node) for use in module.uses if use.home is None}
        return any(
            id(base) not in builtins and module.reads.get(id(base)) not in self.definitions
            for base in node.bases
        )

    def _as_module(self, key: Key) -> Key:
        dotted = ".".join(key)
        return (dotted, "") if dotted in self._sources else key

    def _load(self, name: str, source: str) -> None:
        tree = ast.parse(source, filename=name)
        changed = {
            word for node in walk(tree) if isinstance(node, ast.Global) for word in node.names
        }
        module = self.modules[name] = Module(name, source, tree, *resolve(tree), changed)
        for _, _, _, key in module.imports():
            target, _ = self._as_module(key)
            parts = target.split(".")
            for end in range(1, len(parts) + 1):
                needed = ".".join(parts[:end])
                if needed in self._sources and needed not in self.modules:
                    self._load(needed, self._sources[needed])
        self.order.append(name)

    def _find_imports(self, module: Module) -> None:
        at_top = {id(node) for node in module.tree.body}
        first_line = _first_line_that_does(module)
        imported = {local for _, _, local, _ in module.imports()}
        self.definitions |= {(module.name, name) for name in module.scope.bound.keys() - imported}
        for node, alias, local, key in module.imports():
            if "." in local:
                raise module.cannot(node, "an import of many modules")
            if not self.is_ours(node, alias):
                continue
            if id(node) not in at_top or alias.name == "*" or module.scope.bound[local] != 1:
                raise module.cannot(node, "an import that may not be one")
            if node.lineno > first_line and module.name != MAIN:
                raise module.cannot(node, "an import behind something that is done")
            self._imported[module.name, local] = self._as_module(key)

    def _find_reads(self, module: Module) -> None:
        homes = {id(use.node): use for use in module.uses}
        for use in module.uses:
            if module.name != MAIN and use.name in _INTROSPECTION:
                raise module.cannot(use.node, use.name)
        for node in walk(module.tree):  # it shows an attribute before the name it is taken of
            if isinstance(node, ast.Attribute) and node.attr in _ORIGIN and module.name != MAIN:
                raise module.cannot(node, node.attr)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                use = homes[id(node.value)]
                name, attribute = self.origin((module.name, use.name))
                if use.home is module.scope and name in self.modules and not attribute:
                    key = self._read(module, node, self.origin((name, node.attr)))
                    module.reads[id(node)] = module.inner[id(node.value)] = key
            elif isinstance(node, ast.Name) and homes[id(node)].home is module.scope:
                if id(node) not in module.inner:
                    key = self.origin((module.name, node.id))
                    module.reads[id(node)] = self._read(module, node, key)

    def _read(self, module: Module, node: ast.Name | ast.Attribute, key: Key) -> Key:
        name, attribute = key
        if name in self.modules and not attribute:
            raise module.cannot(node, "a module as a value")
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            raise module.cannot(node, "a name of another module is set")
        if name != module.name and attribute in self.modules[name].changed:
            raise module.cannot(node, f"{name} changes {attribute}")
        if name in self.modules and attribute not in self.modules[name].scope.bound:
            raise module.cannot(node, f"{name} has no {attribute}")
        return key


def _first_line_that_does(module: Module) -> int:
    """Where the first statement stands that is neither an import nor a text."""
    for node in module.tree.body:
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_text and not isinstance(node, Imports | ast.Pass):
            return node.lineno
    return len(module.source)
