"""What the ledger's two HTTP servers have in common: how they listen, with what, and their end.

For ledger/api/server.py and ledger/console/server.py, which are processes of their own.
"""

import signal
import socket
import sqlite3
import ssl
from contextlib import closing
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from adapters.sqlite import NotDurable, SchemaTooNew
from ledger.config import Config, ConfigError, load_password
from ledger.config_listen import ConsoleLine, Http
from ledger.dialect import SchemaTooOld, StoreUnavailable
from ledger.schema import MIGRATIONS

CONNECTIONS_MAX = 256
KEEP_ALIVE_S = 5
STOP_S = 15
_HEAD_BYTES_MAX = 16 * 1024
_BACKLOG = 128


class CannotListen(Exception):
    """The address is taken or is not ours, or the certificate cannot be used."""


# What such a process raises before it serves: somebody has to do something about it.
REFUSALS = (CannotListen, ConfigError, SchemaTooNew, SchemaTooOld, NotDurable, StoreUnavailable)


def check_version(config: Config) -> None:
    """The books are there and of this program: under a ledger that runs nothing is migrated.

    Raises SchemaTooNew, SchemaTooOld, StoreUnavailable.
    """
    found = _version_on_server(config) if config.database_url else _version(config.database)
    place = config.database_url or str(config.database)
    if found > len(MIGRATIONS):
        raise SchemaTooNew(place, found, len(MIGRATIONS))
    if found < len(MIGRATIONS):
        text = f"{place} has schema {found}, this program {len(MIGRATIONS)}: onecard ledger run"
        raise SchemaTooOld(f"{text} makes and migrates it")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"{host}, port {port}: {error.strerror}") from None
    return listening


def settings(application: ASGIApp, line: Http | ConsoleLine) -> uvicorn.Config:
    """How uvicorn serves an application at `line`. Raises CannotListen."""
    made = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        http="h11",
        ws="none",
        loop="asyncio",
        backlog=_BACKLOG,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        h11_max_incomplete_event_size=_HEAD_BYTES_MAX,
        ssl_certfile=line.certificate,
        ssl_keyfile=line.key,
        ssl_ca_certs=None if line.ca is None else str(line.ca),
        ssl_cert_reqs=ssl.CERT_NONE if line.ca is None else ssl.CERT_REQUIRED,
    )
    try:
        made.load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", "") or type(error).__name__
        raise CannotListen(f"{line.certificate}: {reason}") from None
    return made


def end_by_signal(server: uvicorn.Server) -> None:
    """uvicorn hands a signal on to who had it before: there it would end us before our own end."""

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _version(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path}: {error}") from error
    return version


def _version_on_server(config: Config) -> int:
    # Whoever keeps the books in a file does not wait for the driver of a server.
    from ledger.postgres import PostgresDialect

    with closing(PostgresDialect(config.database_url, load_password(config))) as database:
        return database.version()
