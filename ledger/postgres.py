"""The ledger's statements on PostgreSQL, the production database. The seam: ledger/dialect.py.

Rules of this file. Writers take turns, as on SQLite: a transaction begins with a lock on the one
row of `writer`, so what it reads cannot change under it, intents of one card are never booked past
each other, and no transaction has to be tried again (READ COMMITTED, one lock, always the first:
neither 40001 nor 40P01; an engine that says them all the same, because it is several machines, is
told on as Conflict). Many rows are one statement: those of journals that grow with every tap
are copied, of others the columns go as arrays.

The answer to a commit can be lost with the connection. Then StoreUnavailable is raised although
the books may have changed; whoever asks again is answered as the second time. Nothing here is
asked again by itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from adapters import postgres
from adapters.sqlite import SchemaTooNew
from ledger.dialect import (
    Conflict,
    ConstraintBroken,
    Row,
    SchemaTooOld,
    StoreUnavailable,
    check_updated,
)
from ledger.postgres_schema import LOCK_WRITER, grants
from ledger.schema import MIGRATIONS

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATING = 0x6F6E65  # advisory: two programs that migrate one database wait for each other
_VALUES = re.compile(r"VALUES \(\?(?:, \?)*\)")
_KEYS = "VALUES {keys}"
_TYPES = {bytes: "bytea", str: "text"}
_COPY, _COPIED = "COPY {} FROM STDIN (FORMAT binary)", {int: "int8", bytes: "bytea"}
_SAY = {"bigint": int.__repr__, "bytea": lambda value: '"\\\\x' + bytes.hex(value) + '"'}
_REFUSED = (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.InsufficientPrivilege)
_CONFLICT = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError)


class _GivenUp(Exception):
    """A copy that was under way when its transaction failed."""


class PostgresDialect:
    """The ledger's statements on one PostgreSQL database. Raises the errors of ledger.dialect.

    A connection that broke is made anew by the next transaction or question outside of one.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        """Its tables as they are. Raises NotDurable, StoreUnavailable."""
        self._url = url
        self._password = password
        self._is_open = True
        self._is_in_transaction = False
        self._copying = ExitStack()  # what was sent in this transaction and not waited for
        with _errors():
            self._connection = postgres.connect(url, password)

    @classmethod
    def open(cls, url: str, password: str | None = None) -> "PostgresDialect":
        """The ledger in the database `url`, its tables created or migrated as needed.

        Raises SchemaTooNew, SchemaTooOld, NotDurable, StoreUnavailable.
        """
        with _errors():
            database = cls(url, password)
            try:
                if database.version() < len(MIGRATIONS):
                    migrate(url, password)
                if database.version() > len(MIGRATIONS):
                    raise SchemaTooNew(_shown(url), database.version(), len(MIGRATIONS))
            except BaseException:
                database.close()
                raise
        return database

    def version(self) -> int:
        """How many of the migrations the database has; 0: it is empty."""
        ((has_version,),) = self.rows("SELECT to_regclass('alembic_version') IS NOT NULL")
        if not has_version:
            return 0
        return max((int(number) for (number,) in self.rows(_VERSION)), default=0)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block, durably, or nothing of it."""
        with _errors():
            connection = self._live()
            with connection.transaction():
                self._is_in_transaction = True
                try:
                    connection.execute(LOCK_WRITER)
                    yield
                    self._copying.close()
                except BaseException:
                    # Why goes into the server's log, where it is none of its business.
                    self._copying.__exit__(_GivenUp, _GivenUp(), None)
                    raise
                finally:
                    self._is_in_transaction = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One state of the books for all questions of the block, which writes nothing."""
        with _errors():
            connection = self._live()
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                self._is_in_transaction = (
                    True  # none of its answers may come from another connection
                )
                try:
                    yield
                finally:
                    self._is_in_transaction = False

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        with _errors():
            return iter(self._live().execute(_marked(sql), tuple(parameters)))

    def rows_of(self, sql: str, keys: Iterable[Row]) -> Iterator[Row]:
        """The rows of `sql` for `keys`, which are tuples of one length."""
        columns = list(zip(*keys, strict=True))
        if columns:
            with _errors():
                statement = _marked(sql.replace(_KEYS, _unnest(columns)))
                yield from self._live().execute(statement, [_array(c) for c in columns]).fetchall()

    def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        if not rows:
            return
        with _errors():
            if _VALUES.search(sql):
                columns = list(zip(*rows, strict=True))
                statement = _VALUES.sub(_unnest(columns), sql, count=1)
                self._live().execute(_marked(statement), [_array(column) for column in columns])
            else:
                self._live().cursor().executemany(_marked(sql), rows)

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """New `rows` of a table of numbers and bytes, with all of its columns in their order.

        By COPY: nothing is written as text and read again, and the server fills whole pages. In a
        transaction it does so while the ledger goes on: what it has against them is raised by the
        next statement, or at the end.
        """
        if not rows:
            return
        types = [_COPIED.get(type(value), "int8") for value in rows[0]]
        with _errors(), ExitStack() as copying:
            cursor = copying.enter_context(self._live().cursor())
            copy = copying.enter_context(cursor.copy(_COPY.format(table).encode()))
            try:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            except (TypeError, OverflowError) as error:  # of another kind, too large
                raise psycopg.DataError(str(error)) from error
            if self._is_in_transaction:
                self._copying.push(copying.pop_all())

    def update(self, sql: str, rows: Sequence[Row]) -> None:
        """Run an UPDATE for each of `rows`, no two of which change the same row: as one.

        Two that do would be one change of the two: they are counted.
        """
        if not rows:
            return
        columns = list(zip(*rows, strict=True))
        names = [f"c{number}" for number in range(len(columns))]
        source = f"FROM ({_unnest(columns)}) AS k ({', '.join(names)}) WHERE"
        changes = sql.replace("?", "k.{}").format(*names).replace("WHERE", "{}", 1)
        with _errors():
            arrays = [_array(column) for column in columns]
            cursor = self._live().execute(_marked(changes.format(source)), arrays)
            check_updated(cursor.rowcount, len(rows))

    def close(self) -> None:
        self._is_open = False
        self._connection.close()

    def _live(self) -> psycopg.Connection[Row]:
        """The connection, which is done with all that it was told."""
        self._copying.close()
        if self._connection.closed and self._is_open and not self._is_in_transaction:
            self._connection = postgres.connect(self._url, self._password)
        return self._connection


_VERSION = "SELECT version_num FROM alembic_version"


def migrate(url: str, password: str | None = None, to: int = len(MIGRATIONS)) -> None:
    """Lead the database to migration `to`, all of the way in one transaction or not at all.

    Raises SchemaTooOld where its role may not, and psycopg.Error.
    """
    # Whoever finds the tables as they should be pays for neither library.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(url, password=password),
        poolclass=NullPool,
    )
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            config.attributes["connection"] = connection
            command.upgrade(config, f"{to:04d}")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            text = "the tables are of an older program, and only their owner may change them"
            raise SchemaTooOld(f"{_shown(url)}: {text}: onecard ledger migrate") from error
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except _REFUSED as error:
        raise ConstraintBroken(str(error)) from error
    except _CONFLICT as error:
        raise Conflict(str(error)) from error
    except _UNAVAILABLE as error:
        raise StoreUnavailable(str(error)) from error


def let_serve(url: str, role: str) -> None:
    """Give `role` what the ledger needs, and no more. Raises psycopg.Error, ValueError."""
    sql = grants(role)
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())


def _marked(sql: str) -> bytes:
    """`sql` with the driver's marks. Bytes: the driver takes no text that is not a literal."""
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _unnest(columns: Sequence[Sequence[Any]]) -> str:
    """Rows from arrays, one for each column: the same text however many rows there are."""
    arrays = ", ".join(f"?::{_type_of(column)}[]" for column in columns)
    return f"SELECT * FROM unnest({arrays})"


def _type_of(column: Sequence[Any]) -> str:
    return next((_TYPES.get(type(v), "bigint") for v in column if v is not None), "bigint")


def _array(column: Sequence[Any]) -> Any:
    """A column as PostgreSQL writes an array: the driver takes ten times as long to say it."""
    say = _SAY.get(_type_of(column))
    if say is None or None in column:
        return list(column)
    try:
        return "{" + ",".join(map(say, column)) + "}"
    except TypeError as error:  # a float, or of another kind than the others
        raise psycopg.DataError(str(error)) from error


def _shown(url: str) -> str:
    return url.partition("?")[0]
