"""Power is gone in the middle of a command, at any statement, and the command is given again.

The one home of it, for whatever writes to the books. Statements are those of SQLite: what a cut
leaves of a transaction is its own to say, and PostgreSQL's transactions are cut in
test_postgresql_daemons.py.
"""

import sqlite3

from ledger.dialect import SqliteDialect
from ledger.invariants import check
from ledger.store import LedgerStore


class Stopped(Exception):
    """The machine stopped here."""


class FaultyConnection:
    """A connection that raises `error` instead of running its k-th statement."""

    def __init__(self, connection, k, error):
        self._connection = connection
        self._left = k
        self._error = error

    def _count(self):
        self._left -= 1
        if self._left == 0:
            raise self._error

    def execute(self, sql, parameters=()):
        if sql != "ROLLBACK":
            self._count()
        return self._connection.execute(sql, parameters)

    def executemany(self, sql, rows):
        def counted():
            for row in rows:
                self._count()
                yield row

        return self._connection.executemany(sql, counted())

    @property
    def in_transaction(self):
        return self._connection.in_transaction

    @property
    def has_fired(self):
        return self._left <= 0

    def close(self):
        self._connection.close()


def image(store):
    """The books as bytes."""
    return store.database._connection.serialize()


def opened(books):
    """A connection to a copy of such bytes."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(books)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def stop_anywhere(prepared, act, least, check_each=0):
    """act(store) on copies of `prepared`, stopped before its k-th statement for every k.

    Done again it comes to what it comes to at once, and once more too: the last k is behind its
    end. `least` of statements there have to be, or the wrapper no longer sees them. Every so many
    stops (`check_each`; 0: never) all rules are looked at in what the stop has left. `prepared`
    is as after `act`; returned is its dump.
    """
    before = image(prepared)
    act(prepared)
    after = prepared.dump()
    k, has_fired = 0, True
    while has_fired:
        k += 1
        database = opened(before)
        connection = FaultyConnection(database, k, Stopped())
        try:
            act(LedgerStore(SqliteDialect(connection)))
        except Stopped:
            assert not database.in_transaction, f"stopped at statement {k}"
        has_fired = connection.has_fired
        store = LedgerStore(SqliteDialect(database))
        if check_each and k % check_each == 0:
            assert check(store) == [], f"stopped at statement {k}"
        act(store)
        assert store.dump() == after, f"stopped at statement {k}"
        store.close()
    assert k > least, "the wrapper no longer sees the statements"
    return after
