"""`onecard sim city`: plays the districts of a city, and says what held and what it cost.

With a folder for results each district is kept there as it ends, and played no more.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from protocols.rules.money import format_yuan
from simulator.city.play import DistrictResult, DistrictUnit, run_unit, units
from simulator.torture import runner
from simulator.torture.result import Result
from tools import city_results
from tools.city_results import BadResults, Kept
from tools.commit import commit_now

_SHOWN_MAX = 20
_DAY_S = 86_400
# Column and its width.
_COLUMNS = (
    *(("district", 8), ("readers", 8), ("cards", 8), ("events", 9), ("outages", 8)),
    *(("records", 10), ("held", 7), ("violations", 11), ("CPU s", 8), ("wall s", 8)),
)


class CityError(Exception):
    """What was asked for cannot be played; the text says why."""


@dataclass(frozen=True)
class Options:
    """What the command line says.

    `district` is the number of one to play alone, `results` the folder of what has ended.
    """

    readers: int = 10_000
    cards: int = 300_000
    days: int = 7
    seed: int = 1
    district: int | None = None
    jobs: int = 0
    results: Path | None = None


@dataclass
class Played:
    """What came of it, district by district.

    `kept`: by which program those were played that an earlier run has kept, by number. `real_s`
    has what they took then, shared among as many processes as there were.
    """

    options: Options
    districts: dict[DistrictUnit, DistrictResult] = field(default_factory=dict)
    total: Result = field(default_factory=Result)
    jobs: int = 1
    real_s: float = 0.0
    kept: dict[int, str] = field(default_factory=dict)

    def take(self, kept: Kept) -> None:
        """A district that has ended in an earlier run."""
        self.districts[kept.unit] = kept.result
        self.kept[kept.unit.number] = kept.commit
        self.real_s += kept.result.wall_s / kept.jobs
        self.jobs = max(self.jobs, kept.jobs)

    @property
    def violations(self) -> list[str]:
        return self.total.violations

    @property
    def card_days(self) -> int:
        """Days lived by a card."""
        return self.options.days * sum(unit.own_cards for unit in self.districts)

    @property
    def cpu_s(self) -> float:
        """Of all districts."""
        return sum(result.cpu_s for result in self.districts.values())

    @property
    def books(self) -> str:
        """A hash of all books: the same program comes to the same, however often it was cut."""
        books = [result.books for _unit, result in self._in_order()]
        return hashlib.sha256(" ".join(books).encode()).hexdigest()

    def _in_order(self) -> list[tuple[DistrictUnit, DistrictResult]]:
        return sorted(self.districts.items(), key=lambda one: one[0].number)

    def rows(self) -> list[tuple[Any, ...]]:
        """The table, by district; the columns are those of `text`."""
        return [
            (
                *(unit.number, unit.own_readers, unit.own_cards, result.events, result.outages),
                *(result.records, _most_held(result), len(result.violations)),
                *(round(result.cpu_s), round(result.wall_s)),
            )
            for unit, result in self._in_order()
        ]

    def to_json(self) -> str:
        """The figures for a machine, and which reader held how much at which midnight."""
        figures = {
            **asdict(self.options),
            "results": None if self.options.results is None else str(self.options.results),
            "districts": [
                {"number": unit.number, **asdict(result)} for unit, result in self._in_order()
            ],
            "kept": self.kept,
            "books": self.books,
            "card_days": self.card_days,
            "cpu_s": round(self.cpu_s, 1),
            "real_s": round(self.real_s, 1),
            "jobs": self.jobs,
            "violations": self.violations,
        }
        return json.dumps(figures, indent=2, ensure_ascii=False)

    def text(self) -> str:
        """The table, what happened, and what it cost."""
        rows = self.rows()
        sums = tuple(sum(row[column] for row in rows) for column in range(1, len(_COLUMNS)))
        days, result = self.options.days, self.total
        sold_fen = sum(one.sold_fen for one in self.districts.values())
        virtual_s = days * _DAY_S
        held = "" if self.violations else ", and booked to the fen, each record once"
        lines = [
            f"seed {self.options.seed}, {days} days; every reader is the firmware of role POS",
            _line(tuple(name for name, _width in _COLUMNS)),
            *(_line(row) for row in rows),
            _line(("all", *sums)),
            "what happened:",
            *(f"  {times:>9,}  {kind}" for kind, times in sorted(result.done.items())),
            "what went wrong on purpose:",
            *(f"  {times:>9,}  {kind}" for kind, times in sorted(result.faults_fired.items())),
            f"{format_yuan(sold_fen)} yuan were sold{held}",
            f"books {self.books}",
            *_kept_words(self.kept),
            f"{self.cpu_s * 1000 / max(self.card_days, 1):.2f} ms of CPU for a card and a day; "
            f"{virtual_s:,} virtual s in {self.real_s:,.0f} s on {self.jobs} cores: "
            f"{virtual_s / max(self.real_s, 1):,.0f} times as fast",
            *(f"VIOLATION  {text}" for text in self.violations[:_SHOWN_MAX]),
            f"{len(self.violations)} violations",
        ]
        return "\n".join(lines)


def play(options: Options, progress: Callable[[str], None] | None) -> Played:
    """Play what was asked for and has not ended; each district is told as it ends. CityError."""
    played, folder = Played(options), options.results
    asked = chosen(options)
    commit = commit_now() if folder else ""
    for kept in _ended_before(folder, asked):
        played.take(kept)
        played.total.add(kept.result)
    wanted = [unit for unit in asked if unit not in played.districts]
    jobs = max(1, min(options.jobs or os.cpu_count() or 1, len(wanted)))

    def ended(unit: DistrictUnit, result: Result) -> None:
        if not isinstance(result, DistrictResult):  # it has raised, and will do so again
            return
        played.districts[unit] = result
        if folder is not None:
            _keep(folder, Kept(unit, result, commit, jobs), progress)
        if progress is not None:
            progress(f"district {unit.number}: {_ended(unit, result)}")

    total = runner.run(wanted, run_unit, jobs=jobs, progress=progress, on_result=ended)
    played.total.add(total.result)
    played.jobs = max(played.jobs, jobs)
    played.real_s += total.real_s
    return played


def _ended_before(folder: Path | None, asked: list[DistrictUnit]) -> list[Kept]:
    """What an earlier run has kept of what is asked for. Raises CityError."""
    if folder is None:
        return []
    try:
        found = city_results.read(folder, asked[0])
    except BadResults as error:
        raise CityError(error) from error
    return [found[unit.number] for unit in asked if unit.number in found]


def _keep(folder: Path, kept: Kept, progress: Callable[[str], None] | None) -> None:
    """A full disk is no reason to lose the table."""
    try:
        city_results.write(folder, kept)
    except BadResults as error:
        if progress is not None:
            progress(f"district {kept.unit.number} is not kept: {error}")


def chosen(options: Options) -> list[DistrictUnit]:
    """The districts to be played. Raises CityError."""
    found = list(units(options.seed, options.readers, options.cards, options.days))
    if options.cards < len(found):
        raise CityError(f"{options.cards} cards: every district of {len(found)} needs one")
    if options.district is None:
        return found
    if options.district >= len(found):
        raise CityError(f"no district {options.district}: there are {len(found)}, from 0 on")
    return [found[options.district]]


def _ended(unit: DistrictUnit, result: DistrictResult) -> str:
    per_day_ms = result.cpu_s * 1000 / (unit.own_cards * unit.days)
    return (
        f"{unit.own_readers} readers, {unit.own_cards} cards, {result.records:,} records, "
        f"{len(result.violations)} violations, {result.cpu_s:,.0f} CPU s, "
        f"{per_day_ms:.2f} ms for a card and a day"
    )


def _kept_words(kept: dict[int, str]) -> list[str]:
    """Which districts an earlier run has kept, by the program that played them."""
    words = []
    for commit in sorted(set(kept.values())):
        numbers = ", ".join(str(number) for number in sorted(kept) if kept[number] == commit)
        words.append(f"kept from before, by program {commit or 'unknown'}: district {numbers}")
    return words


def _most_held(result: DistrictResult) -> int:
    """Records that dark readers held, at the midnight at which they were most."""
    return max((sum(held.values()) for held in result.held), default=0)


def _line(row: tuple[Any, ...]) -> str:
    texts = (f"{one:,}" if isinstance(one, int) else str(one) for one in row)
    return "".join(f"{text:>{width}}" for text, (_, width) in zip(texts, _COLUMNS, strict=True))
