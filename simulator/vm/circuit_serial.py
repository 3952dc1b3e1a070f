"""The circuit board of a reader on a serial line: a transceiver on three pins more.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32_serial.py.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.vm.circuit import OUTPUTS, Circuit, WiringError
from simulator.vm.circuit_door import DoorCircuit
from simulator.vm.parts import LineHardware

LINE_DRIVE = "line drive"
RECEIVE_PIN, SEND_PIN, DRIVE_PIN = 21, 22, 19


class SerialCircuit(Circuit):
    """Circuit with an RS-485 transceiver."""

    outputs: ClassVar[dict[int, str]] = {**OUTPUTS, DRIVE_PIN: LINE_DRIVE}

    def __init__(self, hardware: LineHardware) -> None:
        super().__init__(hardware)
        self._line = hardware
        self._levels[LINE_DRIVE] = 0

    def pin_write(self, pin: int, level: int, data: bytes) -> None:
        super().pin_write(pin, level, data)
        if pin == DRIVE_PIN:
            self._line.line_drive(level)

    def uart_read(self, pin: int, size: int, data: bytes) -> bytes:
        if pin == RECEIVE_PIN:
            return self._line.line_read(size)
        return super().uart_read(pin, size, data)

    def uart_write(self, pin: int, b: int, data: bytes) -> None:
        if pin != SEND_PIN:
            super().uart_write(pin, b, data)
            return
        if not self._levels[LINE_DRIVE]:
            raise WiringError("nobody hears a transceiver that listens")
        self._line.line_write(data)

    def uart_flush(self, pin: int, b: int, data: bytes) -> None:
        if pin != SEND_PIN:
            super().uart_flush(pin, b, data)
            return
        self._line.line_flush()


class SerialDoorCircuit(SerialCircuit, DoorCircuit):
    """The same on the board of a door controller."""

    outputs: ClassVar[dict[int, str]] = {**DoorCircuit.outputs, DRIVE_PIN: LINE_DRIVE}
