"""What strikes a tap: something at one RF frame, or the power going inside one flash operation.

Card and flash are the models themselves, only struck on order. What struck is noted where it
strikes: a blow that never came leaves no mark.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from protocols.card import purse_desfire as layout
from simulator.cards.desfire import Desfire
from simulator.cards.field import US, Answer, Frame
from simulator.cards.mifare_classic import MifareClassic
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.world.clock import ReaderClock

# The four outcomes of a frame; a card that leaves may do so before, while and after it acts.
LOSE_COMMAND, LOSE_ANSWER = "command lost", "answer lost"
LEAVE_BEFORE, LEAVE_DURING, LEAVE_AFTER = "leaves before", "leaves during", "leaves after"
CARD_OUTCOMES = (LOSE_COMMAND, LOSE_ANSWER, LEAVE_BEFORE, LEAVE_DURING, LEAVE_AFTER)
# The same for the reader: the field goes, and the card with it.
POWER_BEFORE, POWER_DURING, POWER_AFTER = "power before", "power during", "power after"
POWER_OUTCOMES = (POWER_BEFORE, POWER_DURING, POWER_AFTER)
# What a torn write leaves on each kind of card; a DESFire loses all of it or nothing.
TORN_BLOCKS = {"classic": ("mixed", "erased", "old", "new"), "desfire": ("mixed", "old", "new")}
# How far a program gets; the flash model knows the latter two by these names.
BYTE, TORN, LATE = "byte", "torn", "late"

Hear = Callable[[Frame, int], Answer | None]


@dataclass(frozen=True)
class RfBlow:
    """At RF frame `frame` of a tap, counted from 0. `torn`: what a torn EEPROM write leaves."""

    frame: int
    outcome: str
    torn: str = "mixed"


@dataclass(frozen=True)
class FlashCut:
    """The power goes in flash operation `write` of a tap or a boot, counted from 0.

    In a program the first `at` bytes are done; of the rest nothing (BYTE), any bit (TORN), or all
    of it but barely (LATE). In an erase `how` is one of ERASE_CUTS.
    """

    write: int
    at: int = 0
    how: str = BYTE


class Struck(ABC):
    """Beside a model of a card: counts the frames it hears since `strike`; one has an accident.

    `written_frames`: those that told it to change. `marks`: what struck. Set by whoever holds it
    to a reader: `clock` (the reader's), `leave` (takes it out of the field), `on_write` (called
    when it was told to change).
    """

    torn: str

    def expect(self) -> None:
        """Nothing has struck yet."""
        self.frames = 0
        self.written_frames: list[int] = []
        self.clock: ReaderClock | None = None
        self.leave: Callable[[], None] = _nothing
        self.on_write: Callable[[], None] = _nothing
        self.marks: list[str] = []
        self._blow: RfBlow | None = None

    @property
    @abstractmethod
    def writes(self) -> int:
        """How often the card was told to change."""

    def strike(self, blow: RfBlow | None) -> None:
        """Count frames from here on, and let `blow` come in its time."""
        self.frames = 0
        self.written_frames = []
        self._blow = blow
        if blow is not None:
            self.torn = blow.torn

    def take(self, frame: Frame, now: int, hear: Hear) -> Answer | None:
        """Let the model `hear` one command frame, unless something happens to it."""
        number, self.frames = self.frames, self.frames + 1
        writes = self.writes
        blow = self._blow
        if blow is None or number != blow.frame:
            answer = hear(frame, now)
        else:
            self.marks.append(f"RF frame: {blow.outcome}")
            answer = self._suffer(blow.outcome, frame, now, hear)
        if self.writes != writes:
            self.written_frames.append(number)
            self.on_write()
        return answer

    def _suffer(self, outcome: str, frame: Frame, now: int, hear: Hear) -> Answer | None:
        if outcome == LOSE_COMMAND:
            return None
        happens = self.leave if outcome in CARD_OUTCOMES else _cut_power
        if outcome in (LEAVE_BEFORE, POWER_BEFORE):
            self._at(now // US, happens)
            return None
        answer = hear(frame, now)
        if outcome == LOSE_ANSWER:
            return None
        thinks = answer.delay if answer else 0
        if outcome in (LEAVE_DURING, POWER_DURING):
            self._at((now + thinks // 2) // US + 1, happens)
        else:
            spoken = thinks + (answer.frame.duration if answer else 0)
            self._at((now + spoken) // US + 20, happens)
        return answer

    def _at(self, time_us: int, happens: Callable[[], None]) -> None:
        if self.clock is not None:
            self.clock.at(time_us, happens)


class StruckClassic(Struck, MifareClassic):
    """A MIFARE Classic; each write to its EEPROM changes it for good."""

    def __init__(
        self, uid: bytes, blocks: Sequence[bytes] | None = None, rng: random.Random | None = None
    ) -> None:
        super().__init__(uid, blocks, rng)
        self.expect()

    @property
    def writes(self) -> int:
        return self.eeprom_writes

    def power_down(self, now: int) -> None:
        """Lose the field at tick `now`."""
        torn = self.torn_writes
        super().power_down(now)
        if self.torn_writes != torn:
            self.marks.append(f"EEPROM write torn: {self.torn}")

    def hear(self, frame: Frame, now: int) -> Answer | None:
        """Take one command frame that ended at tick `now`, unless something happens to it."""
        return self.take(frame, now, super().hear)


class StruckDesfire(Struck, Desfire):
    """A DESFire; what it is told to change is for good with the commit, the last of its kind."""

    def __init__(self, uid: bytes, image: dict[str, Any], rng: random.Random) -> None:
        super().__init__(uid, rng)
        self.restore(image)
        self.expect()

    @property
    def writes(self) -> int:
        return sum(self.commands.get(code, 0) for code in _CHANGES)

    def tear(self, elapsed_us: int, busy_us: int) -> None:
        """Lose the field in the middle of a command."""
        torn = self.torn_writes
        super().tear(elapsed_us, busy_us)
        if self.torn_writes != torn:
            self.marks.append(f"EEPROM write torn: {self.torn}")

    def hear(self, frame: Frame, now: int) -> Answer | None:
        """Take one command frame that ended at tick `now`, unless something happens to it."""
        return self.take(frame, now, super().hear)


StruckCard = StruckClassic | StruckDesfire
_CHANGES = (layout.WRITE_RECORD, layout.DEBIT, layout.COMMIT_TRANSACTION)


class CutFlash(NorFlash):
    """A flash whose power goes at a chosen byte of a chosen operation, reader and all."""

    def __init__(self, size_bytes: int, rng: random.Random, sector_bytes: int = 4096) -> None:
        super().__init__(size_bytes, rng, sector_bytes)
        self.sizes: list[int] = []  # of every operation since `strike`; 0 is an erase
        self.frames_before: list[int] = []  # how much of the tap was over by then
        self.mends: list[int] = []  # the operations that change nothing
        self.frames_heard: Callable[[], int] = _none
        self.marks: list[str] = []
        self._blow: FlashCut | None = None

    def strike(self, cut: FlashCut | None) -> None:
        """Count operations from here on, and cut the power as `cut` says."""
        self.sizes = []
        self.frames_before = []
        self.mends = []
        self._blow = cut

    def program(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """AND `data` into the cells, as far as it gets."""
        cut = self._due(len(data))
        if self._is_mend(addr, data):
            self.mends.append(len(self.sizes) - 1)
        if cut is None:
            super().program(addr, data)
            return
        at = 0
        if cut.how == BYTE:
            self.cut_after(0, at_byte=cut.at)
        else:
            at = cut.at
            super().program(addr, data[:at])
            self.cut_after(0, how=cut.how)
        try:
            super().program(addr + at, data[at:])
        finally:
            self._note("program")

    def erase(self, sector_no: int) -> None:
        """Set every bit of a sector, as far as it gets."""
        cut = self._due(0)
        if cut is None:
            super().erase(sector_no)
            return
        self.cut_after(0, how=cut.how)
        try:
            super().erase(sector_no)
        finally:
            self._note("erase")

    def _due(self, size: int) -> FlashCut | None:
        number = len(self.sizes)
        self.sizes.append(size)
        self.frames_before.append(self.frames_heard())
        return self._blow if self._blow and self._blow.write == number else None

    def _is_mend(self, addr: int, data: bytes | bytearray | memoryview) -> bool:
        """Whether the cells hold this already, none of them by chance."""
        end = addr + len(data)
        return self._cells[addr:end] == data and not any(self._weak[addr:end])

    def _note(self, what: str) -> None:
        self.marks.append(f"power cut in {what}: {self.last_cut}")
        if self.weak_bits:
            self.marks.append("bits left unstable")


def _nothing() -> None:
    pass


def _none() -> int:
    return 0


def _cut_power() -> None:
    raise PowerCut("at an RF frame")
