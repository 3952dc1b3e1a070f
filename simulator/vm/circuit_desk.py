"""The circuit board of a library desk's reader: circuit.py, and a line to the desk's machine.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32_desk.py.
"""

from __future__ import annotations

from simulator.vm.circuit import Circuit
from simulator.vm.parts import DeskHardware

DESK_TX_PIN = 25


class DeskCircuit(Circuit):
    """Circuit with somebody at the other end of pin 25."""

    def __init__(self, hardware: DeskHardware) -> None:
        super().__init__(hardware)
        self._desk = hardware

    def uart_write(self, pin: int, b: int, data: bytes) -> None:
        if pin == DESK_TX_PIN:
            self._desk.desk_write(data)
            return
        super().uart_write(pin, b, data)
