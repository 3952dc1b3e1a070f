"""Find the benchmarks of tools/bench/, run them and print their rows."""

import json
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from inspect import signature
from types import ModuleType

from rich.console import Console
from rich.table import Table

from tools import bench

COLUMNS = ("name", "ours", "other", "against", "ratio", "unit")

Row = dict[str, object]


class UnknownBench(Exception):
    """No benchmark has this name; the text says which there are."""


class BadRow(Exception):
    """A benchmark gave a row without one of the keys of `bench.ROW_KEYS`."""


def names(only: str = "") -> list[str]:
    """The names of all benchmarks, or just `only`; UnknownBench if there is none of that name."""
    found = sorted(module.name for module in pkgutil.iter_modules(bench.__path__))
    found = [name for name in found if hasattr(_module(name), "rows")]
    if not only:
        return found
    if only not in found:
        raise UnknownBench(f"no benchmark {only!r}; there are: {', '.join(found) or 'none'}")
    return [only]


def rows(
    chosen: list[str],
    progress: Callable[[str], None] | None = None,
    **sizes: int | str | None,
) -> list[Row]:
    """Run the benchmarks named in `chosen` and collect their rows, ratio filled in.

    `sizes`: for benchmarks that take them (`records=1_000_000`), None: as they have it themselves;
    UnknownBench if one of them does not.
    """
    said = {name: size for name, size in sizes.items() if size is not None}
    measured = []
    for name in chosen:
        if progress:
            progress(f"measuring {name} ...")
        measured += [complete(name, row) for row in _rows_of(name, said)]
    return measured


def _rows_of(name: str, sizes: Mapping[str, object]) -> Iterable[Mapping[str, object]]:
    measure = _module(name).rows
    for size in sizes:
        if size not in signature(measure).parameters:
            raise UnknownBench(f"benchmark {name} does not grow: --{size} is for those that do")
    return measure(**sizes)


def complete(bench_name: str, row: Mapping[str, object]) -> Row:
    """A row with all columns, in their order. BadRow names the benchmark whose row lacks a key."""
    missing = [key for key in bench.ROW_KEYS if key not in row]
    if missing:
        raise BadRow(f"tools/bench/{bench_name}.py: row without {', '.join(missing)}: {dict(row)}")
    ratio = row.get("ratio", _ratio(row["ours"], row["other"]))
    return {column: ratio if column == "ratio" else row[column] for column in COLUMNS}


def to_json(measured: list[Row]) -> str:
    """The rows as one JSON array of objects."""
    return json.dumps(measured, indent=2, ensure_ascii=False)


def print_table(measured: list[Row]) -> None:
    """The rows as a table for people."""
    table = Table()
    for column in COLUMNS:
        is_number = column in ("ours", "other", "ratio")
        table.add_column(column, justify="right" if is_number else "left")
    for row in measured:
        table.add_row(*[_shown(row[column]) for column in COLUMNS])
    Console().print(table)


def _ratio(ours: object, other: object) -> float | None:
    if not isinstance(ours, int | float) or not isinstance(other, int | float) or not other:
        return None
    return round(ours / other, 3)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _module(name: str) -> ModuleType:
    return import_module(f"{bench.__name__}.{name}")
