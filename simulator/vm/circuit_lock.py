"""The circuit board of a lock on batteries: which pin of the ESP32-WROOM goes to which part.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32_lock.py.
"""

from __future__ import annotations

from typing import ClassVar

from protocols.rules import lock
from simulator.vm.circuit import (
    LED_GREEN,
    LED_RED,
    RFID_IRQ,
    RFID_RESET,
    RFID_SELECT,
    WiringError,
)
from simulator.vm.circuit_serial import DRIVE_PIN, LINE_DRIVE, SerialCircuit
from simulator.vm.parts import LockHardware

DRAW, THROW = "draw", "throw"
KEY_PIN = 36
# Inputs, as bits of rules/lock.py. The switch of the case pulls its pin down while it is shut.
INPUTS = {
    KEY_PIN: lock.KEY,
    34: lock.TOUCHED,
    33: lock.INSIDE,
    27: lock.LINE,
    26: lock.INTACT,
    16: lock.THROWN,
    17: lock.DRAWN,
}
# Of those, what the chip sees while it sleeps: pins of its RTC.
WAKING = (KEY_PIN, 34, 33, 27, 26)
I2C_PINS = 25 << 16 | 0 << 8  # sda, scl
BATTERY_DIVIDER = 3
_ADC_UV_MAX = 2_900_000


class LockCircuit(SerialCircuit):
    """SerialCircuit with bolt, cells and a clock chip, without what only a POS has."""

    outputs: ClassVar[dict[int, str]] = {
        5: RFID_SELECT,
        2: RFID_RESET,
        15: LED_GREEN,
        12: LED_RED,
        18: DRAW,
        23: THROW,
        DRIVE_PIN: LINE_DRIVE,
    }
    inputs: ClassVar[dict[int, str]] = {39: RFID_IRQ, **dict.fromkeys(INPUTS, "input")}
    keypad_pin, display_pin, sense_pin = 0, 0, 0

    def __init__(self, hardware: LockHardware) -> None:
        super().__init__(hardware)
        self._lock = hardware
        self._levels.update({DRAW: 0, THROW: 0})

    def pin_write(self, pin: int, level: int, data: bytes) -> None:
        super().pin_write(pin, level, data)
        if self.outputs[pin] in (DRAW, THROW):
            levels = self._levels[DRAW], self._levels[THROW]
            if levels == (1, 1):
                raise WiringError("both sides of the motor's bridge are driven")
            self._lock.bolt_drive(lock.DRAW if levels[0] else lock.THROW if levels[1] else 0)

    def pin_read(self, pin: int, b: int, data: bytes) -> int:
        if pin in INPUTS:
            return int(bool((self._lock.bolt_levels() ^ lock.INTACT) & INPUTS[pin]))
        return super().pin_read(pin, b, data)

    def adc_read_uv(self, pin: int, _b: int, _data: bytes) -> int:
        if pin != self.battery_pin:
            raise WiringError(f"no voltage on pin {pin}")
        return min(self._lock.battery_mv() * 1000 // BATTERY_DIVIDER, _ADC_UV_MAX)

    def i2c_read(self, pins: int, what: int, _data: bytes) -> bytes:
        if pins & ~0xFF != I2C_PINS:
            raise WiringError("I2C on pins where no bus is")
        return self._lock.i2c_read(pins & 0xFF, what >> 8, what & 0xFF)

    def i2c_write(self, pins: int, register: int, data: bytes) -> int:
        if pins & ~0xFF != I2C_PINS:
            raise WiringError("I2C on pins where no bus is")
        self._lock.i2c_write(pins & 0xFF, register, data)
        return 0

    def fall_asleep(self, own: int, pins: bytes) -> None:
        """Deep sleep, which these pins end at 1, and that of EXT0 (`own` >> 1) at its level."""
        own_pin, level = own >> 1, own & 1
        if own_pin not in WAKING or not set(pins) <= set(WAKING) - {own_pin}:
            raise WiringError(f"pins {own_pin} and {list(pins)} are not wired to wake it")
        self._lock.fall_asleep(INPUTS[own_pin], level, sum(INPUTS[pin] for pin in pins))

    def wake_up(self) -> int:
        """The sleep is over; how long the boot takes, in us."""
        return self._lock.wake_up()

    def wake_reason(self, *_: object) -> int:
        """As the port numbers it."""
        return self._lock.wake_reason()

    def retained(self, *_: object) -> bytes:
        """What sleep has left."""
        return self._lock.rtc_memory

    def retain(self, _a: int, _b: int, data: bytes) -> None:
        """What sleep shall leave."""
        self._lock.rtc_memory = data
