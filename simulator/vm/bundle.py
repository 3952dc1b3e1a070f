"""All files of a program as a few: a reader pays for every module that it has.

A module is a dictionary, a table of names, and whatever it imports is in its dictionary a second
time: about 600 bytes on a 64-bit heap before it says anything. So an image has few modules, its
parts, with the files one after the other in the order in which they would be run, without what
nobody reaches (reach.py), under short names (names.py). The main program stays a file of its own
that imports from them.

One part would be cheapest once it runs. But while a module is loaded, MicroPython holds about 40
bytes for each function in it besides the function. What is loaded last has only the room for that
which the running program needs later; what is loaded first has the heap for itself.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from simulator.vm.edits import Edit, edited, inside, instead_of, walk
from simulator.vm.line_map import rows
from simulator.vm.names import Names, choose
from simulator.vm.program import MAIN, Key, Module, Program
from simulator.vm.reach import Reach, reach
from simulator.vm.scopes import Scope, Use
from simulator.vm.texts import gathered

# Functions and classes in the last part, and in each before it; a file that has more is a part of
# its own.
FUNCTIONS_MAX = (300, 1000)
# Entries that a dictionary of MicroPython has room for: when one is full it takes the next.
ROOMS = (0, 1, 2, 4, 6, 8, 10, 12, 17, 23, 29, 37, 47, 59, 73, 97, 127, 167, 223, 293, 389, 521)
ROOMS += (691, 919, 1223, 1627, 2161, 3229)
_PART_SLOTS = 40  # what a module costs besides, in the size of such an entry
_FUNCTIONS = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.GeneratorExp)


@dataclass(frozen=True)
class Bundle:
    """`parts` (name -> source, in the order they are loaded) and `main` are source.

    `line_map` says where in the program's own files a line of a part is, see line_map.py.
    """

    parts: dict[str, str]
    main: str
    line_map: str


def bundle(
    main: str,
    sources: Mapping[str, str],
    port: Collection[str] = (),
    functions_max: tuple[int, int] = FUNCTIONS_MAX,
) -> Bundle:
    """`main` and what it needs of `sources` (by import name); CannotLink if that cannot be.

    `port` are the words by which objects are asked that the port makes: they stay.
    """
    program = Program(main, sources)
    reached = reach(program)
    names = choose(program, reached, port)
    part_of = _parts(program, reached, names, functions_max)
    texts: dict[str, list[str]] = {}
    line_map: list[str] = []
    for module in (program.modules[name] for name in part_of):
        part = part_of[module.name]
        if part not in texts:
            texts[part] = [_head(program, reached, names, part_of, part)]
        lines = texts[part]
        line_map += rows(part, sum(text.count("\n") for text in lines), module.name, module.tree)
        text = edited(module.source, _edits(program, module, reached, names, ""))
        lines.append(text if text.endswith("\n") else text + "\n")
    head = _head(program, reached, names, part_of, MAIN).strip()
    text = edited(
        program.modules[MAIN].source,
        _edits(program, program.modules[MAIN], reached, names, head),
    )
    parts = gathered({part: "".join(lines) for part, lines in texts.items()})
    return Bundle(parts, text, "".join(line_map))


def _parts(
    program: Program, reached: Reach, names: Names, functions_max: tuple[int, int]
) -> dict[str, str]:
    """Module -> the part it is in, in the order of both.

    The last part is at least a third as large as it may be: while the one before it is loaded, it
    needs the room that this one takes. Where it begins is chosen for small tables of names.
    """
    files = [program.modules[name] for name in reversed(program.order) if name != MAIN]
    alive = {module.name: _alive(module, reached) for module in files}
    counts = {
        name: sum(isinstance(node, _FUNCTIONS) for node in nodes) for name, nodes in alive.items()
    }
    ends = list(accumulate(counts.values()))
    last_max = functions_max[0]
    limits = [end for end in ends if last_max <= 3 * end <= 3 * last_max] or [last_max]
    read = {
        module.name: {
            module.reads[id(node)] for node in alive[module.name] if id(node) in module.reads
        }
        for module in files
    }
    return min(
        (_filled(counts, limit, functions_max[1]) for limit in limits),
        key=lambda part_of: _slots(part_of, names, read),
    )


def _filled(counts: Mapping[str, int], last_max: int, before_max: int) -> dict[str, str]:
    """Parts with so many functions in the last one, and in each before it; `counts` backwards."""
    number_of: dict[str, int] = {}  # counted from the last part
    number, count = 0, 0
    for name, functions in counts.items():
        if count and count + functions > (before_max if number else last_max):
            number, count = number + 1, 0
        count += functions
        number_of[name] = number
    return {name: f"reader_{number - number_of[name]}" for name in reversed(number_of)}


def _slots(
    part_of: Mapping[str, str], names: Names, read: Mapping[str, set[Key]]
) -> tuple[bool, int]:
    """Whether a table is as good as full, and for how many entries all of them have room.

    In a full table MicroPython goes through all of it for each name that is not there, and the
    language's own names are looked for there first: a tap takes a seventh longer.
    """
    known: dict[str, set[str]] = {part: {"__name__", "__file__"} for part in part_of.values()}
    for (module, _), name in names.of.items():
        known[part_of[module]].add(name)
    for module, keys in read.items():
        known[part_of[module]].update(names.of[key] for key in keys if key in names.of)
    counts = [len(found) + 1 for found in known.values()]  # one more for the texts, see texts.py
    rooms = [ROOMS[bisect_left(ROOMS, count)] for count in counts]
    crowded = any(20 * count > 19 * room for count, room in zip(counts, rooms, strict=True))
    return crowded, sum(rooms) + _PART_SLOTS * len(rooms)


def _alive(module: Module, reached: Reach) -> list[ast.AST]:
    """The nodes of a file that are in the image."""
    dead = [node for node in walk(module.tree) if id(node) in reached.dead]
    gone = {id(part) for node in dead for part in walk(node)}
    return [node for node in walk(module.tree) if id(node) not in gone]


def _head(
    program: Program, reached: Reach, names: Names, part_of: Mapping[str, str], part: str
) -> str:
    """The line that imports from other parts; for MAIN, it loads all of them in their order."""
    needed: dict[str, set[str]] = {}
    if part == MAIN:
        needed = {other: set() for other in part_of.values()}
    for module in program.modules.values():
        if part_of.get(module.name, MAIN) == part:
            reads = (module.reads.get(id(node)) for node in _alive(module, reached))
            for key in (key for key in reads if key is not None and key in names.of):
                if part_of[key[0]] != part:
                    needed.setdefault(part_of[key[0]], set()).add(names.of[key])
    imports = [
        f"from {other} import {', '.join(sorted(found))}" if found else f"import {other}"
        for other, found in sorted(needed.items())
    ]
    return "; ".join(imports) + "\n"


def _edits(
    program: Program, module: Module, reached: Reach, names: Names, head: str
) -> Iterator[Edit]:
    dead = [node for node in walk(module.tree) if id(node) in reached.dead]
    gone = {id(part) for node in dead for part in walk(node)}
    for node in dead:
        if isinstance(node, ast.stmt):
            yield _removed(node)
    yield from _import_edits(program, module, reached, names, head)
    in_text = inside(module.tree, ast.JoinedStr)
    for use in module.uses:
        if id(use.node) not in gone and id(use.node) not in module.inner:
            short = _short(module, use, names)
            if short and id(use.node) in in_text:
                raise module.cannot(use.node, f"{use.name} in an f-string")
            if short:
                yield from _renamed(use, short)
    for node in walk(module.tree):
        if id(node) in gone:
            continue
        if isinstance(node, ast.Attribute):
            yield from _attribute_edits(module, node, names)
        elif isinstance(node, ast.ClassDef) and module.name != MAIN:
            yield from _class_edits(node)
        elif isinstance(node, ast.Global):
            shorts = [names.of.get((module.name, name), name) for name in node.names]
            yield instead_of(node, "global " + ", ".join(shorts))


def _class_edits(node: ast.ClassDef) -> Iterator[Edit]:
    """Instead of its docstring: a class forgets its module and its full name.

    MicroPython puts both into the dictionary of each class, and reads neither (a traceback has its
    name from elsewhere). As first words of the class they make room for its methods.
    """
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        yield instead_of(first, "del __module__, __qualname__")


def _removed(node: ast.stmt) -> Edit:
    whole = instead_of(node, "pass")
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    if decorators:
        first = decorators[0]
        return replace(whole, line=first.lineno, column=first.col_offset - len("@"))
    return whole


def _short(module: Module, use: Use, names: Names) -> str | None:
    """The new name at a place, if it has one."""
    if use.home is None:
        return None
    if use.home is module.scope:
        key = module.reads.get(id(use.node), (module.name, use.name))
        short = names.of.get(key)
        if short is not None and short in _seen(module, use.inside, names):
            raise module.cannot(use.node, f"{short} means two things")
        return short
    if use.home.is_class():
        is_read = isinstance(use.node, ast.Name) and isinstance(use.node.ctx, ast.Load)
        if is_read and use.name in module.scope.bound:
            raise module.cannot(use.node, f"{use.name} of the class or of the file")
        return names.attributes.get(use.name)
    return names.arguments.get(id(use.home), {}).get(use.name)


def _seen(module: Module, inside: Scope, names: Names) -> Iterator[str]:
    """What a place sees before it sees the top of its file, by the new names."""
    scope: Scope | None = inside
    while scope is not None and scope is not module.scope:
        renamed = names.attributes if scope.is_class() else names.arguments.get(id(scope), {})
        if scope is inside or not scope.is_class():
            yield from (renamed.get(name, name) for name in scope.bound)
        scope = scope.parent


def _renamed(use: Use, short: str) -> Iterator[Edit]:
    node = use.node
    if isinstance(node, ast.Name | ast.arg):
        line, column = node.lineno, node.col_offset
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        line = node.lineno
        column = node.col_offset + len("class " if isinstance(node, ast.ClassDef) else "def ")
    else:
        return  # imports are edited as a whole
    yield Edit(line, column, line, column + len(use.name.encode()), short)


def _attribute_edits(module: Module, node: ast.Attribute, names: Names) -> Iterator[Edit]:
    if id(node) in module.reads:
        short = names.of.get(module.reads[id(node)])
        if short:
            yield instead_of(node, short)
    elif node.attr in names.attributes:
        line, end = node.end_lineno, node.end_col_offset
        assert line is not None and end is not None  # the parser has set them
        yield Edit(line, end - len(node.attr), line, end, names.attributes[node.attr])


def _import_edits(
    program: Program, module: Module, reached: Reach, names: Names, head: str
) -> Iterator[Edit]:
    """`head` and no imports of what is in a part now; others under their new names."""
    for node in walk(module.tree):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if all(program.is_ours(node, alias) for alias in node.names):
            yield instead_of(node, head or "pass")
            head = ""
        elif module.name != MAIN:
            yield instead_of(node, _import(module, node, reached, names))


def _import(
    module: Module, node: ast.Import | ast.ImportFrom, reached: Reach, names: Names
) -> str:
    aliases = []
    for alias in node.names:
        local = alias.asname or alias.name
        short = names.of.get((module.name, local), local)
        if id(alias) not in reached.dead:
            aliases.append(alias.name if short == alias.name else f"{alias.name} as {short}")
    if not aliases:
        return "pass"
    start = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
    return start + "import " + ", ".join(aliases)
