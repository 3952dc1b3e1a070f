"""A POS with two slots in this process: loader, role and updater on modelled flash, and a depot.

What stands in a slot here is any bytes: which version a boot runs is what the kept value says of
the slot that the rules of the loader (protocols/rules/slots.py) have chosen.
"""

import hashlib
import random

from firmware.roles import pos, updater
from firmware.services import built, update
from protocols.rules import settings, slots
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.board import HostBoard, Restarted
from simulator.host.hardware import Hardware
from simulator.world.clock import World
from tests.firmware.counter import DEVICE, DEVICE_KEY, MERCHANT, NOON_S, POLICY, SITE
from tests.firmware.depot import Depot

SECTOR_BYTES = 4096
SLOT_SECTORS = 4
SLOT_BYTES = SLOT_SECTORS * SECTOR_BYTES
LATENCY_US = 3_000
OLD = random.Random(1).randbytes(9_000)
NEW = random.Random(2).randbytes(5_000)


class Log:
    """Nobody reads the transcript here."""

    def add(self, *_):
        """One line of it."""


class Cuts(Hardware):
    """Counts what is stored in the key-value store, and may lose power before or behind that."""

    stores = 0
    cut_at_store, is_late, is_worn = -1, False, False

    def nvs_set(self, key, data):
        """See Hardware."""
        if self.is_worn:
            raise OSError("the key-value store is worn")
        self.stores += 1
        is_cut = self.stores == self.cut_at_store
        if not is_cut or self.is_late:
            super().nvs_set(key, data)
        if is_cut:
            raise PowerCut("while something is stored")


class Cable:
    """To the depot."""

    plugged = True

    def __init__(self, depot):
        self._depot = depot

    def open(self):
        """A wire as a stream of the hardware."""
        wire = self._depot.net.open("", 0)
        wire.is_open = True
        receive = wire.recv
        wire.recv = lambda size, _now_us: receive(size)
        return wire


class Workshop:
    """Runs it; `monkeypatch` sets the version that the running image has."""

    def __init__(self, monkeypatch, new=NEW, seed=0, version=1):
        draw = random.Random(seed)
        self._patch = monkeypatch
        self.world = World(NOON_S)
        names = "site merchant_no device_key purse_key mac_key broker_host broker_port policy"
        values = (SITE, MERCHANT, DEVICE_KEY, bytes(16), bytes(16), "192.0.2.1", 1883, POLICY)
        own = dict(zip(names.split(), values, strict=True))
        state = slots.first(version, len(OLD), hashlib.sha256(OLD).digest())
        nvs = {
            "settings": settings.encode({"device": DEVICE, **own}),
            slots.STORED_AS: slots.encode(state),
        }
        self.images = NorFlash(2 * SLOT_BYTES, draw)
        self.images.load(OLD + b"\xff" * (2 * SLOT_BYTES - len(OLD)))
        self.flash = NorFlash(8 * SECTOR_BYTES, draw)
        self.hardware = Cuts(
            "pos", self.world, Log(), self.flash, nvs, draw, image_flash=self.images
        )
        self.clock = self.hardware.clock
        self.depot = Depot(DEVICE, SITE, DEVICE_KEY, self.utc_s, new, version + 1)
        self.hardware.cable = Cable(self.depot)
        self.device = None
        self.program = ""
        self.boots = 0

    def utc_s(self):
        return self.world.utc_s(self.clock.now_us)

    # -- what is kept -------------------------------------------------------------------------

    @property
    def state(self):
        return slots.decode(self.hardware.nvs[slots.STORED_AS])

    @property
    def running(self):
        """(version, whether proven)."""
        slot = self.state[slots.IN_USE]
        return slots.image(self.state, slot)[0], not self.state[slots.IS_TRIAL]

    def is_whole(self, slot):
        """Whether what a slot holds is what is kept of it."""
        _, size, digest = slots.image(self.state, slot)
        found = bytearray(min(size, SLOT_BYTES))
        self.images.read(slot * SLOT_BYTES, found)
        return size <= SLOT_BYTES and hashlib.sha256(found).digest() == digest

    # -- lives --------------------------------------------------------------------------------

    def boot(self):
        """As firmware/boards/esp32_loader.py."""
        self.boots += 1
        for flash in (self.flash, self.images):
            if not flash.is_powered:
                flash.power_on()
        self.world.now_us = max(self.world.now_us, self.clock.now_us)
        self.hardware.power_on()
        before, nvs = self.state, self.hardware.nvs
        state = slots.booting(before, self.is_whole)
        assert state is not None, "neither image is whole"
        is_same = state[slots.IN_USE] == before[slots.IN_USE]
        stored = nvs.get(update.STORED_AS, b"")
        goes = is_same and stored[:1] == update.GO
        if goes:
            self.hardware.nvs_set(update.STORED_AS, b"\x00" + stored[1:])
        else:
            self.hardware.nvs_set(slots.STORED_AS, slots.encode(state))
        self._patch.setattr(built, "VERSION", slots.image(state, state[slots.IN_USE])[0])
        board = HostBoard(self.hardware)
        self.program = "updater" if goes or not is_same else "pos"
        self.ticks_us = board.ticks_us
        self.device = (updater.build if self.program == "updater" else pos.build)(board)

    def die(self):
        """The power is gone."""
        self.device = None
        self.hardware.power_off()
        for flash in (self.flash, self.images):
            flash.cut()
        self.hardware.cut_at_store = -1

    def run(self, seconds, until=lambda: False):
        """So much of its time; whether it came to `until`. What cuts the power is survived."""
        end_us = self.clock.now_us + int(seconds * 1_000_000)
        while self.clock.now_us < end_us:
            if until():
                return True
            try:
                self._step()
            except PowerCut:
                self.die()
            except Restarted:
                self.device = None
                self.hardware.power_off()
        return until()

    def _step(self):
        if self.device is None:
            self.boot()
        due_ms = self.device.step(self.ticks_us() // 1000)
        wait_us = max(due_ms * 1000 - self.ticks_us(), 0)
        self.clock.advance_us(min(wait_us, LATENCY_US) if self.depot.step() else wait_us)
