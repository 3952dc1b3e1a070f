"""The board object of a door controller: an ESP32-WROOM-32E wired as in esp32.py where it can be.

Without PSRAM its pins 16 and 17 are free. What a door has instead of displays and battery are
inputs, by way of a shift register (74HC165): every wire ends on an input of its own that a
resistor pulls down, so a wire that is cut reads 0. The lock hangs on one pin, and on none of its
levels: see docs/adr/0019-pulses-hold-the-door.md.
"""

import select

import esp32
import machine
from machine import Pin

from firmware.boards.esp32 import KEYPAD_RX, UART_BAUD, Board, Keypad, blob_of
from protocols.rules import access

# The register's inputs A to G are the bits of rules/door.py from 0 on; H is tied to ground.
LOAD, CLOCK, DATA = 32, 33, 36
PULSES = 16
# UART1 listens to a serial keypad; nothing hangs on the other pin, which has to be given.
KEYPAD_TX = 17
_INPUTS = 8
# 80 MHz / 250 = 320 ticks in a ms: eight edges, 12.5 ms apart, and then low, by the chip itself.
_CLOCK_DIV, _GAP_TICKS = 250, 4000
_TRAIN = (True, False) * 4


class Lock:
    """The door's inputs, and the pulses that hold it."""

    def __init__(self):
        self._load = Pin(LOAD, Pin.OUT, value=1)
        self._clock = Pin(CLOCK, Pin.OUT, value=0)
        self._data = Pin(DATA, Pin.IN)
        self._pulses = esp32.RMT(1, pin=Pin(PULSES), clock_div=_CLOCK_DIV)

    def levels(self):
        """The inputs, as bits of rules/door.py."""
        load, clock, data = self._load, self._clock, self._data
        load(0)
        load(1)
        levels = 0
        for _ in range(_INPUTS):
            levels = levels << 1 | data()
            clock(1)
            clock(0)
        return levels

    def train(self):
        """Begin a train of pulses, unless one is under way; it ends by itself."""
        if self._pulses.wait_done(timeout=0):
            self._pulses.write_pulses(_GAP_TICKS, _TRAIN)


class DoorBoard(Board):
    """Everything the firmware of a door may touch; NotProvisioned when it has no settings."""

    def _wire(self, nvs):
        """The lock, who may open it, and a keypad."""
        self.access = blob_of(nvs, "access", access.STORED_BYTES_MAX) or b""
        self.lock = Lock()
        uart = machine.UART(1, baudrate=UART_BAUD, tx=Pin(KEYPAD_TX), rx=Pin(KEYPAD_RX))
        self.waiting.register(uart, select.POLLIN)
        self.keypad = Keypad(uart)
