"""The lock in a real MicroPython: the same bytes at every pin, asleep and awake, in its heap."""

import pytest

from adapters.aes import CIPHERS
from protocols.card import mailbox
from protocols.rules import lock, reasons
from protocols.wire import messages
from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit_lock import LockCircuit
from simulator.vm.home import DOOR_HEAP_BYTES, DOOR_VM_HEAP_BYTES, ROOT, VmHome
from simulator.vm.image import build
from tests.drivers.mail_cards import letters, mail_card
from tests.firmware.counter import DEVICE_KEY
from tests.firmware.lodge import (
    CARD_NO,
    STRANGER,
    WATCHDOG_RESET,
    Lodge,
    new_card,
    new_desfire,
)

SEED = 53
# main_lock.py, but that nothing can be allocated behind so many calls of AES-CBC, as NVS says.
SHORT_OF_MEMORY = """
from micropython import heap_lock

from firmware import loop
from firmware.boards import esp32_lock, esp32_serial
from firmware.roles import lock


class ShortBoard(esp32_lock.LockBoard):
    def aes_cbc(self, key, iv, data, decrypting):
        self.calls += 1
        result = super().aes_cbc(key, iv, data, decrypting)
        if self.calls == self.calls_max:
            heap_lock()
        return result


def run():
    board = ShortBoard(esp32_serial.Net)
    board.calls, board.calls_max = 0, int(board.stored("calls_max") or b"0")
    loop.run(board, lock.build(board))


run()
"""


@pytest.fixture(scope="module")
def lock_image(tmp_path_factory):
    main = ROOT / "firmware" / "main_lock.py"
    return build(ROOT, tmp_path_factory.mktemp("lock") / "image", main)


@pytest.fixture(scope="module")
def short_image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short")
    (folder / "main.py").write_text(SHORT_OF_MEMORY)
    return build(ROOT, folder / "image", folder / "main.py")


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
    assert peak < DOOR_HEAP_BYTES - 6144


def test_memory_that_runs_out_in_a_visit_loses_nothing(short_image):
    """Its watchdog resets it: it says so, has written the opening, and the next letter has all."""
    print("seed", SEED)
    lodge, cards = Lodge(SEED, home=in_vm(short_image)), []
    calls_max = (
        8,
        11,
        14,
    )  # the identity is read by five; then the mailbox, a letter, the writing
    for number, calls in enumerate(calls_max):
        card = mail_card("desfire", number)
        lodge.hardware.nvs["calls_max"] = str(calls).encode()
        with pytest.raises(VmCrashed, match="MemoryError"):
            lodge.tap(card, hold_ms=1500)
        lodge.hardware.take_card(card)
        del lodge.hardware.nvs["calls_max"]
        lodge.hang().until_asleep()
        assert lodge.told()[-1] == ("adrift", "throwing"), "it is shut again"
        assert lodge.entries() == [(CARD_NO, reasons.APPROVED)] * (number + 1)
        cards.append(card)
    causes = [each["cause"] for each in lodge.records(messages.BOOT)]
    assert causes[1:] == [WATCHDOG_RESET] * len(calls_max)
    try:
        assert lodge.tap(cards[-1], hold_ms=1500)
    finally:
        lodge.home.kill()
    assert len(lodge.entries()) == len(calls_max) + 1
    letter = letters(cards[-1])[mailbox.FROM_LOCK][3]
    content = mailbox.open_letter(CIPHERS, DEVICE_KEY, mailbox.FROM_LABEL, letter)
    first, entries = mailbox.decode_events(content)[3:]
    assert first == 1 and len(entries) > len(calls_max), "from its first record on"
