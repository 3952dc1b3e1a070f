"""What is copied into PostgreSQL is not waited for: what it has against it comes later, or never.

ledger/postgres.py sends the rows and goes on. So each way on from there is gone here: the next
statement, the end, a failure of our own, and a server that is no more.
"""

import os
import socket

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from adapters import postgres
from ledger import store as ledger_store
from ledger.dialect import ConstraintBroken, StoreUnavailable
from ledger.invariants import check
from tests.ledger.cluster import Cluster
from tests.ledger.readers import CANTEEN, Reader
from tests.ledger.test_postgresql import ledger

HASH = bytes(32)
RIGHT, STRANGE = (1001, 1, 1, HASH, b"", 0), (1002, 1, 1, HASH, b"", 0)


@pytest.fixture
def url(postgresql):
    """An empty database."""
    url = postgresql.new_database()
    yield url
    postgresql.drop(url)


@pytest.fixture
def store(url):
    store = ledger(url, Reader(1001))
    yield store
    store.close()


def status(database):
    return database._connection.info.transaction_status


def test_what_is_copied_in_a_transaction_is_not_waited_for(store):
    database = store.database
    with database.transaction():
        database.insert("record", [RIGHT])
        assert status(database) is TransactionStatus.ACTIVE
        assert list(database.rows("SELECT COUNT(*) FROM record")) == [(1,)]
        assert status(database) is TransactionStatus.INTRANS
        database.insert("record", [(1001, 2, *RIGHT[2:])])
        database.insert("record", [(1001, 3, *RIGHT[2:])])
    assert status(database) is TransactionStatus.IDLE
    assert store.summary()["records"] == 3


def test_outside_of_one_it_is(store):
    store.database.insert("record", [RIGHT])
    assert status(store.database) is TransactionStatus.IDLE
    with pytest.raises(ConstraintBroken, match="already exists"):
        store.database.insert("record", [RIGHT])


_NEXT = {
    "rows": lambda database: database.rows("SELECT 1"),
    "rows_of": lambda database: list(
        database.rows_of("WITH k (n) AS (VALUES {keys}) SELECT n FROM k", [(1,)])
    ),
    "many": lambda database: database.many("INSERT INTO merchant VALUES (?, ?)", [(5, "five")]),
    "many others": lambda database: database.many("UPDATE tally SET total = ?", [(5,)]),
    "insert": lambda database: database.insert("record", [(1001, 2, *RIGHT[2:])]),
    "update": lambda database: database.update("UPDATE card SET opening_fen = ?", [(5,)]),
}


@pytest.mark.parametrize("following", _NEXT)
def test_the_next_statement_says_what_was_wrong_with_a_copy(store, following):
    before, database = store.dump(), store.database
    has_refused = False
    with pytest.raises(ConstraintBroken, match="speaks of no device"), database.transaction():
        database.insert("record", [RIGHT, STRANGE])
        try:
            _NEXT[following](database)
        except ConstraintBroken:
            has_refused = True
            raise
    assert has_refused, "only the end of the transaction has said it"
    assert store.dump() == before
    with database.transaction():  # the connection is as good as it was
        database.insert("record", [RIGHT])
    assert store.summary()["records"] == 1


@pytest.mark.parametrize("row", [RIGHT, STRANGE])
def test_what_fails_meanwhile_is_told_and_takes_the_copy_with_it(store, row):
    before, database = store.dump(), store.database
    with pytest.raises(RuntimeError, match="of our own"), database.transaction():
        database.insert("record", [row])
        raise RuntimeError("of our own")
    assert status(database) is TransactionStatus.IDLE
    assert store.dump() == before
    with database.transaction():
        database.insert("record", [RIGHT])
    assert store.summary()["records"] == 1


def test_a_decision_that_fails_leaves_the_books_as_they_were(store, monkeypatch):
    """The records of a run are on their way when their deciding falls over."""
    reader = Reader(1001)
    for counter in range(1, 4):
        reader.spend(counter=counter, amount_fen=1)
    first, rest = reader.records[:2], reader.records[2:]
    store.book([first], [rest])  # the rest is read ahead from now on
    before = store.dump()

    def fail(_claims, book):
        assert [run.device for run in book.runs.values()] == [1001]
        assert status(store.database) is TransactionStatus.ACTIVE
        raise RuntimeError("of our own")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="of our own"):
        patch.setattr(ledger_store, "decide", fail)
        store.book([rest])
    assert store.dump() == before
    store.book([rest])
    assert (store.takings(CANTEEN), check(store)) == (3, [])


@pytest.fixture
def own_server(postgresql):
    """A server with a log of its own."""
    cluster = Cluster(postgresql.programs)
    yield cluster
    cluster.close()


def test_why_a_copy_is_given_up_is_not_in_the_log_of_the_server(own_server):
    store = ledger(own_server.new_database(), Reader(1001))
    with pytest.raises(RuntimeError), store.database.transaction():
        store.database.insert("record", [RIGHT])
        raise RuntimeError("of card 4711")
    store.close()
    log = (own_server.folder / "log").read_text()
    assert "COPY from stdin failed" in log
    assert "4711" not in log and "RuntimeError" not in log


def test_a_connection_that_breaks_meanwhile_is_made_anew(store, url):
    before, database = store.dump(), store.database
    with pytest.raises(StoreUnavailable), database.transaction():
        database.insert("record", [RIGHT])
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'onecard-ledger'"
            )
    assert store.dump() == before
    with database.transaction():
        database.insert("record", [RIGHT])
    assert store.summary()["records"] == 1


def test_there_is_room_on_the_way_for_what_is_copied(url):
    """As much as this kernel gives; on a fresh line it gives less."""
    connection = postgres.connect(url)
    with (
        connection,
        socket.socket(fileno=os.dup(connection.fileno())) as line,
        socket.socket(socket.AF_UNIX) as fresh,
    ):
        room_bytes = [one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) for one in (line, fresh)]
    assert room_bytes[0] > room_bytes[1]
