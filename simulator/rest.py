"""Hours in which nobody comes: idle readers are stepped once in four minutes, until one does.

It is the same firmware in a slower loop: what has to be sent, erased or drawn comes up to four
minutes late, and whatever reaches a reader (a byte, a key, a cable) wakes it at once. Doors do not
take part, a magnet wants its pulses: with `doze = 1` in the file they skip steps by themselves
(simulator/residence/doze.py). A lock sleeps anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from simulator import locks

if TYPE_CHECKING:
    from simulator.people import Clerk
    from simulator.reader import Reader
    from simulator.run import Run
    from simulator.scenario import Step

NAP_US = 240_000_000  # the tick counter of the chip has to be read within five minutes


class Rest:
    """Until when nobody comes; 0: people are about."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.until_us = 0

    def naps_of(self, reader: Reader, clerk: Clerk) -> Callable[[], int]:
        """How long this reader is not stepped now (us)."""

        def naps_us() -> int:
            now_us = reader.now_us
            is_idle = clerk.is_idle and not reader.hardware.field.cards
            if now_us >= self.until_us or not is_idle:
                return 0
            return min(NAP_US, self.until_us - now_us)

        is_asleep = locks.hardware_of(reader) is not None
        return (lambda: 0) if is_asleep or reader.keeps_pulse else naps_us

    def service_naps_us(self) -> int:
        """How long agents and ledger are not stepped that nothing has reached."""
        return min(NAP_US, self.left_us())

    def left_us(self) -> int:
        """How long nobody comes from now on."""
        return max(self.until_us - self._run.world.now_us, 0)

    def end(self) -> None:
        """Somebody comes: every reader looks about."""
        if self._run.world.now_us < self.until_us:
            self.until_us = 0
            self._run.services.wires.is_stirred = True
            for reader in self._run.readers.values():
                reader.wake(self._run.world.now_us)


def rest(run: Run, step: Step) -> None:
    """Nobody comes for so long, unless another step says otherwise; served is who is there."""
    run.rest.until_us = run.world.now_us + step.fields["over"]
    run.tell("nobody comes any more")
