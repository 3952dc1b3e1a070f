"""All files of a program as one: a reader pays for every module that it has.

A module is a dictionary, a table of names, and whatever it imports is in its dictionary a second
time: about 600 bytes on a 64-bit heap before it says anything. So an image has one module,
`reader`, with the files one after the other in the order in which they would be run, without what
nobody reaches (reach.py), under short names (names.py). The main program stays a file of its own
that imports from it. A map tells which line was which, for tracebacks.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from simulator.vm.edits import Edit, edited, inside, instead_of
from simulator.vm.names import Names, choose
from simulator.vm.program import MAIN, Module, Program
from simulator.vm.reach import Reach, reach
from simulator.vm.scopes import Scope, Use

READER = "reader"
# As a reader says it, and as mpy-cross does.
_TRACED = re.compile(r'File "(?:[^"]*\breader\.m?py|<stdin>)", line (\d+)(?:, in (\w+))?')


@dataclass(frozen=True)
class Bundle:
    """`reader` and `main` are source; `line_map` says what stands where in the former.

    Its rows are: a line, the line that is in its own file, that file, the function it is in.
    """

    reader: str
    main: str
    line_map: str


def bundle(main: str, sources: Mapping[str, str], port: Collection[str] = ()) -> Bundle:
    """`main` and what it needs of `sources` (by import name); CannotLink if that cannot be.

    `port` are the words by which objects are asked that the port makes: they stay.
    """
    program = Program(main, sources)
    reached = reach(program)
    names = choose(program, reached, port)
    parts: list[str] = []
    rows: list[str] = []
    lines = 0
    for module in (program.modules[name] for name in program.order):
        text = edited(module.source, _edits(program, module, reached, names))
        if module.name == MAIN:
            return Bundle("".join(parts), text, "".join(rows))
        path = module.name.replace(".", "/") + ".py"
        for line, function in _functions(module.tree):
            rows.append(f"{lines + line} {line} {path} {function}\n")
        parts.append(text if text.endswith("\n") else text + "\n")
        lines += parts[-1].count("\n")
    raise AssertionError("the main program is run last")


def untangled(text: str, line_map: str) -> str:
    """`text` with the files, lines and functions of the source in its tracebacks."""
    rows = [row.split() for row in line_map.splitlines()]
    starts = [int(row[0]) for row in rows]

    def place(match: re.Match[str]) -> str:
        line = int(match[1])
        at = bisect_right(starts, line) - 1
        if at < 0:
            return match[0]
        _, own_line, path, function = rows[at]
        where = f'File "{path}", line {line - starts[at] + int(own_line)}'
        return f"{where}, in {function}" if match[2] else where

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


def _edits(program: Program, module: Module, reached: Reach, names: Names) -> Iterator[Edit]:
    dead = [node for node in ast.walk(module.tree) if id(node) in reached.dead]
    gone = {id(part) for node in dead for part in ast.walk(node)}
    for node in dead:
        if isinstance(node, ast.stmt):
            yield _removed(node)
    yield from _import_edits(program, module, reached, names)
    in_text = inside(module.tree, ast.JoinedStr)
    for use in module.uses:
        if id(use.node) not in gone and id(use.node) not in module.inner:
            short = _short(module, use, names)
            if short and id(use.node) in in_text:
                raise module.cannot(use.node, f"{use.name} in an f-string")
            if short:
                yield from _renamed(use, short)
    for node in ast.walk(module.tree):
        if id(node) in gone:
            continue
        if isinstance(node, ast.Attribute):
            yield from _attribute_edits(module, node, names)
        elif isinstance(node, ast.Global):
            shorts = [names.of.get((module.name, name), name) for name in node.names]
            yield instead_of(node, "global " + ", ".join(shorts))


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
    program: Program, module: Module, reached: Reach, names: Names
) -> Iterator[Edit]:
    """No imports of what is in the same file now; the others under their new names."""
    head = ""
    if module.name == MAIN:
        needed = {names.of[key] for key in module.reads.values() if key in names.of}
        head = f"from {READER} import " + ", ".join(sorted(needed)) if needed else ""
    for node in ast.walk(module.tree):
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
