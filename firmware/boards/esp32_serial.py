"""What a reader hangs on by a serial line: RS-485, or a USB adapter on the same pins.

Any board without LAN8720 has the pins of its RMII to spare. NVS has the blob "serial_baud"
(decimal digits); radio and network stay off. The transceiver's DE and /RE are one wire with a
pull-down: it listens while nobody drives that, as during a reset. On USB that pin stays open.
"""

import select

import machine
from machine import Pin

from firmware.boards.esp32 import NotProvisioned, blob_of
from firmware.drivers.rs485 import Rs485
from protocols.wire.serial_client import SerialClient

LINE_RX, LINE_TX, LINE_DRIVE = 21, 22, 19
_BAUDS = (b"19200", b"38400", b"57600", b"115200")
_BAUD_BYTES_MAX = 8
# What arrives in the time that rs485.py lets pass, and a frame to speak.
_RX_BYTES, _TX_BYTES = 1024, 512


class Line(Rs485):
    """A line wakes the reader only while somebody reads it: else what it brings would for ever."""

    def __init__(self, uart, board):
        super().__init__(uart, Pin(LINE_DRIVE, Pin.OUT, value=0), board.ticks_ms)
        self._waiting = board.waiting

    def listen(self):
        self._waiting.register(self._uart, select.POLLIN)

    def close(self):
        self._waiting.unregister(self._uart)


class Net:
    """The link: a line that the agent polls; see Net of esp32.py."""

    has_radio = False

    def __init__(self, board, nvs):
        baud = blob_of(nvs, "serial_baud", _BAUD_BYTES_MAX)
        if baud not in _BAUDS:
            raise NotProvisioned("serial_baud in NVS: none of 19200, 38400, 57600, 115200")
        uart = machine.UART(
            2,
            baudrate=int(baud),
            tx=Pin(LINE_TX),
            rx=Pin(LINE_RX),
            txbuf=_TX_BYTES,
            rxbuf=_RX_BYTES,
        )
        self._line = Line(uart, board)
        self._board = board

    def client(self, *_):
        """Who speaks for the uplink on this line; names and passwords of a broker mean nothing."""
        return SerialClient(self._board.settings["device"], self._board.urandom)

    def is_up(self):
        """Whether there is a line: only polls can tell, and without them nobody is online."""
        return True

    def radio(self, level):
        """There is none."""

    def open(self, _host, _port):
        self._line.listen()
        return self._line
