"""A PostgreSQL server of our own: a private folder, a socket in it, no port, no password.

For tests and benchmarks. Root starts it as user postgres, for the server refuses root.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from tools import child

_START_S = 60.0


class NotStarted(Exception):
    """The server did not answer in time; the text is the end of its log."""


def programs() -> Path | None:
    """The folder of initdb and postgres, the newest if there are more; None: not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_major)
    path = found[-1] if found else shutil.which("initdb")
    return Path(path).parent if path else None


def _children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text(encoding="ascii").split()]


def _major(path: Path) -> int:
    return int(path.parent.parent.name) if path.parent.parent.name.isdigit() else 0


class Server:
    """One server with `settings` ("name=value") in a new folder below `parent`. Close it."""

    def __init__(self, bin_folder: Path, parent: str | None, settings: Sequence[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="onecard-pg-", dir=parent))
        self.programs = bin_folder
        self._settings = ("listen_addresses=", *settings)
        self._user = "postgres" if os.getuid() == 0 else None
        self._server: subprocess.Popen | None = None
        if self._user:
            shutil.chown(self.folder, self._user, self._user)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        self.call("initdb", "-D", str(self._data), *options)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres", role: str = "postgres") -> str:
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def call(self, program: str, *arguments: str) -> str:
        """What another program of the server's folder prints; it is run as the server is."""
        command = [str(self.programs / program), *arguments]
        # The folder where we stand need not be one that user postgres may see.
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            cwd=self.folder,
            user=self._user,
            group=self._user,
        )
        return done.stdout

    def start(self) -> None:
        """Returns when it answers. Raises NotStarted."""
        command = [str(self.programs / "postgres"), "-D", str(self._data), "-k", str(self.folder)]
        for setting in self._settings:
            command += ["-c", setting]
        until_s = time.monotonic() + _START_S
        while True:
            with (self.folder / "log").open("ab") as log:
                self._server = child.start(
                    command,
                    ended_by=signal.SIGQUIT,  # at once, its sessions too
                    stdout=log,
                    stderr=log,
                    user=self._user,
                    group=self._user,
                )
            while self._server.poll() is None:
                try:
                    psycopg.connect(self.url()).close()
                    return
                except psycopg.OperationalError:
                    self._check(until_s)
                    time.sleep(0.02)
            # Of a server that was killed, processes may still be there for a moment.
            self._check(until_s)
            time.sleep(0.05)

    def _check(self, until_s: float) -> None:
        if time.monotonic() > until_s:
            raise NotStarted((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """SIGKILL to the server and its sessions: what it had not written is gone.

        A session that is left to itself sees it soon, and until then books what it is told.
        """
        if self._server is not None:
            pids = _children(self._server.pid)
            self._server.kill()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._server.wait()

    def processes(self) -> list[int]:
        """The number of the server and those of the processes that it has now."""
        if self._server is None:
            return []
        return [self._server.pid, *_children(self._server.pid)]

    def run(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def bytes_of(self, database: str) -> int:
        """The room that a database takes on the disk."""
        with psycopg.connect(self.url()) as connection:
            row = connection.execute("SELECT pg_database_size(%s)", (database,)).fetchone()
        return row[0] if row else 0

    def close(self) -> None:
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)
