"""A lock on batteries, pin by pin: motor and bolt, end contacts, handles, key, case, clock.

A gear motor moves the bolt between two ends; at each of them a contact opens the motor's circuit
in that direction, whatever the pins say, and both drive pins have pull-downs. So a chip that is
reset, or hangs, has a motor that stops at the end of its way. The inner handle and the key move
the latch past the bolt, by hand (`leave`, `turn_key`), which nothing electrical can prevent.

Figures are those of a design, not measured: a small gear motor of 3 to 6 V.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from protocols.rules import lock
from simulator.chips.alkaline import Pack

STROKE_US = 300_000  # at 6 V and 20 degrees
NOMINAL_MV = 6000
RUN_UA, STALL_UA = 150_000, 600_000
START_MV = 2500  # below it the motor does not turn
THROWN, DRAWN = 0, 1000  # where the bolt is, in thousandths of its way
_COLD_PERMILLE_PER_K = 10  # grease: assumed


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int

    def at(self, time_us: int, event: Callable[[], None], /) -> None:
        """Let `event` happen then."""


class SmartLock:
    """The lock of one door, on `pack`.

    Set what the world does (`touch`, `turn_key`, ...) and what is broken: `blocked_at`, where the
    bolt meets something (None: nowhere), `stuck`, the level that an input always has. `levels` is
    what the reader's inputs say, as bits of rules/lock.py. `on_input` is called behind a change.
    `bolt` is where that is, `direction` what the motor is told.
    """

    def __init__(self, clock: Clock, pack: Pack) -> None:
        self._clock, self.pack = clock, pack
        self.on_input: Callable[[], None] = lambda: None
        self.bolt = THROWN
        self.blocked_at: int | None = None
        self.stuck: dict[int, int] = {}
        self._inputs = lock.INTACT
        self.direction = lock.REST
        self._since_us = clock.now_us
        self._from = THROWN
        self._stroke_us = STROKE_US
        self._hit = lock.REST  # the direction in which it has met what blocks it
        self._turns = 0  # how often the motor was switched; only the last one counts
        self.strokes = 0
        self.is_open = False  # the leaf

    # -- what the reader does --------------------------------------------------------------------

    def drive(self, direction: int) -> None:
        """Set the motor's pins: REST, DRAW or THROW of rules/lock.py."""
        self._settle()
        if direction == self.direction:
            return
        self._turns += 1
        self.direction, self._from, self._since_us = direction, self.bolt, self._clock.now_us
        self.strokes += direction != lock.REST
        self.pack.draw("motor", self._load_ua())
        if direction and self.bolt != self._end():
            loaded_mv = self.pack.terminal_mv()
            cold_k = max(20 - self.pack.celsius, 0)
            self._stroke_us = STROKE_US * NOMINAL_MV // max(loaded_mv, 1)
            self._stroke_us += self._stroke_us * cold_k * _COLD_PERMILLE_PER_K // 1000
            way = abs(self._goal() - self.bolt)
            number = self._turns
            self._clock.at(
                self._clock.now_us + self._stroke_us * way // DRAWN + 1,
                lambda: self._arrive(number),
            )

    def reset(self) -> None:
        """The chip has no power, is reset, or sleeps: the pull-downs stop the motor."""
        self.drive(lock.REST)

    # -- what the world does ---------------------------------------------------------------------

    def set_input(self, bit: int, is_on: bool) -> None:
        """TOUCHED, KEY, INSIDE, INTACT or LINE."""
        self._inputs = self._inputs | bit if is_on else self._inputs & ~bit
        self.on_input()

    def stick(self, bit: int, level: int) -> None:
        """An input, or an end contact, says the same from now on."""
        self.stuck[bit] = level
        self.on_input()

    def mend(self) -> None:
        """None does any more."""
        self.stuck.clear()
        self.on_input()

    def pull(self) -> bool:
        """Somebody outside presses the outer handle down; whether it opens."""
        self._settle()
        return self.bolt == DRAWN

    # -- what is to be seen ----------------------------------------------------------------------

    def levels(self) -> int:
        """The reader's inputs."""
        self._settle()
        levels = self._inputs
        levels |= lock.THROWN * (self.bolt == THROWN) | lock.DRAWN * (self.bolt == DRAWN)
        for bit, level in self.stuck.items():
            levels = levels | bit if level else levels & ~bit
        return levels

    # -- the motor -------------------------------------------------------------------------------

    def _end(self) -> int:
        return DRAWN if self.direction == lock.DRAW else THROWN

    def _goal(self) -> int:
        """Where the motor takes the bolt: to its end, or to what blocks it."""
        at = self.blocked_at
        if at is not None:
            low, high = sorted((self._from, self._end()))
            if low < at < high or (at == self._from and self.direction == self._hit):
                return at
        return self._end()

    def _load_ua(self) -> int:
        if not self.direction or self.bolt == self._end():
            return 0
        return STALL_UA if self.bolt == self._goal() else RUN_UA

    def _settle(self) -> None:
        if not self.direction:
            return
        moved = (self._clock.now_us - self._since_us) * DRAWN // self._stroke_us
        goal = self._goal()
        if goal > self._from:
            self.bolt = min(self._from + moved, goal)
        else:
            self.bolt = max(self._from - moved, goal)
        if self.bolt == self.blocked_at:
            self._hit = self.direction

    def _arrive(self, number: int) -> None:
        if number == self._turns:
            self._settle()
            self.pack.draw("motor", self._load_ua())
