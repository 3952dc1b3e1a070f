"""The board object of a door with a scanner: esp32_door.py with Wi-Fi, and UART2 on 25 and 26.

These are RXD0 and RXD1 of a LAN8720. With a cable 17 alone is left, and no pin that can listen.
"""

import select

import machine
from machine import Pin

from firmware.boards.esp32 import UART_BAUD, NotProvisioned
from firmware.boards.esp32_codes import SCANNER_RX, SCANNER_TX
from firmware.boards.esp32_door import DoorBoard


class CodeDoorBoard(DoorBoard):
    """Everything the firmware may touch; NotProvisioned when it has no settings, or no Wi-Fi."""

    def _wire(self, nvs):
        """What a door has, and its scanner."""
        if not self.net.has_radio:
            raise NotProvisioned("no wifi_ssid in NVS: with a cable no pin is left for a scanner")
        super()._wire(nvs)
        uart = machine.UART(2, baudrate=UART_BAUD, tx=Pin(SCANNER_TX), rx=Pin(SCANNER_RX))
        self.waiting.register(uart, select.POLLIN)
        self.scanner = uart  # a command has nine bytes: write() does not wait
