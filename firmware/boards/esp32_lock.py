"""The board object of a lock on batteries: an ESP32-WROOM-32E wired as in esp32_serial.py.

Four alkaline cells feed it by a linear regulator. What can wake it hangs on pins that the chip
looks at in deep sleep, with a pull-down each; the one of the case has a pull-up, which its switch
takes to ground while it is shut, so a cut wire is an open case. The key has a wake-up source of
its own: it may be back before the chip has booted, and is told all the same. While another input
is not at rest, that one has it, to wake the chip when it is let go: from then on it counts again.
In deep sleep no other pin is driven: pull-downs keep the motor at rest and the card front end,
whose reset is active low, in its power-down. The clock chip has a cell of its own and needs none
of it.
docs/adr/0030-a-lock-sleeps.md.
"""

import time
from binascii import crc32

import esp32
import machine
from machine import Pin

from firmware.boards.esp32 import BATTERY, Board, blob_of
from firmware.drivers.ds3231 import Ds3231
from protocols.rules import access, lock

TOUCH, KEY, INSIDE, LINE, CASE = 34, 36, 33, 27, 26
BOLT_THROWN, BOLT_DRAWN = 16, 17
MOTOR_DRAW, MOTOR_THROW = 18, 23
SDA, SCL = 25, 0  # SCL is a strapping pin, whose level has to be high: the bus pulls it up
_BATTERY_DIVIDER = 3  # of 2 Mohm in all
_I2C_BAUD = 400000
# Where the inputs hang, and as which bits of rules/lock.py; those that wake come first, and the
# first of them that is not at rest is waited for.
_INPUTS = (
    (TOUCH, lock.TOUCHED),
    (KEY, lock.KEY),
    (INSIDE, lock.INSIDE),
    (LINE, lock.LINE),
    (CASE, lock.INTACT),
    (BOLT_THROWN, lock.THROWN),
    (BOLT_DRAWN, lock.DRAWN),
)
_WAKING = 5
SLEEP_MS_MIN = 1000  # a boot costs more than to stay awake for so long
# Of what is retained: its CRC, when that was, and whether the key alone has a wake-up source.
_HEAD_BYTES = 9


class Bolt:
    """The inputs of the lock, and its motor."""

    def __init__(self):
        self._inputs = [(Pin(pin, Pin.IN), bit) for pin, bit in _INPUTS]
        self._key = self._inputs[1][0]
        self._draw = Pin(MOTOR_DRAW, Pin.OUT, value=0)
        self._throw = Pin(MOTOR_THROW, Pin.OUT, value=0)

    def levels(self):
        """The inputs, as bits of rules/lock.py."""
        levels = lock.INTACT
        for pin, bit in self._inputs:
            if pin():
                levels ^= bit
        return levels

    def drive(self, direction):
        """Let the motor rest, draw or throw; at its end a contact stops it by itself."""
        self._draw(0)
        self._throw(0)
        if direction:
            (self._draw if direction == lock.DRAW else self._throw)(1)

    def wakers(self):
        """(the pin with a wake-up source of its own, whether that wakes at 1, the other pins).

        Inputs at rest wake at 1. The first that is not wakes when it is let go, in the place of
        the key; one more of them would wake it at once, and is left out.
        """
        pins = [pin for pin, _ in self._inputs[:_WAKING]]
        held = [pin for pin in pins if pin()]
        own = held[0] if held else self._key
        return own, not held, [pin for pin in pins if pin is not own and pin not in held]


class Power:
    """The cells."""

    def __init__(self):
        self._battery = machine.ADC(Pin(BATTERY), atten=machine.ADC.ATTN_11DB)

    def battery_mv(self):
        return self._battery.read_uv() * _BATTERY_DIVIDER // 1000


class LockBoard(Board):
    """Everything the firmware of a lock may touch; NotProvisioned when it has no settings."""

    def _wire(self, nvs):
        """Bolt, cells, clock chip, and who may open it."""
        self.access = blob_of(nvs, "access", access.STORED_BYTES_MAX) or b""
        self.lock = Bolt()
        self.power = Power()
        self._chip = Ds3231(machine.I2C(0, sda=Pin(SDA), scl=Pin(SCL), freq=_I2C_BAUD))
        self._memory = machine.RTC().memory
        self._wakers = self.lock.wakers()
        is_key = machine.wake_reason() == machine.EXT0_WAKE and self._memory()[8:9] == b"\x01"
        self.woken = lock.KEY if is_key else 0

    def utc_s(self):
        """Seconds since 1970, or None when the clock chip has lost the time, or is not there."""
        try:
            return self._chip.utc_s()
        except OSError:
            return None

    def set_utc(self, utc_s):
        """Set the clock chip."""
        try:
            self._chip.set(utc_s)
        except OSError:
            pass  # nobody reads it then either

    def celsius(self):
        """Degrees at the clock chip, or None where it is not there."""
        try:
            return self._chip.celsius()
        except OSError:
            return None

    def retain(self, data):
        """Keep `data` (64 bytes at most) until the next boot, if that ends a sleep.

        What will end it is chosen here; an input that changes before it begins ends it at once.
        """
        self._wakers = self.lock.wakers()
        body = time.time().to_bytes(4, "little") + bytes((self._wakers[1],)) + data
        self._memory(crc32(body).to_bytes(4, "little") + body)

    def retained(self):
        """(what was retained, for how many ms), (b"", 0) where nothing was."""
        memory = self._memory()
        if len(memory) < _HEAD_BYTES:
            return b"", 0
        if crc32(memory[4:]) != int.from_bytes(memory[:4], "little"):
            return b"", 0
        # The chip's own timer, which sleep does not stop: 5 % are good enough here.
        slept_s = max(time.time() - int.from_bytes(memory[4:8], "little"), 0)
        return memory[_HEAD_BYTES:], slept_s * 1000

    def wait(self, due_ms):
        """As Board.wait; a wait that is long is slept through, and ends in a boot."""
        sleep_ms = due_ms - self.ticks_ms()
        if sleep_ms < SLEEP_MS_MIN:
            super().wait(due_ms)
            return
        own, is_at_1, pins = self._wakers
        esp32.wake_on_ext0(own, esp32.WAKEUP_ANY_HIGH if is_at_1 else esp32.WAKEUP_ALL_LOW)
        esp32.wake_on_ext1(pins, esp32.WAKEUP_ANY_HIGH)
        machine.deepsleep(sleep_ms)
