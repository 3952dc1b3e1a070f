"""One lock of a room in the residence: its hardware, its reader, and what is true about it.

It sleeps, and costs nothing then: what wakes it is a hand, a key, the handheld's supply, or its
timer once a day. Whoever takes out its cells, or makes them break down, is its only power cut.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.chips.smart_lock import RUN_UA, THROWN
from simulator.host import lock_loads
from simulator.host.lock_hardware import LockHardware
from simulator.reader import Reader
from simulator.residence.heard import Heard
from simulator.residence.place import SECTOR_BYTES, GuardedHome, Place, Recording, Silent
from simulator.world.clock import World

# Under the motor, by physics: above this no lock calls its cells empty, or low cells unsaid.
STRONG_MV = 4_150
_REVIVED_US = (50_000, 3_000_000)  # a chip that broke down boots as soon as its cells recover
# Cells that break down in every boot let a real chip go on at once, and for ever; here the pauses
# get longer, up to some ten minutes: one boot in them is like the next.
_AT_ONCE_US, _LONGER_MAX = 30_000_000, 8
_WORKS_US = lock_loads.AWAKE_UA + RUN_UA


class RecordingLock(Recording, LockHardware):
    """Tells of each record on flash."""

    def __init__(
        self,
        name: str,
        world: World,
        nvs: dict[str, bytes],
        draw: random.Random,
        sectors: tuple[int, int],
    ) -> None:
        flash, card_flash = (NorFlash(count * SECTOR_BYTES, draw) for count in sectors)
        super().__init__(name, world, Silent(), flash, nvs, draw, None, card_flash)


class LockHome(GuardedHome):
    """The firmware of a lock; one that raises is reset."""


class LockReader(Reader):
    """A lock's loop; cells too weak for a boot leave it dead."""

    on_death: Callable[[], None] = staticmethod(lambda: None)

    def switch_on(self) -> None:
        """See Reader; `is_on` says whether it could."""
        try:
            super().switch_on()
        except PowerCut:
            self._die()

    def _die(self) -> None:
        super()._die()
        self.on_death()


@dataclass(eq=False)
class RoomLock(Place):
    """One lock. `heard`: what can have reached it; `swapped_us`: since when it has these cells;
    `least_mv`: what they gave at least under the motor, had it run, whenever somebody came."""

    hardware: RecordingLock
    reader: LockReader
    heard: Heard = field(default_factory=Heard, kw_only=True)
    has_cells: bool = field(default=True, kw_only=True)
    swapped_us: int = field(default=0, kw_only=True)
    least_mv: int = field(default=1 << 20, kw_only=True)
    is_time_known: bool = field(default=False, kw_only=True)
    is_low_due: bool = field(default=False, kw_only=True)  # it must have said that they are low
    _falls: int = field(default=0, kw_only=True)  # how often in a row it died in its boot

    def is_at_rest(self) -> bool:
        """Whether it is powered and locked, and no card lies there."""
        bolt = self.hardware.bolt
        is_still = bolt.bolt == THROWN and not bolt.direction
        return self.reader.is_on and is_still and not self.hardware.field.cards

    def press(self, bit: int, at_us: int, hold_us: int) -> None:
        """Somebody touches a handle or turns the key, for a while."""
        for after_us, is_on in ((0, True), (hold_us, False)):
            self.set_input(bit, is_on, at_us + after_us)

    def set_input(self, bit: int, is_on: bool, at_us: int) -> None:
        """An input changes at a time."""
        self.reader.at(at_us, lambda: self.hardware.bolt.set_input(bit, is_on))

    def look_at_cells(self) -> int:
        """What the cells would give under the motor now (mV)."""
        pack = self.hardware.pack
        idle_ua = pack.load_ua
        loaded_ua = max(_WORKS_US - idle_ua, 0)
        loaded_mv = pack.terminal_mv() - loaded_ua * pack.resistance_mohm // 1_000_000
        self.least_mv = min(self.least_mv, loaded_mv)
        return loaded_mv

    def is_strong(self) -> bool:
        """Whether no refusal can be for its cells' sake."""
        self.look_at_cells()
        return self.least_mv >= STRONG_MV

    # -- cells ----------------------------------------------------------------------------------

    def died(self) -> None:
        """It has no power; it boots again as soon as its cells let it."""
        self.die()
        self.tell("dead")
        self._revive_later()

    def revive(self) -> None:
        """Boot, if there are cells and it is off."""
        if self.reader.is_on or not self.has_cells:
            return
        self.boots.append(self.world.now_us)
        self.reader.switch_on()
        if self.reader.is_on:
            self.tell("boot")
            self.come_alive()

    def _revive_later(self) -> None:
        is_at_once = self.boots and self.world.now_us - self.boots[-1] < _AT_ONCE_US
        self._falls = min(self._falls + 1, _LONGER_MAX) if is_at_once else 0
        draw = random.Random(f"{self.name} {self.world.now_us}")
        pause_us = draw.randrange(*_REVIVED_US) << self._falls
        self.world.at(self.world.now_us + pause_us, self.revive)

    def swap(self, without_us: int) -> None:
        """The cells are taken out, and a while later new ones are put in."""
        self.has_cells = False
        self.tell("swap")
        self.reader.switch_off()
        self.hardware.pack.replace(100)

        def put_in() -> None:
            self.has_cells = True
            self.swapped_us, self.least_mv = self.world.now_us, 1 << 20
            self.is_low_due = False
            self.revive()

        self.world.at(self.world.now_us + without_us, put_in)
