"""Random walks of a door: its rules and its circuit, and whatever may happen to either.

A walk is drawn from its seed: people, mains, fire, wires that break, a relay that sticks, a
controller that hangs or boots. Between any two of its happenings time passes, and what must hold
is looked at: nobody is kept in (D1), the coil has current only while everything is in order and
the controller alive (D2), and what let go has been told (D3).
"""

from __future__ import annotations

import random

from protocols.rules import door
from simulator.chips.door_lock import HOLD_US_MAX, SUPPLY_US, DoorLock

HAPPENINGS = 40
STEPS_US = (50_000, 100_000, 200_000, 300_000)  # a step of a door may take 300 ms
# A train under way, and a full pump behind it (ADR 19).
LET_GO_US = 100_000 + HOLD_US_MAX
TOLD_US = 1_000_000
_BOOT_US, _WATCHDOG_US = 1_500_000, 30_000_000
_PAUSES_US = (20_000, 100_000, 300_000, 700_000, 2_600_000, 6_000_000)
_INPUTS = (door.CLOSED, door.MAINS, door.FIRE_QUIET, door.EXIT_IDLE, door.INTACT)


class Violation(Exception):
    """Something that must hold did not; the text has the seed and says what."""


class Walk:
    """One walk; `states` are those it has been in, `told` (time, event) what it has recorded."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_us = 0
        self.states: set[str] = set()
        self.told: list[tuple[int, str]] = []
        self._draw = random.Random(seed)
        self._step_us = self._draw.choice(STEPS_US)
        self.lock = DoorLock(self)
        self._mains = self._is_quiet = True
        self._is_pressed = self._is_free = False
        self._dark_us: int | None = None
        self._latch, self._cause = "", 0
        self._door: door.Door | None = None
        self._stepped_us = self._dead_until_us = 0
        self._looked = 0  # of the times at which the coil let go
        self._blind_us = 0  # when it could not know last
        self._boot()

    def run(self, happenings: int = HAPPENINGS) -> Walk:
        """Let so much happen. Raises Violation."""
        draw = self._draw
        self._repair()
        for _ in range(happenings):
            getattr(self, draw.choice(_HAPPENINGS))()
            self._pass(draw.choice(_PAUSES_US))
            if draw.random() < 0.03:
                self._pass(door.EXIT_MS * 1000 + _PAUSES_US[-1])
        return self

    # -- what may happen ----------------------------------------------------------------------

    def _grant(self) -> None:
        if self._door is not None:
            self._happen(self._door, "grant")

    def _push(self) -> None:
        self.lock.push()

    def _shut(self) -> None:
        self.lock.shut()

    def _force(self) -> None:
        self.lock.force()

    def _press(self) -> None:
        self._is_pressed = not self._is_pressed
        self.lock.press(self._is_pressed)

    def _switch(self) -> None:
        self._mains = not self._mains
        self._dark_us = None if self._mains else self.now_us
        self.lock.mains(self._mains)

    def _alarm(self) -> None:
        if self._is_quiet and self._draw.random() < 0.5:
            return
        self._is_quiet = not self._is_quiet
        self.lock.fire(not self._is_quiet)

    def _turn(self) -> None:
        """A key at the door, and back: what is latched ends if it may."""
        for is_turned in (True, False):
            self.lock.key_is_turned = is_turned
            self._pass(2 * STEPS_US[-1])

    def _schedule(self) -> None:
        self._is_free = not self._is_free and self._draw.random() < 0.3

    def _tamper(self) -> None:
        self.lock.case_is_open = not self.lock.case_is_open

    def _break_wire(self) -> None:
        """An input reads always the same; mended at the next turn."""
        if self.lock.stuck or self._draw.random() < 0.5:
            self.lock.stuck.clear()
        else:
            self.lock.stuck[self._draw.choice(_INPUTS)] = self._draw.randrange(2)

    def _break_relay(self) -> None:
        is_mended = self.lock.relay_is or self._draw.random() < 0.5
        self.lock.relay_is = "" if is_mended else self._draw.choice(("welded", "open"))

    def _repair(self) -> None:
        """Everything is put in order, and left alone until the door may be locked."""
        self.lock.stuck.clear()
        self.lock.relay_is = ""
        if not self._mains:
            self._switch()
        if not self._is_quiet:
            self._alarm()
        if self._is_pressed:
            self._press()
        self.lock.shut()
        self._turn()
        self._pass(door.SETTLE_MS * 1000 + _PAUSES_US[3])

    def _hang(self) -> None:
        """The firmware stands still until its watchdog resets it, which is a fault (ADR 19)."""
        self._door, self._dead_until_us = None, self.now_us + _WATCHDOG_US
        if not self._latch:
            self._latch, self._cause = door.FAULT, door.HUNG

    def _die(self) -> None:
        """The controller's supply goes, and comes back."""
        self._door, self._dead_until_us = None, self.now_us + _BOOT_US
        self.lock.reset()

    # -- time ---------------------------------------------------------------------------------

    def _pass(self, duration_us: int) -> None:
        end_us = self.now_us + duration_us
        while self.now_us < end_us:
            self._check()
            self.now_us = min(self.now_us + self._step_us, end_us)
            if self._door is None and self.now_us >= self._dead_until_us:
                self.lock.reset()
                self._boot()
            if self._door is not None:
                self._step(self._door)

    def _boot(self) -> None:
        self._door = door.Door(self._latch, self._cause, 5000, self.now_us // 1000)
        self._tell("boot")

    def _step(self, each: door.Door) -> None:
        """As firmware/roles/door.py does it: look at everything, and only then hold on."""
        levels = self.lock.levels()
        for _ in range(20):
            event = each.event(levels, self._is_free, self.now_us // 1000)
            if not event:
                break
            self._happen(each, event)
        else:
            raise self._violation("the rules never come to rest")
        self._stepped_us = self.now_us
        if each.holds():
            self._must_be_in_order(each, levels)
            if not self.lock.is_sending():
                self.lock.train()

    def _happen(self, each: door.Door, event: str) -> None:
        before = each.state
        action = each.happen(event, self.now_us // 1000)
        is_latched = each.state in door.LATCHED
        self._latch, self._cause = (each.state, each.cause) if is_latched else ("", 0)
        self.states.add(each.state)
        if action or each.state != before:
            self._tell(event)
        if before in door.LATCHED and each.state not in door.LATCHED and event != "arm":
            raise self._violation(f"{event} has ended {before}")

    def _tell(self, event: str) -> None:
        self.told.append((self.now_us, event))

    # -- what must hold -----------------------------------------------------------------------

    def _must_be_in_order(self, each: door.Door, levels: int) -> None:
        wanted = door.MAINS | door.FIRE_QUIET | door.EXIT_IDLE
        if levels & wanted != wanted:
            raise self._violation(f"{each.state} with levels {levels}")

    def _check(self) -> None:
        lock = self.lock
        if lock.is_powered():
            is_dark = self._dark_us is not None and self.now_us >= self._dark_us + SUPPLY_US
            if not self._is_quiet or self._is_pressed or is_dark:
                raise self._violation("D1: somebody is kept in")
            if not lock.relay_is and self.now_us > self._stepped_us + LET_GO_US:
                raise self._violation("D2: held by a controller that does not step")
        if self._door is None or lock.stuck or lock.relay_is:
            self._blind_us = self.now_us
        spans = lock.unlocked
        while self._looked < len(spans) and spans[self._looked][0] + TOLD_US < self.now_us:
            self._must_be_told(spans[self._looked][0])
            self._looked += 1

    def _must_be_told(self, time_us: int) -> None:
        """D3: of what a controller with whole inputs could see there is a record."""
        is_told = any(abs(told_us - time_us) <= TOLD_US for told_us, _ in reversed(self.told))
        if not is_told and self._blind_us < time_us - TOLD_US:
            raise self._violation(f"D3: nobody has told why it let go at {time_us} us")

    def _violation(self, what: str) -> Violation:
        state = self._door.state if self._door else "no controller"
        return Violation(f"walk {self.seed}, at {self.now_us} us, {state}: {what}")


_HAPPENINGS = (
    *("_grant", "_push", "_shut", "_shut", "_shut", "_force", "_turn", "_turn"),
    *("_press", "_press", "_switch", "_switch", "_alarm", "_schedule", "_tamper"),
    *("_break_wire", "_break_relay", "_hang", "_die"),
    *("_repair",) * 6,
)
