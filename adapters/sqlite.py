"""SQLite, opened the one way that survives a power cut.

WAL with synchronous FULL lost nothing of what it had acknowledged when power was cut; NORMAL lost
hundreds to thousands of rows (measured, see the project's notes on the edge). A commit that
returned is on the disk.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

BUSY_TIMEOUT_MS = 5_000
WAL_BYTES_KEPT = 16 * 1024 * 1024
_MEMORY = ":memory:"
_IMAGES_KEPT = 8  # of 1 MB at most: one for each kind of file that there is
_SETTINGS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA synchronous = FULL",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA foreign_keys = OFF",  # until the migrations are done, whatever SQLite was built with
    f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}",
)


class SchemaTooNew(Exception):
    """The file was written by a newer program; an older one must not touch it."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {found}, this program knows {known}: "
            "install the newer program or restore a backup"
        )
        self.found = found
        self.known = known


class NotDurable(Exception):
    """The file system cannot give what a commit promises here (no write-ahead log)."""


def open_database(path: str, migrations: Sequence[str]) -> sqlite3.Connection:
    """A connection in autocommit mode (use `transaction`), its schema brought up to date.

    `migrations[n]` is SQL (any number of statements, no transaction control) that leads from
    schema n to n + 1; the file's user_version counts them, and each runs in a transaction of its
    own, those of a new file in one: after a crash the schema is an old one or the next one, never
    half of it, and a new file is empty or has them all. One may make a table anew and drop the old
    one: what speaks of its rows is held against what is there afterwards.
    Raises SchemaTooNew, NotDurable, or sqlite3.Error. `path` may be ":memory:" in tests and in
    simulations, which open thousands.
    """
    database = sqlite3.connect(path, isolation_level=None)
    try:
        for setting in _SETTINGS:
            database.execute(setting)
        (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
        if path == _MEMORY:
            if migrations:
                database.deserialize(_migrated(tuple(migrations)))
        elif mode != "wal":
            raise NotDurable(f"{path}: the file system gives journal mode {mode}, not wal")
        else:
            _migrate(database, path, migrations)
        # Before, a table that others speak of could not have been dropped.
        database.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block or nothing: committed (to disk) at its end, rolled back on any exception.

    The write lock is taken at once, so that what the block reads cannot change under it.
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        # SQLite rolls back by itself on some errors (disk full, I/O); then there is nothing left.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@lru_cache(maxsize=_IMAGES_KEPT)
def _migrated(migrations: tuple[str, ...]) -> bytes:
    """What a new database is behind `migrations`: nothing in it tells one from another."""
    database = sqlite3.connect(_MEMORY, isolation_level=None)
    try:
        _migrate(database, _MEMORY, migrations)
        return database.serialize()
    finally:
        database.close()


def _migrate(database: sqlite3.Connection, path: str, migrations: Sequence[str]) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version == len(migrations):
        return  # as nearly always; and who only reads need not wait for who writes
    while True:
        with transaction(database):
            # Read under the write lock: another process may be migrating the same file.
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > len(migrations):
                raise SchemaTooNew(path, version, len(migrations))
            if version == len(migrations):
                return
            # A new file waits for the disk once, not as often as there were versions.
            reached = version + 1 if version else len(migrations)
            for migration in migrations[version:reached]:
                for statement in _statements(migration):
                    database.execute(statement)
            if version and (broken := database.execute("PRAGMA foreign_key_check").fetchone()):
                text = f"migration {reached} leaves a row of {broken[0]} without its {broken[2]}"
                raise sqlite3.IntegrityError(text)
            database.execute(f"PRAGMA user_version = {reached}")


def _statements(script: str) -> Iterator[str]:
    # executescript() would commit our transaction first; SQLite itself says where one ends, so
    # triggers and quoted semicolons stay whole.
    pending = ""
    for piece in script.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            if pending.strip("; \t\r\n"):
                yield pending
            pending = ""
    if pending.strip("; \t\r\n"):
        yield pending
