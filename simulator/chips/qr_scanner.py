"""A QR scanner module of the GM65 and GM861 family, byte by byte on its UART.

Sourced, each from at least two public programs or from the frames they quote out of the makers'
manuals (GM65 1.x, GM861XS 1.1, GM812 2.1): 9600 8N1; commands 7E 00 type count zone(2) data crc,
types 07 read, 08 write, 09 save, 0A heartbeat; answers 02 (03 to a heartbeat) 00 00 count data
crc; the checksum is CRC-CCITT from 0 over what stands between head and checksum, AB CD passes for
it (the quoted frames DE C8, 30 1A, D8 0F and 33 31 are met by this); zone 00 bits 1-0 manual,
command, continuous, 5-4 aim, 3-2 light, 6 sound; 02 bit 0 trigger; 03 bit 1 closes setup codes;
05 and 06 in 100 ms; 13 same-code delay with bit 7; 2A baud; 60 bit 0 tail, bits 6-5 CR, CRLF;
written zones are lost with the power unless saved.

From one source: that an answer to a read ends in 33 31 whatever it says (`is_crc_fixed`), and that
D9 with 55 restores the factory's settings. Assumed: how long anything takes (no source gives it),
that a command with a wrong checksum gets no answer, that the factory leaves setup codes open and
the same-code delay off, what the line carries while a module boots. The baud divisor is 3 MHz
divided, from the two values that are quoted.
"""

from __future__ import annotations

import random
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MODE, TRIGGER, SETUP_CODES, INTERVAL, READ_TIME, SAME_CODE = 0x00, 0x02, 0x03, 0x05, 0x06, 0x13
BAUD_LOW, BAUD_HIGH, TAIL, RESTORE = 0x2A, 0x2B, 0x60, 0xD9
MANUAL, COMMAND, CONTINUOUS = 0, 1, 2
ZONES = 256
FACTORY = {
    MODE: 0xD4,
    SETUP_CODES: 0x01,
    INTERVAL: 10,
    READ_TIME: 50,
    BAUD_LOW: 0x39,
    BAUD_HIGH: 0x01,
    TAIL: 0x01,
}
_CLOSED, _TAIL_ON, _RESTORE_KEY = 0x02, 0x01, 0x55
_TAILS = {0: b"\r", 1: b"\r\n", 2: b"\t", 3: b""}
_HEAD, _NO_CHECKSUM = b"\x7e\x00", b"\xab\xcd"
_READ, _WRITE, _SAVE, _HEARTBEAT = 7, 8, 9, 10
_BAUD_CLOCK = 3_000_000
_BITS = 10  # of a byte on the line: start, eight, stop
HOST_BUFFER_BYTES = 256  # of MicroPython's UART, unless it is asked for more
BOOT_US = 300_000
ANSWER_US = 4_000
DECODE_US = (40_000, 150_000)
_COMMAND_GAP_US = 100_000  # what came before it is forgotten
_MILLION = 1_000_000


@dataclass(frozen=True)
class SetupCode:
    """A code that the maker's manual prints, to be scanned: it writes a zone."""

    zone: int
    value: int


def as_heard(data: bytes, sent_baud: int, heard_baud: int) -> bytes:
    """What a UART at `heard_baud` makes of `data` sent at `sent_baud` without pauses.

    Levels are looked at in the middle of each of the hearer's bits, from the falling edge on.
    """
    if sent_baud == heard_baud:
        return data
    levels = []
    for byte in data:
        levels += [0, *(byte >> bit & 1 for bit in range(8)), 1]
    # In units of half a bit of a line that is both: one sent bit is 2 * heard_baud of them.
    width, step = 2 * heard_baud, 2 * sent_baud
    heard = bytearray()
    at = 0
    while True:
        index = -(-at // width)
        while index < len(levels) and levels[index]:
            index += 1
        if index >= len(levels):
            return bytes(heard)
        start = index * width + step // 2
        samples = [_level(levels, (start + bit * step) // width) for bit in range(1, 10)]
        heard.append(sum(level << bit for bit, level in enumerate(samples[:8])))
        at = start + 9 * step


def _level(levels: list[int], index: int) -> int:
    return levels[index] if index < len(levels) else 1


class Clock(Protocol):
    """Its time: a ReaderClock, or a Reader, which runs when something is to happen."""

    @property
    def now_us(self) -> int: ...

    def at(self, time_us: int, event: Callable[[], None], /) -> None: ...


class QrScanner:
    """The module; `read` and `write` are the host's end of the line.

    `loss_ppm` of the bytes it sends do not arrive, `double_ppm` of its readings are sent twice.
    `on_bytes(now_us)`, when given, is called whenever bytes have arrived at the host, and
    `on_active(is_active)` whenever it may have lit up to look, or gone dark.
    """

    def __init__(self, clock: Clock, draw: random.Random, host_baud: int = 9600) -> None:
        self._clock = clock
        self._draw = draw
        self.host_baud = host_baud
        self.loss_ppm = 0
        self.double_ppm = 0
        self.is_crc_fixed = False
        self.on_bytes: Callable[[int], None] | None = None
        self.on_active: Callable[[bool], None] | None = None
        self.saved = self._factory()
        self.zones = bytearray(self.saved)
        self.is_on = True
        self.saves = 0
        self.readings = 0
        self.lost_by_host = 0
        self._epoch = 0  # what was under way before a reset is not any more
        self._view: bytes | SetupCode | None = None
        self._is_looking = False
        self._line_free_us = 0
        self._arrived = bytearray()
        self._command = bytearray()
        self._command_us = 0
        self._last: tuple[bytes, int] | None = None
        self._triggers = 0

    @staticmethod
    def _factory() -> bytes:
        return bytes(FACTORY.get(zone, 0) for zone in range(ZONES))

    @property
    def baud(self) -> int:
        divisor = self.zones[BAUD_HIGH] << 8 | self.zones[BAUD_LOW]
        nominal = _BAUD_CLOCK // max(divisor, 1)
        # A divisor is a whole number: what it comes near to is what a host would set.
        return min((9600, 19200, 38400, 57600, 115200), key=lambda baud: abs(baud - nominal))

    # -- the host's end of the line ---------------------------------------------------------

    def read(self) -> bytes:
        """What has arrived since the last call."""
        data = bytes(self._arrived)
        self._arrived.clear()
        return data

    def write(self, data: bytes) -> int:
        """Bytes for the module; they take their time."""
        duration_us = len(data) * _BITS * _MILLION // self.host_baud
        heard = as_heard(bytes(data), self.host_baud, self.baud)
        self._later(duration_us, lambda: self._take(heard))
        return len(data)

    # -- people and power -------------------------------------------------------------------

    def show(self, view: bytes | SetupCode | None) -> None:
        """Hold a code before the module, or nothing (None); it stays there."""
        self._view = view
        self._last = None
        self._look()

    def power(self, on: bool) -> None:
        """The plug, or a brown-out when it is put back at once: only saved zones are kept."""
        self._epoch += 1
        self.is_on = False
        self._is_looking = False
        self._command.clear()
        self._line_free_us = self._clock.now_us
        if on:
            self.zones[:] = self.saved
            self._arrive(self._draw.choice((b"", b"\x00", b"\xff\x00")))
            self._later(BOOT_US, self._boot, is_powered=False)

    def noise(self, size: int) -> None:
        """Something on the line that nobody sent."""
        self._arrive(self._draw.randbytes(size))

    def _boot(self) -> None:
        self.is_on = True
        self._look()

    def _later(self, delay_us: int, event: Callable[[], None], *, is_powered: bool = True) -> None:
        epoch = self._epoch

        def run() -> None:
            if epoch == self._epoch and (self.is_on or not is_powered):
                event()

        self._clock.at(self._clock.now_us + delay_us, run)

    # -- what it sends ----------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """Queue bytes for the line; each arrives when its last bit does."""
        byte_us = _BITS * _MILLION // self.baud
        start_us = max(self._line_free_us, self._clock.now_us)
        if self.baud != self.host_baud:
            data = as_heard(data, self.baud, self.host_baud)
            byte_us = _BITS * _MILLION // self.host_baud
        for index, byte in enumerate(data):
            if self.loss_ppm and self._draw.randrange(_MILLION) < self.loss_ppm:
                continue
            due_us = start_us + (index + 1) * byte_us
            self._later(due_us - self._clock.now_us, _bound(self._arrive, bytes((byte,))))
        self._line_free_us = start_us + len(data) * byte_us

    def _arrive(self, data: bytes) -> None:
        room = HOST_BUFFER_BYTES - len(self._arrived)
        self._arrived += data[:room]
        self.lost_by_host += max(len(data) - room, 0)
        if data and self.on_bytes is not None:
            self.on_bytes(self._clock.now_us)

    # -- commands ---------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        if self._clock.now_us - self._command_us > _COMMAND_GAP_US:
            self._command.clear()
        self._command_us = self._clock.now_us
        self._command += data
        while True:
            start = self._command.find(_HEAD)
            if start < 0:
                del self._command[:-1]
                return
            del self._command[:start]
            if len(self._command) < 4 or len(self._command) < self._size():
                return
            frame = bytes(self._command[: self._size()])
            del self._command[: self._size()]
            self._later(ANSWER_US, _bound(self._obey, frame))

    def _size(self) -> int:
        return 8 + self._command[3]

    def _obey(self, frame: bytes) -> None:
        kind, count = frame[2], frame[3]
        zone, data = int.from_bytes(frame[4:6], "big"), frame[6:-2]
        if frame[-2:] not in (_NO_CHECKSUM, crc_hqx(frame[2:-2], 0).to_bytes(2, "big")):
            return
        if kind == _READ and zone < ZONES:
            self._answer(2, bytes(self.zones[zone : zone + data[0]]))
        elif kind == _WRITE and zone + count <= ZONES:
            self._answer(2, b"\x00")
            self._set(zone, data)
        elif kind == _SAVE:
            self.saves += 1
            self.saved = bytes(self.zones)
            self._answer(2, b"\x00")
        elif kind == _HEARTBEAT:
            self._answer(3, b"\x00")

    def _answer(self, head: int, data: bytes) -> None:
        body = bytes((0, 0, len(data))) + data
        checksum = 0x3331 if self.is_crc_fixed else crc_hqx(body, 0)
        self._send(bytes((head,)) + body + checksum.to_bytes(2, "big"))

    def _set(self, zone: int, data: bytes) -> None:
        self.zones[zone : zone + len(data)] = data
        if zone == RESTORE and data[:1] == bytes((_RESTORE_KEY,)):
            self.saved = self._factory()
            self.zones[:] = self.saved
        if zone == TRIGGER and data[0] & 1 and self.zones[READ_TIME]:
            self._triggers += 1
            self._later(self.zones[READ_TIME] * 100_000, self._trigger_end(self._triggers))
        self._look()

    def _trigger_end(self, trigger: int) -> Callable[[], None]:
        def end() -> None:
            if trigger == self._triggers:
                self.zones[TRIGGER] &= 0xFE

        return end

    # -- looking ----------------------------------------------------------------------------

    def _is_active(self) -> bool:
        mode = self.zones[MODE] & 3
        triggered = mode == COMMAND and self.zones[TRIGGER] & 1
        return self.is_on and (mode == CONTINUOUS or bool(triggered))

    def _look(self) -> None:
        if self.on_active is not None:
            self.on_active(self._is_active())
        if self._view is not None and self._is_active() and not self._is_looking:
            self._is_looking = True
            self._later(self._draw.randrange(*DECODE_US), self._decode)

    def _decode(self) -> None:
        self._is_looking = False
        if self._view is None or not self._is_active():
            return
        if isinstance(self._view, SetupCode):
            if not self.zones[SETUP_CODES] & _CLOSED:
                self._set(self._view.zone, bytes((self._view.value,)))
        elif not self._is_same():
            self._tell(self._view)
        if self.zones[MODE] & 3 == COMMAND:
            self.zones[TRIGGER] &= 0xFE
            return
        self._is_looking = True
        self._later(max(self.zones[INTERVAL], 1) * 100_000, self._decode)

    def _is_same(self) -> bool:
        delay = self.zones[SAME_CODE]
        if not delay & 0x80 or self._last is None or self._last[0] != self._view:
            return False
        return self._clock.now_us - self._last[1] < (delay & 0x7F) * 100_000

    def _tell(self, code: bytes) -> None:
        self.readings += 1
        self._last = (code, self._clock.now_us)
        tail = b""
        if self.zones[TAIL] & _TAIL_ON:
            tail = _TAILS[self.zones[TAIL] >> 5 & 3]
        self._send(code + tail)
        if self.double_ppm and self._draw.randrange(_MILLION) < self.double_ppm:
            self._send(code + tail)


def _bound(call: Callable[[bytes], None], data: bytes) -> Callable[[], None]:
    return lambda: call(data)
