"""What goes wrong with the lines of a residence, with its brokers, its agent and its ledger.

Rules: see faults.py, which has the table. Whatever cuts a door off from the ledger says so to it
(`lose_link`), for as long as it lasts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from simulator.residence.building import SECOND_US, Building
from simulator.residence.doorway import Doorway
from simulator.residence.place import Linked
from simulator.torture import faults_service
from simulator.torture.process import Process

_OUT_US = (5 * SECOND_US, 600 * SECOND_US)
_HALF_A_NIGHT_US = 6 * 3600 * SECOND_US

Act = Callable[[Building, random.Random], None]


def cable(building: Building, draw: random.Random) -> None:
    """One door's cable is out, for seconds or for half a night."""
    each = draw.choice(building.doors)
    if each.cable.plugged:
        duration_us = draw.choice((draw.randrange(*_OUT_US), _HALF_A_NIGHT_US))
        unplug(building, each, duration_us)


def unplug(building: Building, each: Doorway, duration_us: int) -> None:
    """A cable is out for a while."""
    each.reader.rouse()
    each.lose_link()
    each.cable.cut()
    each.cable.wake(building.world.now_us)
    building.fired["cable cut"] += 1

    def plug() -> None:
        each.cable.plug()
        each.regain_link()

    building.until(duration_us, plug)


def half_open(building: Building, draw: random.Random) -> None:
    """A connection that nobody hears on, and nobody ends."""
    each = draw.choice(building.doors)
    each.reader.rouse()
    if each.cable.half_open(draw):
        building.fired["half-open"] += 1
        each.lose_link()

        def end() -> None:
            each.cable.plug()
            each.regain_link()

        building.until(draw.randrange(10, 300) * SECOND_US, end)


def lose_links(building: Building, duration_us: int, end: Callable[[], object]) -> None:
    """No door is sure to hear the ledger for a while."""
    linked: list[Linked] = [*building.doors]
    if building.handheld is not None:
        linked.append(building.handheld)
    for each in linked:
        each.lose_link()

    def over() -> None:
        end()
        for each in linked:
            each.regain_link()

    building.until(duration_us, over)


class _Struck:
    """A building as faults_service.py knows a campus: what is broken there cuts all doors off."""

    def __init__(self, building: Building) -> None:
        self._building = building

    def __getattr__(self, name: str) -> Any:
        return getattr(self._building, name)

    def until(self, duration_us: int, end: Callable[[], None]) -> None:
        lose_links(self._building, duration_us, end)


def service(act: Callable[[Any, random.Random], None]) -> Act:
    return lambda building, draw: act(_Struck(building), draw)


def kill_of(which: str) -> Act:
    def act(building: Building, draw: random.Random) -> None:
        process: Process = getattr(building, which)
        faults_service.kill(process, building, draw)  # type: ignore[arg-type]

    return act


def disk_of(which: str) -> Act:
    def act(building: Building, draw: random.Random) -> None:
        process: Process = getattr(building, which)
        faults_service.disk(process, _Struck(building), draw)  # type: ignore[arg-type]

    return act


def revive(building: Building) -> None:
    """Agent and ledger are started again when they have died; until then doors are cut off."""
    for process in (building.agent, building.ledger):
        process.on_death = partial(_dead, building, process)


def _dead(building: Building, process: Process) -> None:
    pause_us = building.draw("restart", building.world.now_us).randrange(200_000, 10 * SECOND_US)
    lose_links(building, pause_us, partial(_start, process))


def _start(process: Process) -> None:
    if not process.is_up:
        process.start()
