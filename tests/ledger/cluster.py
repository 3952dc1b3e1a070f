"""A PostgreSQL server of the tests' own: a private folder, a socket in it, no port, no password.

It lies in memory where there is such a folder, so that a commit that is on the disk (the ledger
refuses a server with fsync off) does not take the time of one. Root starts it as user postgres,
for the server refuses root.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from ledger.postgres import migrate

_SETTINGS = (
    "listen_addresses=",
    "shared_buffers=32MB",
    "max_connections=100",
    "autovacuum=off",
    "jit=off",
    "max_wal_size=64MB",
)
_START_S = 60.0
_TEMPLATE = "books"
_FILLED = ("account", "tally", "writer")  # what the migrations put rows into
_STATE = """
SELECT (SELECT COUNT(*) FROM pg_constraint WHERE contype = 'c'),
    (SELECT array_agg(relname::text) FROM pg_class WHERE relkind = 'r'
        AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'first%'
        AND relname <> 'alembic_version')"""


def programs() -> Path | None:
    """The folder of initdb and postgres, the newest if there are more; None: not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_major)
    path = found[-1] if found else shutil.which("initdb")
    return Path(path).parent if path else None


def _major(path: Path) -> int:
    return int(path.parent.parent.name) if path.parent.parent.name.isdigit() else 0


class Cluster:
    """One server; `url(database)` names its databases. Close it."""

    def __init__(self, bin_folder: Path) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="onecard-pg-", dir=memory))
        self.programs = bin_folder
        self._as = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        self._server: subprocess.Popen | None = None
        self._has_template = False
        self._count = 0
        self._checks = 0
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
        command = [str(self.programs / "initdb"), "-D", str(self._data), "-U", "postgres"]
        command += ["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        subprocess.run(command, check=True, capture_output=True, timeout=120, **self._as)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres", role: str = "postgres") -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Returns when it answers."""
        command = [str(self.programs / "postgres"), "-D", str(self._data), "-k", str(self.folder)]
        for setting in _SETTINGS:
            command += ["-c", setting]
        deadline = time.monotonic() + _START_S
        while True:
            with (self.folder / "log").open("ab") as log:
                self._server = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
            while self._server.poll() is None:
                try:
                    psycopg.connect(self.url()).close()
                    return
                except psycopg.OperationalError:
                    assert time.monotonic() < deadline, (self.folder / "log").read_text()
                    time.sleep(0.02)
            # Of a server that was killed, processes may still be there for a moment.
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to the server: what it had not written is gone; its sessions see it and end."""
        self._server.kill()
        self._server.wait()

    def run(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

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

    def close(self) -> None:
        if self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)
