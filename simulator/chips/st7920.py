"""The ST7920 LCD controller of a 128x64 module, by its serial interface (PSB low).

Text RAM (DDRAM), graphics RAM, both instruction sets, and the time that each instruction takes. A
host that breaks the data sheet (Sitronix, V4.0) does not get what it wanted, and `violations` says
what it did. Here not even the first bit may come while the last instruction is executed; silicon
may be more patient.

Assumed, for we have read only parts of that data sheet: the 40 ms after a reset and what it sets,
noise in the RAM after it, that the address counter wraps within its six bits, that setting an
address drops half a word, that text and graphics are added modulo two, and how slow the internal
oscillator may run (`osc_khz`). The character ROM is taken to hold GB2312 and nothing else. Not
modelled, and so noted when used: display shift, scrolling, CGRAM, icons, the 4-bit bus.
"""

import random
from collections.abc import Callable
from typing import Protocol

COLUMNS, ROWS, LINES = 128, 64, 4
CELLS = 16  # half-width characters in a line
OSC_KHZ = 540  # at which the data sheet gives its times
BUSY_US, CLEAR_US = 72, 1_600
POWER_ON_US = 40_000  # from supply or reset until it listens
SPI_HZ_MAX = 1_600_000  # a cycle of 600 ns at 2.7 V, the slower end (recalled, not looked up)
# Where the four lines of a 128x64 module begin: the lower half is the right half of a wider one.
LINE_WORDS = (0x00, 0x10, 0x08, 0x18)
_WORDS = 64
_SYNC, _READ, _RS = 0xF8, 0x04, 0x02
# What the bytes of a transfer are, since its last start byte.
_NOTHING, _INSTRUCTION, _DATA, _DEAF = range(4)
_DDRAM, _GDRAM, _NOWHERE = 0, 1, 2


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int

    def advance_us(self, duration_us: int, /) -> None:
        """Go on."""


class St7920:
    """One module; `rng` draws what its RAM holds at power-on, `osc_khz` how slow it is."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        osc_khz: int = OSC_KHZ,
        call_us: int = 30,
        spi_hz: int = 1_000_000,
    ) -> None:
        self.clock = clock
        self.call_us, self.spi_hz = call_us, spi_hz
        self.transfers = 0
        self.instructions = 0
        self.violations: list[str] = []
        self._rng = rng
        self._osc_khz = osc_khz
        self._bus_carry = 0
        self._pin = 1
        # An instruction is told by its highest bit.
        self._basic: tuple[Callable[[int], None], ...] = (
            *(self._clear, self._home, self._entry, self._display),
            *(self._shift, self._function, self._cgram, self._set_ddram),
        )
        self._extended: tuple[Callable[[int], None], ...] = (
            *(self._standby, self._select, self._reverse, self._sleep),
            *(self._unknown, self._function, self._scroll, self._set_gdram),
        )
        if spi_hz > SPI_HZ_MAX:
            self.violations.append(f"SPI clock of {spi_hz} Hz")
        self._power_on()

    # ---------------------------------------------------------------- pins

    def write(self, data: bytes | bytearray) -> None:
        """One serial transfer: chip select up, `data` clocked in, chip select down."""
        self.transfers += 1
        self.clock.advance_us(self.call_us)
        start, nibble = _NOTHING, None
        for byte in data:
            in_time = self.clock.now_us >= self._busy_until_us
            self._clock_byte()
            if not self._pin:
                continue
            if byte & _SYNC == _SYNC:
                if nibble is not None:
                    self._wrong("a new start in the middle of a byte")
                start, nibble = self._start(byte, in_time), None
            elif start == _DEAF:
                continue
            elif start == _NOTHING:
                self._wrong(f"{byte:02x} without a start byte")
                start = _DEAF
            elif byte & 0x0F:
                self._wrong(f"{byte:02x} has bits where a nibble has none")
                start, nibble = _DEAF, None
            elif not in_time:
                self._wrong("too early")
                start, nibble = _DEAF, None
            elif nibble is None:
                nibble = byte
            else:
                self._take(start, nibble | byte >> 4)
                nibble = None
        if nibble is not None:
            self._wrong("chip select ended in the middle of a byte")

    def reset_pin(self, level: int) -> None:
        """Drive XRESET: a rising edge is a reset."""
        if level and not self._pin:
            self._power_on()
        self._pin = int(bool(level))

    def brown_out(self) -> None:
        """Reset everything without a word, as a supply dip or ESD does."""
        self._power_on()

    # ---------------------------------------------------------------- what is on the glass

    @property
    def is_lit(self) -> bool:
        """Whether anything is shown at all."""
        return self._display_on and not self._in_standby and bool(self._pin)

    @property
    def has_graphics(self) -> bool:
        """Whether the graphics RAM is shown too."""
        return self._graphics_on

    def line(self, index: int) -> bytes:
        """The 16 bytes of text RAM behind a line; what it shows only while `is_lit`."""
        start = 2 * LINE_WORDS[index]
        return bytes(self._ddram[start : start + CELLS])

    def lines(self) -> tuple[bytes, ...]:
        """All four, from the top."""
        return tuple(self.line(index) for index in range(LINES))

    def is_reversed(self, index: int) -> bool:
        """Whether a line is dark on light."""
        return self._reversed[index]

    def graphics_row(self, row: int) -> bytes:
        """The 16 bytes of graphics RAM behind a row of dots."""
        half, within = divmod(row, 32)
        start = within * 32 + half * 16
        return bytes(self._gdram[start : start + 16])

    # ---------------------------------------------------------------- serial interface

    def _clock_byte(self) -> None:
        bits_us, self._bus_carry = divmod(self._bus_carry + 8_000_000, self.spi_hz)
        self.clock.advance_us(bits_us)

    def _start(self, byte: int, in_time: bool) -> int:
        """What follows: instructions or data (RS), or nothing that could be taken."""
        if not in_time:
            self._wrong("too early")
            return _DEAF
        if byte & (_READ | 1):
            self._wrong(f"start byte {byte:02x}")
            return _DEAF
        return _DATA if byte & _RS else _INSTRUCTION

    def _take(self, start: int, value: int) -> None:
        self.instructions += 1
        self._busy(BUSY_US)
        self._in_standby = False
        if start == _DATA:
            self._store(value)
            return
        table = self._extended if self._is_extended else self._basic
        if value == 0:
            self._wrong("instruction 00")
        else:
            table[value.bit_length() - 1](value)

    def _busy(self, duration_us: int) -> None:
        self._busy_until_us = self.clock.now_us + -(-duration_us * OSC_KHZ // self._osc_khz)

    def _wrong(self, what: str) -> None:
        self.violations.append(f"{self.clock.now_us} us: {what}")

    def _power_on(self) -> None:
        self._busy_until_us = self.clock.now_us + POWER_ON_US
        self._ddram = bytearray(self._rng.randbytes(2 * _WORDS))
        self._gdram = bytearray(self._rng.randbytes(32 * 32))
        self._address = 0
        self._half: int | None = None
        self._room = _DDRAM
        self._row: int | None = None
        self._step = 1
        self._is_extended = self._display_on = self._in_standby = self._graphics_on = False
        self._reversed = [False] * LINES

    # ---------------------------------------------------------------- instructions, RE = 0

    def _clear(self, _value: int) -> None:
        self._ddram[:] = b" " * len(self._ddram)
        self._set_address(_DDRAM, 0)
        self._step = 1
        self._busy(CLEAR_US)

    def _home(self, _value: int) -> None:
        self._set_address(_DDRAM, 0)

    def _entry(self, value: int) -> None:
        self._step = 1 if value & 2 else -1
        if value & 1:
            self._wrong("display shift is not modelled")

    def _display(self, value: int) -> None:
        self._display_on = bool(value & 4)
        if value & 3:
            self._wrong("a cursor is not modelled")

    def _shift(self, _value: int) -> None:
        self._wrong("cursor and display shift are not modelled")

    def _function(self, value: int) -> None:
        """Both sets have it; the data sheet forbids to change width and set in one go."""
        if not value & 0x10:
            self._wrong("4-bit bus in serial mode")
        was_extended, self._is_extended = self._is_extended, bool(value & 4)
        if was_extended and self._is_extended:
            self._graphics_on = bool(value & 2)

    def _cgram(self, _value: int) -> None:
        self._set_address(_NOWHERE, 0)
        self._wrong("CGRAM is not modelled")

    def _set_ddram(self, value: int) -> None:
        if value & 0x40:
            self._wrong(f"DDRAM address {value:02x}")
        self._set_address(_DDRAM, value & 0x3F)

    # ---------------------------------------------------------------- instructions, RE = 1

    def _standby(self, _value: int) -> None:
        self._in_standby = True

    def _select(self, value: int) -> None:
        if value & 1:
            self._wrong("scrolling is not modelled")

    def _reverse(self, value: int) -> None:
        """Two lines of a 16-character row at once: of ours, a line and the one two below it."""
        row = value & 3
        if row > 1:
            self._wrong(f"reverse of line {row}, which a 128x64 module does not show")
            return
        self._reversed[row] = self._reversed[row + 2] = not self._reversed[row]

    def _sleep(self, value: int) -> None:
        self._in_standby = not value & 4

    def _unknown(self, value: int) -> None:
        self._wrong(f"instruction {value:02x}")

    def _scroll(self, _value: int) -> None:
        self._wrong("scrolling and icons are not modelled")

    def _set_gdram(self, value: int) -> None:
        """First the row, then the word in it."""
        if self._row is None or self._room != _GDRAM:
            self._set_address(_GDRAM, 0)
            self._row = value & 0x3F
            return
        if self._row >= 32:
            self._wrong(f"graphics row {self._row}")
        row, self._row = self._row, None
        self._set_address(_GDRAM, (row & 31) * 16 + (value & 0x0F))

    # ---------------------------------------------------------------- RAM

    def _set_address(self, room: int, address: int) -> None:
        if self._half is not None:
            self._wrong("half a word")
        self._half = None
        if room != _GDRAM:
            self._row = None
        self._room, self._address = room, address

    def _store(self, value: int) -> None:
        """A byte into the RAM that was addressed: the upper half of a word, then the lower."""
        if self._room == _NOWHERE:
            return
        ram = self._ddram if self._room == _DDRAM else self._gdram
        at = 2 * self._address
        if self._half is None:
            self._half = ram[at] = value
            return
        ram[at + 1] = value
        if self._room == _DDRAM:
            wrong = wrong_word(self._half, value)
            if wrong:
                self._wrong(wrong)
            self._address = (self._address + self._step) % _WORDS
        else:
            row, word = divmod(self._address, 16)
            self._address = row * 16 + (word + 1) % 16
        self._half = None


def wrong_word(upper: int, lower: int) -> str:
    """Why the character ROM has nothing for a word of text RAM; empty when it has."""
    if upper < 0x80 and lower < 0x80:
        if upper < 2 or lower < 2:
            return f"no half-width character {upper:02x} {lower:02x}"
        return ""
    if upper < 0x80:
        return f"{upper:02x} {lower:02x}: a wide character begins at an odd cell"
    if lower < 0x80:
        return f"{upper:02x} {lower:02x}: half a character"
    try:
        bytes((upper, lower)).decode("gb2312")
    except UnicodeDecodeError:
        return f"no character {upper:02x} {lower:02x}"
    return ""
