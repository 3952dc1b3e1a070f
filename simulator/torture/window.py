"""One window of the canteen under torture: a reader, its hardware, and who looks on from outside.

The hardware is the simulator's, with three additions: every record is looked at as it is written
to flash, memory can run out at any call the firmware makes to its board, and whatever else the
firmware raises is caught here and counts as a bug.
"""

from __future__ import annotations

import random
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

from firmware.services.journal_bytes import HEADER_BYTES, parse_header
from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from simulator.cardbox import Chip
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.hardware import CARDS_AT, Hardware
from simulator.reader import Home, Reader
from simulator.world.clock import World
from simulator.world.transcript import Transcript

_SEALED = b"\xd1\x84\x43\xa1\x01\x05\xa0"  # how every sealed record begins (protocols/wire/seal)
_NEVER = 1 << 60
_NOT_FIRMWARE = ("card-in", "card-out", "power-cut")  # what people and the mains do


class Trace(Transcript):
    """The event log, which every call of the firmware to its board passes."""

    def __init__(self) -> None:
        super().__init__()
        self.is_inside = False  # whether the firmware of some reader is running
        self.out_of_memory_in = _NEVER
        self.on_out_of_memory: Callable[[], None] = lambda: None

    def add(self, time_us: int, who: str, what: str, data: bytes | str | int = b"") -> None:
        super().add(time_us, who, what, data)
        if self.is_inside and self.out_of_memory_in < _NEVER and what not in _NOT_FIRMWARE:
            self.out_of_memory_in -= 1
            if self.out_of_memory_in < 0:
                self.out_of_memory_in = _NEVER
                self.on_out_of_memory()
                raise MemoryError


class WatchedHardware(Hardware):
    """Tells `on_record(fields)` about each record at the moment it is programmed for the first
    time, before the flash takes it; `written_at` is where the flash was last written."""

    def __init__(
        self,
        name: str,
        world: World,
        trace: Trace,
        flash: NorFlash,
        nvs: dict[str, bytes],
        draw: random.Random,
        fired: Counter[str],
        card_flash: NorFlash | None = None,
    ) -> None:
        super().__init__(name, world, trace, flash, nvs, draw, card_flash=card_flash)
        self.fired = fired
        self._trace = trace
        self.on_record: Callable[[dict[str, Any]], None] = lambda _fields: None
        self.written_at = 0
        self._opened: dict[int, int] = {}  # sector of the journal and its first sequence
        self._newest: dict[str, Any] = {}

    def flash_program(self, address: int, data: bytes) -> None:
        if address >= CARDS_AT:
            self._on_card_map(lambda: super(WatchedHardware, self).flash_program(address, data))
            return
        self.written_at = address
        at = data.find(_SEALED)
        if at >= 0:
            self._look(data[at:])
        try:
            super().flash_program(address, data)
        except PowerCut:
            self.fired["power cut in a program"] += not self.flash.is_powered
            raise
        sector, offset = divmod(address, self.flash.sector_bytes)
        if offset == 0:  # a header, or the zeros that kill one
            header = parse_header(data) if len(data) == HEADER_BYTES else None
            self._opened.pop(sector, None)
            if header is not None:
                self._opened[sector] = header[1]

    def _on_card_map(self, write: Callable[[], None]) -> None:
        try:
            write()
        except PowerCut:
            self.fired["power cut in a card map"] += 1
            raise

    def flash_erase(self, sector: int) -> None:
        if sector * self.flash.sector_bytes >= CARDS_AT:
            self._on_card_map(lambda: super(WatchedHardware, self).flash_erase(sector))
            return
        try:
            super().flash_erase(sector)
        except PowerCut:
            self.fired["power cut in an erase"] += not self.flash.is_powered
            raise
        self._opened.pop(sector, None)

    def sectors_after(self, booked: int) -> int:
        """How many sectors of the journal hold records behind sequence `booked`."""
        firsts = sorted(self._opened.values())
        return sum(after - 1 > booked for after in [*firsts[1:], booked + 2])

    def power_off(self) -> None:
        self.fired["slow flash"] += self.flash.slow_start_reads > 0
        super().power_off()

    def put_card(self, card: Chip) -> None:
        super().put_card(card)
        self.fired["two cards"] += len(self.field.cards) == 2

    def take_card(self, card: Chip) -> None:
        self.fired["card pulled in a dialogue"] += self._trace.is_inside
        super().take_card(card)

    def _look(self, sealed: bytes) -> None:
        try:
            fields = messages.decode_record(seal.payload_of(sealed))
        except WireError:
            return  # not at the end of what is programmed: no record of its own
        newest_seq = self._newest.get("seq", 0)
        # What a cut has spoiled has its number again; the same record anew is only made firm.
        if fields["seq"] > newest_seq or (fields["seq"] == newest_seq and fields != self._newest):
            self._newest = fields
            self.on_record(fields)


class CrashingHome:
    """A home whose firmware may raise: then its board is reset, as the watchdog would."""

    def __init__(
        self, home: Home, trace: Trace, on_crash: Callable[[BaseException, str], None]
    ) -> None:
        self.inner = home
        self._trace = trace
        self._on_crash = on_crash

    def start(self, now_us: int) -> int:
        return self._guarded(self.inner.start, now_us)

    def run(self, now_us: int) -> int:
        return self._guarded(self.inner.run, now_us)

    def kill(self) -> None:
        self.inner.kill()

    def _guarded(self, step: Callable[[int], int], now_us: int) -> int:
        self._trace.is_inside = True
        try:
            return step(now_us)
        except Exception as error:
            self._on_crash(error, traceback.format_exc(limit=-5))
            raise PowerCut("crash") from error
        finally:
            self._trace.is_inside = False


class MortalReader(Reader):
    """A reader that says when it has died."""

    on_death: Callable[[], None] = staticmethod(lambda: None)

    def _die(self) -> None:
        super()._die()
        self.on_death()
