"""The rooms of the repository and the source files in them. Every check starts here."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("protocols", "firmware", "adapters", "edge_agent", "ledger", "simulator", "tools")
# One source for CPython and MicroPython.
PORTABLE_ROOMS = ("protocols", "firmware")


def sources(root: Path, rooms: tuple[str, ...] = ROOMS) -> Iterator[Path]:
    """Every Python file of `rooms` under `root`, in a stable order."""
    for room in rooms:
        yield from sorted((root / room).rglob("*.py"))


def module_name(root: Path, path: Path) -> str:
    """The import name of a file: protocols/wire/cbor.py is protocols.wire.cbor."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def in_package(module: str, package: str) -> bool:
    """Whether `module` is `package` or stands inside it."""
    return module == package or module.startswith(package + ".")
