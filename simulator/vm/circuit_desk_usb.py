"""The circuit board of a library desk's reader that types: an ESP32-S3, and the PC on its USB.

Drawn a second time, as circuit.py is, and not taken from firmware/boards/esp32s3_desk.py.
"""

from __future__ import annotations

from typing import ClassVar

from simulator.vm import circuit
from simulator.vm.circuit import Circuit
from simulator.vm.parts import Usb, UsbHardware


class UsbDeskCircuit(Circuit):
    """The parts of Circuit on this chip's pins, and its USB on 19 and 20."""

    outputs: ClassVar[dict[int, str]] = {
        10: circuit.RFID_SELECT,
        9: circuit.RFID_RESET,
        4: circuit.LED_GREEN,
        5: circuit.LED_RED,
        7: circuit.BACKLIGHT,
    }
    inputs: ClassVar[dict[int, str]] = {14: circuit.RFID_IRQ}
    keypad_pin, display_pin, battery_pin = 18, 17, 2
    sense_pin, beeper_pin, rfid_bus = 1, 6, (12, 11, 13)

    def __init__(self, hardware: UsbHardware) -> None:
        super().__init__(hardware)
        self._usb = hardware

    def usb(self) -> Usb:
        return self._usb
