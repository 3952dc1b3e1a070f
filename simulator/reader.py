"""One simulated reader: its hardware, its home, and when it runs next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from simulator.chips.nor_flash import PowerCut
from simulator.host.hardware import Hardware
from simulator.world.clock import World

_NEVER_US = 1 << 62


class Home(Protocol):
    """Where the firmware runs: simulator/host/home.py or simulator/vm/home.py."""

    def start(self, now_us: int) -> int: ...
    def run(self, now_us: int) -> int: ...
    def kill(self) -> None: ...


class Reader:
    """Schedules one reader's steps in the world.

    `after_step` is called after every step that may have sent bytes, with the reader's own time:
    it lets broker and services finish what the bytes set in motion. `naps_us` says how long an
    idle reader is not stepped: 0, but while nobody comes (simulator/rest.py). `is_real`: it is
    not simulated at all (simulator/desk/boards.py), and neither is who stands before it.
    """

    is_real = False

    def __init__(
        self,
        name: str,
        world: World,
        hardware: Hardware,
        home: Home,
        after_step: Callable[[int], None],
    ) -> None:
        self.name = name
        self.hardware = hardware
        self.home = home
        self.is_on = False
        self.boots = 0
        self._world = world
        self._after_step = after_step
        self._due_us = _NEVER_US
        self.naps_us: Callable[[], int] = lambda: 0
        self.keeps_pulse = False  # a door: its magnet lets go of who does not step

    @property
    def now_us(self) -> int:
        """This reader's own time."""
        return self.hardware.clock.now_us

    def switch_on(self) -> None:
        """Power comes: the firmware boots at the world's time."""
        self.hardware.power_on()
        self.is_on = True
        self.boots += 1
        self._step(self.home.start, self._world.now_us)

    def switch_off(self) -> None:
        """Power goes between two steps."""
        if self.is_on:
            self._die()

    def cut_power_at(self, time_us: int) -> None:
        """Power goes at this moment, in the middle of a step if there is one."""

        def fail() -> None:
            if self.is_on:
                raise PowerCut

        self.at(time_us, fail)

    def at(self, time_us: int, event: Callable[[], None]) -> None:
        """Run `event` at this reader's own time, in the middle of a step if there is one."""

        def look() -> None:
            try:
                self.hardware.clock.advance_to(time_us)
            except PowerCut:
                self._die()

        self.hardware.clock.at(time_us, event)
        self._world.at(time_us, look)

    def rouse(self) -> None:
        """Call it before its hardware is touched by other ways than `at` and `wake`."""

    def set_cable(self, *, plugged: bool, dark: bool) -> None:
        """Its cable, or its stub of a line, is plugged or pulled, and carries something or not."""
        cable, line = self.hardware.cable, self.hardware.line
        if line is not None:
            line.is_cut = dark or not plugged
            return
        assert cable is not None
        self.rouse()
        cable.set(plugged=plugged, dark=dark, now_us=self._world.now_us)
        self.wake(self._world.now_us)

    def wake(self, at_us: int) -> None:
        """Something for this reader arrives at `at_us`: it runs then, or earlier if it was due."""
        if self.is_on and at_us < self._due_us:
            self._schedule(at_us)

    def _schedule(self, due_us: int) -> None:
        # A step that took long ends after its own due time: never run before one's own clock.
        due_us = max(due_us, self.hardware.clock.now_us)
        self._due_us = due_us
        self._world.at(due_us, lambda: self._run(due_us))

    def _run(self, due_us: int) -> None:
        if not self.is_on or due_us != self._due_us:
            return  # it was woken earlier, or died, since this was scheduled
        self._step(self.home.run, self._world.now_us)

    def _step(self, step: Callable[[int], int], now_us: int) -> None:
        self._due_us = _NEVER_US
        try:
            self.hardware.clock.advance_to(now_us)
            due_us = step(self.hardware.clock.now_us)
        except PowerCut:
            self._die()
            return
        self._after_step(self.hardware.clock.now_us)
        if self.is_on:
            is_woken = self._due_us != _NEVER_US
            self._schedule(min(due_us, self._due_us) if is_woken else self._rest(due_us))

    def _rest(self, due_us: int) -> int:
        """When it is to be run again that wants to be at `due_us`; nothing has woken it."""
        return max(due_us, self.hardware.clock.now_us + self.naps_us())

    def _die(self) -> None:
        self.is_on = False
        self._due_us = _NEVER_US
        self.home.kill()
        self.hardware.log("power-cut")
        self.hardware.power_off()
