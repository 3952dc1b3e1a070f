"""A DS3231, register by register: it runs on a cell of its own, whatever the lock runs on.

After Maxim's data sheet 19-5170: time and control registers, the oscillator-stop flag, the
temperature. A write to its seconds begins a new second. Not modelled: alarms, aging offset, the
12-hour form, a bus that is cut off in the middle of a byte.
"""

from __future__ import annotations

import calendar
import time
from typing import Protocol

ADDRESS = 0x68
REGISTERS = 0x13
_TIME_BYTES, _CONTROL, _STATUS, _CELSIUS = 7, 0x0E, 0x0F, 0x11
_STOPPED = 0x80
_EPOCH_2000_S = 946_684_800
_SECOND_US = 1_000_000


class Clock(Protocol):
    """Whoever owns the time."""

    now_us: int


class Ds3231:
    """The chip. `drift_ppm` is its crystal's (data sheet: 2 from 0 to 40 degrees), `celsius` set
    by the world; `stop()`: its own cell was out, and is back."""

    def __init__(self, clock: Clock, utc_s: int, celsius: int = 20, drift_ppm: int = 2) -> None:
        self._clock = clock
        self.celsius = celsius
        self.drift_ppm = drift_ppm
        self._control, self._status = 0x1C, 0
        self._set_s, self._set_us = utc_s, clock.now_us

    def stop(self) -> None:
        """It has no power: what it knew is gone, as the data sheet gives it at power-on."""
        self._status = _STOPPED
        self._control = 0x1C
        self._set_s, self._set_us = _EPOCH_2000_S, self._clock.now_us

    def write(self, register: int, data: bytes) -> None:
        """A write that begins at a register; past the last one it goes on at the first."""
        image = bytearray(self._image())
        places = [(register + at) % REGISTERS for at in range(len(data))]
        for place, byte in zip(places, data, strict=True):
            image[place] = byte
        if _CONTROL in places:
            self._control = image[_CONTROL]
        if _STATUS in places:
            self._status &= image[_STATUS] | ~_STOPPED  # the flag can be cleared, not set
        if any(place < _TIME_BYTES for place in places):
            second, minute, hour, _, day, month, year = [
                (byte >> 4) * 10 + (byte & 15) for byte in image[:_TIME_BYTES]
            ]
            moment = (2000 + year, month & 0x1F, day, hour, minute, second)
            self._set_s, self._set_us = calendar.timegm(moment), self._clock.now_us

    def read(self, register: int, count: int) -> bytes:
        """So many bytes from a register on."""
        image = self._image()
        return bytes(image[(register + at) % REGISTERS] for at in range(count))

    def _image(self) -> bytes:
        elapsed_us = self._clock.now_us - self._set_us
        now_s = self._set_s + elapsed_us * (1_000_000 + self.drift_ppm) // 10**6 // _SECOND_US
        moment = time.gmtime(now_s)
        fields = (
            *(moment.tm_sec, moment.tm_min, moment.tm_hour, moment.tm_wday + 1),
            *(moment.tm_mday, moment.tm_mon, moment.tm_year % 100),
        )
        image = bytearray(REGISTERS)
        image[:_TIME_BYTES] = bytes(field // 10 << 4 | field % 10 for field in fields)
        image[_CONTROL], image[_STATUS] = self._control, self._status
        image[_CELSIUS] = self.celsius & 0xFF
        return bytes(image)
