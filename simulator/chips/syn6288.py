"""A SYN6288 speech synthesizer, byte by byte on the line it listens to.

From the maker's data sheet (Yutone, 2010-02-22): 9600 8N1 from the factory; a frame is 0xFD, two
bytes of length, command, parameter, text, and the XOR of all before it; the length counts what
follows it, 203 at most, of it 200 of text. Command 1 speaks; the low three bits of its parameter
are the text's code (0 GB2312), the high five the music. A frame that comes while it speaks ends
what is spoken. It answers a good frame with 0x41, one it cannot take with 0x45, and says 0x4F when
it has spoken. [v0] to [v16] in a text is how loud, from there on. What comes between frames it
does not hear.

Assumed: how long it speaks, a fifth of a second for each character; that a pause of 100 ms in the
middle of a frame ends it. Not modelled: music, other commands (answered with 0x45), sleep.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

HEAD, SPEAK, GB2312 = 0xFD, 0x01, 0x00
LENGTH_MAX = 203
HEARD, REFUSED = 0x41, 0x45
CHARACTER_US = 200_000
GAP_US = 100_000
_BYTE_US = 10 * 1_000_000 // 9600
_VOLUME = re.compile(r"\[v(\d{1,2})\]")


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int


@dataclass
class Speech:
    """What was said from `time_us` on, how loud, and until when if nothing cuts it short."""

    time_us: int
    text: str
    volume: int
    until_us: int


class Syn6288:
    """`write` is what the line carries; `spoken` what people hear; `answers` its own TX."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._frame = b""
        self._heard_us = 0  # when the last byte had come
        self.spoken: list[Speech] = []
        self.answers = b""

    def write(self, data: bytes) -> None:
        """Bytes on the line, one behind the other."""
        begin_us = max(self._clock.now_us, self._heard_us)
        if begin_us - self._heard_us > GAP_US:
            self._frame = b""
        for number, byte in enumerate(data, 1):
            if self._frame or byte == HEAD:
                self._frame += bytes((byte,))
                self._take(begin_us + number * _BYTE_US)
        self._heard_us = begin_us + len(data) * _BYTE_US

    def _take(self, now_us: int) -> None:
        """The frame, if it is whole."""
        frame = self._frame
        if len(frame) < 3:
            return
        length = frame[1] << 8 | frame[2]
        if 3 <= length <= LENGTH_MAX and len(frame) < 3 + length:
            return
        self._frame = b""
        check = 0
        for byte in frame:
            check ^= byte
        if not 3 <= length <= LENGTH_MAX or check or frame[3] != SPEAK or frame[4] & 7 != GB2312:
            self.answers += bytes((REFUSED,))
            return
        self.answers += bytes((HEARD,))
        self._speak(frame[5:-1].decode("gb2312", "replace"), now_us)

    def _speak(self, text: str, now_us: int) -> None:
        if self.spoken:
            self.spoken[-1].until_us = min(self.spoken[-1].until_us, now_us)
        volumes = _VOLUME.findall(text)
        text = _VOLUME.sub("", text)
        volume = int(volumes[-1]) if volumes else 10
        self.spoken.append(Speech(now_us, text, volume, now_us + len(text) * CHARACTER_US))
