"""The lock in a real MicroPython: the same bytes at every pin, asleep and awake, in its heap."""

import pytest

from protocols.rules import lock
from simulator.vm import ops
from simulator.vm.circuit_lock import LockCircuit
from simulator.vm.home import DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from tests.firmware.lodge import CARD_NO, STRANGER, Lodge, new_card, new_desfire

SEED = 53


@pytest.fixture(scope="module")
def lock_image(tmp_path_factory):
    main = ROOT / "firmware" / "main_lock.py"
    return build(ROOT, tmp_path_factory.mktemp("lock") / "image", main)


def in_vm(image):
    def home(hardware):
        return VmHome(
            "lock",
            hardware,
            image=image,
            heap_bytes=DOOR_VM_HEAP_BYTES,
            probe=ops.PROBE_CALLS,
            wiring=LockCircuit,
        )

    return home


def play(lodge):
    """A night: a hand that rests on the handle, both kinds of card, a stranger, a key, a case."""
    try:
        lodge.touch(hold_ms=10_000).until_asleep()
        opened = lodge.tap(new_card(seed=1))
        lodge.until_asleep()
        refused = lodge.tap(new_card(card_no=STRANGER, seed=2))
        lodge.until_asleep()
        by_day = lodge.tap(new_desfire(CARD_NO + 1, seed=3))
        lodge.until_asleep().touch(lock.KEY, 200).until_asleep()
        lodge.bolt.set_input(lock.INTACT, False)
        lodge.until_asleep()
    finally:
        lodge.home.kill()
    return opened, refused, by_day


def test_the_same_transcript_in_both_homes_and_room_in_its_heap(lock_image):
    print("seed", SEED)
    host, vm = Lodge(SEED), Lodge(SEED, home=in_vm(lock_image))
    assert play(host) == play(vm) == (True, False, False)
    assert host.transcript.sha256() == vm.transcript.sha256()
    assert host.transcript.lines == vm.transcript.lines > 500
    assert host.told() == vm.told() == [("key", "locked"), ("tamper", "locked")]
    memory = vm.home.memory()
    peak = memory["live_peak"] - memory["shims"]
    print("peak", peak)
    assert peak < DOOR_HEAP_BYTES - 2048
