"""`onecard ledger locks`: the warden's list, from what handhelds have brought (R23.3b)."""

import re

import pytest
from typer.testing import CliRunner

from ledger import reasons
from protocols.rules import cells, door, lock
from protocols.wire import messages
from tests.ledger.readers import Reader, open_ledger
from tools.cli import app

NOON_S = 1_790_000_000


def onecard(path):
    return CliRunner().invoke(app, ["ledger", "locks", str(path)])


def said(reader, event, state=lock.LOCKED, grade=cells.GOOD, time_s=NOON_S):
    reader.write(
        messages.DOOR,
        state=lock.STATES_AT + lock.STATES.index(state),
        event=lock.number(event),
        levels=lock.THROWN | lock.INTACT,
        cause=grade,
        earliest_s=time_s,
        latest_s=time_s + 2,
    )


def power(reader, battery_mv):
    reader.write(messages.POWER, source=messages.BATTERY, battery_mv=battery_mv)


@pytest.fixture
def campus(tmp_path):
    """Four locks and a door, as they were heard last."""
    good, low, empty, jammed, a_door = (Reader(number) for number in (1, 2, 3, 4, 5))
    said(good, "visited", time_s=NOON_S + 100)
    power(low, 4700)
    said(low, "weaker", grade=cells.LOW)
    said(empty, "weaker", grade=cells.LOW)
    power(empty, 4020)
    said(empty, "weaker", grade=cells.EMPTY)
    said(jammed, "stall", lock.JAMMED)
    said(jammed, "tamper", lock.JAMMED)
    a_door.write(messages.DOOR, state=door.STATES.index(door.DARK), event=2, levels=0, cause=2)
    readers = (good, low, empty, jammed, a_door)
    store = open_ledger(*readers, path=str(tmp_path / "ledger.sqlite"))
    for reader in readers:
        store.book([reader.records])
    yield store
    store.close()


def test_the_worst_comes_first_and_a_door_is_no_lock(campus, tmp_path):
    listed = onecard(tmp_path / "ledger.sqlite")
    assert listed.exit_code == 1
    lines = listed.output.splitlines()
    assert [int(re.match(r"lock (\d+)", line)[1]) for line in lines] == [4, 3, 2, 1]
    assert "THE BOLT IS JAMMED" in lines[0]
    assert "cells empty (4.02 V)" in lines[1] and "last heard 2026-09-21T14:13:22Z" in lines[1]
    assert "cells low (4.70 V)" in lines[2]
    assert "cells good, last heard" in lines[3] and "card map none" in lines[3]


def test_each_opens_a_case(campus):
    rows = campus.database.rows("SELECT device, reason FROM suspense_case ORDER BY 1, 2")
    assert list(rows) == [
        (2, reasons.LOCK_CELLS_LOW),
        (3, reasons.LOCK_CELLS_LOW),
        (3, reasons.LOCK_CELLS_EMPTY),
        (4, reasons.LOCK_JAMMED),
        (4, reasons.LOCK_CASE_OPENED),
    ]


def test_other_cells_and_an_inspection_end_it(campus, tmp_path):
    reader = Reader(6)
    said(reader, "weaker", grade=cells.EMPTY)
    said(reader, "swapped")
    reader.write(
        messages.INSPECTION,
        network=1,
        waiting=0,
        battery_mv=6210,
        clock_width_s=4,
        reader_faults=0,
        free_sectors=9,
        map_made_s=NOON_S,
        receipt_s=NOON_S,
    )
    path = tmp_path / "other.sqlite"
    store = open_ledger(reader, path=str(path))
    store.book([reader.records])
    store.close()
    listed = onecard(path)
    assert listed.exit_code == 0
    assert "cells good (6.21 V)" in listed.output
    assert re.search(r"at a time it did not know, card map \d+ days old", listed.output)


def test_what_a_lock_has_not_confirmed_by_card_is_said(tmp_path):
    """Granted or revoked, and no card has brought its word that it knows."""
    store = open_ledger(Reader(8), Reader(9), path=str(tmp_path / "ledger.sqlite"))
    store.issue_cards((card_no, 0) for card_no in range(20_000, 20_100))
    for device in (8, 9):
        store.access.add_door(device, "dorm", 3000, 0, is_lock=True)
    store.access.appoint("appoint", "campus", "dorm", "Wang Fang", NOON_S)
    for card_no in range(20_000, 20_100, 2):
        store.access.grant(8, card_no, 1, 1, "Wang Fang", NOON_S)
    store.close()
    listed = onecard(tmp_path / "ledger.sqlite").output.splitlines()
    assert listed == [
        "lock 8, campus: never heard of, GRANTS OF EPOCH 50 NOT CONFIRMED (says nothing of any),"
        " its access map is too large for a card",
        "lock 9, campus: never heard of",
    ]


def test_other_files_are_refused_and_nothing_heard_is_said(tmp_path):
    (tmp_path / "no.sqlite").write_bytes(b"no books")
    assert onecard(tmp_path / "no.sqlite").exit_code == 2
    open_ledger(Reader(7), path=str(tmp_path / "ledger.sqlite")).close()
    listed = onecard(tmp_path / "ledger.sqlite")
    assert (listed.exit_code, listed.output) == (0, "no lock has been heard of\n")
