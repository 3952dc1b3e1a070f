"""What an image was left for comes to the ledger: whatever is cut, full or worn on the way."""

import pytest

from protocols.rules import release, slots
from protocols.wire import messages
from tests.firmware.test_update import crash, on_trial, told


@pytest.mark.parametrize("store", [1, 2])
@pytest.mark.parametrize("is_late", [False, True])
def test_what_was_come_back_from_is_told_whatever_is_cut(monkeypatch, store, is_late):
    """The loader's store of it, and the one by which it is forgotten."""
    shop = on_trial(monkeypatch)
    for _ in range(slots.TRIAL_TRIES):
        crash(shop)
    shop.hardware.cut_at_store, shop.hardware.is_late = shop.hardware.stores + store, is_late
    shop.run(150)
    assert shop.running == (1, True) and shop.state[slots.REASON] == 0
    # Twice where power went between the record and that it is known to be there.
    is_twice = store == 2 and not is_late
    assert told(shop) == [(2, release.NOT_PROVEN)] * (2 if is_twice else 1)


def test_what_was_come_back_from_waits_for_room_in_the_journal(monkeypatch):
    shop = on_trial(monkeypatch)
    shop.depot.books = False
    recorder = shop.device._recorder
    while recorder.has_room():
        recorder.note(messages.UPDATE, 0, version=9, reason=release.IMAGE_WRONG)
    for _ in range(slots.TRIAL_TRIES):
        crash(shop)
    shop.run(100)
    assert shop.running == (1, True) and shop.state[slots.REASON] == release.NOT_PROVEN
    assert told(shop)[-1][0] == 9
    shop.depot.books = True
    shop.run(400)
    assert told(shop)[-1] == (2, release.NOT_PROVEN) and shop.state[slots.REASON] == 0


def test_a_worn_store_tells_of_a_come_back_once_a_boot(monkeypatch):
    shop = on_trial(monkeypatch)
    for _ in range(slots.TRIAL_TRIES):
        crash(shop)
    shop.hardware.cut_at_store, shop.hardware.is_late = shop.hardware.stores + 1, True
    shop.run(20)
    assert shop.program == "pos" and shop.state[slots.REASON]
    shop.hardware.is_worn = True
    shop.run(400)
    assert told(shop) == [(2, release.NOT_PROVEN)]
