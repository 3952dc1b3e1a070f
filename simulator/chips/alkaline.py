"""Four alkaline AA cells in a row, as a lock hangs on them behind a linear regulator.

The same ways to draw from it as battery.py has. Sources and assumptions stand beside the figures;
no cell of ours has been measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.chips.battery import Line, rest_mv_of

CELLS = 4
# PowerStream's measurement of two makers' AA at 100 mA: 2130 to 2200 mAh. Assumed: the cold takes
# 2 % of it for each kelvin below 20 degrees.
CAPACITY_MAH = 2150
# Charge in millionths and millivolts of one cell: a table on candlepowerforums.com (263582), by
# makers' discharge curves at a low rate. That is under a light load; taken as at rest it is a
# little less than there is.
REST: Line = (
    *((0, 900), (100_000, 1000), (200_000, 1100), (500_000, 1200), (850_000, 1300)),
    *((950_000, 1400), (1_000_000, 1600)),
)
# Energizer's bulletin on internal resistance has 107 mV under 500 mA as its example of an AA cell.
# Assumed: three times of it when empty, twice at 0 degrees, contacts and wires of the holder.
CELL_MOHM = 214
CONTACTS_MOHM = 200
BROWN_OUT_MV = 3300  # the regulator's least: below it the chip resets itself
_WARM_CELSIUS = 20
_MILLION = 1_000_000
_UA_US_PER_MAH = 1000 * 3600 * _MILLION


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int


class Pack:
    """Cells with `charge_percent` left, at `celsius`. `on_cut` is called when they break down.

    `drawn`: what consumers have had, in millionths of a microcoulomb, by name in `drawn_by`.
    """

    def __init__(
        self,
        clock: Clock,
        on_cut: Callable[[], None],
        charge_percent: int = 100,
        celsius: int = _WARM_CELSIUS,
    ) -> None:
        self._clock, self._on_cut = clock, on_cut
        self.celsius = celsius
        cold_k = max(_WARM_CELSIUS - celsius, 0)
        self.capacity_mah = CAPACITY_MAH * max(100 - 2 * cold_k, 0) // 100
        self._capacity = self.capacity_mah * _UA_US_PER_MAH
        self._charge = self._capacity * charge_percent // 100
        self._loads_ua: dict[str, int] = {}
        self._at_us = clock.now_us
        self.drawn_by: dict[str, int] = {}

    @property
    def drawn(self) -> int:
        """All that was drawn."""
        return sum(self.drawn_by.values())

    @property
    def load_ua(self) -> int:
        """What all consumers draw now."""
        return sum(self._loads_ua.values())

    @property
    def resistance_mohm(self) -> int:
        """Of the pack: it rises as the cells empty, and in the cold."""
        percent = self._charge * 100 // self._capacity
        cold_k = max(_WARM_CELSIUS - self.celsius, 0)
        cell = CELL_MOHM * (300 - 2 * percent) // 100 * (100 + 5 * cold_k) // 100
        return CELLS * cell + CONTACTS_MOHM

    def draw(self, consumer: str, load_ua: int) -> None:
        """From now on `consumer` draws so much."""
        self._settle()
        self._loads_ua[consumer] = load_ua
        if self.terminal_mv() < BROWN_OUT_MV and load_ua:
            self._on_cut()

    def spend(self, load_ua: int, duration_us: int, consumer: str = "sound") -> None:
        """Something short, such as a beep: its charge is gone at once."""
        self._settle()
        self._take(consumer, load_ua * duration_us)

    def release(self) -> None:
        """Nothing draws any more."""
        self._settle()
        self._loads_ua.clear()

    def plug(self, on: bool) -> None:
        """It has no mains: nothing happens (R23.3a)."""

    def replace(self, charge_percent: int = 100) -> None:
        """Somebody puts in other cells."""
        self._settle()
        self._charge = self._capacity * charge_percent // 100

    def terminal_mv(self) -> int:
        """The voltage under what it gives at this moment."""
        self._settle()
        rest_mv = CELLS * rest_mv_of(self._charge * _MILLION // self._capacity, REST)
        return max(rest_mv - self.load_ua * self.resistance_mohm // _MILLION, 0)

    def percent(self) -> int:
        """What is in it of what fits in."""
        self._settle()
        return self._charge * 100 // self._capacity

    def charge_mah(self) -> int:
        """What is in it."""
        self._settle()
        return self._charge // _UA_US_PER_MAH

    def _settle(self) -> None:
        elapsed_us = self._clock.now_us - self._at_us
        self._at_us = self._clock.now_us
        if elapsed_us:
            for consumer, load_ua in self._loads_ua.items():
                self._take(consumer, load_ua * elapsed_us)

    def _take(self, consumer: str, charge: int) -> None:
        self.drawn_by[consumer] = self.drawn_by.get(consumer, 0) + charge
        self._charge = max(self._charge - charge, 0)
