"""How long a lock lasts on its four cells (R23.3), and what of that each of its parts takes.

The whole lock runs on the modelled parts: somebody touches it, it boots, reads the card, draws its
bolt, throws it again and sleeps; what its parts draw meanwhile is summed up by part
(simulator/host/lock_loads.py has the sources). A day is so many of these, and sleep. The cells
give what they hold until the lock itself says that they are empty: that is found by openings on
cells with less and less in them. Beside it stands the same lock in light sleep, which keeps its
memory and needs no boot. No board and no cell was measured.
"""

import random
from collections.abc import Iterator
from functools import cache

from protocols.rules import access, cells, clock, lock, settings
from simulator.cardbox import CardKeys, make_cards
from simulator.chips.nor_flash import NorFlash
from simulator.host import lock_loads as loads
from simulator.host.home import HostHome
from simulator.host.lock_hardware import LockHardware
from simulator.scenario import CardBatch
from simulator.scenario_words import DEFAULT_POLICY
from simulator.world.clock import World
from simulator.world.transcript import Transcript

TAPS_PER_DAY = (20, 60)
CELSIUS = (20, 0)
START_UTC_S = 1_788_494_400
_FLASH_BYTES = 256 * 1024
_SECOND_US = 1_000_000
_TOUCH_US, _HOLD_US = 400_000, 1_100_000
_UA_US_PER_UAH = 3600 * _SECOND_US
_DAY_S, _DAYS_PER_MONTH, _DAYS_PER_YEAR = 86_400, 30, 365
_STEP_PERCENT = 2


class NotOpened(Exception):
    """The lock has not done that for which its currents were to be summed up."""


class _Room:
    """One lock, and somebody who may enter."""

    def __init__(self, celsius: int) -> None:
        draw = random.Random(7)
        keys, policy = CardKeys.drawn(draw), DEFAULT_POLICY
        batch = CardBatch("student", 2, "ours", 1, 20_001, (0, 0))
        today = clock.day(START_UTC_S, policy["utc_offset_s"])
        (held,) = make_cards(batch, keys, draw, today)
        blob = settings.encode(
            {
                "device": 3001,
                "site": "dormitory-3",
                "merchant_no": 1,
                "device_key": draw.randbytes(32),
                "purse_key": keys.purse,
                "mac_key": keys.mac,
                "broker_host": "none",
                "broker_port": 1,
                "policy": policy,
            }
        )
        rights = access.encode([(20_001, [1])], [[(127, 0, 1440)]], (), 0, 0)
        nvs = {"settings": blob, "access": rights, "serial_baud": b"115200"}
        flash, age = NorFlash(_FLASH_BYTES, draw), {"celsius": celsius}
        world = World(START_UTC_S)
        self.card = held.chip
        self.hardware = LockHardware("lock", world, Transcript(), flash, nvs, draw, age)
        self.hardware.on_wake = self._wake
        self.home = HostHome("lock", self.hardware)
        self.hardware.power_on()
        self.due_us = self.home.start(self.hardware.clock.now_us)
        self.until_asleep()

    def _wake(self) -> None:
        self.due_us = self.hardware.clock.now_us

    def until(self, time_us: int) -> None:
        """Let the lock run."""
        own = self.hardware.clock
        while max(self.due_us, own.now_us) < time_us:
            own.advance_to(self.due_us)
            self.due_us = self.home.run(own.now_us)
        own.advance_to(time_us)

    def until_asleep(self) -> None:
        own = self.hardware.clock
        while self.hardware.wakes_by is None or self.due_us <= own.now_us:
            own.advance_to(self.due_us)
            self.due_us = self.home.run(own.now_us)

    def open(self) -> bool:
        """One opening, until it sleeps again; whether it has opened."""
        hardware, begin_us = self.hardware, self.hardware.clock.now_us
        hardware.bolt.set_input(lock.TOUCHED, True)
        self.until(begin_us + _TOUCH_US)
        hardware.bolt.set_input(lock.TOUCHED, False)
        hardware.put_card(self.card)
        self.until(begin_us + _TOUCH_US + _HOLD_US)
        hardware.take_card(self.card)
        is_open = hardware.bolt.pull()
        self.until_asleep()
        return is_open

    def grade(self) -> int:
        """What it has written down of its cells."""
        return self.hardware.nvs["cells"][0]


@cache
def opening_uah(celsius: int) -> dict[str, int]:
    """Microampere hours of one opening, by part."""
    room = _Room(celsius)
    room.hardware.pack.terminal_mv()
    before = dict(room.hardware.pack.drawn_by)
    if not room.open():
        raise NotOpened("new cells")
    after = room.hardware.pack.drawn_by
    return {part: (after[part] - before.get(part, 0)) // _UA_US_PER_UAH for part in after}


@cache
def usable_uah(celsius: int, grade: int) -> int:
    """Microampere hours that new cells have given when the lock says `grade`."""
    room = _Room(celsius)
    for percent in range(100, 0, -_STEP_PERCENT):
        room.hardware.pack.replace(percent)
        room.open()
        if room.grade() >= grade:
            return room.hardware.pack.capacity_mah * 10 * (100 - percent)
    raise NotOpened("it has never said so")


def day_uah(taps: int, celsius: int) -> dict[str, int]:
    """Microampere hours of a day with so many openings, by part."""
    day = {part: taps * uah for part, uah in opening_uah(celsius).items()}
    day["sleep"] = loads.SLEEP_UA * 24
    capacity_uah = _Room(celsius).hardware.pack.capacity_mah * 1000
    day["self-discharge"] = (
        capacity_uah * loads.SELF_DISCHARGE_PERCENT_PER_YEAR // (100 * _DAYS_PER_YEAR)
    )
    return day


def light_day_uah(taps: int, celsius: int) -> dict[str, int]:
    """The same without boots, and with a memory that has to be fed."""
    day = day_uah(taps, celsius)
    asleep_ua = loads.SLEEP_UA - loads.SLEEPING["ESP32"] + loads.LIGHT_SLEEP_UA
    return {**day, "boot": 0, "sleep": asleep_ua * 24}


def rows() -> Iterator[dict[str, object]]:
    """Months until it warns and until no card opens; then a day's charge by part."""
    for taps in TAPS_PER_DAY:
        for celsius in CELSIUS:
            deep = sum(day_uah(taps, celsius).values())
            light = sum(light_day_uah(taps, celsius).values())
            name = f"lock, {taps} openings a day at {celsius} C"
            for grade, until in ((cells.LOW, "it warns"), (cells.EMPTY, "no card opens it")):
                usable = usable_uah(celsius, grade)
                yield {
                    "name": f"{name}: until {until}",
                    "ours": round(usable / deep / _DAYS_PER_MONTH, 1),
                    "other": round(usable / light / _DAYS_PER_MONTH, 1),
                    "against": "the same in light sleep",
                    "unit": "months",
                }
            left = usable_uah(celsius, cells.EMPTY) - usable_uah(celsius, cells.LOW)
            yield {
                "name": f"{name}: openings from the first warning to empty",
                "ours": left * taps // deep,
                "other": 300,
                "against": "several hundred",
                "unit": "openings",
            }
    taps, celsius = TAPS_PER_DAY[0], CELSIUS[0]
    day = day_uah(taps, celsius)
    for part, uah in sorted(day.items(), key=lambda item: -item[1]):
        if uah:
            yield {
                "name": f"lock, {taps} openings a day at {celsius} C: {part}",
                "ours": uah,
                "other": sum(day.values()),
                "against": "all of the day",
                "unit": "uAh",
            }
