"""Imports point down only: the table of who may import whom, and the check of it.

    compositions: __main__, daemons, firmware.main, firmware.boards, simulator, tools
      -> roles, services of firmware, agent and ledger
        -> drivers, adapters
          -> protocols.link, protocols.card, protocols.rules
            -> protocols.wire

Run it with `python -m tools.check_imports`; it prints one line for each violation.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.rooms import ROOMS, ROOT, in_package, module_name, sources

# Pure computation that both CPython and MicroPython have. No clock, no randomness, no I/O.
PURE = frozenset({"array", "binascii", "hashlib", "struct"})
# What a reader may use besides its board: stream errors and the collector, nothing that waits.
DEVICE = PURE | {"errno", "gc"}
# CPython's HMAC in C, where there is one; the seal's own stands in for it on a reader.
WIRE = PURE | {"hmac"}
# The chip itself. One folder knows it.
HARDWARE = ("machine", "esp", "esp32", "network")
HARDWARE_HOME = "firmware.boards"


@dataclass(frozen=True)
class Rule:
    """What the modules of one package may import; the longest matching package decides."""

    package: str
    own: tuple[str, ...]
    outside: frozenset[str] | None = None  # None: all of the library and of other projects


_AGENT = ("protocols", "adapters", "edge_agent")
_LEDGER = ("protocols", "adapters", "ledger")
_FIRMWARE_SERVICES = ("protocols", "firmware.drivers", "firmware.services")
_SIMULATOR = ("protocols", "firmware", "adapters", "edge_agent", "ledger", "simulator")

RULES = (
    Rule("protocols.wire", ("protocols.wire",), WIRE),
    Rule("protocols", ("protocols",), PURE),
    Rule("firmware.drivers", ("protocols", "firmware.drivers"), DEVICE),
    Rule("firmware.services", _FIRMWARE_SERVICES, DEVICE),
    Rule("firmware.roles", (*_FIRMWARE_SERVICES, "firmware.roles"), DEVICE),
    Rule("firmware", ("protocols", "firmware")),
    Rule("adapters", ("protocols", "adapters")),
    Rule("edge_agent", _AGENT),
    Rule("ledger", _LEDGER),
    Rule("simulator", _SIMULATOR),
    # It shows a journal as `onecard journal show` prints it.
    Rule("simulator.desk", (*_SIMULATOR, "tools.journal.image", "tools.journal.show")),
    Rule("tools", ROOMS),
)

# What puts the parts together. Inside its own room nothing below it may import it.
COMPOSITIONS = (
    "firmware.main",
    "firmware.main_codes",
    "firmware.main_door",
    "firmware.main_door_codes",
    "firmware.main_attendance",
    "firmware.main_kiosk",
    "firmware.main_kiosk_codes",
    "firmware.main_desk",
    "firmware.main_desk_usb",
    "firmware.main_door_serial",
    "firmware.main_lock",
    "firmware.main_serial",
    "firmware.main_attendance_serial",
    "firmware.main_kiosk_serial",
    "firmware.main_tls",
    "firmware.main_loader",
    "firmware.main_update",
    "firmware.main_update_tls",
    "firmware.main_codes_tls",
    "firmware.main_door_tls",
    "firmware.main_door_codes_tls",
    "firmware.main_attendance_tls",
    "firmware.main_kiosk_tls",
    "firmware.main_desk_tls",
    "firmware.boot",
    "firmware.boards",
    "edge_agent.daemon",
    "edge_agent.__main__",
    "ledger.daemon",
    "ledger.api.server",
    "ledger.console.server",
    "ledger.console.__main__",
    "ledger.__main__",
)


@dataclass(frozen=True)
class Import:
    """One imported module, where it stands."""

    line: int
    target: str


def violations(root: Path) -> list[str]:
    """Each import that points the wrong way, as `file:line: what is wrong`."""
    found = []
    for path in sources(root):
        module = module_name(root, path)
        for imported in imports_of(root, path):
            wrong = judge(module, imported.target)
            if wrong:
                found.append(f"{path.relative_to(root)}:{imported.line}: {wrong}")
    return found


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    """What a file imports, at its top or inside a function, written out in full."""
    module = module_name(root, path)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            for alias in node.names:
                yield Import(node.lineno, _module_of(root, origin, alias.name))
        elif isinstance(node, ast.Call) and (name := _dynamic(node)):
            yield Import(node.lineno, name)


def judge(module: str, target: str) -> str:
    """Why `module` may not import `target`; empty when it may."""
    rule = _rule_of(module)
    if in_any(target, HARDWARE):
        allowed = in_package(module, HARDWARE_HOME)
        return "" if allowed else f"{module} imports {target}: only {HARDWARE_HOME} may"
    if in_any(target, ROOMS) or in_package(target, "tests"):
        if not in_any(target, rule.own):
            return f"{module} imports {target}: {rule.package} may import {', '.join(rule.own)}"
        return _judge_composition(module, target)
    if rule.outside is not None and target.partition(".")[0] not in rule.outside:
        allowed_names = ", ".join(sorted(rule.outside))
        return f"{module} imports {target}: of what is not ours it may import {allowed_names}"
    return ""


def in_any(module: str, packages: tuple[str, ...]) -> bool:
    """Whether `module` stands in one of `packages`."""
    return any(in_package(module, package) for package in packages)


def _judge_composition(module: str, target: str) -> str:
    room = module.partition(".")[0]
    if in_any(module, COMPOSITIONS) or not in_package(target, room):
        return ""
    if in_any(target, COMPOSITIONS):
        return f"{module} imports {target}: a composition is above it"
    return ""


def _rule_of(module: str) -> Rule:
    return max(
        (rule for rule in RULES if in_package(module, rule.package)),
        key=lambda rule: len(rule.package),
    )


def _origin(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module in `from X import ...`."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    base = parts[: len(parts) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _module_of(root: Path, origin: str, name: str) -> str:
    """`from origin import name` imports a module when there is one of that name."""
    path = root.joinpath(*origin.split("."), name)
    is_module = path.with_suffix(".py").is_file() or path.is_dir()
    return f"{origin}.{name}" if is_module else origin


def _dynamic(node: ast.Call) -> str:
    """The module that `__import__("x")` or `importlib.import_module("x")` names, if it does."""
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    if name not in ("__import__", "import_module") or not node.args:
        return ""
    argument = node.args[0]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return argument.value
    return ""


def main() -> int:
    """Check this repository; 1 when an import points the wrong way."""
    found = violations(ROOT)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
