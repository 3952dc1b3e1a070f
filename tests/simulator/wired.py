"""A modelled RC522 on a bench: register access by hand, nothing of our own driver."""

import random

from simulator.cards.field import Field
from simulator.chips import mfrc522_registers as reg
from simulator.chips.mfrc522 import Mfrc522

END = reg.RX_IRQ | reg.IDLE_IRQ | reg.TIMER_IRQ
FACTORY_KEY = b"\xff" * 6


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now_us = 0

    def advance_us(self, duration_us: int) -> None:
        self.now_us += duration_us


class Wired:
    """The chip, awake, with or without the usual settings, and cards put before it."""

    def __init__(self, *cards, configure=True, seed=1, **chip_options) -> None:
        self.clock = Clock()
        self.field = Field(self.clock)
        self.chip = Mfrc522(self.clock, self.field, random.Random(seed), **chip_options)
        self.clock.advance_us(1000)
        for card in cards:
            self.field.place(card)
        if configure:
            self.configure()

    def configure(self) -> None:
        """Timer of 25 ms from the end of transmission, CRC preset, 100 % ASK, carrier, 5 ms."""
        self.timer(0xA9, 999)
        self.write(reg.TX_ASK, 0x40)
        self.write(reg.MODE, 0x3D)
        self.write(reg.TX_CONTROL, 0x83)
        self.clock.advance_us(5000)

    def timer(self, prescaler: int, reload: int, mode: int = 0x80) -> None:
        self.write(reg.T_MODE, mode | prescaler >> 8)
        self.write(reg.T_PRESCALER, prescaler & 0xFF)
        self.write(reg.T_RELOAD_HI, reload >> 8)
        self.write(reg.T_RELOAD_LO, reload & 0xFF)

    def write(self, address: int, *values: int) -> None:
        out = bytes((address << 1, *values))
        self.chip.exchange(out, bytearray(len(out)))

    def read_many(self, *addresses: int) -> bytes:
        out = bytes(0x80 | address << 1 for address in addresses) + b"\x00"
        into = bytearray(len(out))
        self.chip.exchange(out, into)
        return bytes(into[1:])

    def read(self, address: int) -> int:
        return self.read_many(address)[0]

    def crc(self, on: bool) -> None:
        for register in (reg.TX_MODE, reg.RX_MODE):
            value = self.read(register)
            self.write(register, value | 0x80 if on else value & 0x7F)

    def begin(self, data: bytes, last_bits: int = 0, align: int = 0) -> None:
        """Start a Transceive and return at once."""
        self.write(reg.COMMAND, reg.IDLE)
        self.write(reg.COM_IRQ, 0x7F)
        self.write(reg.FIFO_LEVEL, 0x80)
        self.write(reg.FIFO_DATA, *data)
        self.write(reg.BIT_FRAMING, align << 4 | last_bits)
        self.write(reg.COMMAND, reg.TRANSCEIVE)
        self.write(reg.BIT_FRAMING, 0x80 | align << 4 | last_bits)

    def wait(self, flags: int = END) -> int:
        """Poll ComIrqReg until one of `flags` is up; return the register."""
        for _ in range(5000):
            seen = self.read(reg.COM_IRQ)
            if seen & flags:
                return seen
        raise AssertionError("no interrupt in 5000 polls")

    def fifo(self) -> bytes:
        level = self.read(reg.FIFO_LEVEL)
        return self.read_many(*[reg.FIFO_DATA] * level) if level else b""

    def talk(self, data: bytes, last_bits: int = 0, align: int = 0) -> bytes | None:
        """Send a frame and return the answer, None when the timer ended it."""
        self.begin(data, last_bits, align)
        if not self.wait() & reg.RX_IRQ:
            return None
        return self.fifo()

    def wake(self, command: int = 0x26) -> bytes | None:
        self.crc(False)
        return self.talk(bytes((command,)), 7)

    def select(self, command: int = 0x26) -> bytes:
        """Wake and select a card that is alone; return its UID."""
        assert self.wake(command) is not None
        uid = b""
        for level in (0x93, 0x95):
            self.crc(False)
            part = self.talk(bytes((level, 0x20)))
            assert part is not None and len(part) == 5
            self.crc(True)
            sak = self.talk(bytes((level, 0x70)) + part)
            assert sak
            if not sak[0] & 4:
                return uid + part[:4]
            uid += part[1:4]
        raise AssertionError("cascade does not end")

    def authenticate(self, block: int, uid: bytes, key: bytes = FACTORY_KEY, which=0x60) -> bool:
        self.write(reg.COMMAND, reg.IDLE)
        self.write(reg.COM_IRQ, 0x7F)
        self.write(reg.FIFO_LEVEL, 0x80)
        self.write(reg.FIFO_DATA, which, block, *key, *uid[-4:])
        self.write(reg.COMMAND, reg.AUTHENT)
        return bool(self.wait(reg.IDLE_IRQ | reg.TIMER_IRQ | reg.ERR_IRQ) & reg.IDLE_IRQ)

    def error(self) -> int:
        return self.read(reg.ERROR)
