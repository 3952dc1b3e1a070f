"""The attendance machine in a real MicroPython has room in the heap of a POS's board."""

import random

from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware
from simulator.vm import ops
from simulator.vm.home import POS_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.firmware.counter import CARD_NO, MAC_KEY, NOON_S, POLICY, PURSE_KEY, records_on
from tests.firmware.entrance import MASTERS, new_card, new_desfire
from tests.vm.bench import SETTINGS

SEED = 37


def test_it_has_room_in_its_heap(tmp_path):
    print("seed", SEED)
    own = {"policy": POLICY, "purse_key": PURSE_KEY, "mac_key": MAC_KEY, "language": "zh"}
    blob = settings.encode({**SETTINGS, **own, "read_key": MASTERS.read})
    flash, draw = NorFlash(64 * 4096, random.Random(SEED)), random.Random(SEED)
    parts = "gate", World(NOON_S), Transcript(), flash, {"settings": blob}, draw
    hardware = Hardware(*parts)
    image = build(ROOT, tmp_path / "image", ROOT / "firmware" / "main_attendance.py")
    home = VmHome("gate", hardware, image=image, probe=ops.PROBE_CALLS)
    cards = new_card(seed=1), new_desfire(CARD_NO + 1, seed=2)
    try:
        hardware.power_on()
        due_us = home.start(hardware.clock.now_us)
        for step in range(60):
            if step % 30 == 5:
                hardware.put_card(cards[step // 30])
            if step % 30 == 25:
                hardware.take_card(cards[step // 30])
            hardware.clock.advance_to(due_us)
            due_us = home.run(hardware.clock.now_us)
        memory = home.memory()
    finally:
        home.kill()
    punched = [
        each["card_no"] for each in records_on(flash, SETTINGS["device"]) if each["kind"] == 18
    ]
    assert punched == [CARD_NO, CARD_NO + 1]
    print("idle", memory["live"] - memory["shims"], "peak", memory["live_peak"] - memory["shims"])
    assert memory["live_peak"] - memory["shims"] < POS_HEAP_BYTES
