"""A door with a scanner in a real MicroPython: its own image, its board, its heap."""

import random

import pytest

from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.chips.qr_scanner import QrScanner
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit_codes import CodeDoorCircuit
from simulator.vm.home import DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.firmware.counter import CARD_NO, MAC_KEY, NOON_S, POLICY, PURSE_KEY
from tests.firmware.entrance import MASTERS, new_desfire
from tests.vm.bench import SETTINGS
from tests.vm.test_door import RIGHTS

SEED = 43
STEPS = 300
# The line is down: what is no identity code is told so, and one that is, is refused as well.
SHOWN = {60: b"OCPAYA" + b"A2" * 16, 100: b"OCIDYA" + b"A2" * 16, 140: None}


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    main = ROOT / "firmware" / "main_door_codes.py"
    return build(ROOT, tmp_path_factory.mktemp("door_codes") / "image", main)


class Site:
    """A door without network on its own clock, its firmware in one home or the other."""

    def __init__(self, image=None, probe=ops.PROBE_OFF, wifi=True):
        keys = {"purse_key": PURSE_KEY, "mac_key": MAC_KEY, "read_key": MASTERS.read}
        own = {"policy": POLICY, **keys}
        nvs = {"settings": settings.encode({**SETTINGS, **own}), "access": RIGHTS}
        if wifi:
            nvs["wifi_ssid"] = b"campus"
        self.transcript = Transcript()
        flash = NorFlash(64 * 4096, random.Random(SEED))
        self.hardware = Hardware(
            "door1", World(NOON_S), self.transcript, flash, nvs, random.Random(SEED)
        )
        self.hardware.scanner = QrScanner(self.hardware.clock, random.Random(SEED))
        self.home = HostHome("code_door", self.hardware)
        if image is not None:
            self.home = VmHome(
                "door1",
                self.hardware,
                image=image,
                heap_bytes=DOOR_VM_HEAP_BYTES,
                probe=probe,
                wiring=CodeDoorCircuit,
            )
        self._card = new_desfire(CARD_NO, seed=2)

    def play(self, steps=STEPS):
        """Boot and step; the signals that were sounded, as lengths of their beeps."""
        clock, hardware = self.hardware.clock, self.hardware
        try:
            hardware.power_on()
            due_us = self.home.start(clock.now_us)
            for step in range(steps):
                if step in SHOWN:
                    hardware.scanner.show(SHOWN[step])
                if step == 200:
                    hardware.put_card(self._card)
                clock.advance_to(due_us)
                due_us = self.home.run(clock.now_us)
        finally:
            self.home.kill()
        return [length_ms for _, length_ms in hardware.panel.beeps]


def test_the_same_transcript_in_both_homes(image):
    print("seed", SEED)
    host, vm = Site(), Site(image)
    # One long and one short: the phone's matter; one long, two short: the building's; then a card.
    assert host.play() == vm.play() == [400, 80, 400, 80, 80, 80]
    assert host.transcript.sha256() == vm.transcript.sha256()
    assert host.hardware.lock.unlocked == vm.hardware.lock.unlocked


def test_it_has_room_in_its_heap(image):
    """With four kilobytes to spare; online and with both maps: `onecard bench firmware_heap`."""
    site = Site(image, probe=ops.PROBE_CALLS)
    site.play(150)
    memory = site.home.memory()
    print("idle", memory["live"] - memory["shims"], "peak", memory["live_peak"] - memory["shims"])
    assert memory["live_peak"] - memory["shims"] < DOOR_HEAP_BYTES - 4096


def test_a_board_with_a_cable_says_why_it_does_not_start(image):
    """There is no pin for a scanner, and a pin of the LAN8720 is not touched."""
    with pytest.raises(VmCrashed, match="with a cable no pin is left for a scanner"):
        Site(image, wifi=False).play(1)
