"""Cells by building, released doors, and a card that is blocked everywhere at once."""

import re
import time

import pytest

from ledger import door_states, lifecycle, people
from ledger.console import batteries, block, forms, mains
from ledger.console.refusals import BAD_FIELDS
from ledger.door_states import EMPTY_MV, FRESH_MV, percent_left
from ledger.privacy import masked
from protocols.rules import cells, door, lock
from protocols.rules.card_status import ACTIVE, SUSPENDED
from protocols.wire import messages
from tests.ledger.console import dorm
from tests.ledger.console.campus import Console, books_in, configure, visitor
from tests.ledger.readers import Reader, open_ledger

NOW_S = 1_790_000_000


def doors_in(text):
    """The numbers of the doors of a page, in its order."""
    return [int(number) for number in re.findall(r'href="/doors/(\d+)"', text)]


# --- cells ----


def test_the_worst_cells_come_first_with_their_doors(campus):
    console, store = campus
    warden = visitor(console, store, "wen")
    text = warden.get(f"/batteries?site={dorm.SITE}").text
    assert doors_in(text) == [dorm.EMPTY, dorm.WEAK]
    assert "耗尽 · 0 %" in text and "偏低 · 12 %" in text
    assert doors_in(warden.get("/batteries").text) == [dorm.EMPTY, dorm.WEAK]
    assert doors_in(warden.get(f"/batteries?site={dorm.GATES}").text) == []
    assert "没有要换电池的锁" in warden.get("/batteries?site=nowhere").text


def test_whoever_keeps_a_building_finds_its_cells_on_the_first_page(campus):
    console, store = campus
    link = f"/batteries?site={dorm.SITE}"
    assert link in visitor(console, store, "wen").get("/").text
    for login in ("gu", "clara", "hes"):
        assert link not in visitor(console, store, login).get("/").text


def test_jammed_comes_before_empty_and_equal_grades_by_voltage():
    readers = [Reader(number) for number in (1, 2, 3, 4, 5)]
    for reader, battery_mv, grade, state in zip(
        readers,
        (6_000, 4_300, 4_200, 3_700, 6_300),
        (cells.GOOD, cells.LOW, cells.LOW, cells.EMPTY, cells.GOOD),
        (lock.JAMMED, lock.LOCKED, lock.LOCKED, lock.LOCKED, lock.LOCKED),
        strict=True,
    ):
        dorm.battery(reader, battery_mv, NOW_S)
        dorm.says(reader, state, "stall" if state == lock.JAMMED else "thrown", NOW_S, grade)
    store = open_ledger(*readers)
    for reader in readers:
        store.access.add_door(reader.device, "dorm", 5_000, 0)
    store.book([reader.records for reader in readers])
    states = door_states.by_need(door_states.at(store.database, "", 99))
    assert [one.device for one in states] == [1, 4, 3, 2, 5]
    assert [batteries.wants(one) for one in states] == [True, True, True, True, False]
    assert [one.grade for one in states] == [0, 2, 1, 1, 0]


def test_percent_is_of_the_voltage_between_empty_and_new():
    assert [percent_left(mv) for mv in (0, EMPTY_MV, FRESH_MV, 9_000)] == [0, 0, 100, 100]
    assert percent_left((EMPTY_MV + FRESH_MV) // 2) in (49, 50)


def test_a_letter_that_is_newer_than_a_record_tells_the_cells():
    reader = Reader(1)
    dorm.battery(reader, 6_000, NOW_S)
    dorm.says(reader, lock.LOCKED, "home", NOW_S)
    store = open_ledger(reader)
    store.access.add_door(1, "dorm", 5_000, 0, True)
    store.book([reader.records])
    assert door_states.of(store.database, 1).battery_mv == 6_000
    for seq, epoch, battery_mv in ((0, 4, 5_500), (9, 5, 4_400)):
        word = 1, seq, epoch, NOW_S - 9, battery_mv, NOW_S
        store.database.many("INSERT OR REPLACE INTO lock_word VALUES (?, ?, ?, ?, ?, ?)", [word])
        said = door_states.of(store.database, 1)
        assert said.battery_mv == (4_400 if seq > 1 else 6_000)
    assert (said.held_epoch, said.map_made_s) == (5, NOW_S - 9)


def test_what_a_later_firmware_says_is_not_read_and_hides_no_door():
    reader = Reader(1)
    reader.write(messages.DOOR, state=31, event=200, levels=0, cause=0)
    reader.write(messages.DOOR, state=200, event=200, levels=0, cause=0)
    store = open_ledger(reader)
    store.access.add_door(1, "dorm", 5_000, 0)
    store.book([reader.records])
    said = door_states.of(store.database, 1)
    assert (said.state, said.event, said.heard_s) == ("", "", 0)


# --- mains ----


def test_each_magnet_is_released_locked_or_unknown():
    """Over every state of the table: only where the coil may have current it is locked."""
    readers = [Reader(number) for number in range(1, len(door.STATES) + 1)]
    for reader, state in zip(readers, door.STATES, strict=True):
        dorm.says(reader, state, "tamper", NOW_S)
    store = open_ledger(*readers, Reader(99))
    for reader in (*readers, Reader(99)):
        store.access.add_door(reader.device, "public", 5_000, 0)
    store.book([reader.records for reader in readers])
    states = {one.device: one for one in door_states.at(store.database, "", 99)}
    for reader, state in zip(readers, door.STATES, strict=True):
        said = states[reader.device]
        assert said.state == state
        assert said.is_released == (state not in door.LOCKING)
        assert said.is_dark == (state == door.DARK)
        assert not mains.is_silent(said, NOW_S) and mains.is_silent(said, NOW_S + 90_000)
    assert not states[99].is_released and mains.is_silent(states[99], NOW_S)


def test_the_page_lists_the_dark_doors_by_building(campus):
    console, store = campus
    guard = visitor(console, store, "gu")
    dark, released, silent = guard.get("/mains").text.split("<section")[1:]
    assert doors_in(dark) == [dorm.GATE] and dorm.GATES in dark
    assert doors_in(released) == [] == doors_in(silent)
    assert "锁着的门：</b>" not in silent and "<b>1</b>" in silent
    for lock_on_cells in (dorm.ROOM, dorm.WEAK, dorm.EMPTY):
        assert str(lock_on_cells) not in dark + released + silent


# --- block ----


@pytest.fixture
def own(tmp_path):
    """(console, store) of a test that changes cards."""
    config = configure(tmp_path)
    store = books_in(tmp_path)
    console = Console(config)
    yield console, store
    log = console.close()
    store.close()
    assert "Traceback" not in log, log


@pytest.mark.parametrize("login", ["gu", "wen"])
def test_a_card_is_blocked_at_every_door_and_once(own, login):
    console, store = own
    who = visitor(console, store, login)
    look = who.get(f"/block?card={dorm.GRANTED}")
    assert masked(dorm.PERSON_NO) in look.text and dorm.PERSON_NO not in look.text
    assert store.cards.status(dorm.GRANTED) == ACTIVE, "looking blocks nobody"
    form = look.form("/block") | {"cause": "theft"}
    epoch = store.cards.epoch()
    for _ in range(2):
        answer = who.post("/block", form)
        assert answer.headers["location"] == f"/block?card={dorm.GRANTED}&done=blocked"
    assert store.cards.status(dorm.GRANTED) == SUSPENDED
    assert store.cards.epoch() == epoch + 1
    said = store.cards.history(dorm.GRANTED)[-1]
    assert said[3:] == ("suspend", "theft")
    text = who.get(f"/block?card={dorm.GRANTED}&done=blocked").text
    assert doors_in(text) == [dorm.ROOM, dorm.WEAK, dorm.EMPTY], "locks that cannot know it yet"
    assert "已停用" in text


def test_a_lock_that_says_it_has_the_map_is_not_named_any_more(own):
    console, store = own
    guard = visitor(console, store, "gu")
    guard.send(f"/block?card={dorm.GRANTED}", "/block", cause="danger")
    word = dorm.ROOM, 99, 1, int(time.time()) + 5, 6_000, int(time.time())
    with store.database.transaction():
        store.database.many("INSERT INTO lock_word VALUES (?, ?, ?, ?, ?, ?)", [word])
    assert doors_in(guard.get(f"/block?card={dorm.GRANTED}").text) == [dorm.WEAK, dorm.EMPTY]
    # A map of that very second may be from before it: nobody claims that the lock knows.
    since_s = store.cards.history(dorm.GRANTED)[-1][2]
    for lock_no, made_s in ((dorm.WEAK, since_s), (dorm.EMPTY, since_s + 1)):
        word = lock_no, 99, 1, made_s, 6_000, since_s
        with store.database.transaction():
            store.database.many("INSERT INTO lock_word VALUES (?, ?, ?, ?, ?, ?)", [word])
    assert doors_in(guard.get(f"/block?card={dorm.GRANTED}").text) == [dorm.WEAK]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"cause": "because"}, BAD_FIELDS),
        ({"card_no": "x"}, BAD_FIELDS),
        ({"card_no": "999999"}, lifecycle.NO_CARD),
        ({"card_no": str(dorm.LOST_CARD)}, lifecycle.WRONG_STATE),
    ],
)
def test_what_cannot_be_blocked_changes_nothing(campus, fields, reason):
    console, store = campus
    guard = visitor(console, store, "gu")
    form = guard.get(f"/block?card={dorm.STRANGER}").form("/block") | {"cause": "theft"} | fields
    before = store.dump()
    assert guard.post("/block", form).reason == reason
    assert store.dump() == before


def test_who_may_suspend_elsewhere_has_no_such_page(campus):
    """A clerk suspends on the account page; this one is for whoever stands at a door."""
    console, store = campus
    clerk = visitor(console, store, "clara")
    number, seal = forms.opened(clerk.cookies["session"], "/block")
    said = {"card_no": str(dorm.GRANTED), "cause": "theft", "form_no": number, "form_seal": seal}
    assert clerk.post("/block", said).status == 404
    assert store.cards.status(dorm.GRANTED) == ACTIVE
    assert set(block._ROLES) <= set(people.VERBS["card.suspend"].roles)
