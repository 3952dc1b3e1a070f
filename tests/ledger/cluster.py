"""A PostgreSQL server of the tests' own, with the ledger's tables in its databases.

It lies in memory where there is such a folder, so that a commit that is on the disk (the ledger
refuses a server with fsync off) does not take the time of one.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ledger.postgres import migrate
from tools.postgres_server import Server

_SETTINGS = (
    "shared_buffers=32MB",
    "max_connections=100",
    "autovacuum=off",
    "jit=off",
    "max_wal_size=64MB",
)
_START_S = 60.0
_TEMPLATE = "books"
_FILLED = ("account", "procedure_rule", "tally", "writer")  # what the migrations put rows into
# Its checks, and the tables in which there is or was a row: most never had one.
_STATE = """
SELECT (SELECT COUNT(*) FROM pg_constraint WHERE contype = 'c'),
    (SELECT array_agg(relname::text) FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'first%'
        AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0)"""


class Cluster(Server):
    """One server; `url(database)` names its databases. Close it."""

    def __init__(self, bin_folder: Path) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self._has_template = False
        self._count = 0
        self._checks = 0
        super().__init__(bin_folder, memory, _SETTINGS)

    def new_books(self) -> str:
        """The URL of a database with the ledger's tables and nothing in them."""
        if not self._has_template:
            self.run(f"CREATE DATABASE {_TEMPLATE}")
            migrate(self.url(_TEMPLATE))
            for table in _FILLED:
                self.run(f"CREATE TABLE first_{table} AS TABLE {table}", _TEMPLATE)
            self._has_template = True
        return self.new_database(_TEMPLATE)

    def empty(self, connection: psycopg.Connection) -> bool:
        """Make books that `new_books` made as they were; False where a test has spoiled them."""
        ((checks, tables),) = connection.execute(_STATE).fetchall()
        self._checks = self._checks or checks
        if checks != self._checks:
            return False
        script = ["BEGIN", "SET session_replication_role = replica"]
        script += [f"DELETE FROM {table}" for table in tables]
        script += [f"INSERT INTO {table} SELECT * FROM first_{table}" for table in _FILLED]
        connection.execute("; ".join([*script, "RESET session_replication_role", "COMMIT"]))
        return True

    def new_database(self, template: str = "template0") -> str:
        self._count += 1
        name = f"books_{self._count}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.partition("?")[0].rpartition("/")[2]
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def asking_for_password(self, role: str) -> Iterator[None]:
        """The server lets `role` in with its password only."""
        file = self._data / "pg_hba.conf"
        before = file.read_text()
        try:
            file.write_text(f"local all {role} scram-sha-256\n{before}")
            self._reload()
            yield
        finally:
            file.write_text(before)
            self._reload()

    def set_and_reload(self, sql: str, name: str, wanted: str) -> None:
        """Change a setting by `sql`; returns when a new session has it."""
        self.run(sql)
        self._reload()
        deadline = time.monotonic() + _START_S
        while True:
            with psycopg.connect(self.url()) as connection:
                if connection.execute(f"SHOW {name}").fetchone() == (wanted,):
                    return
            assert time.monotonic() < deadline, f"{name} is not {wanted}"
            time.sleep(0.02)

    def _reload(self) -> None:
        self.run("SELECT pg_reload_conf()")
        time.sleep(0.2)  # by a signal, which says nothing back
