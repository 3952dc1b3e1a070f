"""The door controller in a real MicroPython: the same bytes at every pin, in its heap."""

import random

import pytest

from protocols.rules import access, settings
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware
from simulator.host.home import HostHome
from simulator.vm import ops
from simulator.vm.circuit_door import DoorCircuit
from simulator.vm.home import DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.firmware.counter import CARD_NO, MAC_KEY, NOON_S, POLICY, PURSE_KEY
from tests.firmware.entrance import MASTERS, new_card, new_desfire
from tests.vm.bench import SETTINGS

SEED = 31
# As many cards as its key-value store can hold.
CARDS = 2 * (access.STORED_BYTES_MAX - 60)
PIN, ALWAYS = b"271828", [(127, 0, 1440)]
PINS = (b"", access.verifier(SETTINGS["device_key"], 2, PIN))
RIGHTS = access.encode([(CARD_NO, [1, 2] + [1] * CARDS)], [ALWAYS] * 2, (), 5000, 60, PINS)
assert access.STORED_BYTES_MAX - 20 <= len(RIGHTS) <= access.STORED_BYTES_MAX


@pytest.fixture(scope="module")
def door_image(tmp_path_factory):
    main = ROOT / "firmware" / "main_door.py"
    return build(ROOT, tmp_path_factory.mktemp("door") / "image", main)


class Site:
    """A door without network on its own clock, its firmware in one home or the other."""

    def __init__(self, image=None, probe=ops.PROBE_OFF):
        own = {
            "policy": POLICY,
            "purse_key": PURSE_KEY,
            "mac_key": MAC_KEY,
            "read_key": MASTERS.read,
        }
        nvs = {
            "settings": settings.encode({**SETTINGS, **own}),
            "access": RIGHTS,
        }
        self.transcript = Transcript()
        flash = NorFlash(64 * 4096, random.Random(SEED))
        self.hardware = Hardware(
            "door1", World(NOON_S), self.transcript, flash, nvs, random.Random(SEED)
        )
        self.home = HostHome("door", self.hardware)
        if image is not None:
            self.home = VmHome(
                "door1",
                self.hardware,
                image=image,
                heap_bytes=DOOR_VM_HEAP_BYTES,
                probe=probe,
                wiring=DoorCircuit,
            )
        card, other = new_card(seed=1), new_desfire(CARD_NO + 1, seed=2)
        lock, hardware = self.hardware.lock, self.hardware
        self.play_at = {
            60: lambda: hardware.put_card(card),
            70: lambda: hardware.take_card(card),
            80: lambda: hardware.put_card(other),
            90: lambda: hardware.take_card(other),
            200: lambda: setattr(hardware, "keys", PIN),
            230: lambda: lock.press(True),
            240: lambda: lock.press(False),
            300: lambda: lock.mains(False),
            320: lambda: lock.mains(True),
            400: lambda: lock.fire(True),
        }
        self.powered = []

    def play(self, steps):
        """Boot and step; the transcript's hash."""
        clock = self.hardware.clock
        try:
            self.hardware.power_on()
            due_us = self.home.start(clock.now_us)
            for step in range(steps):
                self.play_at.get(step, lambda: None)()
                clock.advance_to(due_us)
                due_us = self.home.run(clock.now_us)
                self.powered.append(self.hardware.lock.is_powered())
        finally:
            self.home.kill()
        return self.transcript.sha256()


def test_the_same_transcript_in_both_homes(door_image):
    print("seed", SEED)
    host, vm = Site(), Site(door_image)
    assert host.play(420) == vm.play(420)
    assert host.transcript.lines == vm.transcript.lines > 500
    assert host.powered == vm.powered
    assert True in host.powered[:60] and not any(host.powered[400:])
    # The second card opens with its PIN, and not before.
    assert host.powered[199] and not host.powered[215]
    assert host.hardware.lock.unlocked == vm.hardware.lock.unlocked


def test_a_door_has_room_in_its_heap(door_image):
    """With two kilobytes to spare; online and with both maps: `onecard bench firmware_heap`."""
    site = Site(door_image, probe=ops.PROBE_CALLS)
    site.play(120)
    memory = site.home.memory()
    print("idle", memory["live"] - memory["shims"], "peak", memory["live_peak"] - memory["shims"])
    assert memory["live_peak"] - memory["shims"] < DOOR_HEAP_BYTES - 2048


def test_a_hung_vm_lets_go(door_image):
    """The interpreter stands still in the middle of everything: it is never asked again."""
    site = Site(door_image)
    site.play(80)
    begin_us = site.hardware.clock.now_us
    site.hardware.clock.advance_us(1_000_000)
    assert not site.hardware.lock.is_powered()
    assert site.hardware.lock.unlocked[-1][0] - begin_us <= 500_000
