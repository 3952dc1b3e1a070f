"""The board object of a library desk's reader that types: an ESP32-S3, a USB keyboard to the PC.

An ESP32-S3-WROOM-1 with MicroPython 1.25 or later, whose `machine.USBDevice` this needs; a classic
ESP32 has no USB of its own and speaks on a line (esp32_desk.py). Same parts as esp32.py on other
pins: 26-37 are the module's flash and PSRAM, 0, 3, 45 and 46 strapping, 43 and 44 the console, 19
and 20 the USB, which draws no power: the reader has its own. Sense and battery are on ADC1 (1-10).
No such board has been built.
"""

import select

import machine
from machine import Pin

from firmware.boards import esp32
from firmware.boards.esp32 import NotProvisioned, blob_of
from firmware.boards.esp32_desk import format_of
from firmware.drivers.usb_keyboard import UsbKeyboard

SCK, MOSI, MISO, CS = 12, 11, 13, 10
RFID_RESET, RFID_IRQ = 9, 14
KEYPAD_RX, DISPLAY_TX = 18, 17
LED_GREEN, LED_RED, BEEPER = 4, 5, 6
SENSE, BATTERY = 1, 2
BACKLIGHT = 7
_SPI_BAUD = 8000000
_SSID_BYTES_MAX = 64


class Rfid(esp32.Rfid):
    """The RC522's bus and pins on this board."""

    def __init__(self):
        self._spi = machine.SPI(
            1, baudrate=_SPI_BAUD, sck=Pin(SCK), mosi=Pin(MOSI), miso=Pin(MISO)
        )
        self._is_slow = False
        self._select = Pin(CS, Pin.OUT, value=1)
        self.irq = Pin(RFID_IRQ, Pin.IN).value
        self.reset = Pin(RFID_RESET, Pin.OUT, value=1).value


class Power(esp32.Power):
    """What the reader runs on."""

    def __init__(self):
        self.load_ma = esp32.WIFI_MA
        self.backlight = Pin(BACKLIGHT, Pin.OUT, value=1).value
        self._sense = machine.ADC(Pin(SENSE), atten=machine.ADC.ATTN_11DB)
        self._battery = machine.ADC(Pin(BATTERY), atten=machine.ADC.ATTN_11DB)


def net(board, nvs):
    """The link: Wi-Fi, for this chip has no RMII; NotProvisioned without."""
    if blob_of(nvs, "wifi_ssid", _SSID_BYTES_MAX) is None:
        raise NotProvisioned("no wifi_ssid in NVS: an ESP32-S3 has no wire to a network")
    return esp32.Net(board, nvs)


class UsbDeskBoard(esp32.Board):
    """Everything the firmware may touch; NotProvisioned without settings, Wi-Fi or a format."""

    def __init__(self):
        super().__init__(net, Rfid, LED_GREEN, LED_RED, BEEPER)

    def _wire(self, nvs):
        """Keypad, pole display, supply, and the keyboard that the PC sees."""
        uart = machine.UART(1, baudrate=esp32.UART_BAUD, tx=Pin(DISPLAY_TX), rx=Pin(KEYPAD_RX))
        self.waiting.register(uart, select.POLLIN)
        self.keypad = esp32.Keypad(uart)
        self.display = uart
        self.power = Power()
        self.desk_format = format_of(nvs)
        # The stubs describe a chip without it.
        device = machine.USBDevice()  # pyright: ignore[reportAttributeAccessIssue]
        self.desk = UsbKeyboard(device)
