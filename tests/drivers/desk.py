"""A reader's antenna on a table: the real driver on the register model, in virtual time."""

import functools
import random

from adapters.aes import CIPHERS, aes
from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import Mfrc522
from firmware.services.purses import Purses
from protocols.card.identity import Identity
from protocols.card.personalise import personalise
from simulator.cards.field import Field
from simulator.cards.mifare_classic import MifareClassic
from simulator.chips import mfrc522 as model
from simulator.world.clock import ReaderClock, World

PURSE_KEY = bytes(range(16))
MAC_KEY = bytes(range(16, 32))
CREDIT_KEY = bytes(range(32, 48))
UID4 = bytes.fromhex("de3ac417")
UID7 = bytes.fromhex("04a1b2c3d4e5f6")
BALANCE_FEN = 10_000


def new_card(uid=UID4, seed=0, balance_fen=BALANCE_FEN, purse_key=PURSE_KEY, mac_key=MAC_KEY):
    """A personalised card."""
    blocks = _image(uid, balance_fen, purse_key, mac_key)
    return MifareClassic(uid, blocks, random.Random(seed))


@functools.cache
def _image(uid, balance_fen, purse_key, mac_key):
    identity = Identity(4711, 1, 20_000, 22_000, 1)
    return personalise(uid, identity, balance_fen, purse_key, CREDIT_KEY, mac_key, aes)


class _Bus:
    """The rfid part of the board: the chip, an interrupt wire that can break."""

    def __init__(self, chip):
        self.exchange = chip.exchange
        self.reset = chip.reset_pin
        self._chip = chip
        self.wire = "good"

    def irq(self):
        return {"good": self._chip.irq(), "cut": 1, "none": None, "shorted": 0}[self.wire]


class Desk:
    """Board, chip model, field and driver; `pcd` is ready to poll."""

    def __init__(self, seed=0, **settings):
        self.clock = ReaderClock(World(0))
        self.field = Field(self.clock)
        self.model = model.Mfrc522(self.clock, self.field, random.Random(seed))
        self.rfid = _Bus(self.model)
        self.settings = {"purse_key": PURSE_KEY, "mac_key": MAC_KEY, **settings}
        self.aes, self.aes_cbc = CIPHERS.aes, CIPHERS.aes_cbc
        self.urandom = random.Random(seed).randbytes
        self.ticks_us = lambda: self.clock.now_us
        self.sleep_us = self.clock.advance_us
        self.chip = Mfrc522(self)
        self.pcd = Pcd(self.chip)
        self.purses = Purses(self, self.pcd)

    def place(self, *cards):
        """Bring cards before the antenna, and give them the time to wake up in its field."""
        for card in cards:
            self.field.place(card)
        self.clock.advance_us(10_000)

    def purse(self, card):
        """The purse on a Card that `pcd.poll` gave."""
        return self.purses.of(card)

    def counted(self, act):
        """(result, transactions, bytes, virtual us) of `act()`."""
        start = self.model.transactions, self.model.bytes_moved, self.clock.now_us
        result = act()
        end = self.model.transactions, self.model.bytes_moved, self.clock.now_us
        return result, *(b - a for a, b in zip(start, end, strict=True))
