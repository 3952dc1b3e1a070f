"""Firmware over the air: the old image or the new one runs, whatever is cut, forged or broken."""

import pytest

from firmware.services import built, update
from protocols.rules import release, slots
from protocols.rules.release import PAGE_BYTES
from protocols.wire import messages
from tests.firmware.counter import NOON_S
from tests.firmware.workshop import NEW, OLD, SECTOR_BYTES, SLOT_BYTES, Workshop

MINUTE_OF_NOON = NOON_S // 60 % 1440
PAGES = -(-len(NEW) // PAGE_BYTES)


def told(shop):
    """(version, reason) of every UPDATE record that came to the ledger."""
    kinds = shop.depot.kinds()
    return [(one["version"], one["reason"]) for one in kinds if one["kind"] == messages.UPDATE]


def is_new(shop):
    return lambda: shop.running == (2, True)


def slot_bytes(shop):
    """What the slot in use holds, as far as the kept value says."""
    slot = shop.state[slots.IN_USE]
    size = slots.image(shop.state, slot)[1]
    return shop.images.image()[slot * SLOT_BYTES :][:size]


def test_a_pos_takes_the_next_image_and_proves_it(monkeypatch):
    shop = Workshop(monkeypatch)
    assert shop.run(200, until=is_new(shop))
    assert slot_bytes(shop) == NEW
    assert shop.depot.asked == list(range(PAGES))
    shop.run(10)
    boots = [one["firmware"] for one in shop.depot.kinds() if one["kind"] == messages.BOOT]
    assert boots == [1, 2] and told(shop) == []
    # And it has nothing more to do.
    shop.run(300)
    assert shop.boots == 3 and shop.program == "pos"


# --- power ------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["", "late"])
def test_a_cut_at_any_flash_operation_leaves_old_or_new_and_ends_at_new(monkeypatch, how):
    cuts = 0
    for operations in range(200):
        shop = Workshop(monkeypatch, seed=operations)
        shop.images.cut_after(operations, how=how)
        shop.run(400, until=lambda shop=shop: not shop.images.is_powered or is_new(shop)())
        was_cut = not shop.images.is_powered
        assert slot_bytes(shop) in (OLD, NEW)
        assert shop.run(400, until=is_new(shop)), operations
        assert slot_bytes(shop) == NEW
        if not was_cut:
            break
        cuts += 1
    print(f"{cuts} cuts")
    assert cuts == PAGES + -(-len(NEW) // SECTOR_BYTES)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_cut_while_anything_is_stored_leaves_old_or_new_and_ends_at_new(monkeypatch, is_late):
    shop = Workshop(monkeypatch)
    assert shop.run(200, until=is_new(shop))
    stores = shop.hardware.stores
    assert stores >= 8
    for store in range(1, stores + 1):
        shop = Workshop(monkeypatch)
        shop.hardware.cut_at_store, shop.hardware.is_late = store, is_late
        assert shop.run(600, until=is_new(shop)), store
        assert slot_bytes(shop) == NEW
    print(f"{stores} stores")


def test_it_goes_on_where_it_was(monkeypatch):
    new = bytes(range(256)) * 60
    shop = Workshop(monkeypatch, new)
    shop.run(200, until=lambda: len(shop.depot.asked) > 40)
    shop.hardware.keys += b"1"  # somebody needs this reader
    shop.run(2)
    assert shop.program == "pos" and shop.running == (1, True)
    before = len(shop.depot.asked)
    shop.images.cut()
    shop.die()
    assert shop.run(300, until=is_new(shop))
    assert before + len(new) // PAGE_BYTES <= len(shop.depot.asked)


def test_progress_is_kept_every_64_pages(monkeypatch):
    new = bytes(range(256)) * 64
    shop = Workshop(monkeypatch, new)
    shop.depot.spoil = lambda page, data: data if page < 63 or shop.boots > 2 else b""
    shop.run(120, until=lambda: len(shop.depot.asked) > 64)
    shop.depot.asked.clear()
    assert shop.run(400, until=is_new(shop))
    assert slot_bytes(shop) == new


# --- what is said -----------------------------------------------------------------------------


def refused(shop, seconds=150):
    """Nothing of it is fetched, and the role never makes room."""
    shop.run(seconds)
    return shop.running == (1, True) and shop.boots == 1 and not shop.depot.asked


def test_nothing_is_taken_that_the_ledger_has_not_sealed_for_this_reader(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.depot.tells = False
    shop.run(5)
    shop.depot.tell(shop.depot.warrant(key=bytes(range(1, 33))))
    shop.run(1)
    assert shop.device._uplink.counters["forged"] == 1
    sealed = bytearray(shop.depot.warrant())
    for at in range(len(sealed)):
        sealed[at] ^= 0x40
        shop.depot.tell(bytes(sealed))
        sealed[at] ^= 0x40
        shop.run(0.1)
    assert shop.device._uplink.counters["forged"] == 1 + len(sealed)
    assert shop.hardware.nvs.get(update.STORED_AS, b"") == b""
    assert refused(shop)


@pytest.mark.parametrize(
    "word",
    [
        {"version": 1},
        {"version": 0},
        {"program": 7},
        {"after": 2},
        {"expires_s": NOON_S - 1},
        {"flags": 0, "from_min": MINUTE_OF_NOON + 30, "until_min": MINUTE_OF_NOON + 60},
        {"flags": 0, "from_min": MINUTE_OF_NOON, "until_min": MINUTE_OF_NOON},
    ],
)
def test_a_word_that_is_not_for_it_or_not_for_now(monkeypatch, word):
    shop = Workshop(monkeypatch)
    shop.depot.told = word
    assert refused(shop)


def test_the_window_may_lie_across_midnight(monkeypatch):
    shop = Workshop(monkeypatch)
    window = {"from_min": (MINUTE_OF_NOON - 20) % 1440, "until_min": (MINUTE_OF_NOON + 20) % 1440}
    shop.depot.told = {"flags": 0, **window}
    assert shop.run(300, until=is_new(shop))


def test_a_page_that_is_not_the_ledgers_costs_one_try(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.depot.spoil = lambda page, data: data[::-1] if page == 3 else data
    shop.run(130, until=lambda: shop.boots >= 3)
    assert shop.running == (1, True)
    shop.depot.spoil = lambda page, data: data
    assert shop.run(300, until=is_new(shop))
    assert told(shop) == [(2, release.IMAGE_WRONG)]


def test_it_is_tried_five_times_and_then_not_before_another_word(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.depot.spoil = lambda page, data: bytes(len(data))
    shop.run(1_200)
    assert told(shop) == [(2, release.IMAGE_WRONG)] * update.TRIES_MAX
    assert shop.boots == 1 + 2 * update.TRIES_MAX
    shop.depot.spoil = lambda page, data: data
    shop.depot.told = {"expires_s": shop.utc_s() + 100_000}
    shop.depot.tell()
    assert shop.run(300, until=is_new(shop))


@pytest.mark.parametrize("size", [-1, 1])
def test_a_page_of_another_length_is_no_page(monkeypatch, size):
    shop = Workshop(monkeypatch)
    shop.depot.spoil = lambda page, data: (data + b"\x00")[: len(data) + size]
    shop.run(130)
    assert set(shop.depot.asked) == {0} and shop.running == (1, True)
    assert shop.device._uplink.counters["malformed"] > 0
    assert shop.run(300, until=lambda: told(shop) == [(2, release.NOT_ANSWERED)])
    assert shop.program == "pos" and shop.running == (1, True)


def test_an_image_of_one_byte_too_many_is_not_begun(monkeypatch):
    shop = Workshop(monkeypatch, bytes(SLOT_BYTES + 1))
    shop.run(400)
    assert told(shop) == [(2, release.IMAGE_TOO_LONG)]
    assert shop.depot.asked == [] and slot_bytes(shop) == OLD
    exact = Workshop(monkeypatch, bytes(SLOT_BYTES))
    assert exact.run(300, until=is_new(exact))


def test_flash_that_does_not_take_it(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.images.fail_sector(SLOT_BYTES // SECTOR_BYTES, "no program")
    shop.run(150)
    assert told(shop)[0] == (2, release.FLASH_FAILED)
    assert shop.running == (1, True) and shop.program == "pos"


def test_what_is_said_again_wears_no_flash(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.depot.told = {"flags": 0, "from_min": 0, "until_min": 0}
    shop.run(5)
    stores = shop.hardware.stores
    older = shop.depot.warrant(expires_s=shop.utc_s() + 1_000)
    for _ in range(20):
        shop.depot.tell(older)
        shop.depot.tell()
        shop.run(0.2)
    assert shop.hardware.stores == stores


def test_a_key_value_store_that_is_worn_stops_no_reader(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.depot.tells = False
    shop.run(5)
    shop.hardware.is_worn = True
    shop.depot.tell()
    shop.run(150)
    assert shop.boots == 1 and shop.running == (1, True)
    assert shop.device._uplink.online


# --- when it may ------------------------------------------------------------------------------


def test_never_on_battery(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.hardware.mains_on = False
    assert refused(shop, 200)
    shop.hardware.mains_on = True
    assert shop.run(300, until=is_new(shop))


def test_mains_that_go_in_the_middle_end_it(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.run(200, until=lambda: len(shop.depot.asked) > 4)
    shop.hardware.mains_on = False
    shop.run(100)
    assert shop.program == "pos" and shop.running == (1, True)


def test_never_while_something_is_keyed(monkeypatch):
    shop = Workshop(monkeypatch)
    for _ in range(15):
        shop.hardware.keys += b"1"
        shop.run(10)
        assert shop.boots == 1
    shop.hardware.keys += b"\x1b"
    assert shop.run(300, until=is_new(shop))


def test_never_while_the_agent_does_not_answer(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.run(5)
    shop.depot.net.up = False
    shop.hardware.cable.plugged = False
    shop.run(200)
    assert shop.boots == 1


# --- images that are no good ------------------------------------------------------------------


def on_trial(monkeypatch):
    """A reader whose new image has just booted."""
    shop = Workshop(monkeypatch)
    shop.run(200, until=lambda: shop.state[slots.IS_TRIAL] and shop.program == "pos")
    assert shop.running == (2, False) and built.VERSION == 2
    return shop


def crash(shop):
    """It ends within the first minute."""
    shop.run(10)
    shop.die()


def test_one_that_never_proves_itself_is_come_back_from_and_not_taken_again(monkeypatch):
    shop = on_trial(monkeypatch)
    for _ in range(slots.TRIAL_TRIES):
        assert shop.running == (2, False)
        crash(shop)
    shop.run(20)
    assert shop.running == (1, True) and slot_bytes(shop) == OLD and built.VERSION == 1
    asked = len(shop.depot.asked)
    shop.run(400)
    assert told(shop) == [(2, release.NOT_PROVEN)]
    assert shop.running == (1, True) and len(shop.depot.asked) == asked
    # Another one is.
    shop.depot.version = 3
    shop.depot.tell()
    assert shop.run(300, until=lambda: shop.running == (3, True))


def test_it_proves_itself_only_with_an_agent_and_a_front_end(monkeypatch):
    shop = on_trial(monkeypatch)
    shop.hardware.cable.plugged = False
    for stream in shop.hardware.streams.values():
        stream.close()
    shop.run(150)
    assert shop.running == (2, False)
    shop.hardware.cable.plugged = True
    ensure = shop.device._front_end.chip.ensure

    def broken():
        raise update.BusFault("no chip")

    shop.device._front_end.chip.ensure = broken
    shop.run(150)
    assert shop.running == (2, False)
    shop.device._front_end.chip.ensure = ensure
    assert shop.run(100, until=is_new(shop))


def test_a_proven_one_that_ends_again_and_again_is_come_back_from(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.run(200, until=is_new(shop))
    crash(shop)
    for _ in range(slots.TRIES):
        shop.run(1)
        assert shop.running == (2, True)
        crash(shop)
    shop.run(20)
    assert shop.running == (1, True) and slot_bytes(shop) == OLD
    shop.run(100)
    assert told(shop) == [(2, release.KEEPS_FAILING)]


def test_boots_far_apart_are_no_reason(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.run(200, until=is_new(shop))
    shop.hardware.cable.plugged = False
    for _ in range(2 * slots.TRIES):
        shop.die()
        shop.run(70)
    assert shop.running == (2, True) and slot_bytes(shop) == NEW


def test_what_is_changed_behind_the_check_never_runs(monkeypatch):
    shop = Workshop(monkeypatch)
    shop.run(200, until=lambda: bool(shop.state[slots.IS_TRIAL]))
    slot = shop.state[slots.IN_USE]
    shop.images.flip(slot * SLOT_BYTES + 77, 3)
    shop.die()
    shop.run(20)
    assert shop.running == (1, True) and slot_bytes(shop) == OLD
    shop.run(100)
    assert told(shop) == [(2, release.NOT_WHOLE)]


@pytest.mark.parametrize("ends_well", [True, False])
def test_records_that_nobody_has_yet_survive(monkeypatch, ends_well):
    shop = Workshop(monkeypatch)
    shop.run(5)  # it knows the time, and its first record is booked
    shop.depot.books = False
    shop.die()
    shop.run(200, until=lambda: bool(shop.state[slots.IS_TRIAL]))
    second = shop.depot.records[1]
    if not ends_well:
        for _ in range(slots.TRIAL_TRIES):
            crash(shop)
    shop.run(150)
    assert shop.running == ((2, True) if ends_well else (1, True))
    # The agent has lost its disk: all of them come once more from the reader's journal.
    del shop.depot.records[1:]
    shop.die()
    shop.run(30)
    kinds = shop.depot.kinds()
    assert [one["seq"] for one in kinds] == list(range(1, len(kinds) + 1))
    assert shop.depot.records[1] == second
    boots = [one["firmware"] for one in kinds if one["kind"] == messages.BOOT]
    assert boots == ([1, 1, 2, 2] if ends_well else [1, 1, 2, 2, 2, 1, 1])
