"""The audit: whatever is changed, taken out or put in, in a file or in the books, is named."""

import json
import os
from datetime import date

import pytest

from ledger import people
from ledger.audit import AuditError, export, newest, verify
from ledger.cancels import NUMBER_MIN
from ledger.invariants import check
from ledger.receipts import public_key
from ledger.schema import APPEND_ONLY
from protocols.wire import messages
from tests.ledger import campus, departments, ended, months, test_payments, test_phone_apps
from tests.ledger.lives import fill
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import enrol, found
from tests.ledger.tampering import tamper
from tests.ledger.test_constraints import filled

KEY = bytes(range(32))
MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, day) for day in (23, 24, 25))


def everything():
    store = filled()
    fill(store)
    months.fill(store)
    test_payments.fill(store)
    departments.fill(store)  # before a form closes the register
    campus.open_till(store)
    campus.fill(store)
    ended.fill(store)
    test_phone_apps.fill(store)
    assert check(store) == []
    return store


@pytest.fixture(scope="module")
def made(tmp_path_factory, books_on):
    """Books with something in every journal, and what an audit of two days has written."""
    del books_on  # but on that database: other books for each
    folder = tmp_path_factory.mktemp("audit")
    store = everything()
    export(store.database, folder, MONDAY, KEY)
    store.cards.set("lose", 8, 9)
    store.top_ups.top_up(8, 700, "d")
    enrol(store, found(store, 10), "clara", people.FINANCE, (people.CLERK,), 10)
    export(store.database, folder, TUESDAY, KEY)
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    return store, contents


@pytest.fixture
def audit(made, tmp_path):
    store, contents = made
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return store, tmp_path


def faults_of(folder, store=None):
    database = None if store is None else store.database
    return verify(folder, database, public_key(KEY))[0]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_row_of_every_journal_stands_in_it_once(audit):
    store, folder = audit
    assert faults_of(folder, store) == []
    lines = [line for name in names(folder) for line in (folder / name).read_bytes().split(b"\n")]
    rows = [row for row in map(json.loads, filter(None, lines)) if isinstance(row, list)]
    for table in APPEND_ONLY:
        ((count,),) = store.database.rows(f"SELECT COUNT(*) FROM {table}")
        assert count, table
        assert count == sum(row[0] == table for row in rows), table
    loads = {tuple(row) for row in rows if row[0] == "load"}
    sql = f"SELECT number, card_no, amount_fen, order_id FROM load WHERE number < {NUMBER_MIN}"
    assert loads == {("load", *row) for row in store.database.rows(sql)} != set()
    assert names(folder) == ["audit-000001-2026-11-23.jsonl", "audit-000002-2026-11-24.jsonl"]
    assert newest(folder).day == "2026-11-24" and newest(folder / "none") is None


def test_no_key_stands_in_it(audit):
    store, folder = audit
    whole = b"".join(path.read_bytes() for path in folder.iterdir())
    for (key,) in store.database.rows("SELECT device_key FROM device_key"):
        assert bytes(key).hex().encode() not in whole


def test_a_day_without_news_is_a_file_too_and_a_day_has_one(audit):
    store, folder = audit
    assert export(store.database, folder, WEDNESDAY, KEY).rows == 0
    assert faults_of(folder, store) == []
    for day in (MONDAY, WEDNESDAY):
        with pytest.raises(AuditError, match="there already"):
            export(store.database, folder, day, KEY)


def test_a_day_of_a_wrong_clock_does_not_end_it(audit):
    """Numbers and hashes give the order; of what day a file is is only what a clock has said."""
    _store, folder = audit
    store = everything()  # not those that the other tests look at
    for path in folder.iterdir():
        path.unlink()
    export(store.database, folder, date(2036, 11, 25), KEY)
    store.top_ups.top_up(CARD, 700, "after")
    made = export(store.database, folder, WEDNESDAY, KEY)
    assert made.rows and newest(folder) == made
    assert faults_of(folder, store) == []
    with pytest.raises(AuditError, match="there already"):
        export(store.database, folder, date(2036, 11, 25), KEY)


def test_rows_of_since_are_newer(audit):
    store, folder = audit
    older = open_ledger()
    database = older.database
    other = folder / "other"
    export(database, other, MONDAY)
    older.top_ups.top_up(CARD, 700, "e")
    assert verify(other, database)[::2] == ([], 2)  # its load and its transfer
    assert "audit-000001-2026-11-23.jsonl is not signed" in faults_of(other)
    assert verify(folder, store.database, public_key(bytes(32)))[0]


def lines_of(folder, number):
    path = folder / names(folder)[number]
    return path, path.read_bytes().splitlines(keepends=True)


def test_every_byte_counts(audit):
    """One byte, anywhere, in either file: it is told, and in which file."""
    store, folder = audit
    for number in (0, 1):
        path, lines = lines_of(folder, number)
        good = b"".join(lines)
        for place in range(0, len(good), 1499):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert any(path.name in fault for fault in faults_of(folder)), (number, place)
        for length in range(0, len(good), 2999):
            path.write_bytes(good[:length])
            assert any(path.name in fault for fault in faults_of(folder)), (number, length)
        path.write_bytes(good)
    assert faults_of(folder, store) == []


@pytest.mark.parametrize("how", ["row gone", "row twice", "file gone", "file put in"])
def test_what_is_missing_or_put_in_is_named(audit, how):
    store, folder = audit
    path, lines = lines_of(folder, 0)
    if how == "file gone":
        path.unlink()
    elif how == "file put in":
        path.with_name("audit-000003-2026-11-25.jsonl").write_bytes(b"".join(lines))
    else:
        changed = lines[:1] + lines[2:] if how == "row gone" else [*lines[:2], *lines[1:]]
        path.write_bytes(b"".join(changed))
    assert faults_of(folder)
    with pytest.raises(AuditError):
        export(store.database, folder, WEDNESDAY, KEY)


CHANGED = {
    "changed": "UPDATE transfer SET amount_fen = amount_fen + 1 WHERE device = 1001 AND seq = 1",
    "gone": "DELETE FROM suspense_case WHERE device = 1004",
    "put in": "INSERT INTO access_person VALUES (0, 'campus', 'dorm', 'Li', 1, 1)",
}


@pytest.mark.parametrize("how", CHANGED)
def test_books_that_were_changed_are_named_by_row(tmp_path, how):
    store = filled()
    export(store.database, tmp_path, MONDAY)
    tamper(store, [CHANGED[how]])
    faults, _files, newer = verify(tmp_path, store.database)
    assert faults and all("transfer" in f or "case" in f or "person" in f for f in faults), faults
    assert newer == (how != "gone") * (1 if how == "put in" else len(faults))


def test_yesterdays_books_are_seen(audit):
    """A backup of before: what was exported since is not in it."""
    _store, folder = audit
    gone = verify(folder, everything().database)[0]
    of_people = [line for line in gone if '["operator_' in line]
    assert len(gone) - len(of_people) == 4  # a loss, who said it, a load and its transfer
    assert len(of_people) == 9  # three were let in, one by a proposal, and five acts


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_cut_leaves_a_day_without_a_file(audit, monkeypatch, call):
    store, folder = audit

    def cut(*_arguments):
        raise OSError(5, "power")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, cut)
        with pytest.raises(OSError, match="power"):
            export(store.database, folder, WEDNESDAY, KEY)
    assert faults_of(folder, store) == []
    assert len(list(folder.glob("audit-*"))) == 2
    export(store.database, folder, WEDNESDAY, KEY)
    assert faults_of(folder, store) == []


def test_a_late_record_comes_with_the_next_day(tmp_path):
    reader = Reader(1001)
    reader.spend()
    reader.outcome((1001, 1), messages.UNKNOWN)
    store = open_ledger(reader)
    store.book([reader.records[:1]])
    export(store.database, tmp_path, MONDAY)
    store.book([reader.records])
    made = export(store.database, tmp_path, TUESDAY)
    text = made.path.read_text()
    assert made.rows == 3 and '"transfer"' in text and text.count('["record"') == 2
    assert verify(tmp_path, store.database)[0] == []
