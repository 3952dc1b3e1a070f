"""A late evening of one door and three locks in which everything is done once; see drill.py.

Somebody moves in and somebody out by letters on cards, old letters come back, five wrong cards are
tried, cells get low, empty, and are swapped, every fault strikes once, and it gets past curfew.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from simulator.residence import room_faults
from simulator.residence.building import SECOND_US, Building
from simulator.residence.heard import contents, lay
from simulator.residence.judge import judge, log_of
from simulator.residence.people import People
from simulator.residence.play import built, heal, open_up, result_of
from simulator.residence.rights import NIGHTLY, RESIDENT, Rights
from simulator.residence.rooms import Rooms
from simulator.torture.result import Result

_BEGINS_S = 21 * 3600 + 2400
_MINUTE_US = 60 * SECOND_US
_FAULTS_AT, _END = 95, 125  # minutes
_LOW_PERCENT, _EMPTY_PERCENT = 18, 8


def room_drill(seed: int) -> tuple[Result, str]:
    """The figures of it, and the hash of what was written; it ends with a violation."""
    with built(seed, 1, _BEGINS_S, locks=3) as building:
        people = People(building, Rights(building))
        rooms = Rooms(building, people)
        open_up(building)
        _plan(building, rooms)
        building.run_until(_FAULTS_AT * _MINUTE_US)
        if not building.violations:
            _strike_all(building, rooms)
            building.run_until(_END * _MINUTE_US)
            heal(building, people, rooms)
            judge(building, people.seen)
        return result_of(building), log_of(building)


def _plan(building: Building, rooms: Rooms) -> None:
    people, (room, other, _) = rooms.people, building.rooms
    house, grant = building.doors[0], people.rights.grant
    first, second = people.residents[0], people.residents[1]
    nightly = next(one for one in people.residents if one.card.card_no % 3 == 0)
    old: list[bytes] = []
    pack = other.hardware.pack
    plan: list[tuple[int, Callable[[], object]]] = [
        (8, rooms.go_round),
        (13, lambda: rooms.enter(room, first)),
        (14, lambda: grant(room, second.card.card_no, RESIDENT)),
        (15, lambda: grant(room, nightly.card.card_no, NIGHTLY)),
        (16, lambda: people.tap(house, first)),
        (17, lambda: rooms.enter(room, first)),
        (18, lambda: rooms.enter(room, second)),
        (19, lambda: old.append(bytes(contents(first.card.chip)))),
        (20, lambda: grant(room, first.card.card_no, 0)),
        (26, lambda: people.tap(house, second)),
        (27, lambda: rooms.enter(room, second)),
        (28, lambda: rooms.enter(room, first)),
        (29, lambda: lay(first.card.chip, old[0])),
        (30, lambda: rooms.enter(room, first)),
        (31, lambda: rooms.leave(other)),
        (32, lambda: rooms.turn_key(other)),
        (33, lambda: rooms.enter(other, people.strangers[0])),
        (42, lambda: rooms.try_five(room)),
        (50, lambda: pack.replace(_LOW_PERCENT)),
        (51, lambda: rooms.enter(other, people.residents[-1])),
        (52, lambda: rooms.enter(other, people.residents[-1])),
        (53, lambda: pack.replace(_EMPTY_PERCENT)),
        (54, lambda: rooms.enter(other, people.residents[-1])),
        (55, lambda: rooms.turn_key(other)),
        (56, lambda: other.swap(_MINUTE_US)),
        (58, lambda: rooms.enter(other, people.residents[-1])),
        (60, lambda: rooms.enter(room, nightly)),
        (84, lambda: rooms.enter(room, nightly)),  # it is past eleven
    ]
    for minute, act in plan:
        building.world.at(minute * _MINUTE_US + 137, act)


def _strike_all(building: Building, rooms: Rooms) -> None:
    draw = building.draw("all faults")
    for number, (_, strike) in enumerate(room_faults.FAULTS.values()):
        act = partial(strike, rooms, random.Random(draw.getrandbits(64)))
        building.later((number + 1) * _MINUTE_US, act)
        visit = partial(_come, rooms, draw.randrange(len(rooms.people.residents)))
        building.later((number + 1) * _MINUTE_US + 30 * SECOND_US, visit)


def _come(rooms: Rooms, number: int) -> None:
    person = rooms.people.residents[number]
    for room in rooms.rooms_of[person.card.card_no][:1]:
        rooms.enter(room, person)
