"""Audit in the console: a broken link is named, a spend is followed, acts are told to who may."""

import time

import pytest

from ledger import chain_check, invariants, one_yuan, people
from ledger.chain_check import HEAD, Stretch
from ledger.console import auditing
from ledger.console.asked import EN, Asked, Settings
from ledger.evidence import State
from ledger.signatures import Proven, write_act
from tests.ledger.console import dorm
from tests.ledger.console.campus import visitor
from tests.ledger.readers import CANTEEN, CARD, Reader, open_ledger
from tests.ledger.staff import FIRST, log_in

POS, SPENDS = 1001, 4


def books():
    reader = Reader(POS)
    reader.boot()
    for counter in range(1, SPENDS + 1):
        reader.spend(counter=counter, amount_fen=100, before_fen=10_000 - 100 * (counter - 1))
    store = open_ledger(reader)
    store.book([reader.records])
    return store, reader


def forge(store, sql, *values):
    """What the tables themselves would not let happen: somebody with the file at hand."""
    connection = store.database._connection
    for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'record'"
    ).fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(sql, values)


# --- chains ----


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_a_chain_holds_in_stretches_of_any_length(count):
    store, reader = books()
    behind, looks = 0, 0
    while True:
        found = chain_check.check(store.database, POS, behind, count)
        assert found.broken is None and found.upto == min(behind + count, reader.seq)
        behind, looks = found.upto, looks + 1
        if found.is_whole:
            break
    assert looks == -(-reader.seq // count)


@pytest.mark.parametrize("seq", range(1, 2 * SPENDS + 2))
@pytest.mark.parametrize("count", [2, 100])
def test_the_first_record_that_was_changed_is_named(seq, count):
    store, reader = books()
    other = reader.records[seq % len(reader.records)]
    forge(store, "UPDATE record SET sealed = ? WHERE device = ? AND seq = ?", other, POS, seq)
    assert first_broken(store, count) == seq
    assert list(invariants._broken_chains(store)) == [(POS, seq)]


@pytest.mark.parametrize("seq", range(1, 2 * SPENDS + 2))
def test_the_record_behind_one_that_was_removed_is_named(seq):
    store, reader = books()
    forge(store, "DELETE FROM record WHERE device = ? AND seq = ?", POS, seq)
    assert first_broken(store, 100) == (seq + 1 if seq < reader.seq else HEAD)


def first_broken(store, count):
    behind = 0
    while True:
        found = chain_check.check(store.database, POS, behind, count)
        if found.broken is not None or found.is_whole:
            return found.broken
        behind = found.upto


def test_what_is_not_there_is_no_chain_that_holds():
    store, reader = books()
    assert chain_check.check(store.database, 9, 0, 10) is None
    assert chain_check.check(store.database, POS, reader.seq + 1, 10) is None
    empty = open_ledger(Reader(POS))
    assert chain_check.check(empty.database, POS, 0, 10) == Stretch(POS, 0, 0, 0, None)


# --- one yuan ----


def test_a_spend_is_followed_from_tap_to_merchant():
    store, _reader = books()
    path = one_yuan.follow(store.database, POS, 2)
    assert path.fields["card_no"] == CARD and path.fields["amount_fen"] == 100
    assert path.state == State.COMMITTED
    (moved,) = path.transfers
    assert (moved.debit, moved.credit) == (("holder", CARD), ("merchant", CANTEEN))
    assert moved.amount_fen == 100 and path.settled == ()
    assert one_yuan.follow(store.database, POS, 99) is None
    boot = one_yuan.follow(store.database, POS, 1)
    assert (boot.state, boot.transfers) == (None, ())


# --- the page ----


def test_the_page_checks_a_chain_and_says_what_it_does_not_have(campus):
    console, store = campus
    engineer = visitor(console, store, "eng")
    text = engineer.get(f"/audit?reader={dorm.HALL}").text
    assert "每一环都对得上" in text
    assert "没有这台机具" in engineer.get("/audit?reader=99999").text
    assert "账簿里没有这条记录" in engineer.get("/audit?device=1001&seq=1").text
    text = engineer.get(f"/audit?device={dorm.HALL}&seq=1").text
    assert "没有动钱" in text and str(dorm.GRANTED) not in text


def test_acts_are_told_page_by_page_and_to_a_head_of_the_own_department(campus):
    console, store = campus
    treasurer = visitor(console, store, "tian")
    text = treasurer.send("/audit", "/audit", login="wen").text
    assert "access.dorm" in text and f"door {dorm.HALL}: grant" in text
    assert "没有，或不是您部门的人" in treasurer.send("/audit", "/audit", login="nobody").text
    own = visitor(console, store, "hes").send("/audit", "/audit", login="wen")
    assert "access.dorm" in own.text
    other = visitor(console, store, "hua").send("/audit", "/audit", login="wen")
    assert "没有，或不是您部门的人" in other.text and "access.dorm" not in other.text


def test_a_head_who_is_a_clerk_too_sees_no_more_than_a_head(campus):
    """Two roles that one person may have together; it had been every department's acts."""
    _console, store = campus
    assert not people.check_roles(people.FINANCE, (people.HEAD, people.CLERK))
    now_s = int(time.time())

    def acts(login, department, *roles):
        settings, nobody = Settings(259_200, 28_800), Proven("somebody", b"")
        asked = Asked(store, settings, nobody, department, roles, now_s, EN, {}, {})
        return auditing.acts_of(asked, login, 1 << 62)

    assert acts("wen", people.STUDENTS, people.HEAD)
    assert acts("wen", people.FINANCE, people.HEAD, people.CLERK) == []
    assert acts("clara", people.FINANCE, people.HEAD, people.CLERK)
    assert acts("wen", people.FINANCE, people.TREASURER), "who audits the school sees all"


def test_a_head_sees_what_somebody_did_who_is_let_in_no_more(campus):
    """Who has left is whom an audit is about."""
    console, store = campus
    write_act(store.database, "sun", "day.sign", "merchant 12", "", 0, int(time.time()))
    store.operators.disable("sun", log_in(store, FIRST[0], int(time.time())), int(time.time()))
    own = visitor(console, store, "hua").send("/audit", "/audit", login="sun")
    assert "day.sign" in own.text


def test_a_long_list_of_acts_goes_on_behind_the_last(campus):
    console, store = campus
    treasurer = visitor(console, store, "tian")
    sql = "SELECT COUNT(*) FROM operator_act WHERE login = 'eng'"
    with store.database.transaction():
        for number in range(120):
            write_act(store.database, "eng", "door.add", f"door {number}", "", 0, 1_790_000_000)
    answer = treasurer.send("/audit", "/audit", login="eng")
    told = [answer.text.count("<td>2")]
    while nexts := [form for _action, form in answer.page.forms if "before" in form]:
        answer = treasurer.post("/audit", nexts[0])
        told.append(answer.text.count("<td>2"))
    ((count,),) = store.database.rows(sql)
    assert sum(told) == count and len(told) == -(-count // 50)
