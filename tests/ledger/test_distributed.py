"""What a PostgreSQL of several machines asks of schema and code, tried on one that says the same.

Such engines (docs/scale.md) refuse a transaction for others' sake at any statement, also at
COMMIT; they have no cheap counter for all, and an index cannot be unique across shards without the
key that says which shard. `refuse` makes the real server say 40001 or 40P01 at any statement.
"""

import contextlib
import re

import pytest

from ledger.dialect import Conflict, StoreUnavailable
from ledger.invariants import check
from ledger.postgres import PostgresDialect
from ledger.store import TRIES_MAX, LedgerStore
from protocols.wire import messages
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader

# Tables that grow with every tap, and what says which shard a row of theirs is in: the reader's
# number. All that a reader tells stands together, and its order is its own.
GROW_WITH_TAPS = ("record", "intent", "transfer", "early_outcome", "parked", "punch", "rejected")
SHARD_KEY = "device"
# Keyed by what it is a hash of, which spreads it as well.
BY_HASH = {"rejected": "sha256"}
_SAY = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{}', MESSAGE = 'for another''s sake'; END $$"
_INDEXES = """
SELECT c.relname, ARRAY(SELECT attname::text FROM pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey::int2[]))
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'public'::regnamespace AND i.indisunique"""
# What engines of several machines lack, or keep for all in one place: (what, how many there are).
_TABLES = r"""pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
    AND c.relname NOT LIKE 'first%'"""
_LACKING = {
    "sequences": "SELECT COUNT(*) FROM pg_sequences",
    "columns that count": f"""SELECT COUNT(*) FROM pg_attribute a, {_TABLES}
        AND a.attrelid = c.oid AND (a.attidentity <> '' OR a.attgenerated <> '')""",
    "deferrable or exclusion constraints": f"""SELECT COUNT(*) FROM pg_constraint n, {_TABLES}
        AND n.conrelid = c.oid AND (n.condeferrable OR n.contype = 'x')""",
    "inheritance": f"SELECT COUNT(*) FROM pg_inherits h, {_TABLES} AND h.inhrelid = c.oid",
    "unlogged tables": f"SELECT COUNT(*) FROM {_TABLES} AND c.relpersistence <> 'p'",
    "rules": f"SELECT COUNT(*) FROM pg_rewrite r, {_TABLES} AND r.ev_class = c.oid",
    "tables without a key": f"""SELECT COUNT(*) FROM {_TABLES} AND NOT EXISTS
        (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)""",
}
_UNKNOWN_THERE = re.compile(
    r"\b(?:LISTEN|NOTIFY|SKIP LOCKED|LOCK TABLE|CREATE TEMP\w*|nextval|currval|SERIAL|ctid"
    r"|pg_(?:try_)?advisory_\w+)\b"
)
# Only while tables are made or led to a newer version.
_MIGRATING = ("pg_advisory_xact_lock",)


@pytest.fixture
def url(postgresql):
    url = postgresql.new_books()
    yield url
    postgresql.drop(url)


class Refusal:
    """Lets the server refuse statement `at` (from 1) of what a store says, `times` on end."""

    def __init__(self, at, times=1, code="40001"):
        self.at, self.times, self.code = at, times, code
        self.said = 0  # statements since the last refusal
        self.refused = 0

    def __call__(self, connection):
        self.said += 1
        if self.said == self.at and self.refused < self.times:
            self.refused, self.said = self.refused + 1, 0
            connection.execute(_SAY.format(self.code).encode())
        return connection


@pytest.fixture
def refuse(monkeypatch):
    """refuse(at, times, code) -> Refusal, in force from now on; refuse(None) ends it."""
    live = PostgresDialect._live

    def begin(at, times=1, code="40001"):
        if at is None:
            monkeypatch.setattr(PostgresDialect, "_live", live)
            return None
        refusal = Refusal(at, times, code)
        monkeypatch.setattr(PostgresDialect, "_live", lambda self: refusal(live(self)))
        return refusal

    return begin


def _books(place, reader):
    store = LedgerStore.open(place)
    store.register_merchant(CANTEEN, "Canteen")
    store.register_device(reader.device, reader.key, CANTEEN)
    store.issue_card(CARD, OPENING_FEN)
    return store


def _once(reader):
    """The books as they are when nobody is ever refused."""
    store = _books(":memory:", reader)
    store.book([reader.records])
    return store


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_booking_that_is_refused_at_any_statement_is_done_again_and_once(url, refuse, code):
    reader = Reader(1001)
    store = _books(url, reader)
    at, last, refusal = 0, (0, 0), None
    while refusal is None or refusal.refused:
        at += 1
        before = reader.seq
        last = reader.intent(counter=at, amount_fen=10, last=last)
        if at % 3:
            reader.outcome(last, messages.COMMITTED)
        refusal = refuse(at, code=code)
        (answer,) = store.book([reader.records[before:]])
        assert [head.seq for head in answer.heads] == [reader.seq]
    refuse(None)
    print(f"refused at each of {at - 1} statements")
    assert at > 10
    assert check(store) == []
    assert store.summary()["duplicates"] == 0
    once = _once(reader)
    assert store.dump() == once.dump()
    store.close()
    once.close()


def test_a_commit_that_is_refused_is_done_again(url, postgresql):
    reader = Reader(1001)
    store = _books(url, reader)
    name = url.partition("?")[0].rpartition("/")[2]
    for statement in _REFUSES_COMMIT:  # the counter outlives what is rolled back
        postgresql.run(statement, name)
    for _ in range(3):
        before = reader.seq
        reader.spend()
        store.book([reader.records[before:]])
    (said,) = store.database.rows("SELECT last_value FROM commits")
    assert said == (4,), "one of them was refused"
    once = _once(reader)
    assert store.dump() == once.dump()
    store.close()
    once.close()


_REFUSES_COMMIT = (
    "CREATE SEQUENCE commits",
    """CREATE FUNCTION refuse_the_second() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('commits') = 2 THEN RAISE EXCEPTION USING ERRCODE = '40001'; END IF;
    RETURN NULL; END $$""",
    """CREATE CONSTRAINT TRIGGER refuse_the_second AFTER INSERT ON transfer
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_the_second()""",
)


def test_one_that_is_refused_for_ever_changes_nothing_and_is_not_acknowledged(url, refuse):
    reader = Reader(1001)
    store = _books(url, reader)
    before = store.dump()
    reader.spend()
    refusal = refuse(5, times=1_000)
    with pytest.raises(Conflict):
        store.book([reader.records])
    assert refusal.refused == TRIES_MAX
    refuse(None)
    assert store.dump() == before
    store.book([reader.records])
    assert store.summary()["booked"] == 1
    store.close()


def test_a_person_s_word_that_is_refused_changes_nothing_and_is_said_again(url, refuse):
    reader = Reader(1001)
    store = _books(url, reader)
    at, refused = 0, True
    while refused:
        at += 1
        refusal = refuse(at)
        with contextlib.suppress(StoreUnavailable):
            store.top_ups.top_up(CARD, 100, f"order-{at}")
        refused = refusal.refused
        refuse(None)
        store.top_ups.top_up(CARD, 100, f"order-{at}")
    print(f"refused at each of {at - 1} statements")
    assert store.summary()["loading"] == at
    assert check(store) == []
    store.close()


def test_nothing_is_counted_for_all_and_nothing_is_asked_at_the_end(url):
    store = LedgerStore.open(url)
    found = {
        what: count for what, sql in _LACKING.items() for (count,) in store.database.rows(sql)
    }
    store.close()
    assert found == dict.fromkeys(_LACKING, 0)


def test_what_grows_with_taps_is_unique_within_its_shard(url):
    store = LedgerStore.open(url)
    unique = [(table, set(columns)) for table, columns in store.database.rows(_INDEXES)]
    store.close()
    assert {table for table, _columns in unique} >= set(GROW_WITH_TAPS)
    for table, columns in unique:
        if table in GROW_WITH_TAPS:
            assert BY_HASH.get(table, SHARD_KEY) in columns, table


def test_no_statement_asks_for_what_such_engines_lack(repo_root):
    said = set()
    for path in sorted((repo_root / "ledger").rglob("*.py")):
        for found in _UNKNOWN_THERE.findall(path.read_text(encoding="utf-8")):
            said.add((path.name, found))
    assert said == {("postgres.py", name) for name in _MIGRATING}
