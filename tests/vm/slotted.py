"""A POS with two images in a real MicroPython, and the depot that its firmware comes from."""

import hashlib
import random

from protocols.rules import settings, slots
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.hardware import Hardware
from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.home import HEAP_BYTES, VmHome
from simulator.vm.image import program_no
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.firmware.depot import Depot
from tests.vm.bench import SETTINGS

SECTOR_BYTES = 4096
SLOT_BYTES = 48 * SECTOR_BYTES
UTC_S = 1_790_000_000
LATENCY_US = 3_000


class Stream:
    """What Hardware wants of a stream, over a wire of tests/link/bench.py."""

    def __init__(self, wire):
        self._wire = wire
        self.is_open = True

    def send(self, data):
        return self._wire.send(data)

    def recv(self, size, _now_us):
        return self._wire.recv(size)

    def close(self):
        self._wire.close()


class Cable:
    """The depot at its other end."""

    plugged = True

    def __init__(self, depot):
        self._depot = depot

    def open(self):
        return Stream(self._depot.net.open("", 0))


class Slotted:
    """The reader; `old` is in slot 0, proven, as it comes from the workshop."""

    def __init__(
        self,
        loader,
        old,
        version,
        new=b"",
        seed=1,
        heap_bytes=HEAP_BYTES,
        probe=ops.PROBE_OFF,
        answer_timeout_s=20.0,
    ):
        draw = random.Random(seed)
        self.world = World(UTC_S)
        nvs = {"settings": settings.encode(SETTINGS)}
        first = slots.first(version, len(old), hashlib.sha256(old).digest())
        nvs[slots.STORED_AS] = slots.encode(first)
        flash = NorFlash(64 * SECTOR_BYTES, draw)
        self.images = NorFlash(2 * SLOT_BYTES, draw)
        self.images.load(old + b"\xff" * (2 * SLOT_BYTES - len(old)))
        self.hardware = Hardware(
            "pos1", self.world, Transcript(), flash, nvs, draw, image_flash=self.images
        )
        site, key = SETTINGS["site"], SETTINGS["device_key"]
        self.depot = Depot(SETTINGS["device"], site, key, self.utc_s, new, version + 1)
        self.depot.program = program_no("main")
        self.hardware.cable = Cable(self.depot)
        self.home = VmHome(
            "pos1",
            self.hardware,
            image=loader,
            is_slotted=True,
            heap_bytes=heap_bytes,
            probe=probe,
            answer_timeout_s=answer_timeout_s,
        )
        self.due_us = 0
        self.is_on = False
        self.crashes = []

    def utc_s(self):
        return self.world.utc_s(self.hardware.clock.now_us)

    @property
    def state(self):
        return slots.decode(self.hardware.nvs[slots.STORED_AS])

    @property
    def running(self):
        """(version, whether proven) of what the next boot would run."""
        return slots.image(self.state, self.state[slots.IN_USE])[0], not self.state[slots.IS_TRIAL]

    def run(self, seconds, until=lambda: False):
        """So much of its time, with power; whatever crashes is reset by the watchdog."""
        end_us = self.hardware.clock.now_us + seconds * 1_000_000
        while self.hardware.clock.now_us < end_us and not until():
            self._step()
        return self

    def cut(self):
        """The power goes between two steps, and comes back."""
        self.home.kill()
        self.is_on = False

    def _step(self):
        clock, home = self.hardware.clock, self.home
        try:
            if not self.is_on:
                self._power_on()
                self.due_us = home.start(clock.now_us)
            else:
                clock.advance_to(self.due_us)
                self.due_us = home.run(clock.now_us)
        except VmCrashed as crash:
            self.crashes.append(str(crash))
            clock.advance_us(30_000_000)  # the watchdog
            self.is_on = False
        except PowerCut:
            self.cut()
        if self.depot.step():
            self.due_us = min(self.due_us, clock.now_us + LATENCY_US)

    def _power_on(self):
        self.is_on = True
        self.world.now_us = max(self.world.now_us, self.hardware.clock.now_us)
        for flash in (self.hardware.flash, self.images):
            if not flash.is_powered:
                flash.power_on()
        self.hardware.power_on()
