"""Short names for an image, the same few everywhere: `_0`, `_1`, ...

Each name is an interned string on MicroPython's heap. What is seen in one function or in a few
files only can be called as something else is called elsewhere. What anybody may look for by its
letters keeps them: a word of the main program, of the port or of the language; an argument that a
call names; whatever is said in a string. Such words are there anyhow, so functions and classes are
called by them once the short names are used up: it sounds odd, and only a traceback says it, which
bundle.untangled() puts right. So are they by a longer string that is said twice: 32 bytes (64 bit)
each time it is said, and none once it is a name.
"""

from __future__ import annotations

import array
import ast
import builtins
import hashlib
import keyword
import re
import types
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from simulator.vm.edits import binders, walk
from simulator.vm.program import MAIN, Key, Module, Program
from simulator.vm.reach import Reach
from simulator.vm.scopes import Scope

_SHORT = re.compile(r"_\d+")
_INTERNED_CHARS = 10  # mpy-cross makes a name of a string up to here
# Attributes of objects that no file here makes: of types, and of what cryptolib gives.
_TYPES = (
    *(value for value in vars(builtins).values() if isinstance(value, type)),
    *(array.array, type(hashlib.sha256()), types.FunctionType, types.GeneratorType),
)
_LANGUAGE = {"encrypt", "decrypt"}.union(*(dir(one) for one in _TYPES))


@dataclass
class Names:
    """New names: `of` definitions, of `attributes`, and of arguments by id() of a scope."""

    of: dict[Key, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    arguments: dict[int, dict[str, str]] = field(default_factory=dict)


def choose(program: Program, reach: Reach, port: Collection[str]) -> Names:
    """Names for everything of a program but its main file; `port` are the words of its modules."""
    found = _Words(program, port)
    names = Names(attributes=_attributes(found))
    names.of = _definitions(program, reach, names.attributes)
    for module in found.modules:
        names.arguments.update(_arguments(module, found, names.of))
    return names


class _Words:
    """The files to be renamed, and what nobody may rename, wherever it stands."""

    def __init__(self, program: Program, port: Collection[str]) -> None:
        self.modules = [module for name, module in program.modules.items() if name != MAIN]
        self.fixed = {*port, *_LANGUAGE, *binders(program.modules[MAIN].tree)}
        for module in program.modules.values():
            in_text = {id(part) for node in walk(module.tree) for part in _of_text(node)}
            for node in walk(module.tree):
                word = _word(node)
                if word and _SHORT.fullmatch(word):
                    raise module.cannot(node, f"{word} is a name of the linker")
                if module.name == MAIN or id(node) in in_text:
                    self.fixed.add(word)
                self.fixed.update(_outside(program, module, node))


def _outside(program: Program, module: Module, node: ast.AST) -> Iterator[str]:
    """Words at a node by which somebody else looks for something, or we at somebody else's."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.keyword):
        yield node.arg or ""
    elif isinstance(node, ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.ClassDef) and program.is_foreign(module, node):
        yield from (part.name for part in node.body if isinstance(part, ast.FunctionDef))
    elif isinstance(node, ast.Attribute) and id(node.value) in module.reads:
        if module.reads[id(node.value)] not in program.definitions:
            yield node.attr


def words(source: str) -> set[str]:
    """Every name in a file, whatever it is a name of."""
    tree = ast.parse(source)
    return {word for node in walk(tree) if (word := _word(node))} | set(binders(tree))


def _of_text(node: ast.AST) -> Iterator[ast.AST]:
    # Python 3.11 does not know where in a line the parts of an f-string are.
    return walk(node) if isinstance(node, ast.JoinedStr) else iter(())


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.arg if isinstance(node, ast.arg) else ""


def _free(taken: set[str]) -> Iterator[str]:
    number = 0
    while True:
        if f"_{number}" not in taken:
            yield f"_{number}"
        number += 1


# -- definitions ----------------------------------------------------------------------------


def _definitions(program: Program, reach: Reach, attributes: Mapping[str, str]) -> dict[Key, str]:
    """One name for all files for each thing that is needed; what the port has keeps its own."""
    named = _of_port(program, reach)
    # A longer string is an object wherever it stands, unless it is a name by then: those first.
    counts = Counter(_words_said(program, reach, attributes))
    said = sorted(word for word, count in counts.items() if _is_long(word) and count > 1)
    said += sorted(word for word in counts if not _is_long(word))
    words = [*_in_order(set(attributes.values())), *said]
    free = [word for word in words if word not in named.values()]
    beside = _beside(program, attributes)
    fresh = _free(set(words))
    for module in (program.modules[name] for name in program.order if name != MAIN):
        for key in ((module.name, name) for name in module.scope.bound):
            if key in reach.names and key not in named and program.origin(key) == key:
                fitting = (word for word in free if word not in beside.get(key, ()))
                named[key] = next(fitting, "") or next(fresh)
                if named[key] in free:
                    free.remove(named[key])
    return named


def _of_port(program: Program, reach: Reach) -> dict[Key, str]:
    """What files have from modules of the port, by its own name wherever that is possible."""
    named: dict[Key, str] = {}
    imported: dict[str, Key] = {}
    for module in (program.modules[name] for name in program.order if name != MAIN):
        for node, alias, local, origin in module.imports():
            key = (module.name, local)
            if program.is_ours(node, alias) or module.scope.bound.get(local) != 1:
                continue
            word = origin[1] or origin[0]
            is_ours = imported.setdefault(word, origin) == origin and not hasattr(builtins, word)
            if key in reach.names and is_ours:
                named[key] = word
    return named


def _words_said(program: Program, reach: Reach, attributes: Mapping[str, str]) -> Iterator[str]:
    """Words that are names in the image whatever its definitions are called, or longer strings."""
    for module in program.modules.values():
        dead = [node for node in walk(module.tree) if id(node) in reach.dead]
        gone = {id(part) for node in dead for part in walk(node)}
        for node in walk(module.tree):
            word = ""
            if isinstance(node, ast.keyword):
                word = node.arg or ""
            elif isinstance(node, ast.Attribute) and id(node) not in module.reads:
                word = node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                word = node.value
            is_name = word.isidentifier() and not keyword.iskeyword(word) and word[:2] != "__"
            if is_name and id(node) not in gone and word not in attributes:
                if module.name != MAIN and not hasattr(builtins, word):
                    yield word


def _is_long(word: str) -> bool:
    return len(word) > _INTERNED_CHARS


def _beside(program: Program, attributes: Mapping[str, str]) -> dict[Key, set[str]]:
    """The names that a definition cannot have: something else has them where it is read."""
    beside: dict[Key, set[str]] = {}
    for module in program.modules.values():
        for use in module.uses:
            key = module.read(use)
            for scope in _outward(use.inside) if key is not None else ():
                is_seen = scope is use.inside or not scope.is_class()
                if is_seen and (scope is not module.scope or module.name == MAIN):
                    beside.setdefault(key or ("", ""), set()).update(
                        attributes.get(name, name) if scope.is_class() else name
                        for name in scope.bound
                    )
    return beside


def _in_order(shorts: Collection[str]) -> list[str]:
    return sorted(shorts, key=lambda short: int(short[1:]))


# -- attributes -----------------------------------------------------------------------------


def _attributes(found: _Words) -> dict[str, str]:
    """Two attributes have one name if no file, and no family of classes, knows both.

    A family has what its own files give to its objects; what is set from elsewhere all know.
    """
    family = _families(found)
    seen_in: dict[str, set[str]] = {}
    defined: set[str] = set()
    for module in found.modules:
        for name, is_made, is_own in _attributes_in(module):
            homes = {family[module.name]} if is_own else set(family.values())
            seen_in.setdefault(name, set()).update(homes)
            if is_made:
                defined.add(name)
    used: dict[str, set[str]] = {}
    names: dict[str, str] = {}
    for name, families in seen_in.items():
        if name in defined and name not in found.fixed and not name.endswith("__"):
            beside = {short for one in families for short in used.get(one, set())}
            names[name] = next(_free(beside))
            for one in families:
                used.setdefault(one, set()).add(names[name])
    return names


def _attributes_in(module: Module) -> Iterator[tuple[str, bool, bool]]:
    """(name, whether it is given to an object here, whether only to one's own)."""
    for node in walk(module.tree):
        if isinstance(node, ast.Attribute) and id(node) not in module.reads:
            is_set = not isinstance(node.ctx, ast.Load)
            of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
            yield node.attr, is_set, of_self or not is_set
    for use in module.uses:
        if use.home is not None and use.home.is_class():
            yield use.name, True, True


def _families(found: _Words) -> dict[str, str]:
    """Modules whose classes are derived from each other's, by one name for all of them."""
    family = {module.name: module.name for module in found.modules}
    for module in found.modules:
        for node in walk(module.tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                other = module.reads.get(id(base), (module.name, ""))[0]
                ours, theirs = family[module.name], family[other]
                family = {name: ours if head == theirs else head for name, head in family.items()}
    return family


# -- arguments ------------------------------------------------------------------------------


def _arguments(module: Module, found: _Words, of: Mapping[Key, str]) -> dict[int, dict[str, str]]:
    """By id() of a function's scope: its arguments, beside whatever else is read in it."""
    read: dict[Scope, set[str]] = {}
    for use in module.uses:
        key = module.read(use)
        if key is not None and key in of:
            for scope in _outward(use.inside):
                read.setdefault(scope, set()).add(of[key])
    names: dict[int, dict[str, str]] = {}
    for use in module.uses:
        scope = use.home
        if not isinstance(use.node, ast.arg) or scope is None:
            continue
        if use.name == "self" or use.name in found.fixed:
            continue
        beside = set(read.get(scope, set()))
        for outer in _outward(scope):
            beside.update(names.get(id(outer), {}).values())
        names.setdefault(id(scope), {})[use.name] = next(_free(beside))
    return names


def _outward(scope: Scope | None) -> Iterator[Scope]:
    while scope is not None:
        yield scope
        scope = scope.parent
