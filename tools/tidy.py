"""House style that a linter does not know: lengths, leftovers, names, floats near money.

Run it with `python -m tools.tidy`. Errors fail it; warnings are printed and pass.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.rooms import PORTABLE_ROOMS, ROOMS, ROOT, in_package, module_name, sources

FUNCTION_LINES_GOAL, FUNCTION_LINES_MAX = 60, 70
FILE_LINES_GOAL, FILE_LINES_MAX = 400, 500

# Where a float could touch money, or a reader that has no room for one.
INTEGER_ONLY = ("protocols", "firmware", "ledger.booking", "ledger.effects")
# Names that say nothing about what is inside.
BANNED_NAMES = frozenset({"common", "helper", "helpers", "manager", "misc", "util", "utils"})
# Put together so that this file does not contain them.
_MARKS = ("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK", "NotImplemented" + "Error")
LEFTOVER = re.compile(r"\b(?:" + "|".join(_MARKS) + r")\b")


@dataclass(frozen=True)
class Finding:
    """One departure from house style; an error unless `is_warning`."""

    path: Path
    line: int
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.is_warning else ""
        return f"{self.path}:{self.line}: {kind}{self.text}"


def findings(root: Path) -> list[Finding]:
    """Everything that is not tidy in the rooms under `root`, and leftovers in its tests."""
    found = list(_packages(root))
    for path in sources(root):
        found += _check_source(root, path)
    for path in sources(root, ("tests",)):
        found += _check_text(path.relative_to(root), path.read_text(encoding="utf-8"))
    return found


def _check_source(root: Path, path: Path) -> Iterator[Finding]:
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(root)
    module = module_name(root, path)
    tree = ast.parse(text, filename=str(where))
    yield from _check_text(where, text)
    yield from _length(where, 1, "file", len(text.splitlines()), FILE_LINES_GOAL, FILE_LINES_MAX)
    if BANNED_NAMES & set(module.split(".")):
        yield Finding(where, 1, "name the module after what it holds")
    integer_only = any(in_package(module, room) for room in INTEGER_ONLY)
    portable = where.parts[0] in PORTABLE_ROOMS
    for node in ast.walk(tree):
        yield from _check_node(where, node)
        if integer_only:
            yield from _check_integer(where, node)
        if portable:
            yield from _check_portable(where, node)


def _check_text(where: Path, text: str) -> Iterator[Finding]:
    for number, line in enumerate(text.splitlines(), 1):
        match = LEFTOVER.search(line)
        if match:
            yield Finding(where, number, f"{match.group()}: finish it or file an issue")


def _check_node(where: Path, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        count = (node.end_lineno or node.lineno) - node.lineno + 1
        yield from _length(
            where, node.lineno, node.name, count, FUNCTION_LINES_GOAL, FUNCTION_LINES_MAX
        )
    elif isinstance(node, ast.ExceptHandler):
        if node.type is None:
            yield Finding(where, node.lineno, "bare except")
        elif _is_swallowed(node):
            yield Finding(where, node.lineno, "swallows every exception")


def _is_swallowed(node: ast.ExceptHandler) -> bool:
    catches_all = getattr(node.type, "id", "") in ("Exception", "BaseException")
    return catches_all and all(isinstance(line, ast.Pass) for line in node.body)


def _check_integer(where: Path, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        yield Finding(where, node.lineno, f"float {node.value}: integers only here")
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
        yield Finding(where, node.lineno, "/ makes a float: integers only here")


def _check_portable(where: Path, node: ast.AST) -> Iterator[Finding]:
    if isinstance(node, ast.AnnAssign):
        yield Finding(where, node.lineno, "annotation: MicroPython has no typing")
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if node.returns or any(argument.annotation for argument in arguments):
            yield Finding(where, node.lineno, "annotation: MicroPython has no typing")


def _length(
    where: Path, line: int, name: str, count: int, goal: int, limit: int
) -> Iterator[Finding]:
    if count > goal:
        text = f"{name} has {count} lines (goal {goal}, limit {limit})"
        yield Finding(where, line, text, is_warning=count <= limit)


def _packages(root: Path) -> Iterator[Finding]:
    """Every folder with Python in it is a package, so that it has one import name.

    Shims are not: they stand on a VM's path under the names of the modules they replace.
    """
    folders = {path.parent for path in sources(root, (*ROOMS, "tests"))}
    for folder in sorted(
        folders - {root / "simulator" / room / "shims" for room in ("vm", "board")}
    ):
        if not (folder / "__init__.py").is_file():
            yield Finding(folder.relative_to(root), 1, "has no __init__.py")


def main() -> int:
    """Check this repository; 1 when something is an error."""
    found = findings(ROOT)
    for finding in found:
        print(finding)
    return 1 if any(not finding.is_warning for finding in found) else 0


if __name__ == "__main__":
    sys.exit(main())
