"""`onecard sim residence`: plays the buildings of a dormitory and says what held."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.residence.play import RATE, BuildingUnit, run_unit, units
from simulator.torture import runner
from simulator.torture.runner import Total

_SHOWN_MAX = 20
_DAY_S = 86_400


class ResidenceError(Exception):
    """What was asked for cannot be played; the text says why."""


@dataclass(frozen=True)
class Options:
    """What the command line says; `building` is the number of one to play alone."""

    doors: int = 200
    days: int = 14
    seed: int = 1
    building: int | None = None
    rate: int = RATE
    jobs: int = 0
    locks: int = 0


def play(options: Options, progress: Callable[[str], None] | None) -> Total:
    """Play what was asked for. Raises ResidenceError."""
    return runner.run(chosen(options), run_unit, jobs=options.jobs, progress=progress)


def chosen(options: Options) -> list[BuildingUnit]:
    """The buildings to be played. Raises ResidenceError."""
    found = list(units(options.seed, options.doors, options.days, options.rate, options.locks))
    if options.building is None:
        return found
    if options.building >= len(found):
        raise ResidenceError(f"no building {options.building}: there are {len(found)}, from 0 on")
    return [found[options.building]]


def to_dict(options: Options, total: Total) -> dict[str, Any]:
    """What --json prints."""
    played = chosen(options)
    return {
        "seed": options.seed,
        "buildings": total.units,
        "doors": sum(unit.own_doors for unit in played),
        **({"locks": sum(unit.own_locks for unit in played)} if options.locks else {}),
        "days": options.days,
        "door_days": sum(unit.own_doors for unit in played) * options.days,
        "events": total.result.events,
        "done": dict(sorted(total.result.done.items())),
        "faults_fired": dict(sorted(total.result.faults_fired.items())),
        "violations": total.result.violations,
        "jobs": total.jobs,
        "real_s": round(total.real_s, 1),
    }


def to_json(options: Options, total: Total) -> str:
    """The figures for a machine."""
    return json.dumps(to_dict(options, total), indent=2, ensure_ascii=False)


def to_text(options: Options, total: Total) -> str:
    """What a person wants to know, one fact a line."""
    figures = to_dict(options, total)
    locks = f" and {figures['locks']} locks" if options.locks else ""
    lines = [
        f"seed {figures['seed']}: {figures['doors']} doors{locks} in "
        f"{figures['buildings']} buildings, "
        f"{figures['days']} days, {figures['events']} events, in {figures['real_s']:.0f} s on "
        f"{figures['jobs']} cores",
        "what happened:",
        *(f"  {times:>9}  {kind}" for kind, times in figures["done"].items()),
        "faults that struck:",
        *(f"  {times:>9}  {kind}" for kind, times in figures["faults_fired"].items()),
        *(f"VIOLATION  {text}" for text in total.result.violations[:_SHOWN_MAX]),
        *(f"replay with: {unit.replay}" for unit in total.failed[:_SHOWN_MAX]),
        f"{len(total.result.violations)} violations",
    ]
    return "\n".join(lines)
