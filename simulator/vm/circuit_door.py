"""The circuit board of a door controller: which pin of the ESP32-WROOM goes to which part.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32_door.py.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.vm.circuit import (
    LED_GREEN,
    LED_RED,
    RFID_IRQ,
    RFID_RESET,
    RFID_SELECT,
    Circuit,
    WiringError,
)
from simulator.vm.parts import DoorHardware

LOAD, CLOCK, DATA = "load", "clock", "data"
PULSES_PIN = 16
TRAIN_US = 100_000
_REGISTER_BITS = 8


class DoorCircuit(Circuit):
    """Circuit with a shift register of inputs and a lock, without what only a POS has."""

    outputs: ClassVar[dict[int, str]] = {
        5: RFID_SELECT,
        2: RFID_RESET,
        15: LED_GREEN,
        12: LED_RED,
        32: LOAD,
        33: CLOCK,
    }
    inputs: ClassVar[dict[int, str]] = {39: RFID_IRQ, 36: DATA}
    keypad_pin, display_pin, battery_pin, sense_pin = 34, 0, 0, 0

    def __init__(self, hardware: DoorHardware) -> None:
        super().__init__(hardware)
        self._door = hardware
        self._levels.update({LOAD: 1, CLOCK: 0})
        self._register = 0

    def pin_write(self, pin: int, level: int, data: bytes) -> None:
        part = self.outputs.get(pin, "")
        before = self._levels.get(part)
        super().pin_write(pin, level, data)
        if part == LOAD and not level:
            self._register = self._door.lock_levels()
        elif part == CLOCK and level and not before and self._levels[LOAD]:
            self._register = self._register << 1 & (1 << _REGISTER_BITS) - 1

    def pin_read(self, pin: int, b: int, data: bytes) -> int:
        if self.inputs.get(pin, "") == DATA:
            return self._register >> _REGISTER_BITS - 1
        return super().pin_read(pin, b, data)

    def pulse(self, pin: int, duration_us: int, data: bytes) -> None:
        if pin != PULSES_PIN:
            super().pulse(pin, duration_us, data)
            return
        if duration_us != TRAIN_US:
            raise WiringError(f"a train of {duration_us} us: what was modelled has {TRAIN_US}")
        self._door.lock_train()

    def pulse_done(self, pin: int, _b: int, _data: bytes) -> int:
        if pin != PULSES_PIN:
            raise WiringError(f"nobody asks whether pin {pin} is done")
        return int(not self._door.lock_is_sending())
