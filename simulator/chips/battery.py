"""One Li-ion cell of the 18650 size with its charger and its protection, as a POS hangs on it.

Whatever draws from it is told by name and current (`draw`); between two calls currents stand
still, so charge is a sum of whole numbers and does not depend on who looks when. A linear
regulator feeds the reader, so the cell gives what the reader takes, whatever its voltage.

Sources, and what is assumed. The rest voltage over charge is the table that Sunil et al., IEEE
Trans. Instrumentation and Measurement 2025, publish for a Molicel INR21700-P42A (C/32, room
temperature; an 18650 of the same chemistry falls along the same line). Assumed, for no cell of
ours has been measured: 1500 mAh as 18650s of the 15 class state it; 100 milliohm with holder,
protection and wires; that resistance grows by 2.5 % for each percent of capacity that age takes,
and by 4 % for each kelvin below 25 degrees, where the cell gives 0.6 % less (data sheets state
80 to 90 % at 0 degrees); that the charger has a constant current and stops at 4.15 V. Not
modelled: diffusion (a cell that recovers for minutes), self-discharge, self-heating.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Protocol

CAPACITY_MAH = 1500
FULL_MV = 4150  # where the charger stops, for a long life at full charge
CUT_MV = 2800  # where the protection lets go, until it is charged again
CHARGE_UA = 500_000
RESISTANCE_MOHM = 100
# Charge in millionths of what the cell holds, and its voltage at rest.
Line = tuple[tuple[int, int], ...]
REST: Line = (
    *((0, 2506), (15_100, 2898), (45_200, 3146), (95_500, 3323), (150_800, 3422)),
    *((291_500, 3574), (457_300, 3702), (834_200, 4064), (949_700, 4101), (1_000_000, 4193)),
)
_MILLION = 1_000_000
_UA_US_PER_MAH = 1000 * 3600 * _MILLION
_WARM_CELSIUS = 25
_HORIZON_US = 10 * _MILLION  # how long before it the end is put on the clock


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int

    def at(self, time_us: int, event: Callable[[], None], /) -> None:
        """Let `event` happen then."""


class Battery:
    """A cell with `health_percent` of its capacity left, at `celsius`, full and on mains.

    `rest` is the line its voltage falls along.
    `on_cut` is called when the protection lets go; `is_cut`: it has, and was not charged since.
    `drawn`: what consumers have had, on mains or not, in millionths of a microcoulomb.
    """

    def __init__(
        self,
        clock: Clock,
        on_cut: Callable[[], None],
        rest: Line = REST,
        /,
        *,
        capacity_mah: int = CAPACITY_MAH,
        health_percent: int = 100,
        celsius: int = _WARM_CELSIUS,
    ) -> None:
        self.is_charging = True
        self.is_cut = False
        self.drawn = 0
        self._clock, self._on_cut, self._rest = clock, on_cut, rest
        cold_k = max(_WARM_CELSIUS - celsius, 0)
        self.capacity_mah = capacity_mah * health_percent * (1000 - 6 * cold_k) // 100_000
        self.resistance_mohm = (
            RESISTANCE_MOHM * (1000 + 25 * (100 - health_percent)) * (100 + 4 * cold_k) // 100_000
        )
        self._capacity = self.capacity_mah * _UA_US_PER_MAH
        self._full = self._charge = self._capacity * charge_of(FULL_MV, rest) // _MILLION
        self._loads_ua: dict[str, int] = {}
        self._load_ua = 0
        self._at_us = clock.now_us
        self._ends = 0  # how often the end was put on the clock; only the last one counts

    # -- what the reader does -------------------------------------------------------------------

    @property
    def load_ua(self) -> int:
        """What all consumers draw now."""
        return self._load_ua

    def draw(self, consumer: str, load_ua: int) -> None:
        """From now on `consumer` draws so much."""
        if self._loads_ua.get(consumer, 0) != load_ua:
            self._settle()
            self._load_ua += load_ua - self._loads_ua.get(consumer, 0)
            self._loads_ua[consumer] = load_ua
            self._foresee_end()

    def spend(self, load_ua: int, duration_us: int) -> None:
        """Something short, such as a beep: its charge is gone at once."""
        self._settle()
        self.drawn += load_ua * duration_us
        if not self.is_charging:
            self._charge = max(self._charge - load_ua * duration_us, 0)

    def release(self) -> None:
        """Nothing draws any more: the reader is off."""
        self._settle()
        self._loads_ua.clear()
        self._load_ua = 0
        self._ends += 1

    # -- what people do -------------------------------------------------------------------------

    def plug(self, on: bool) -> None:
        """The mains come, and charge it, or go."""
        self._settle()
        self.is_charging = on
        self.is_cut = self.is_cut and not on
        self._foresee_end()

    def replace(self, battery_mv: int) -> None:
        """Somebody puts in a cell that reads `battery_mv` (at most FULL_MV) under this load."""
        self._settle()
        rest_mv = battery_mv + self._sag_mv()
        self._charge = min(self._capacity * charge_of(rest_mv, self._rest) // _MILLION, self._full)
        self._foresee_end()

    # -- what can be seen -----------------------------------------------------------------------

    def terminal_mv(self) -> int:
        """Its voltage under what it gives or takes at this moment."""
        self._settle()
        self._foresee_end()
        rest_mv = rest_mv_of(self._charge * _MILLION // self._capacity, self._rest)
        if not self.is_charging:
            return max(rest_mv - self._sag_mv(), 0)
        return min(rest_mv + CHARGE_UA * self.resistance_mohm // _MILLION, FULL_MV)

    def charge_mah(self) -> int:
        """What is in it."""
        self._settle()
        return self._charge // _UA_US_PER_MAH

    def _sag_mv(self) -> int:
        return -(-self._load_ua * self.resistance_mohm // _MILLION)

    def _settle(self) -> None:
        elapsed_us = self._clock.now_us - self._at_us
        self._at_us = self._clock.now_us
        self.drawn += self._load_ua * elapsed_us
        if self.is_charging:
            self._charge = min(self._charge + CHARGE_UA * elapsed_us, self._full)
        else:
            self._charge = max(self._charge - self._load_ua * elapsed_us, 0)

    def _foresee_end(self) -> None:
        """If the end is near at this load, it happens by itself, in the middle of anything."""
        self._ends += 1
        if self.is_charging or not self._load_ua:
            return
        last = self._capacity * charge_of(CUT_MV + self._sag_mv(), self._rest) // _MILLION
        left_us = max(self._charge - last, 0) // self._load_ua
        if left_us < _HORIZON_US:
            self._clock.at(self._clock.now_us + left_us, partial(self._end, self._ends))

    def _end(self, number: int) -> None:
        if number == self._ends and not self.is_charging:
            self.is_cut = True
            self._on_cut()


def rest_mv_of(charge: int, rest: Line = REST) -> int:
    """Millivolts at rest of a cell that holds `charge` millionths."""
    for (low, low_mv), (high, high_mv) in pairwise(rest):
        if charge <= high:
            return low_mv + (high_mv - low_mv) * (charge - low) // (high - low)
    return rest[-1][1]


def charge_of(rest_mv: int, rest: Line = REST) -> int:
    """Millionths that a cell holds which rests at `rest_mv`: rest_mv_of(it) is not below that."""
    for (low, low_mv), (high, high_mv) in pairwise(rest):
        if rest_mv <= high_mv:
            return max(low + -(-(high - low) * (rest_mv - low_mv) // (high_mv - low_mv)), 0)
    return rest[-1][0]
