"""What readers and doors have said last, and a chain to its head: the same in both databases."""

from ledger import chain_check, door_states, fleet_state, one_yuan
from ledger.dialect import SqliteDialect
from protocols.rules import door, reasons
from protocols.wire import messages
from tests.ledger.readers import CARD, Reader, open_ledger

NOW_S, POS, DOOR = 1_790_000_000, 1001, 2001
SAID = {"earliest_s": NOW_S, "latest_s": NOW_S}


def books():
    pos, gate = Reader(POS), Reader(DOOR)
    pos.write(messages.BOOT, cause=1, firmware=7)
    pos.spend()
    gate.write(messages.ENTRY, card_no=CARD, reason=reasons.CARD_LOST, **SAID)
    place, event = door.STATES.index(door.DARK), door.number("dark")
    gate.write(messages.DOOR, state=place, event=event, levels=0, cause=0, **SAID)
    store = open_ledger(pos, gate)
    store.access.add_door(DOOR, "public", 5_000, 0)
    store.book([pos.records, gate.records])
    return store


def test_each_is_as_it_has_said():
    database = books().database
    pos, gate = fleet_state.readers(database)
    assert (pos.device, pos.firmware, gate.heard_s) == (POS, 7, NOW_S)
    said = door_states.of(database, DOOR)
    assert said in door_states.at(database, "", 9) and said in door_states.at(
        database, "campus", 9
    )
    assert said.is_dark and said.said_s == NOW_S
    assert door_states.taps(database, DOOR) == [door_states.Tap(NOW_S, NOW_S, reasons.CARD_LOST)]
    assert door_states.sites(database) == {"campus": 1}


def test_no_reader_costs_more_for_what_the_others_have_said(tmp_path):
    """An index that is gone through for each reader would be the square of them all."""
    database = SqliteDialect.open(str(tmp_path / "books.sqlite"))
    plan = [row[3] for row in database.rows(f"EXPLAIN QUERY PLAN {fleet_state._READERS}")]
    database.close()
    for index in ("record_inspected", "record_booted"):
        (line,) = [one for one in plan if index in one]
        assert line.startswith("SEARCH r USING INDEX"), line


def test_a_chain_holds_and_a_spend_is_followed():
    database = books().database
    found = chain_check.check(database, POS, 1, 9)
    assert (found.upto, found.broken, found.is_whole) == (3, None, True)
    (moved,) = one_yuan.follow(database, POS, 2).transfers
    assert moved.debit == ("holder", CARD)
