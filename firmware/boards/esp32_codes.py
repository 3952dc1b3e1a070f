"""The board object of a POS with a scanner: esp32.py with Wi-Fi, and a UART on pins it spares.

25 and 26 are RXD0 and RXD1 of a LAN8720: a board with a cable has no pin left for a scanner.
"""

import select

import machine
from machine import Pin

from firmware.boards.esp32 import Board, NotProvisioned

SCANNER_TX, SCANNER_RX = 25, 26
_UART_BAUD = 9600  # what GM65 and GM861 modules are shipped with
SCANNER_MA = 30  # what a GM65-S draws that is dark, as it is on battery without network


class CodeBoard(Board):
    """Everything the firmware may touch; NotProvisioned when it has no settings, or no Wi-Fi."""

    def _wire(self, nvs):
        """What a POS has, and its scanner."""
        if not self.net.has_radio:
            raise NotProvisioned("no wifi_ssid in NVS: with a cable no pin is left for a scanner")
        super()._wire(nvs)
        uart = machine.UART(2, baudrate=_UART_BAUD, tx=Pin(SCANNER_TX), rx=Pin(SCANNER_RX))
        self.waiting.register(uart, select.POLLIN)
        self.power.load_ma += SCANNER_MA
        self.scanner = uart  # a command has nine bytes: write() does not wait
