"""The one seam between the ledger's SQL and its database; PostgreSQL is in ledger/postgres.py.

Everything above writes plain SQL with `?` parameters and, for many keys at once, `{keys}` inside
`WITH k (...) AS (VALUES {keys})`. A dialect has the methods of `Dialect`. Writers take turns
in both: intents of one card on two readers are never booked past each other. Here the write lock,
taken at the start, serves; there a lock on a row.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from adapters.sqlite import open_database, transaction
from ledger.schema import MIGRATIONS

Row = tuple[Any, ...]
POSTGRESQL = "postgresql://"  # what names a database there begins with it
_KEYS_MAX = 500  # per statement: far below SQLite's 32766 parameters
# A portion changes some 3,000 pages all over the books. With the 2 MB that SQLite takes by itself
# they went out and came in again within the commit, and each commit was a checkpoint as well.
_CACHE_KIB, _LOG_PAGES, _PAGE_BYTES = 65_536, 16_384, 4_096
_ROOM = (
    f"PRAGMA cache_size = -{_CACHE_KIB}",
    f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}",
    f"PRAGMA journal_size_limit = {_LOG_PAGES * _PAGE_BYTES}",
)


def says_password(url: str) -> bool:
    """Whether a password stands in `url`, where `ps` and logs would show it."""
    parts = urlsplit(url)
    return parts.password is not None or "password" in parse_qs(parts.query)


class StoreUnavailable(Exception):
    """The database cannot do it now (disk full, locked, I/O); nothing was changed. Try again.

    Where the connection to a server broke during a commit, the books may have changed all the
    same: whoever tries again is answered as the second time.
    """


class Conflict(StoreUnavailable):
    """The database could not put this transaction in a row with others (40001, 40P01).

    Nothing was changed, and the same again is likely to pass at once. Not where all is one
    PostgreSQL server: there writers take turns. Engines of several nodes say it at any statement.
    """


class ConstraintBroken(Exception):
    """The database refused what must not be; nothing was changed."""


class SchemaTooOld(Exception):
    """The database's tables are older than this program, and its role may not change them."""


class Dialect(Protocol):
    """The ledger's statements on a database. Raises this module's errors."""

    def transaction(self) -> AbstractContextManager[None]:
        """All of the block, durably, or nothing of it. One at a time, of all programs."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """One state of the books for all questions of the block, which writes nothing.

        Nobody waits for it: others write meanwhile.
        """
        ...

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of one statement."""
        ...

    def rows_of(self, sql: str, keys: Iterable[Row]) -> Iterator[Row]:
        """The rows of `sql` for `keys`, which are tuples of one length."""
        ...

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        ...

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """New `rows` of a table of numbers and bytes, with all of its columns in their order.

        What is wrong with them may be raised by the next statement, or the transaction's end.
        """
        ...

    def update(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `UPDATE ... SET ... WHERE ...` for each of `rows`.

        Each changes one row of the table and no two the same, so that they may be one statement;
        else ConstraintBroken. `sql` has no braces.
        """
        ...

    def close(self) -> None:
        """Nothing can be asked any more."""
        ...


class SqliteDialect:
    """The ledger's statements on one SQLite connection. Raises this module's errors."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: str) -> "SqliteDialect":
        """The ledger in the file `path`, created or migrated as needed.

        Raises StoreUnavailable, SchemaTooNew and NotDurable of adapters.sqlite; of a file that is
        no database sqlite3.DatabaseError.
        """
        try:
            connection = open_database(path, MIGRATIONS)
            for setting in _ROOM:
                connection.execute(setting)
        except sqlite3.OperationalError as error:  # also locked by others for longer than we wait
            raise StoreUnavailable(f"{path}: {error}") from error
        return cls(connection)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, durably, or nothing of it."""
        try:
            with transaction(self._connection):
                yield
        except sqlite3.IntegrityError as error:
            raise ConstraintBroken(str(error)) from error
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(str(error)) from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the books for all questions of the block, which writes nothing."""
        try:
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(str(error)) from error

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """What `sql` gives; it is carried out whether or not anybody takes that."""
        try:
            cursor = self._connection.execute(sql, parameters)
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(str(error)) from error
        return _fetched(cursor)

    def rows_of(self, sql: str, keys: Iterable[Row]) -> Iterator[Row]:
        """The rows of `sql` for `keys`, which are tuples of one length."""
        source = iter(keys)
        while chunk := list(islice(source, _KEYS_MAX)):
            marks = "(" + ", ".join("?" * len(chunk[0])) + ")"
            statement = sql.format(keys=", ".join([marks] * len(chunk)))
            yield from self.rows(statement, [value for key in chunk for value in key])

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        if rows:
            self._connection.executemany(sql, rows)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """New `rows` of a table, with all of its columns in their order."""
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            self.many(f"INSERT INTO {table} VALUES ({marks})", rows)

    def update(self, sql: str, rows: Sequence[Row]) -> None:
        """Run an UPDATE for each of `rows`."""
        if rows:
            check_updated(self._connection.executemany(sql, rows).rowcount, len(rows))

    def close(self) -> None:
        self._connection.close()


def check_updated(changed: int, wanted: int) -> None:
    """ConstraintBroken unless an update has changed as many rows as it was given."""
    if changed != wanted:
        raise ConstraintBroken(f"an update of {wanted} rows has changed {changed}")


def _fetched(cursor: Iterator[Row]) -> Iterator[Row]:
    try:
        yield from cursor
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(str(error)) from error
