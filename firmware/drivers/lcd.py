"""The clerk's display: four lines of 16 cells on an ST7920, serial interface; or half a picture.

Rules of this file:
- every byte is a transfer of its own, and the module has its time after it: it cannot say whether
  it is busy, and what comes too early is lost;
- a word of its text RAM, two cells, is written whole: half of a wide character stands for the time
  of one transfer, and longer only if that transfer fails;
- a picture covers the left half, and text stays out of it: the module adds both, dot by dot. Its
  RAM is noise at first, so all of it is written before any is lit, in one go within the extended
  set: a module that is reset meanwhile has left that, and shows no picture until the next time;
- it cannot say either that it was reset: everything is written again now and then.
"""

CELLS, LINES = 16, 4
# GB2312 as the module's character ROM has it: two bytes, both from here on, two cells.
WIDE_FIRST = 0xA1
_LINE_ADDRESSES = b"\x80\x90\x88\x98"
_INSTRUCTION, _DATA = 0xF8, 0xFA
# Basic set and 8 bits, twice, as after power-on; forward without shift; home ends any shift.
_SET_UP = b"\x30\x30\x06\x02"
_LIGHT_UP = 0x0C
# The picture is switched by the extended set, and only if the set was that one before; the basic
# one leaves it so.
_EXTENDED = 0x34
_PLAIN, _PICTURED = b"\x34\x34\x30", b"\x36\x30"
PICTURE_BYTES = 128  # 32 rows of 32 squares, a bit each, leftmost the highest
# Four squares of a picture as eight dots.
_WIDE = b"\x00\x03\x0c\x0f\x30\x33\x3c\x3f\xc0\xc3\xcc\xcf\xf0\xf3\xfc\xff"
# 72 us at the oscillator's 540 kHz; as long as it does not run below 400.
_WAIT_US = 100
_WAKE_US = 50000  # after power-on; 40 ms are asked for
_REFRESH_MS = 5000


class Lcd:
    """`board` has lcd.write(bytes), one transfer with the module selected, and sleep_us().

    What board.lcd.write raises goes to the caller; the next show() or step() writes all again.
    """

    def __init__(self, board):
        self._write = board.lcd.write
        self._sleep_us = board.sleep_us
        self._frame = bytearray(3)
        self._wanted = bytearray(b" " * (LINES * CELLS))
        self._shown = bytearray(LINES * CELLS)
        self._is_awake = self._is_set_up = False
        self._picture = b""
        self._refresh_ms = None

    def show(self, lines, picture=b""):
        """Show up to four lines of bytes, ASCII and GB2312; writes the cells that differ.

        A line is cut at 16 cells, before a character that does not fit; see fit(). `picture`:
        PICTURE_BYTES of squares, two dots wide and high, that cover the left eight cells of all
        lines, where there is to be no text; it takes a sixth of a second.
        """
        if picture or self._picture:
            self._picture = picture
            self._is_set_up = False
        for index in range(LINES):
            fit(lines[index] if index < len(lines) else b"", self._wanted, index * CELLS)
        self._update()

    def step(self, now_ms):
        """Write everything again when that is due; returns when it will be next."""
        if self._refresh_ms is None:
            self._refresh_ms = now_ms + _REFRESH_MS
        if now_ms >= self._refresh_ms:
            self._refresh_ms = now_ms + _REFRESH_MS
            self._is_set_up = False
            self._update()
        return self._refresh_ms

    def _update(self):
        if not self._is_awake:
            self._sleep_us(_WAKE_US)
            self._is_awake = True
        is_new = not self._is_set_up
        self._is_set_up = False  # until all of it has gone out
        if is_new:
            for instruction in _SET_UP:
                self._send(_INSTRUCTION, instruction)
            picture = self._picture
            if picture:
                self._send(_INSTRUCTION, _EXTENDED)
            # Of 16 bytes of dots in a row those beside the picture are dark.
            for row in range(LINES * 16 if picture else 0):
                self._send(_INSTRUCTION, 0x80 | row & 31)
                self._send(_INSTRUCTION, 0x80 | row // 32 * 8)
                for column in range(16):
                    dots = 0
                    if column < 8:
                        dots = picture[row // 2 * 4 + column // 2]
                        dots = _WIDE[dots & 15 if column & 1 else dots >> 4]
                    self._send(_DATA, dots)
            for instruction in _PICTURED if picture else _PLAIN:
                self._send(_INSTRUCTION, instruction)
        for index in range(LINES):
            self._update_line(index, is_new)
        if is_new:
            # Last: until now a module that was reset is dark and full of noise.
            self._send(_INSTRUCTION, _LIGHT_UP)
        self._is_set_up = True

    def _update_line(self, index, is_new):
        wanted, shown = self._wanted, self._shown
        follows = False  # whether the module's address counter stands at this word
        for at in range(index * CELLS, index * CELLS + CELLS, 2):
            if not is_new and wanted[at] == shown[at] and wanted[at + 1] == shown[at + 1]:
                follows = False
                continue
            if not follows:
                word = (at - index * CELLS) // 2
                self._send(_INSTRUCTION, _LINE_ADDRESSES[index] + word)
                follows = True
            self._send(_DATA, wanted[at])
            self._send(_DATA, wanted[at + 1])
            shown[at] = wanted[at]
            shown[at + 1] = wanted[at + 1]

    def _send(self, start, value):
        frame = self._frame
        frame[0] = start
        frame[1] = value & 0xF0
        frame[2] = value << 4 & 0xF0
        self._write(frame)
        self._sleep_us(_WAIT_US)


def fit(text, cells, start):
    """Put `text` into the 16 cells from `start` on, the rest spaces.

    Wide characters stand at even cells, behind a space if need be. A byte that belongs to no
    character is a question mark; a wide character that would not fit ends the line.
    """
    at, size, index = 0, len(text), 0
    while index < size and at < CELLS:
        byte = text[index]
        index += 1
        if byte >= WIDE_FIRST and index < size and text[index] >= WIDE_FIRST:
            if at & 1:
                cells[start + at] = 0x20
                at += 1
            if at == CELLS:
                break
            cells[start + at] = byte
            cells[start + at + 1] = text[index]
            at += 2
            index += 1
        else:
            cells[start + at] = byte if 0x20 <= byte < 0x7F else 0x3F
            at += 1
    for rest in range(start + at, start + CELLS):
        cells[rest] = 0x20
