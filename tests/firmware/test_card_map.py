"""The card map of a reader: the old map or the new one, whole, whatever is cut, lost or forged."""

import random

import pytest

from firmware.services.card_map import CardMap
from firmware.services.journal import JournalFull
from protocols.rules import card_status
from protocols.rules.card_status import ACTIVE, CLOSED, LOST, PAGE_BYTES, SUSPENDED
from protocols.wire import messages, seal
from tests.firmware.card_desk import CHANGES_MAX, KEY, SECTOR_BYTES, Centre, Reader

HOUR_MS = 3_600_000


def a_centre(seed=0, changes=60, cards=1_500):
    draw = random.Random(seed)
    centre = Centre()
    for _ in range(changes):
        centre.set(draw.randrange(cards), draw.choice((LOST, SUSPENDED, CLOSED, ACTIVE)))
    centre.set(cards - 1, CLOSED)
    return centre


def a_reader(centre, **own):
    """One that holds the newest map, and has asked for nothing else."""
    reader = Reader(centre, **own)
    reader.run()
    assert reader.holds(centre.epoch)
    return reader


# --- power ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["grown", "whole"])
@pytest.mark.parametrize("how", ["", "late"])
def test_a_cut_leaves_the_old_map_or_the_new_one(way, how):
    """At every flash operation of either flash, behind a boot and in the middle of a day."""
    seed, cuts = 7, 0
    for which in ("flash", "card_flash"):
        for operations in range(1_000):
            centre = a_centre(seed)
            reader = a_reader(centre, seed=operations)
            old = centre.epoch
            if way == "whole":
                reader.boot()
            for card_no in range(20, 23):
                centre.set(card_no, LOST)
            getattr(reader, which).cut_after(operations, how=how)
            reader.connect()
            is_over = reader.survives(reader.run)
            reader.flash._cut_at = reader.card_flash._cut_at = None
            held = reader.holds(centre.epoch) or reader.holds(old)
            assert held, (way, which, operations)
            reader.connect()
            reader.run()
            assert reader.holds(centre.epoch), (way, which, operations)
            assert reader.made_s == centre.now_s
            if is_over:
                break
            cuts += 1
    print(f"{cuts} cuts")
    # Changes and keep; or two sectors, two pages and keep.
    assert cuts == (2 if way == "grown" else 5)


def test_power_goes_while_the_first_map_comes():
    for operations in range(4):  # two sectors, two pages
        reader = Reader(a_centre())
        reader.card_flash.cut_after(operations)
        assert not reader.survives(reader.run), operations
        assert reader.status(1_499) == ACTIVE and reader.made_s == 0
        reader.connect()
        reader.run()
        assert reader.holds(reader.centre.epoch)


def test_a_boot_takes_up_the_map():
    reader = a_reader(a_centre())
    reader.centre.set(3, LOST)
    reader.connect()
    reader.run()
    reader.online = False
    for _ in range(3):
        reader.boot()
        assert reader.holds(reader.centre.epoch)
        assert reader.made_s == reader.centre.now_s


def test_flash_of_before_a_boot_is_not_written_on():
    """Cells that a cut has left half way may look blank: behind a boot a map begins anew."""
    reader = a_reader(a_centre())
    for turn in range(4):
        used = reader.card_map._held[0]
        reader.boot()
        before = bytes(reader.card_flash._cells)
        reader.centre.set(turn, LOST)
        reader.connect()
        reader.run()
        bank_bytes = reader.card_flash.size_bytes // 2
        kept = slice(used * bank_bytes, (used + 1) * bank_bytes)
        assert reader.card_flash._cells[kept] == before[kept]
        assert reader.holds(reader.centre.epoch)


def test_a_map_that_has_rotted_is_none_and_comes_again():
    centre = a_centre()
    for place in ("map", "changes"):
        reader = a_reader(centre)
        centre.set(4, LOST)
        reader.connect()
        reader.run()
        assert reader.card_map._held[1] == 4
        at = reader.card_map._held[0] * reader.card_flash.size_bytes // 2
        at += reader.card_map._changes_at if place == "changes" else 17
        reader.card_flash._cells[at] ^= 1
        reader.boot()
        assert reader.card_map.known(1_499) == (ACTIVE, 0), place
        reader.connect()
        reader.run()
        assert reader.holds(centre.epoch), place


@pytest.mark.parametrize("how", ["no program", "no erase", "error"])
def test_cells_that_do_not_take_cost_the_new_map_not_the_old_one(how):
    centre = a_centre()
    reader = a_reader(centre)
    for card_no in (7, 8):  # so that neither bank is blank
        centre.set(card_no, LOST)
        reader.boot()
        reader.connect()
        reader.run()
    reader.boot()
    old = centre.epoch
    spare = (1 - reader.card_map._held[0]) * 5
    reader.card_flash.fail_sector(spare, how)
    centre.set(9, LOST)
    reader.connect()
    reader.run()
    assert reader.holds(old)
    reader.now_ms += 60_000
    reader.run()
    assert reader.holds(old)


def test_a_journal_without_room_leaves_the_old_map(monkeypatch):
    centre = a_centre()
    reader = a_reader(centre)
    old = centre.epoch

    def full(key, data):
        raise JournalFull

    keep = reader.recorder.keep
    monkeypatch.setattr(reader.recorder, "keep", full)
    centre.set(9, LOST)
    reader.connect()
    reader.run()
    assert reader.holds(old)
    monkeypatch.setattr(reader.recorder, "keep", keep)
    reader.now_ms += 60_000
    reader.run()
    assert reader.holds(centre.epoch)


# --- messages ---------------------------------------------------------------------------------


def test_nothing_forged_counts():
    centre = a_centre()
    reader = a_reader(centre)
    old = centre.epoch
    centre.set(1, LOST)
    good = centre.news(old)
    for at in range(len(good["data"])):
        data = bytearray(good["data"])
        data[at] ^= 0x40
        word = reader.hear({**good, "data": bytes(data)})
        if at < 87:
            assert word == "forged"
        assert reader.holds(old, cards=30)
        reader.card_map._wanted, reader.card_map._asks = None, False
    assert reader.hear({**good, "data": centre.warrant(key=bytes(32))}) == "forged"
    assert reader.hear({**good, "data": b""}) == "forged"


def test_news_are_taken_under_the_key_of_the_newest_record():
    # The torture's seed 4: a key was replaced, and its reader had nothing to write for long.
    centre, new_key = a_centre(), bytes(32)
    reader = a_reader(centre)
    reader.recorder.write(messages.BOOT, 0, cause=1, firmware=1)
    old = centre.epoch
    reader.settings = {**reader.settings, "device_key": new_key, "previous_device_key": KEY}
    reader.boot(new_key)
    new = seal.derive(new_key, card_status.LABEL)
    centre.set(1, LOST)
    assert reader.hear(centre.news(old, key=new)) == "forged"
    assert reader.hear(centre.news(old)) == ""
    reader.run()
    assert reader.holds(centre.epoch)
    reader.recorder.write(messages.BOOT, 0, cause=1, firmware=1)
    centre.set(2, LOST)
    assert reader.hear(centre.news(old + 1)) == "forged"
    assert reader.hear(centre.news(old + 1, key=new)) == ""
    assert reader.status(2) == LOST


@pytest.mark.parametrize("spoilt", range(1, 3))
def test_a_forged_page_spoils_the_map_that_is_under_way_only(spoilt):
    centre = a_centre()
    reader = a_reader(centre)
    reader.boot()
    old = centre.epoch
    centre.set(1, LOST)

    def spoil(answer):
        if answer["page"] == spoilt:
            answer["data"] = bytes((answer["data"][0] ^ 3,)) + answer["data"][1:]
        return answer

    reader.spoil = spoil
    reader.connect()
    reader.run()
    assert reader.holds(old)
    reader.spoil = lambda answer: answer
    reader.now_ms += 60_000
    reader.run()
    assert reader.holds(centre.epoch)


def test_twice_late_and_out_of_order():
    centre = a_centre()
    reader = a_reader(centre)
    news, since = [], centre.epoch
    for card_no in range(6):
        centre.set(card_no, LOST)
        centre.now_s += 60
        news.append((centre.news(since), centre.epoch))
    first, second, third = news[0][0], news[1][0], news[2][0]
    assert reader.hear(second) == ""
    assert reader.holds(since + 2)
    for old in (first, second):
        assert reader.hear(old) == "repeated"
        assert reader.holds(since + 2)
    assert reader.hear(third) == ""  # of what it brings two are known
    assert reader.holds(since + 3)
    assert reader.made_s == centre.now_s - 180


def test_an_older_epoch_is_refused_however_young_it_says_it_is():
    """A ledger that was put back, or somebody who kept a warrant: what was lost stays lost."""
    centre = a_centre()
    reader = a_reader(centre)
    centre.set(1, LOST)
    reader.hear(centre.news(centre.epoch - 1))
    older = centre.news(0, epoch=centre.epoch - 1, made_s=centre.now_s + 9_999)
    assert reader.hear(older) == "repeated"
    assert reader.hear(centre.news(0, made_s=centre.now_s - 1)) == "repeated"
    assert reader.status(1) == LOST


def test_what_got_lost_between_two_is_asked_for():
    centre = a_centre()
    reader = a_reader(centre)
    for card_no in range(3):
        centre.set(card_no, LOST)
    since = centre.epoch
    centre.set(5, LOST)
    assert reader.hear(centre.news(since)) == ""
    assert not reader.holds(centre.epoch)
    assert reader.run() == 2  # and says that it has it
    assert reader.holds(centre.epoch)


def test_the_agent_hears_that_a_reader_has_it():
    """At once, when it is on flash; not before, and nothing if flash did not take it."""
    centre = a_centre()
    reader = a_reader(centre)
    centre.set(1, LOST)
    assert reader.hear(centre.news(centre.epoch - 1)) == ""
    assert reader.card_map.map_in_use()[2] == centre.epoch and not reader.asked
    reader.card_map.step(reader.now_ms)
    assert [(one["epoch"], one["page"]) for one in reader.asked] == [(centre.epoch, 0)]
    assert reader.run() == 1


def test_answers_that_get_lost_are_asked_for_again():
    seed = 11
    draw = random.Random(seed)
    reader = Reader(a_centre())
    reader.spoil = lambda answer: answer if draw.randrange(3) else None
    reader.run(10_000)
    assert reader.holds(reader.centre.epoch), seed


def test_a_page_that_nobody_asked_for():
    centre = a_centre()
    reader = a_reader(centre)
    assert reader.hear(centre.page(centre.epoch, 1)) == "repeated"
    reader.boot()
    centre.set(1, LOST)
    reader.hear(centre.news(0))
    reader.card_map.step(reader.now_ms)
    for page in (centre.page(centre.epoch, 2), centre.page(centre.epoch - 1, 1)):
        assert reader.hear(page) == "repeated"
    short = {**centre.page(centre.epoch, 1), "data": b"\x00"}
    assert reader.hear(short) == "malformed"
    reader.asked.clear()
    reader.now_ms += 5_000
    reader.run()
    assert reader.holds(centre.epoch)


def test_another_history_of_the_same_length_is_seen():
    """A ledger that was put back and went on otherwise: its map replaces ours, as it is newer."""
    centre = a_centre()
    reader = a_reader(centre)
    other = Centre()
    other.changes, other.now_s = centre.changes, centre.now_s + 60
    centre.set(1, LOST)
    reader.hear(centre.news(centre.epoch - 1))
    other.set(2, LOST)
    reader.centre = other
    reader.hear(other.news(other.epoch - 1))
    reader.run()
    assert reader.holds(other.epoch)
    assert reader.status(1) == other.status(1)


def test_a_map_that_nobody_has_any_more_is_given_up():
    """Books came back from a backup while it came: their newest number is below its own."""
    centre, other = a_centre(), a_centre(seed=1, changes=40)
    reader = Reader(centre)
    reader.hear(centre.news(0))
    reader.card_map.step(reader.now_ms)
    assert reader.asked.pop()["page"] == 1 and reader.hear(centre.page(centre.epoch, 1)) == ""
    reader.centre = other
    reader.spoil = lambda answer: (
        None if answer["page"] and answer["epoch"] > other.epoch else answer
    )
    assert other.epoch < 50 < centre.epoch
    asked = reader.run()
    assert reader.holds(other.epoch) and reader.card_map.map_in_use()[2] == other.epoch
    assert asked < 20


def test_a_link_that_was_away_for_long_gives_up_nothing():
    """The pages that have come are as good as ever."""
    reader = Reader(a_centre(changes=900, cards=60_000))
    reader.card_map.step(reader.now_ms)
    for _ in range(9):
        reader.hear(reader.centre.answer(reader.asked.pop()))
        reader.card_map.step(reader.now_ms)
    reader.online = False
    reader.now_ms += HOUR_MS
    reader.card_map.step(reader.now_ms)
    reader.online, reader.asked = True, []
    reader.connect()
    reader.card_map.step(reader.now_ms)
    assert reader.asked[0]["page"] == 9
    reader.run()
    assert reader.holds(reader.centre.epoch)


# --- whole maps and their bounds --------------------------------------------------------------


@pytest.mark.parametrize("card_sectors", [9, 11])
def test_a_partition_of_odd_sectors_has_two_banks_too(card_sectors):
    """A sector that belonged to both would be erased under the map in use."""
    centre = a_centre(changes=300, cards=40_000)
    reader = a_reader(centre, card_sectors=card_sectors)
    for card_no in range(3):
        centre.set(card_no, LOST)
        reader.boot()  # so that each is a whole map, and the banks take turns
        reader.connect()
        reader.run()
        assert reader.card_map.map_in_use()[2] == centre.epoch
        assert reader.holds(centre.epoch)


def test_of_a_card_beyond_its_end_nothing_was_ever_reported():
    centre = a_centre()
    reader = a_reader(centre)
    for card_no in (1_500, 1_503, 60_000, 0xFFFFFF, 0xFFFFFFFF):
        assert reader.status(card_no) == ACTIVE
    centre.set(59_999, LOST)
    reader.connect()
    reader.run()
    assert (reader.status(59_998), reader.status(59_999)) == (ACTIVE, LOST)


def test_a_map_of_nothing_is_a_map():
    reader = Reader(Centre())
    assert reader.made_s == 0
    reader.run()
    assert reader.made_s == reader.centre.now_s
    reader.centre.set(5, LOST)
    reader.connect()
    reader.run()
    assert reader.holds(1)


@pytest.mark.parametrize(("missed", "is_whole"), [(CHANGES_MAX, False), (CHANGES_MAX + 1, True)])
def test_a_week_without_network(missed, is_whole):
    centre = a_centre()
    reader = a_reader(centre)
    draw = random.Random(1)
    for _ in range(missed):
        centre.set(draw.randrange(1_500), LOST)
    reader.connect()
    pages = -(-len(centre.map_at(centre.epoch)) // PAGE_BYTES)
    assert reader.run() == (2 + pages if is_whole else 2)
    assert reader.holds(centre.epoch)


def test_a_full_sector_of_changes_is_followed_by_a_whole_map():
    centre = a_centre()
    reader = a_reader(centre)
    bank, turned = reader.card_map._held[0], 0
    for card_no in range(SECTOR_BYTES // 4 + 2):
        centre.set(card_no % 1_400, LOST if card_no % 3 else ACTIVE)
        reader.hear(centre.news(centre.epoch - 1))
        if reader.card_map._wanted:
            reader.run()
            turned += 1
    assert (turned, reader.card_map._held[0]) == (1, 1 - bank)
    assert reader.holds(centre.epoch)


def test_60_000_cards_fit_into_ten_sectors():
    centre = Centre()
    draw = random.Random(3)
    for _ in range(3_000):
        centre.set(draw.randrange(60_000), LOST)
    centre.set(59_999, CLOSED)
    reader = Reader(centre)
    reader.run()
    assert reader.holds(centre.epoch, cards=60_001)


def test_a_map_that_does_not_fit_leaves_the_old_one():
    centre = a_centre()
    reader = a_reader(centre, card_sectors=4)
    old = centre.epoch
    centre.set(16_384, LOST)  # the first card beyond one sector
    reader.boot()
    reader.connect()
    reader.run()
    assert reader.holds(old)


def test_without_flash_for_it_there_is_no_map():
    centre = a_centre()
    reader = Reader(centre)
    reader.card_flash = reader.on_cards = None
    card_map = CardMap(reader, reader.recorder, reader)
    assert card_map.known(1_499) == (ACTIVE, 0)
    assert reader.on_cards is None
    card_map.step(0)
    assert reader.asked == []


def test_how_young_it_is_outlives_a_boot_to_the_hour():
    centre = a_centre()
    reader = a_reader(centre)
    made_s = centre.now_s
    for minutes in (30, 61):
        reader.now_ms = minutes * 60_000
        centre.now_s = made_s + minutes * 60
        assert reader.hear(centre.news(centre.epoch)) == ""
        assert reader.made_s == centre.now_s
        reader.online = False
        reader.boot()
        assert reader.made_s == (made_s if minutes == 30 else centre.now_s)


def test_messages_fit():
    centre = a_centre(changes=CHANGES_MAX - 1)
    news = {**centre.news(0), "device": 0xFFFFFFFF, "epoch": 0xFFFFFFFF}
    assert len(messages.encode_message(messages.CARDS, news)) <= messages.CARDS_BYTES_MAX
