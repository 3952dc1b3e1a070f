"""`onecard sim torture`: chooses what is broken, shows how it goes, and says what held."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from simulator.torture import journal, runner, system, tap
from simulator.torture.faults import FAULTS, MARKS
from simulator.torture.runner import RunUnit, Total
from simulator.torture.system import EVENTS, HIGH, LOW, SystemUnit
from simulator.torture.tap import TapUnit
from simulator.torture.tap_window import CLASSIC, DESFIRE

SEEDS_FILE = Path(__file__).parents[1] / "tests/torture/seeds.txt"
_INTENSITIES = {"high": (HIGH,), "low": (LOW,), "both": (HIGH, LOW)}
_FAILED_SHOWN_MAX = 20


class TortureError(Exception):
    """What was asked for cannot be done; the text says why."""


@dataclass(frozen=True)
class Options:
    """What the command line says; `seed` is that of one unit to play again."""

    seeds: int = 100
    first: int = 0
    seed: str | None = None
    minutes: float = 0.0
    intensity: str = "high"
    events: int = EVENTS
    home: str = "cpython"
    faults: tuple[str, ...] = ()
    exhaustive: str | None = None
    bit_runs: int = 0
    jobs: int = 0


@dataclass(frozen=True)
class Plan:
    """What will be played, and the faults that a run of it has to show."""

    units: Iterable[Any]
    run_unit: RunUnit
    marks: tuple[str, ...] = ()
    is_system: bool = False


def torture(options: Options, progress: Callable[[str], None] | None) -> Total:
    """Play what was asked for; seeds of the whole system that fail are remembered."""
    plan = _plan(options)
    total = runner.run(
        plan.units,
        plan.run_unit,
        jobs=options.jobs,
        seconds=options.minutes * 60,
        progress=progress,
    )
    for mark in plan.marks:
        total.result.faults_fired.setdefault(mark, 0)
    if plan.is_system and not options.faults and SEEDS_FILE.exists():
        runner.remember(SEEDS_FILE, total.failed)
    return total


def _plan(options: Options) -> Plan:
    if options.exhaustive == "journal":
        if options.seed is not None:
            return Plan([_named(journal.unit_of, options.seed)], journal.run_unit)
        units = journal.bit_units(options.bit_runs) if options.bit_runs else journal.units()
        return Plan(units, journal.run_unit)
    if options.exhaustive == "tap":
        if options.seed is not None:
            _named(tap.case_of, options.seed)
            return Plan([TapUnit(options.seed)], tap.run_unit)
        units = chain(tap.units(chip=CLASSIC), tap.units(chip=DESFIRE))
        return Plan(units, tap.run_unit)
    if options.home == "vm":
        system.firmware_image()  # before the workers fork
    return Plan(
        _system_units(options), system.run_unit, () if options.faults else MARKS, is_system=True
    )


def _named(by_name: Callable[[str], Any], name: str) -> Any:
    try:
        return by_name(name)
    except ValueError as error:
        raise TortureError(error) from error


def _system_units(options: Options) -> Iterator[SystemUnit]:
    """Each seed at the intensities asked for; without end if there is a time to stop."""
    unknown = [kind for kind in options.faults if kind not in FAULTS]
    if unknown:
        raise TortureError(f"no fault {unknown[0]!r}; there are: {', '.join(sorted(FAULTS))}")
    intensities = _INTENSITIES.get(options.intensity) or (_number(options.intensity),)
    seed, last = options.first, options.first + options.seeds
    if options.seed is not None:
        seed = _number(options.seed)
        last = seed + 1
    elif options.minutes:
        last = 1 << 60
    return (
        SystemUnit(number, thousandths, options.events, options.home, options.faults)
        for number in range(seed, last)
        for thousandths in intensities
    )


def _number(text: str) -> int:
    if not text.isdecimal():
        raise TortureError(f"not a number: {text}")
    return int(text)


def to_json(total: Total) -> str:
    return json.dumps(total.to_dict(), indent=2, ensure_ascii=False)


def to_text(total: Total) -> str:
    """What a person wants to know, one fact a line."""
    figures = total.to_dict()
    lines = [
        f"{figures['seeds']} units, {figures['events']} events, {figures['cut_points']} cut "
        f"points, {figures['virtual_days']} virtual days, in {figures['real_s']:.0f} s: "
        f"{figures['seeds_per_second']} a second on {figures['jobs']} cores",
        "faults that struck:",
    ]
    for kind, times in figures["faults_fired"].items():
        lines.append(f"  {times:>9}  {kind}" + ("" if times else "  <- never"))
    for text in total.result.violations[:_FAILED_SHOWN_MAX]:
        lines.append(f"VIOLATION  {text}")
    for unit in total.failed[:_FAILED_SHOWN_MAX]:
        lines.append(f"replay with: {unit.replay}")
    lines.append(f"{len(total.result.violations)} violations, {figures['unresolved']} unresolved")
    return "\n".join(lines)
