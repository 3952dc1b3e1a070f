"""Journals for tests: written by the firmware's own code on modelled flash, and sealed."""

import random

from firmware.services.journal import Journal
from protocols.wire import messages, seal
from simulator.chips.nor_flash import NorFlash
from tools.journal.capture import Capture
from tools.journal.locate import Place

DEVICE = 1001
KEY, NEXT_KEY = bytes(range(32)), bytes(range(32, 64))
SECTORS, SECTOR_BYTES = 8, 4096
TIME_S = 1_790_000_000
OUTCOME = {"intent_device": DEVICE, "intent_seq": 2, "result": messages.COMMITTED}


class Device:
    """A reader, as far as its journal goes; `key` and `device` may be changed on the way."""

    def __init__(self, seed=5, sectors=SECTORS):
        print("seed", seed)
        self.flash = NorFlash(sectors * SECTOR_BYTES, random.Random(seed))
        self.device, self.key = DEVICE, KEY
        self.boot()

    def boot(self):
        self.flash.power_on()
        self.journal = Journal(self.flash)
        self.journal.recover()

    def sealed(self, kind, seq=None, link=None, **fields):
        head = {
            "kind": kind,
            "device": self.device,
            "seq": self.journal.head_seq + 1 if seq is None else seq,
            "earliest_s": TIME_S,
            "latest_s": TIME_S + 3,
            "boot_id": 1,
            "mono_ms": 0,
        }
        payload = messages.encode_record(head | fields)
        return seal.seal(self.key, payload, self.journal.head_link if link is None else link)

    def write(self, kind=messages.OUTCOME, **fields):
        self.journal.append(self.sealed(kind, **(fields or OUTCOME)))

    def outcomes(self, count):
        for _ in range(count):
            self.write()

    def capture(self):
        return captured(self.flash.image())


def captured(data, missing=()):
    """A capture of these bytes, of which nobody knows where they are from."""
    return Capture(bytes(data), Place(None, len(data), "test"), missing)
