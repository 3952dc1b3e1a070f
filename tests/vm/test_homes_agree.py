"""The POS in a real MicroPython and in this process: the same bytes at every pin, at every us."""

import random

import pytest

from protocols.rules import charging, menu, settings
from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.vm import ops
from simulator.vm.home import HEAP_BYTES, POS_HEAP_BYTES, VmHome
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.vm.bench import SETTINGS

SEED = 20
# Step of the play -> what a person does.
PLAY = {3: b"12.50\r", 60: b"\x1b", 65: b"0\r", 70: b"7\r"}


class Reader:
    """A reader without network on its own clock, its firmware in one home or the other."""

    def __init__(self, image=None, heap_bytes=HEAP_BYTES, probe=ops.PROBE_OFF, language=None):
        world = World(1_790_000_000)
        flash = NorFlash(64 * 4096, random.Random(SEED))
        nvs = {"settings": settings.encode({**SETTINGS, "language": language})}
        self.transcript = Transcript()
        self.hardware = Hardware("pos1", world, self.transcript, flash, nvs, random.Random(SEED))
        self.home = HostHome("pos", self.hardware)
        if image is not None:
            self.home = VmHome(
                "pos1", self.hardware, image=image, heap_bytes=heap_bytes, probe=probe
            )

    def play(self, steps, boot_us=0, keys=PLAY):
        """Boot at `boot_us` of world time and step; returns the transcript's hash."""
        clock = self.hardware.clock
        try:
            clock.advance_to(boot_us)
            self.hardware.power_on()
            due_us = self.home.start(clock.now_us)
            for step in range(steps):
                self.hardware.keys += keys.get(step, b"")
                self.hardware.set_mains(not 40 <= step < 100)
                clock.advance_to(due_us)
                due_us = self.home.run(clock.now_us)
        finally:
            self.home.kill()
        return self.transcript.sha256()


@pytest.mark.parametrize("language", [None, "zh"])
def test_the_same_transcript_in_both_homes(reader_image, language):
    print("seed", SEED)
    host, vm = Reader(language=language), Reader(reader_image, language=language)
    assert host.play(150) == vm.play(150)
    assert host.transcript.lines == vm.transcript.lines > 500
    assert host.hardware.clock.now_us == vm.hardware.clock.now_us
    assert vm.hardware.lcd.violations == []
    assert bool(vm.hardware.lcd.transfers) == bool(language)


def test_a_menu_a_sum_and_the_totals_in_both_homes(reader_image):
    prices = charging.packed(((1, 1, 0, 900), (1, 0, 0, 1000), (2, 0, 1, 300)))
    blob = menu.encode(prices, ((0, 1440, *[0] * 8),))
    keys = {
        3: b"F3",
        5: b"1+2\r",
        20: b"\x1b",
        25: b"FT",
        26: b"T\x1b",
        30: b"F5",
        35: b"F7",
        45: b"F6",
    }
    readers = Reader(language="en"), Reader(reader_image, language="en")
    for reader in readers:
        reader.hardware.nvs["menu"] = blob
    host, vm = (reader.play(60, keys=keys) for reader in readers)
    assert host == vm
    assert readers[1].hardware.lcd.line(0) == b"FAULT REPORTED  "


@pytest.mark.parametrize("boot_s", [1, 1000, 1200, 100_000])
def test_the_same_transcript_whenever_the_reader_boots(reader_image, boot_s):
    """The chip's tick counter wraps 17.9 minutes after its own power-on, not the world's."""
    host, vm = Reader(), Reader(reader_image)
    boot_us = boot_s * 1_000_000 + 123
    assert host.play(80, boot_us) == vm.play(80, boot_us)
    assert host.hardware.clock.now_us == vm.hardware.clock.now_us > boot_us


def test_the_same_remains_after_a_power_cut(reader_image):
    """Cut before each flash operation of a boot and of the first records."""
    print("seed", SEED)
    for cut_at in (1, 2, 4):
        left = []
        for reader in (Reader(), Reader(reader_image)):

            def cut(operation, cut_at=cut_at):
                if operation == cut_at:
                    raise PowerCut

            reader.hardware.before_flash = cut
            with pytest.raises(PowerCut):
                reader.play(150)
            reader.hardware.before_flash = None
            reader.hardware.power_off()
            left.append(reader.play(30))
        assert left[0] == left[1]


def test_it_lives_in_its_heap(reader_image, capsys):
    reader = Reader(reader_image, heap_bytes=HEAP_BYTES, probe=ops.PROBE_CALLS)
    reader.play(12)
    memory = reader.home.memory()
    with capsys.disabled():
        print(f"\nPOS heap at -X heapsize={HEAP_BYTES // 1024}k, bytes:", memory)
    assert 0 < memory["live_peak"] - memory["shims"] < POS_HEAP_BYTES
