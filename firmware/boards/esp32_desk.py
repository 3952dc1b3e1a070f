"""The board object of a library desk's reader: esp32.py, and a serial line to the desk's machine.

On pin 25, by way of a USB bridge; it only speaks. 25 belongs to a LAN8720 where there is a cable,
so this board has Wi-Fi. An ESP32 has no USB of its own: see esp32s3_desk.py for a keyboard.
"""

import machine
from machine import Pin

from firmware.boards.esp32 import Board, NotProvisioned, blob_of
from protocols.rules import card_number

DESK_TX, DESK_RX = 25, 26
_UART_BAUD = 9600
_FORMAT_BYTES_MAX = 16
_END = b"\r\n"
_RESTING_MS = 60000


class SerialDesk:
    """Numbers as lines; `told` as of drivers/usb_keyboard.py: nobody answers on this line."""

    told = True

    def __init__(self, uart):
        self._uart = uart

    def tell(self, text, _now_ms):
        """Send a number; its transmit buffer holds 256 bytes, so write() does not wait."""
        self._uart.write(text.encode() + _END)

    def step(self, now_ms):
        """There is nothing left to do."""
        return now_ms + _RESTING_MS


def format_of(nvs):
    """How numbers are told here; NotProvisioned if the NVS does not say."""
    form = (blob_of(nvs, "desk_format", _FORMAT_BYTES_MAX) or b"").decode()
    if form not in card_number.FORMATS:
        raise NotProvisioned("desk_format in NVS is none of " + " ".join(card_number.FORMATS))
    return form


class DeskBoard(Board):
    """Everything the firmware may touch; NotProvisioned without settings, Wi-Fi or a format."""

    def _wire(self, nvs):
        """What a POS has, the line to the desk, and how numbers are told there."""
        if not self.net.has_radio:
            raise NotProvisioned("no wifi_ssid in NVS: with a cable no pin is left for the desk")
        super()._wire(nvs)
        self.desk_format = format_of(nvs)
        self.desk = SerialDesk(
            machine.UART(2, baudrate=_UART_BAUD, tx=Pin(DESK_TX), rx=Pin(DESK_RX))
        )
