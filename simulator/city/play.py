"""Plays the districts of a city, one after the other in each process.

Every district has a number under the seed, books of its own, and is played again by it alone.
"""

from __future__ import annotations

import gc
import hashlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from simulator.checkers import Verdict
from simulator.city import judge
from simulator.city.district import DAY_US, HOUR_US, SECOND_US, District
from simulator.city.outages import Outages
from simulator.city.people import People
from simulator.torture.result import Result

READERS_MAX = 1_000  # of one district
_START_US = 600 * SECOND_US  # readers are switched on in turn
_HEALED_US = 2 * HOUR_US
_DISTRICTS_MAX = 1_000  # of one seed


@dataclass(frozen=True)
class DistrictUnit:
    """One district: what a worker is given, and all that is needed to play it again.

    `readers`, `cards` and `days` are those of the whole city.
    """

    seed: int
    number: int
    readers: int
    cards: int
    days: int

    @property
    def replay(self) -> str:
        """The command that plays this district again."""
        size = f"--readers {self.readers} --cards {self.cards} --days {self.days}"
        return f"onecard sim city {size} --seed {self.seed} --district {self.number}"

    @property
    def own_readers(self) -> int:
        """How many readers this district has."""
        return self._share(self.readers)

    @property
    def own_cards(self) -> int:
        """How many people with a card live here."""
        return self._share(self.cards)

    def _share(self, whole: int) -> int:
        districts = -(-self.readers // READERS_MAX)
        return whole // districts + (self.number < whole % districts)


@dataclass
class DistrictResult(Result):
    """And what is in the table: `held`, records that each dark reader held, by midnight and name.

    `records` of the ledger, `outages` of hours; `books`: a hash of every account and of how far
    every reader is booked; CPU and wall time of this district alone.
    """

    records: int = 0
    outages: int = 0
    held: list[dict[str, int]] = field(default_factory=list)
    sold_fen: int = 0
    books: str = ""
    cpu_s: float = 0.0
    wall_s: float = 0.0


def units(seed: int, readers: int, cards: int, days: int) -> Iterator[DistrictUnit]:
    """The districts of a city."""
    for number in range(-(-readers // READERS_MAX)):
        yield DistrictUnit(seed, number, readers, cards, days)


def run_unit(unit: DistrictUnit) -> DistrictResult:
    """Play one district."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    with built(unit) as (district, people, outages):
        held = live(district, people, outages, unit.days)
        verdict = heal(district, people, outages)
        result = _result_of(district, outages, held, verdict)
    result.violations = [f"{unit.replay}: {text}" for text in district.violations]
    result.cpu_s = time.process_time() - began_cpu_s
    result.wall_s = time.monotonic() - began_s
    return result


@contextmanager
def built(unit: DistrictUnit) -> Iterator[tuple[District, People, Outages]]:
    """A district on scratch disks, torn down afterwards."""
    logging.disable(logging.CRITICAL)  # what services log about faults is of no interest
    scratch = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="onecard-city-", dir=scratch))
    gc.collect()  # the district before this one, before it is frozen too
    seed = unit.seed * _DISTRICTS_MAX + unit.number
    district = District(seed, directory, unit.own_readers, unit.own_cards)
    try:
        yield district, People(district, unit.own_cards), Outages(district)
    finally:
        district.close()
        gc.enable()
        gc.unfreeze()
        logging.disable(logging.NOTSET)
        shutil.rmtree(directory, ignore_errors=True)


def live(district: District, people: People, outages: Outages, days: int) -> list[dict[str, int]]:
    """Day by day; what dark readers held at each midnight."""
    windows = district.windows
    for number, window in enumerate(windows):
        at_us = number * _START_US // len(windows)
        district.world.at(at_us, lambda window=window: district.switch_on(window))
    gc.freeze()  # what stays for good need not be looked through again and again
    gc.disable()  # hardly anything is in a ring: once a day is enough
    held = []
    for day in range(days):
        people.plan_day(day)
        outages.plan_day(day)
        district.run_until((day + 1) * DAY_US)
        held.append(judge.drain(district, outages))
        judge.look(district, people)
        gc.collect()
    return held


def heal(district: District, people: People, outages: Outages) -> Verdict:
    """Everything is mended, and all of it has to come to rest."""
    outages.heal()
    district.run_until(district.world.now_us + _HEALED_US)
    judge.drain(district, outages)
    people.last_visits()
    district.run_until(district.world.now_us + _HEALED_US)
    for name, records in judge.drain(district, outages).items():
        district.report(f"{name} is still dark, with {records} records")
    return judge.look_at_end(district, people)


def _result_of(
    district: District, outages: Outages, held: list[dict[str, int]], verdict: Verdict
) -> DistrictResult:
    """The figures of a district."""
    books = sorted(district.books.balances().items()), sorted(district.books.heads().items())
    return DistrictResult(
        events=district.done.total() + district.fired.total(),
        virtual_s=district.world.now_us // SECOND_US,
        faults_fired=dict(district.fired),
        done={**district.done, **{f"saw {text}": n for text, n in district.tally.refused.items()}},
        records=district.books.summary()["records"],
        outages=outages.count,
        held=held,
        sold_fen=verdict.booked_fen,
        books=hashlib.sha256(repr(books).encode()).hexdigest(),
    )
