"""A POS with a scanner in a real MicroPython: its own image, its board, its heap."""

import random

import pytest

from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.chips.qr_scanner import QrScanner
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit_codes import CodeCircuit
from simulator.vm.home import HEAP_BYTES, POS_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.vm.bench import SETTINGS

SEED = 41
STEPS = 260
# Step of the play -> what happens there: an order, phones of other services, an own one; the line
# is down, so that one is refused as well.
KEYS = {3: b"12.50\r", 250: b"\x1b"}
SHOWN = {
    20: b"134567890123456789",
    60: None,
    90: b"OCPAYA" + b"A2" * 16,
    130: None,
    160: b"\x80\x00\x70" + bytes(range(32, 144)),
    200: None,
}


@pytest.fixture(scope="module")
def code_image(tmp_path_factory):
    main = ROOT / "firmware" / "main_codes.py"
    return build(ROOT, tmp_path_factory.mktemp("codes") / "image", main)


class Reader:
    """A reader without network on its own clock, its firmware in one home or the other."""

    def __init__(self, image=None, probe=ops.PROBE_OFF, wifi=True):
        nvs = {"settings": settings.encode({**SETTINGS, "language": "zh"})}
        if wifi:
            nvs["wifi_ssid"] = b"campus"
        self.transcript = Transcript()
        flash = NorFlash(64 * 4096, random.Random(SEED))
        self.hardware = Hardware(
            "pos1", World(1_790_000_000), self.transcript, flash, nvs, random.Random(SEED)
        )
        self.hardware.scanner = QrScanner(self.hardware.clock, random.Random(SEED))
        self.home = HostHome("code_pos", self.hardware)
        if image is not None:
            self.home = VmHome("pos1", self.hardware, image=image, probe=probe, wiring=CodeCircuit)

    def play(self, steps=STEPS):
        """The displays' upper lines, each once."""
        clock, shown = self.hardware.clock, []
        try:
            self.hardware.power_on()
            due_us = self.home.start(clock.now_us)
            for step in range(steps):
                self.hardware.keys += KEYS.get(step, b"")
                if step in SHOWN:
                    self.hardware.scanner.show(SHOWN[step])
                clock.advance_to(due_us)
                due_us = self.home.run(clock.now_us)
                upper = self.hardware.panel.lines[0]
                shown += [upper] if shown[-1:] != [upper] else []
        finally:
            self.home.kill()
        return shown


def test_the_same_transcript_in_both_homes(code_image):
    print("seed", SEED)
    host, vm = Reader(), Reader(code_image)
    # A platform's code and an own one: which of them its ledger takes a reader does not know.
    expected = ["CODE NEEDS NETWORK", "TRANSIT NOT TAKEN"]
    assert [text for text in host.play() if text in expected] == expected
    assert [text for text in vm.play() if text in expected] == expected
    assert host.transcript.sha256() == vm.transcript.sha256()
    assert host.hardware.clock.now_us == vm.hardware.clock.now_us


def test_it_lives_in_its_heap(code_image, capsys):
    reader = Reader(code_image, probe=ops.PROBE_CALLS)
    reader.play(30)
    memory = reader.home.memory()
    with capsys.disabled():
        print(f"\nPOS with scanner at -X heapsize={HEAP_BYTES // 1024}k, bytes:", memory)
    assert 0 < memory["live_peak"] - memory["shims"] < POS_HEAP_BYTES


def test_a_board_with_a_cable_says_why_it_does_not_start(code_image):
    """There is no pin for a scanner, and a pin of the LAN8720 is not touched."""
    reader = Reader(code_image, wifi=False)
    with pytest.raises(VmCrashed, match="with a cable no pin is left for a scanner"):
        reader.play(1)
