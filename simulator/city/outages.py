"""What goes wrong in a district, by plan: one large outage at each lunch, and small ones all day.

A function strikes once and puts right again what it has broken. A building is in one outage at a
time. `FAULTS` says how often the small ones come, `LARGE` which the large one may be.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from simulator.city.district import DAY_US, HOUR_US, SECOND_US, Building, District, Window
from simulator.torture.broker import Broker, Mischief

_LUNCH_US = (11 * HOUR_US + 1800 * SECOND_US, 12 * HOUR_US + 1200 * SECOND_US)
_MISCHIEF = ("lost", "unacknowledged", "doubled", "late", "replayed")
_THOUSAND = 1000

Strike = Callable[["Outages", random.Random], None]


class Outages:
    """The outages of one district. `cuts`: how many hold a reader's cable, by its name."""

    def __init__(self, district: District) -> None:
        self.district = district
        self.count = 0  # of outages of hours
        self._cuts: dict[str, int] = {}
        self._endings: list[Callable[[], None]] = []

    def plan_day(self, day: int) -> None:
        """What will strike on a day."""
        district = self.district
        draw, at = district.seeds.stream("outages", day), district.world.at
        start_us = day * DAY_US + draw.randrange(*_LUNCH_US)
        at(start_us, partial(LARGE[draw.choice(sorted(LARGE))], self, self._own(draw)))
        for kind, (per_reader, strike) in FAULTS.items():
            share = per_reader * len(district.windows)
            for _ in range(share // _THOUSAND + (draw.randrange(_THOUSAND) < share % _THOUSAND)):
                when_us = day * DAY_US + draw.randrange(6 * HOUR_US, 21 * HOUR_US)
                at(when_us, partial(self._strike, kind, strike, self._own(draw)))

    def heal(self) -> None:
        """Whatever lasts is over."""
        for end in list(self._endings):
            end()

    def is_dark(self, building: Building, window: Window) -> bool:
        """Whether what a reader writes cannot come to the ledger now."""
        is_cut = not window.reader.is_on or not window.cable.plugged
        return is_cut or bool(building.ill) or not self.district.ledger.is_up

    # -- how ------------------------------------------------------------------------------------

    def _own(self, draw: random.Random) -> random.Random:
        return random.Random(draw.getrandbits(64))

    def _strike(self, kind: str, strike: Strike, draw: random.Random) -> None:
        self.district.fired[kind] += 1
        strike(self, draw)

    def until(self, duration_us: int, end: Callable[[], None]) -> None:
        """`end` is called once: after the duration, or when all heals before."""

        def once() -> None:
            if once in self._endings:
                self._endings.remove(once)
                end()

        self._endings.append(once)
        self.district.later(duration_us, once)

    def some(self, draw: random.Random) -> list[Building]:
        """A third of the buildings or more, those that are well."""
        well = [one for one in self.district.buildings if not one.ill]
        count = draw.randrange(-(-len(well) // 3), len(well) + 1) if well else 0
        return draw.sample(well, count)

    def unplug(self, window: Window) -> Callable[[], None]:
        """A reader's cable is dead until what is returned is called."""
        self._cuts[window.name] = self._cuts.get(window.name, 0) + 1
        window.cable.cut()
        window.reader.wake(self.district.world.now_us)

        def plug() -> None:
            self._cuts[window.name] -= 1
            if not self._cuts[window.name]:
                window.cable.plug()

        return plug


# -- large ----------------------------------------------------------------------------------------


def power(outages: Outages, draw: random.Random) -> None:
    """No mains in whole buildings: agents are dead, readers sell on their batteries (R23.1)."""
    hours_us = draw.randrange(HOUR_US // 2, 3 * HOUR_US)
    for building in outages.some(draw):
        _begin(outages, building, "no mains at lunch")
        building.agent.kill()
        building.broker.stop(forget=True)
        for window in building.windows:
            window.hardware.set_mains(False)
            window.reader.wake(outages.district.world.now_us)
        outages.until(hours_us, partial(_power_back, outages, building))


def _power_back(outages: Outages, building: Building) -> None:
    building.ill, building.broker.is_up = "", True
    building.agent.start()
    for window in building.windows:
        window.hardware.set_mains(True)
        if window.reader.is_on:
            window.reader.wake(outages.district.world.now_us)
        else:
            outages.district.revive(window)


def centre_line(outages: Outages, draw: random.Random) -> None:
    """Buildings have no line to the card centre: their agents keep what comes."""
    hours_us = draw.randrange(HOUR_US, 4 * HOUR_US)
    for building in outages.some(draw):
        _begin(outages, building, "no line to the centre at lunch")
        building.agent.is_line_cut = True
        for port in building.agent.ports[1:]:
            port.cut()
        outages.until(hours_us, partial(_line_back, building))


def _line_back(building: Building) -> None:
    building.ill, building.agent.is_line_cut = "", False
    if building.agent.is_up:
        building.agent.ports[-1].plug()


def switch(outages: Outages, draw: random.Random) -> None:
    """The network inside buildings is dead: each reader is alone (R24.1)."""
    hours_us = draw.randrange(HOUR_US, 4 * HOUR_US)
    for building in outages.some(draw):
        _begin(outages, building, "no network in the building at lunch")
        plugs = [outages.unplug(window) for window in building.windows]
        outages.until(hours_us, partial(_switch_back, building, plugs))


def _switch_back(building: Building, plugs: list[Callable[[], None]]) -> None:
    building.ill = ""
    for plug in plugs:
        plug()


def _begin(outages: Outages, building: Building, kind: str) -> None:
    building.ill = kind
    outages.count += 1
    outages.district.fired[kind] += 1


# -- small ----------------------------------------------------------------------------------------


def dark(outages: Outages, draw: random.Random) -> None:
    """A reader has no network for days, and comes back with a full queue."""
    plug = outages.unplug(draw.choice(outages.district.windows))
    outages.count += 1
    outages.until(draw.randrange(DAY_US, 3 * DAY_US), plug)


def half_open(outages: Outages, draw: random.Random) -> None:
    """Bytes vanish, and nobody is told."""
    window = draw.choice(outages.district.windows)
    if window.cable.plugged and window.cable.half_open(draw):
        outages.until(draw.randrange(60, 900) * SECOND_US, partial(_mend, window))


def _mend(window: Window) -> None:
    for stream in window.cable.streams:
        stream.dead = 0
    window.reader.wake(window.cable.world.now_us)


def agent_killed(outages: Outages, draw: random.Random) -> None:
    """SIGKILL; systemd starts it again."""
    _stop_agent(outages, draw)


def agent_replaced(outages: Outages, draw: random.Random) -> None:
    """A new box with an empty disk: readers and ledger have everything."""
    building = _stop_agent(outages, draw)
    if building is not None:
        building.agent.replace()


def _stop_agent(outages: Outages, draw: random.Random) -> Building | None:
    building = draw.choice(outages.district.buildings)
    if building.ill or not building.agent.is_up:
        return None
    building.ill = "agent dead"
    building.agent.kill()
    outages.until(draw.randrange(5, 900) * SECOND_US, partial(_start_agent, building))
    return building


def _start_agent(building: Building) -> None:
    building.ill = ""
    building.agent.start()


def broker_restarted(outages: Outages, draw: random.Random) -> None:
    """A building's broker dies, and comes back without what it remembered."""
    building = draw.choice(outages.district.buildings)
    if not building.ill:
        building.ill = "broker dead"
        building.broker.stop(forget=True)
        outages.until(draw.randrange(2, 120) * SECOND_US, partial(_start_broker, building))


def _start_broker(building: Building) -> None:
    building.ill, building.broker.is_up = "", True


def broker_lies(outages: Outages, draw: random.Random) -> None:
    """For a while a broker loses, repeats and delays messages that it has acknowledged."""
    district = outages.district
    broker = draw.choice([district.centre, *(one.broker for one in district.buildings)])
    broker.mischief = Mischief(**dict.fromkeys(draw.sample(_MISCHIEF, 2), 50_000))
    outages.until(draw.randrange(300, 3600) * SECOND_US, partial(_calm, broker))


def _calm(broker: Broker) -> None:
    broker.mischief = Mischief()


def ledger_killed(outages: Outages, draw: random.Random) -> None:
    """The ledger is dead for minutes; its books stay."""
    ledger = outages.district.ledger
    if ledger.is_up:
        ledger.kill()
        outages.until(draw.randrange(10, 1800) * SECOND_US, ledger.start)


LARGE: dict[str, Strike] = {
    "power": power,
    "line to the centre": centre_line,
    "network of the building": switch,
}
# How often for a thousand readers and a day.
FAULTS: dict[str, tuple[int, Strike]] = {
    "reader without network for days": (10, dark),
    "half-open connection": (10, half_open),
    "agent killed": (6, agent_killed),
    "agent replaced": (2, agent_replaced),
    "broker restarted": (6, broker_restarted),
    "broker that lies": (6, broker_lies),
    "ledger killed": (2, ledger_killed),
}
