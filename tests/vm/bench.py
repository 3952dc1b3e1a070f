"""A reader's hardware at its simplest, and programs that run on it in a VM.

The card front end is a chip with 64 bytes of memory, the network is a loop, the flash can lose
power at any operation. Everything is logged.
"""

import time
from pathlib import Path

from protocols.rules import settings
from protocols.rules.spending import POLICY_FIELDS
from simulator.vm.home import VmHome

SECTOR_BYTES = 4096
SETTINGS = {
    "device": 1001,
    "site": "north",
    "merchant_no": 7,
    "device_key": bytes(range(32)),
    "purse_key": bytes(range(16)),
    "mac_key": bytes(range(16, 32)),
    "broker_host": "10.0.0.2",
    "broker_port": 1883,
    "policy": {**dict.fromkeys(POLICY_FIELDS, 1000), "pin_tries_max": 3, "since_pin_count_max": 0},
}
PROLOGUE = """
from firmware.boards.esp32 import Board, Net, Ticks
board = Board(Net)
"""


class PowerCut(BaseException):
    """As the flash model's: not an Exception, nobody handles it by accident."""


class Hardware:
    """See simulator.vm.parts. `wall_delay_s` makes every answer late in real time."""

    def __init__(self, flash=None, ticks_us=0, wall_delay_s=0.0):
        self.flash = flash if flash is not None else bytearray(b"\xff" * 16 * SECTOR_BYTES)
        self.nvs = {"settings": settings.encode(SETTINGS)}
        self.now_us = ticks_us
        self.utc = 1_790_000_000
        self.log = []
        self.keys = b""
        self.on_mains = True
        self.case_is_open = False
        self.link_up = True
        self.refuse = None
        self.streams = {}
        self.memory = bytearray(64)
        self.cut_at = None
        self.flash_operations = 0
        self._draw = 0
        self._wall_delay_s = wall_delay_s

    def ticks_us(self):
        if self._wall_delay_s:
            time.sleep(self._wall_delay_s)
        return self.now_us

    def sleep_us(self, duration_us):
        self.now_us += duration_us

    def utc_s(self):
        return self.utc

    def reset_cause(self):
        return 3

    def rfid_exchange(self, out):
        """The first byte is an address, what follows is written there; reads what was there."""
        old = bytes(self.memory[out[0] : out[0] + len(out) - 1])
        self.memory[out[0] : out[0] + len(out) - 1] = out[1:]
        self.log.append(("spi", out.hex()))
        return b"\x00" + old

    def lcd_write(self, data):
        self.log.append(("lcd", data.hex()))

    def rfid_irq(self):
        return 1 if self.memory[0] else 0

    def rfid_reset(self, level):
        self.log.append(("reset", level))

    def flash_size(self, start):
        return 0 if start else len(self.flash)

    def flash_read(self, address, size):
        return bytes(self.flash[address : address + size])

    def flash_program(self, address, data):
        self._count()
        self.log.append(("program", address, len(data)))
        for index, byte in enumerate(data):
            self.flash[address + index] &= byte

    def flash_erase(self, sector):
        self._count()
        self.log.append(("erase", sector))
        start = sector * SECTOR_BYTES
        self.flash[start : start + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES

    def _count(self):
        self.flash_operations += 1
        if self.flash_operations == self.cut_at:
            raise PowerCut

    def nvs_set(self, key, data):
        self.now_us += 3000
        self.log.append(("nvs", key, len(data)))
        self.nvs[key] = data

    def nvs_get(self, key):
        return self.nvs[key]

    def urandom(self, size):
        self._draw += 1
        return bytes([self._draw]) * size

    def net_is_up(self):
        return self.link_up

    def net_open(self, host, port):
        if self.refuse is not None:
            raise self.refuse
        self.log.append(("open", host, port))
        handle = len(self.streams) + 1
        self.streams[handle] = {"arrived": [], "connected": False, "broken": None}
        return handle

    def net_connected(self, handle):
        self._alive(handle)
        return self.streams[handle]["connected"]

    def net_send(self, handle, data):
        self._alive(handle)
        taken = data[:100]
        self.log.append(("send", taken))
        return len(taken)

    def net_recv(self, handle, size):
        self._alive(handle)
        arrived = self.streams[handle]["arrived"]
        return arrived.pop(0)[:size] if arrived else None

    def net_close(self, handle):
        self.log.append(("close", handle))

    def _alive(self, handle):
        if self.streams[handle]["broken"] is not None:
            raise self.streams[handle]["broken"]

    def keypad_read(self):
        keys, self.keys = self.keys, b""
        return keys

    def display_write(self, data):
        self.log.append(("display", data))

    def led(self, green, red):
        self.log.append(("led", green, red))

    def beep(self, duration_ms):
        self.log.append(("beep", duration_ms))

    def radio(self, level):
        self.log.append(("radio", level))

    def backlight(self, level):
        self.log.append(("backlight", level))

    def mains(self):
        return self.on_mains

    def is_open(self):
        return self.case_is_open

    def battery_mv(self):
        return 3721


def write_program(folder: Path, text: str) -> Path:
    """A firmware of one file: `text` after a board has been made."""
    folder.mkdir(exist_ok=True)
    (folder / "boot.py").write_text("")
    (folder / "main.py").write_text(PROLOGUE + text)
    return folder


def make_home(folder, text, hardware, **options):
    """A VmHome with a program; the source of `firmware` is compiled in the VM, so give it room."""
    options.setdefault("heap_bytes", 512 * 1024)
    return VmHome("bench", hardware, firmware_dir=write_program(folder, text), **options)


def printed(folder, text, hardware, **options):
    """What a program prints until it waits for the first time."""
    home = make_home(folder, text + "\nboard.wait(board.ticks_ms() + 1000)\n", hardware, **options)
    try:
        home.start()
        return home.stderr_tail().split("\n")[:-1]
    finally:
        home.kill()
