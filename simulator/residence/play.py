"""One building for so many days, then everything heals; and a residence of many buildings.

`onecard sim residence` plays them all, one process each if it may; every building has a number of
its own under the seed, and is played again by it alone.
"""

from __future__ import annotations

import logging
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from protocols.rules import door
from simulator.checkers import journal_of
from simulator.residence import faults, faults_line, room_faults
from simulator.residence.building import DAY_US, SECOND_US, Building
from simulator.residence.judge import judge, log_of
from simulator.residence.people import People
from simulator.residence.rights import Rights
from simulator.residence.room_healing import heal_rooms, last_visits
from simulator.residence.rooms import Rooms
from simulator.torture.result import Result

DOORS_MAX = 10  # of one building
RATE = 1500  # faults at a door in a thousand days
_ROOM_RATE_PART = 3  # a lock has a third of them
_DRAIN_US = 30 * 60 * SECOND_US
_STEP_US = 5 * SECOND_US
_NEVER = 1 << 60
_ROUND_US = 21 * 3600 * SECOND_US  # when the warden makes his round, with a key


@dataclass(frozen=True)
class BuildingUnit:
    """One building: what a worker is given, and all that is needed to play it again.

    `doors`, `locks` and `days` are those of the whole residence.
    """

    seed: int
    number: int
    doors: int
    days: int
    rate: int = RATE
    locks: int = 0

    @property
    def replay(self) -> str:
        """The command that plays this building again."""
        rate = "" if self.rate == RATE else f" --rate {self.rate}"
        rate += f" --locks {self.locks}" if self.locks else ""
        what = f"--doors {self.doors} --days {self.days} --building {self.number}{rate}"
        return f"onecard sim residence --seed {self.seed} {what}"

    @property
    def own_doors(self) -> int:
        """How many doors this building has."""
        return self._share(self.doors)

    @property
    def own_locks(self) -> int:
        """How many locks this building has."""
        return self._share(self.locks)

    def _share(self, whole: int) -> int:
        buildings = -(-self.doors // DOORS_MAX)
        return whole // buildings + (self.number < whole % buildings)


def units(
    seed: int, doors: int, days: int, rate: int = RATE, locks: int = 0
) -> Iterator[BuildingUnit]:
    """The buildings of a residence."""
    for number in range(-(-doors // DOORS_MAX)):
        yield BuildingUnit(seed, number, doors, days, rate, locks)


def run_unit(unit: BuildingUnit) -> Result:
    """Play one building."""
    return play(unit)[0]


def play(unit: BuildingUnit) -> tuple[Result, str]:
    """The figures of one building, and the hash of what its doors have written."""
    with built(unit.seed * 1000 + unit.number, unit.own_doors, locks=unit.own_locks) as building:
        people = People(building, Rights(building))
        rooms = Rooms(building, people) if building.rooms else None
        _live(building, people, rooms, unit)
        heal(building, people, rooms)
        judge(building, people.seen)
        result = result_of(building)
        result.violations = [f"{unit.replay}: {text}" for text in building.violations]
        return result, log_of(building)


@contextmanager
def built(
    seed: int, doors: int, begins_s: int = 0, *, dozes: bool = True, locks: int = 0
) -> Iterator[Building]:
    """A building on scratch disks, torn down afterwards."""
    logging.disable(logging.CRITICAL)  # what services log about faults is of no interest
    scratch = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="onecard-residence-", dir=scratch))
    building = Building(seed, directory, doors, begins_s=begins_s, dozes=dozes, locks=locks)
    try:
        yield building
    finally:
        building.close()
        logging.disable(logging.NOTSET)
        shutil.rmtree(directory, ignore_errors=True)


def open_up(building: Building) -> None:
    """The doors are switched on, and what dies is started again from now on."""
    faults_line.revive(building)
    for each in building.doors:
        building.switch_on(each)
    for room in building.rooms:
        room.revive()


def _live(building: Building, people: People, rooms: Rooms | None, unit: BuildingUnit) -> None:
    open_up(building)
    for day in range(unit.days):
        people.plan_day(day)
        _plan_faults(building, day, unit.rate)
        if rooms is not None:
            rooms.plan_day(day)
            _plan_room_faults(rooms, day, unit.rate)
        for number, each in enumerate(building.doors):
            at_us = day * DAY_US + _ROUND_US + number * 40 * SECOND_US
            building.world.at(at_us, partial(faults.turn_key, building, each))
        building.run_until((day + 1) * DAY_US)


def _plan_faults(building: Building, day: int, rate: int) -> None:
    draw = building.draw("faults", day)
    kinds = sorted(faults.FAULTS)
    weights = [faults.FAULTS[kind][0] for kind in kinds]
    share = len(building.doors) * rate
    for _ in range(share // 1000 + (draw.randrange(1000) < share % 1000)):
        (kind,) = draw.choices(kinds, weights)
        at_us = day * DAY_US + draw.randrange(DAY_US)
        building.world.at(at_us, partial(_strike, building, kind, draw.getrandbits(64)))


def _plan_room_faults(rooms: Rooms, day: int, rate: int) -> None:
    draw = rooms.building.draw("faults at locks", day)
    kinds = sorted(room_faults.FAULTS)
    weights = [room_faults.FAULTS[kind][0] for kind in kinds]
    share = len(rooms.building.rooms) * rate // _ROOM_RATE_PART
    for _ in range(share // 1000 + (draw.randrange(1000) < share % 1000)):
        (kind,) = draw.choices(kinds, weights)
        strike = partial(room_faults.FAULTS[kind][1], rooms, random.Random(draw.getrandbits(64)))
        rooms.building.world.at(day * DAY_US + draw.randrange(DAY_US), strike)


def _strike(building: Building, kind: str, seed: int) -> None:
    faults.FAULTS[kind][1](building, random.Random(seed))


def heal(building: Building, people: People, rooms: Rooms | None = None) -> None:
    """Everything is mended; a key is turned at every door; then all of it has to come to rest."""
    building.heal()
    for process in (building.ledger, building.agent):
        if process.database is not None:
            process.database.kill_at(_NEVER, after=False)
            process.database.mend()
        if not process.is_up:
            process.start()
    for each in (*building.doors, *building.rooms):
        for flash in (each.hardware.flash, each.hardware.card_flash):
            if flash is not None:
                flash.cut_after(_NEVER)
    building.run_until(building.world.now_us + 15 * 60 * SECOND_US)
    for each in building.doors:
        building.switch_on(each)
        faults.turn_key(building, each)
    if rooms is not None:
        heal_rooms(rooms)
    _drain(building, people)
    _last_visits(building, people)
    if rooms is not None:
        last_visits(rooms)


def _drain(building: Building, people: People) -> None:
    """Wait until everything has arrived where it belongs."""
    end_us = building.world.now_us + _DRAIN_US
    while _owed(building, people) and building.world.now_us < end_us:
        building.run_until(building.world.now_us + _STEP_US)
    for text in _owed(building, people):
        building.report(f"not drained: {text}")


def _owed(building: Building, people: People) -> list[str]:
    """What has not arrived where it belongs."""
    owed = []
    heads = building.books.heads()
    cards_epoch = building.books.cards.epoch()
    for each in building.doors:
        head = journal_of(each.hardware.flash).head_seq
        if heads.get(each.device, 0) != head:
            owed.append(f"{each.name} has written {head}, booked is {heads.get(each.device, 0)}")
        if each.ill or each.cut:
            owed.append(f"{each.name} is not mended: {each.ill} faults, {each.cut} of its line")
        device = each.reader.home.device
        if device is None:
            owed.append(f"{each.name} is off")
            continue
        held = device._access_map._map.map_in_use()
        wanted = people.rights.newest(each).epoch
        if held is None or held[2] != wanted:
            owed.append(f"{each.name} has access map {held and held[2]}, the newest is {wanted}")
        held = device._card_map.map_in_use()
        if cards_epoch and (held is None or held[2] != cards_epoch):
            owed.append(f"{each.name} has card map {held and held[2]}, newest is {cards_epoch}")
        state = device._door.state
        if state not in (door.SECURED, door.FREE):
            owed.append(f"{each.name} is {state}")
    return owed


def _last_visits(building: Building, people: People) -> None:
    """With everything in order everybody tries every kind of door once more."""
    building.run_until(building.world.now_us + 500 * SECOND_US)
    for number, person in enumerate((*people.residents, *people.strangers)):
        for place in sorted({0, person.floor}):
            act = partial(people.tap, building.doors[place], person)
            building.later((2 * number + (place > 0)) * 30 * SECOND_US, act)
    everybody = len(people.residents) + len(people.strangers)
    building.run_until(building.world.now_us + (everybody + 2) * 60 * SECOND_US)
    _drain(building, people)


def result_of(building: Building) -> Result:
    """The figures of a building; `violations` as it has reported them."""
    return Result(
        events=building.done.total() + building.fired.total(),
        virtual_s=building.world.now_us // SECOND_US,
        faults_fired=dict(building.fired),
        violations=list(building.violations),
        done=dict(building.done),
    )
