"""A late evening of two doors in which everything is done once: what bugs on purpose are shown to.

It lasts an hour and a half of virtual time: people come home before and behind curfew, a right and
a card end, a door is held open, forced, tried and opened under duress, burns, loses its mains, its
supply and its line with records under way.
"""

from __future__ import annotations

from collections.abc import Callable

from simulator.residence import faults, faults_line
from simulator.residence.building import SECOND_US, Building
from simulator.residence.judge import judge, log_of
from simulator.residence.people import People
from simulator.residence.play import built, heal, open_up, result_of
from simulator.residence.rights import NIGHTLY, Rights
from simulator.torture.result import Result

_BEGINS_S = 22 * 3600 + 600
_MINUTE_US = 60 * SECOND_US
_END_US = 95 * _MINUTE_US


def drill(seed: int, *, dozes: bool = True) -> tuple[Result, str]:
    """The figures of it, and the hash of what its doors have written; it ends with a violation.

    The seed draws people and networks. `dozes`: as in Building.
    """
    with built(seed, 2, _BEGINS_S, dozes=dozes) as building:
        people = People(building, Rights(building))
        open_up(building)
        _plan(building, people)
        building.run_until(_END_US)
        if not building.violations:
            heal(building, people)
            judge(building, people.seen)
        return result_of(building), log_of(building)


def _plan(building: Building, people: People) -> None:
    house, floor = building.doors
    draw = building.draw("drill")
    first, second = people.residents[0], people.residents[1]
    nightly = next(one for one in people.residents if one.card.card_no % 2 == 0)
    plan: list[tuple[int, Callable[[], object]]] = [
        (10, lambda: people.tap(house, first)),
        (11, lambda: people.leave(floor)),
        (12, lambda: people.rights.grant(house, first.card.card_no, 0)),
        (13, lambda: people.rights.set_status("lose", second.card.card_no)),
        (14, lambda: people.rights.grant(house, nightly.card.card_no, NIGHTLY)),
        (21, lambda: people.tap(house, first)),
        (22, lambda: people.tap(house, second)),
        (23, lambda: people.tap(house, nightly)),
        (24, lambda: people.hold_open(house, people.residents[-1])),
        (26, lambda: people.force(floor)),
        (29, lambda: people.duress(floor)),
        (32, lambda: people.try_five(house)),
        (38, lambda: faults.burn(building, floor, 2 * _MINUTE_US, draw)),
        (39, lambda: people.leave(floor)),
        (52, lambda: people.tap(house, nightly)),  # it is past eleven
        (53, lambda: faults.darken(building, house, _MINUTE_US)),
        (54, lambda: people.leave(house)),
        (62, lambda: faults_line.unplug(building, house, 5 * _MINUTE_US)),
        (63, lambda: people.tap(house, people.residents[-1])),
        (64, house.reader.switch_off),
        (66, lambda: people.leave(house)),
        (75, lambda: faults.burn(building, house, _MINUTE_US, draw)),
    ]
    for minute, act in plan:
        building.world.at(minute * _MINUTE_US + 137, act)
