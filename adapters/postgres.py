"""PostgreSQL, opened the one way that survives a power cut.

A server that answers a commit before it is on the disk (fsync or full_page_writes off) is refused;
synchronous_commit is never below `on` here. All whole numbers are BIGINT, so that the type of a
statement's parameter does not hang on its value, and a sum of BIGINTs (NUMERIC there) is an int.
"""

import os
import socket
from typing import Any

import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.types.numeric import Int8Dumper

from adapters.sqlite import NotDurable

CONNECT_TIMEOUT_S = 5
# What a portion inserts is kept for its triggers, some 7 MB; with the 4 MB that a server gives by
# itself it went to a file and came back.
WORK_MEMORY = "32MB"
# What a portion copies is on its way at once, as far as the kernel gives room (net.core.wmem_max),
# and the ledger goes on while the server takes it. Of TCP the kernel finds the room by itself.
_ROOM_BYTES = 4 << 20
LOCK_TIMEOUT_MS = 5_000  # as long as SQLite waits for another writer
# A server that has gone without a word (a cable, not a process) is given up within half a minute.
_SILENCE: dict[str, Any] = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_DURABLE = ("fsync", "full_page_writes")


class _WholeNumber(Loader):
    """NUMERIC as int; ValueError for a fraction, which no column and no sum of ours has."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class _NoFraction(Dumper):
    """A float is never sent: the server would round it to a BIGINT and say nothing."""

    def dump(self, obj: float) -> bytes:
        raise psycopg.DataError(f"{obj!r} is no whole number")


def connect(url: str, password: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection in autocommit mode to the database that `url` names.

    Raises NotDurable, or psycopg.Error. The password may as well be where libpq looks for it.
    """
    connection = psycopg.connect(
        url,
        autocommit=True,
        password=password,
        client_encoding="utf8",
        connect_timeout=CONNECT_TIMEOUT_S,
        application_name="onecard-ledger",
        **_SILENCE,
    )
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            if line.family == socket.AF_UNIX:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(float, _NoFraction)
        connection.adapters.register_loader("numeric", _WholeNumber)
        for name in _DURABLE:
            if _setting(connection, name) != "on":
                raise NotDurable(f"the database's server has {name} off: a commit may be lost")
        if _setting(connection, "synchronous_commit") in ("off", "local"):
            connection.execute("SET synchronous_commit = on")
        settings = {"lock_timeout": str(LOCK_TIMEOUT_MS), "work_mem": WORK_MEMORY}
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
    except BaseException:
        connection.close()
        raise
    return connection


def _setting(connection: psycopg.Connection[tuple[Any, ...]], name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return row[0] if row else ""
