"""A machine that looks for a card all day: looks at an empty field are skipped, and made good.

Attendance, self-service and library desk look about twenty times a second, and nearly always
nobody is there. Between two looks at an empty field nothing changes but what is listed here:

- whoever puts a card there, presses a key, moves a cable or the mains rouses the reader first, and
  so does each byte that arrives: it is found as the look before left it, because that one is run;
- supply, panel, display, clock, uplink and card map say when they have something to do; a look
  that comes no earlier than that is run, at the microsecond at which it would have been;
- what may happen in each look for other reasons (a battery, no network, a card that still lies
  there, a question that is open, flash to be erased) is stepped through.

A look takes as long as the one before it, or nothing is skipped. What is missing in the event log
is what was said to an empty field, and no more: `tests/simulator/test_machine_doze.py` compares
the rest byte by byte, and journals and books as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from simulator.host.home import HostHome
from simulator.reader import Reader
from simulator.residence.doze import DozingReader, Remembered

ROLES = ("attendance", "kiosk", "identity")
_POLL_US = 50_000  # from the end of a look to the next one, in all three roles
# The chip's tick counter wraps (firmware/drivers/ticks.py): it has to be read before it does.
_LONGEST_US = 300_000_000
_SESSION_MASK = 0x3FFFFFFF  # of firmware/drivers/iso14443.py


class MachineHome(HostHome):
    """The firmware of one such machine, and what it waits for."""

    _parts: Sequence[Remembered] = ()  # uplink, card map

    def start(self, now_us: int) -> int:
        """Boot; see HostHome."""
        due_us = super().start(now_us)
        parts = self._device._uplink, self._device._card_map
        for part in parts:
            part.step = Remembered(part.step)
        self._parts = [part.step for part in parts]
        return due_us

    def wake(self) -> None:
        """Something has happened: what its parts have said before holds no more."""
        for part in self._parts:
            part.due_ms = None

    def moments_ms(self) -> tuple[list[int], list[int]] | None:
        """When something is to be done, on the board's clock; None: perhaps in the next look.

        The first are kept to the millisecond, the others are seen to at the end of a look.
        """
        device: Any = self._device
        if not self._is_idle(device) or any(part.due_ms is None for part in self._parts):
            return None
        panel = device._panel
        seen = [part.due_ms or 0 for part in self._parts]
        if panel._lcd:
            seen.append(panel._lcd._refresh_ms or 0)
        if panel._annunciator._left:
            seen.append(panel._annunciator._next_ms)
        if device._until_ms is not None:
            seen.append(device._until_ms)
        return [device._supply._next_ms, *seen], [*seen, panel._look_ms]

    def _is_idle(self, device: Any) -> bool:
        hardware, front_end = self._hardware, device._front_end
        is_fed = hardware.mains_on and device._supply.on_mains
        is_empty = not (hardware.field.cards or front_end.card or device._is_resting)
        if not (is_fed and is_empty and hardware.net_is_up()) or hardware.keys:
            return False
        if hasattr(device, "_load"):
            return device._until_ms is None and not (device._load._state or device._is_found)
        if hasattr(device, "_question"):
            is_asking = device._question is not None and device._question.is_open
            return device._until_ms is None and device._card_no is None and not is_asking
        return True

    def skip(self, looks: int) -> None:
        """So many looks were not run."""
        front_end = self._device._front_end
        front_end.session = front_end.session + looks & _SESSION_MASK


class DozingMachine(DozingReader):
    """A machine that is not stepped while nobody is there. `home` is a MachineHome.

    What DozingReader says of `rouse`, `is_stepped`, `steps` and `skipped` holds here too.
    """

    home: Any  # a MachineHome
    _began_us = _period_us = _until_us = 0

    def rouse(self) -> None:
        """See DozingReader; behind the look that is run for it, it does not doze."""
        super().rouse()
        super().rouse()

    def _step(self, step: Callable[[int], int], now_us: int) -> None:
        self._began_us = max(self.hardware.clock.now_us, now_us)
        super()._step(step, now_us)

    def _rest(self, due_us: int) -> int:
        before_us, self._period_us = self._period_us, due_us - self._began_us
        if self.is_stepped or self.naps_us():
            return Reader._rest(self, due_us)
        is_empty_look = self.hardware.flash_operations == self._flash_operations
        if not is_empty_look or before_us != self._period_us or self._period_us < _POLL_US:
            return due_us
        self._until_us = self._needed_us(due_us)
        if self._until_us > due_us:
            self._first_us = due_us
        return self._until_us

    def _needed_us(self, first_us: int) -> int:
        """When a step is of use again, of steps from `first_us` on; `first_us` if that one is."""
        hardware = self.hardware
        moments_ms = self.home.moments_ms()
        booted_us = hardware.clock.now_us - hardware.ticks_us()
        if moments_ms is None or hardware.drift_ppm or (self._began_us - booted_us) % 1000:
            return first_us
        period_us = self._period_us
        needed_us = first_us + _LONGEST_US
        for moment_ms in moments_ms[0]:
            moment_us = max(moment_ms * 1000 + booted_us, first_us)
            into_us = (moment_us - first_us) % period_us
            # What falls due in the middle of a look is seen to behind it, so that look is run.
            is_within = into_us <= period_us - _POLL_US
            needed_us = min(needed_us, moment_us - into_us if is_within else moment_us)
        for moment_ms in moments_ms[1]:
            ends_us = moment_ms * 1000 + booted_us - (period_us - _POLL_US)
            needed_us = min(
                needed_us, first_us + max(-((first_us - ends_us) // period_us), 0) * period_us
            )
        return needed_us

    def _land(self) -> None:
        """Make up for what was skipped, and run the step that was due last."""
        first_us, self._first_us = self._first_us, None
        assert first_us is not None
        now_us, period_us = self._world.now_us, self._period_us
        if now_us < first_us:
            self._schedule(first_us)
            return
        at_us = self._until_us
        looks = -((first_us - at_us) // period_us)
        if now_us < at_us:
            looks = (now_us - first_us) // period_us
            at_us = first_us + looks * period_us
        self.home.skip(looks)
        self.skipped += looks
        self.hardware.clock.advance_to(at_us - 1)
        self._step(self.home.run, at_us)
