"""Polls an empty field and a resting card with the heap locked: an allocation is a MemoryError.

Runs in MicroPython only. The chip here is just enough of one to let the driver's frames through;
what they mean on the air is the register model's business.
"""

import micropython

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522

COM_IRQ, FIFO_DATA, FIFO_LEVEL, BIT_FRAMING, VERSION = 0x04, 0x09, 0x0A, 0x0D, 0x37
ANSWERS = {0x52: (2, 0x04), 0x93: (1, 0x08)}  # command -> bytes of answer, first byte


class Chip:
    """Registers that keep what is written, and an answer for two commands when `has_card`."""

    def __init__(self):
        self.registers = bytearray(64)
        self.registers[VERSION] = 0x92
        self.has_card = False
        self.command = 0
        self.exchanges = 0

    def exchange(self, out, into):
        self.exchanges += 1
        address = out[0] >> 1 & 0x3F
        if out[0] & 0x80:
            for i in range(1, len(out)):
                into[i] = self.registers[out[i - 1] >> 1 & 0x3F]
        elif address == FIFO_DATA:
            self.command = out[1]
        elif address == COM_IRQ:
            self.registers[COM_IRQ] = 0
        elif address == BIT_FRAMING:
            self.answer()
        elif address != FIFO_LEVEL:
            self.registers[address] = out[1]

    def answer(self):
        if self.has_card and self.command in ANSWERS:
            self.registers[FIFO_LEVEL] = ANSWERS[self.command][0]
            self.registers[FIFO_DATA] = ANSWERS[self.command][1]
            self.registers[COM_IRQ] = 0x20
        else:
            self.registers[FIFO_LEVEL] = 0
            self.registers[COM_IRQ] = 0x01

    def irq(self):
        return 0 if self.registers[COM_IRQ] else 1

    def reset(self, level):
        pass


class Board:
    """What the driver needs of one."""

    def __init__(self, chip, settings):
        self.rfid = chip
        self.settings = settings
        self.now_us = 0

    def ticks_us(self):
        return self.now_us

    def sleep_us(self, duration_us):
        self.now_us += duration_us


class Resting:
    """A card as `Pcd` remembers it."""

    uid = b"\x01\x02\x03\x04"
    sak = 0x08


def polls_locked(pcd, pause_us=0):
    """Whether ten polls with a locked heap, so far apart, find the same as the one before them."""
    expected = pcd.poll()
    same = True
    micropython.heap_lock()
    try:
        for _ in range(10):
            same = same and pcd.poll() is expected
            pcd.chip.sleep_us(pause_us)
    finally:
        micropython.heap_unlock()
    return same


def dark():
    """A field that goes dark for 100 ms between two looks, polled every 30 ms."""
    chip = Chip()
    pcd = Pcd(Mfrc522(Board(chip, {"rfid_pause_ms": 100})))
    pcd.poll()
    pcd.chip.sleep_us(100_000)
    before = chip.exchanges
    print("dark", polls_locked(pcd, 30_000), pcd.card, chip.exchanges - before)


def main():
    """Print one line for each of the fields."""
    chip = Chip()
    pcd = Pcd(Mfrc522(Board(chip, {})))
    print("empty", polls_locked(pcd), pcd.card)
    before = chip.exchanges
    pcd.poll()
    print("exchanges", chip.exchanges - before)
    chip.has_card = True
    pcd.card = Resting()
    print("resting", polls_locked(pcd), pcd.card.uid)
    dark()


main()
