"""The circuit boards with a scanner: circuit.py, and a UART on pins that Wi-Fi spares.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32_codes.py.
"""

from __future__ import annotations

from simulator.vm.circuit import Circuit
from simulator.vm.circuit_door import DoorCircuit
from simulator.vm.parts import CodeHardware

SCANNER_TX_PIN, SCANNER_RX_PIN = 25, 26


class CodeCircuit(Circuit):
    """Circuit with a scanner."""

    def __init__(self, hardware: CodeHardware) -> None:
        super().__init__(hardware)
        self._codes = hardware

    def uart_read(self, pin: int, b: int, data: bytes) -> bytes:
        if pin == SCANNER_RX_PIN:
            return self._codes.scanner_read()
        return super().uart_read(pin, b, data)

    def uart_write(self, pin: int, b: int, data: bytes) -> None:
        if pin == SCANNER_TX_PIN:
            self._codes.scanner_write(data)
            return
        super().uart_write(pin, b, data)


class CodeDoorCircuit(CodeCircuit, DoorCircuit):
    """The same on the board of a door controller."""
