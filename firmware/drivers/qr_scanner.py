"""A QR scanner module on a UART (GM65, GM861 and their kin, 9600 baud): whole codes, or nothing.

Rules of this file:
- a code is what stands before a CR. Nobody can know what is held before a scanner: any bytes come,
  of any length, in any pieces. What has a CR inside comes as two codes; neither proves anything;
- the module has no memory that counts: its settings are written after every start, never saved,
  and read back, at once and every few seconds. All of them: it may be reset between two writes. It
  keeps the baud it is shipped with, so that no reset can make it unintelligible;
- it looks while somebody wants a code (`is_wanted`), and is dark at other times. That is switched
  by its mode, continuous or command: some firmware acknowledges triggers and does not look;
- codes that set modules up are switched off: a customer may show one;
- a screen that is held still is one code. It counts again after it was away for a second.

An answer is 02 00 00 01 value crc. Whoever shows a code that looks so can make this driver set the
module up once more, and nothing else.
"""

CODE_BYTES_MAX = 256
END = 13
_LINE_FEED = 10  # of a module that ends its codes with both

REPEAT_MS = 1000
_GAP_MS = 60  # a module sends without pauses; 58 bytes would fit in here
# An answer waits behind a code that is being sent: 268 ms for the longest.
_ANSWER_MS = 400
_MISSES_MAX = 3
_MISSING_MS = 3000  # between two attempts to find a module that does not answer
_CHECK_MS = 3000  # between two times that all settings are read back

_READ, _WRITE = 7, 8
_MODE_ZONE = 0x00
# Lamp on success, no sound of its own, aim and light while it looks.
_DARK, _LOOKING = 0x95, 0x96
# Zones and their values. Codes that set it up: closed. 500 ms between two readings, less than
# REPEAT_MS: a screen held still has to be seen again in time. The same code again: told, for the
# decision is ours. CR after a code, nothing before it.
_ZONES = b"\x03\x05\x13\x60"
_VALUES = b"\x02\x05\x00\x01"
_ANSWER_HEAD = b"\x02\x00\x00\x01"
_ANSWER_BYTES = 7
_FIXED_CRC = 0x3331  # with which some modules end every answer
_NONE = -1


class QrScanner:
    """`uart` has read() -> bytes or None, and write(bytes); neither waits.

    Counted, and never reset: too_long, torn (no CR came), repeats, unasked (read while nobody
    wanted a code), resets (the module had forgotten its settings).
    """

    def __init__(self, uart):
        self._uart = uart
        self.is_wanted = False
        self.is_present = False
        self.due_ms = 0  # when read() wants to be called again, if nothing comes before
        self.too_long = self.torn = self.repeats = self.unasked = self.resets = 0
        self._buffer = bytearray(CODE_BYTES_MAX + 1)
        self._size = 0  # of what is in it
        self._whole = 0  # of the codes in it that have their CR
        self._is_fresh = self._is_skipping = self._is_answer = False
        self._heard_ms = 0
        self._last = b""
        self._last_ms = 0
        self._answer = _NONE
        self._kind = self._zone = self._value = _NONE  # what was asked of the module
        self._until_ms = 0  # of its answer, or of a pause
        self._misses = 0
        self._written = 0  # of _ZONES
        self._mode = _NONE  # that was written
        self._checked = 0  # of _ZONES, and then the mode
        self._check_ms = 0

    def read(self, now_ms):
        """The next whole code (1 to CODE_BYTES_MAX bytes), or None; looks after the module too."""
        data = self._uart.read()
        if data:
            self.feed(data)
        if self._is_fresh:
            self._is_fresh = False
            self._heard_ms = now_ms
        elif self._is_unfinished() and now_ms - self._heard_ms >= _GAP_MS:
            # What began and never ended is dropped: what comes next is another code.
            self.torn += 0 if self._is_skipping else 1
            self._size = self._whole
            self._is_skipping = self._is_answer = False
        self._converse(now_ms)
        code = self._next(now_ms)
        is_idle = self._kind == _NONE and now_ms >= self._until_ms
        self.due_ms = self._check_ms if is_idle else self._until_ms
        if self._whole:
            self.due_ms = now_ms
        elif self._is_unfinished():
            self.due_ms = min(self.due_ms, self._heard_ms + _GAP_MS)
        return code

    def feed(self, data):
        """Bytes from the line, in whatever pieces."""
        for byte in data:
            if self._is_skipping:
                self._is_skipping = byte != END
            elif self._size == len(self._buffer):
                self.too_long += 1
                self._size = self._whole
                self._is_skipping = byte != END
            else:
                self._put(byte)
        self._is_fresh = True

    def _put(self, byte):
        at = self._size - self._whole
        if at == 0 and (byte == END or byte == _LINE_FEED):
            return
        self._buffer[self._size] = byte
        self._size += 1
        if at < len(_ANSWER_HEAD):
            self._is_answer = (at == 0 or self._is_answer) and byte == _ANSWER_HEAD[at]
        if self._is_answer:
            # A CR may stand in the value or the checksum of an answer.
            if at < _ANSWER_BYTES - 1:
                return
            start = self._whole
            body = self._buffer[start + 1 : start + _ANSWER_BYTES - 2]
            told = self._buffer[start + 5] << 8 | self._buffer[start + 6]
            if told in (_FIXED_CRC, crc(body)):
                self._answer = self._buffer[start + 4]
            else:
                self.torn += 1
            self._size = start
            self._is_answer = False
        elif byte == END:
            self._whole = self._size

    def _is_unfinished(self):
        return self._is_skipping or self._size > self._whole

    def _next(self, now_ms):
        while self._whole:
            end = 0
            while self._buffer[end] != END:
                end += 1
            code = bytes(self._buffer[:end])
            end += 1
            self._buffer[: self._size - end] = self._buffer[end : self._size]
            self._size -= end
            self._whole -= end
            if code == self._last and now_ms - self._last_ms < REPEAT_MS:
                self.repeats += 1
                self._last_ms = now_ms
            elif not self.is_wanted:
                self.unasked += 1
            else:
                self._last = code
                self._last_ms = now_ms
                return code
        return None

    # -- the module -------------------------------------------------------------------------

    def _converse(self, now_ms):
        """One question at a time; the next one when it was answered, or given up."""
        if self._kind != _NONE:
            if self._answer != _NONE:
                self._on_answer(now_ms)
            elif now_ms < self._until_ms:
                return
            else:
                self._kind = _NONE
                self._misses += 1
                if self._misses >= _MISSES_MAX:
                    self._misses = 0
                    self.is_present = False
                    self._forget()
                    self._until_ms = now_ms + _MISSING_MS
        if now_ms < self._until_ms:
            return
        mode = _LOOKING if self.is_wanted else _DARK
        if self._written < len(_ZONES):
            self._ask(now_ms, _WRITE, _ZONES[self._written], _VALUES[self._written])
        elif self._mode != mode:
            self._ask(now_ms, _WRITE, _MODE_ZONE, mode)
        elif now_ms >= self._check_ms:
            at = self._checked
            is_last = at == len(_ZONES)
            zone, value = (_MODE_ZONE, mode) if is_last else (_ZONES[at], _VALUES[at])
            self._ask(now_ms, _READ, zone, value)

    def _ask(self, now_ms, kind, zone, value):
        """Write a value, or read whether it is still there."""
        self._kind, self._zone, self._value, self._answer = kind, zone, value, _NONE
        self._until_ms = now_ms + _ANSWER_MS
        self._uart.write(frame(kind, zone, 1 if kind == _READ else value))

    def _on_answer(self, now_ms):
        if self._kind == _READ:
            is_kept = self._answer == self._value
            self._checked += 1
            if not is_kept:
                self.resets += 1
                self._forget()
            if not is_kept or self._checked > len(_ZONES):
                # A module that never keeps a setting is not asked without end.
                self._checked = 0
                self._check_ms = now_ms + _CHECK_MS
        elif self._zone == _MODE_ZONE:
            self._mode = self._value
        else:
            self._written += 1
        self.is_present = True
        self._misses = 0
        self._until_ms = now_ms
        self._kind = _NONE

    def _forget(self):
        """Set it up from the beginning."""
        self._written = self._checked = 0
        self._mode = _NONE


def frame(kind, zone, value):
    """A command of one byte for a zone."""
    body = bytes((kind, 1, zone >> 8, zone & 0xFF, value))
    return b"\x7e\x00" + body + crc(body).to_bytes(2, "big")


def crc(data):
    """CRC-CCITT from 0, highest bit first."""
    remainder = 0
    for byte in data:
        remainder ^= byte << 8
        for _ in range(8):
            remainder <<= 1
            if remainder & 0x10000:
                remainder ^= 0x11021
    return remainder
