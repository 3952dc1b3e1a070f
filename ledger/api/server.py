"""The HTTP API as a process of its own: `onecard ledger serve`.

It needs no lock: the database lets writers take turns, and every verb is one transaction. That it
ends, or is flooded, is nothing to the process that books what readers send.
"""

import logging
import signal
import socket
import sqlite3
import ssl
import time
from contextlib import closing
from pathlib import Path

import uvicorn

from adapters.sqlite import NotDurable, SchemaTooNew
from ledger.api.accounts import AccountIds
from ledger.api.app import Api
from ledger.api.books import Books
from ledger.api.calls import Policy
from ledger.api.clients import load_clients
from ledger.api.limits import Pace
from ledger.config import (
    Config,
    ConfigError,
    Http,
    load_account_key,
    load_code_key,
    load_config,
    load_password,
    open_books,
)
from ledger.dialect import SchemaTooOld, StoreUnavailable
from ledger.schema import MIGRATIONS

CONNECTIONS_MAX = 256
KEEP_ALIVE_S = 5
STOP_S = 15
_HEAD_BYTES_MAX = 16 * 1024
_BACKLOG = 128

_log = logging.getLogger(__name__)


class CannotListen(Exception):
    """The address is taken or is not ours, or the certificate cannot be used."""


# What `run` raises before it serves: somebody has to do something about it.
REFUSALS = (CannotListen, ConfigError, SchemaTooNew, SchemaTooOld, NotDurable, StoreUnavailable)


def run(config_path: str | Path) -> None:
    """Serve until SIGTERM or SIGINT. Raises one of REFUSALS."""
    config = load_config(config_path)
    if config.http is None:
        raise ConfigError(f"{config_path}: http.clients_file: missing, so nobody may ask")
    policy = Policy(
        AccountIds(load_account_key(config.http.account_key_file)),
        config.http.topup_max_fen,
        config.carry_over_after_s,
        None if config.codes is None else load_code_key(config.codes.key_file),
    )
    clients = load_clients(config.http.clients_file)
    _check_version(config)
    open_books(config).close()  # and durable
    with closing(_listen(config.http)) as listening, closing(_books(config)) as books:
        pace = Pace(config.http.requests_per_s, lambda: time.monotonic_ns() // 1_000_000)
        api = Api(books, clients, policy, pace, lambda: int(time.time()))
        server = uvicorn.Server(_settings(config.http, api))
        _end_by_signal(server)
        host, port = listening.getsockname()[:2]
        _log.info("the ledger's API listens on %s, port %d", host, port)
        server.run(sockets=[listening])
    _log.info("the ledger's API stops")


def _check_version(config: Config) -> None:
    """The books are there and of this program: under a ledger that runs nothing is migrated."""
    found = _version_on_server(config) if config.database_url else _version(config.database)
    place = config.database_url or str(config.database)
    if found > len(MIGRATIONS):
        raise SchemaTooNew(place, found, len(MIGRATIONS))
    if found < len(MIGRATIONS):
        text = f"{place} has schema {found}, this program {len(MIGRATIONS)}: onecard ledger run"
        raise SchemaTooOld(f"{text} makes and migrates it")


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


def _end_by_signal(server: uvicorn.Server) -> None:
    """uvicorn hands a signal on to who had it before: there it would end us before our own end."""

    def end(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def _books(config: Config) -> Books:
    return Books(lambda: open_books(config))


def _listen(http: Http) -> socket.socket:
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((http.host, http.port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"{http.host}, port {http.port}: {error.strerror}") from None
    return listening


def _settings(http: Http, api: Api) -> uvicorn.Config:
    settings = uvicorn.Config(
        api.application(),
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
        ssl_certfile=http.certificate,
        ssl_keyfile=http.key,
        ssl_ca_certs=None if http.ca is None else str(http.ca),
        ssl_cert_reqs=ssl.CERT_NONE if http.ca is None else ssl.CERT_REQUIRED,
    )
    try:
        settings.load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = getattr(error, "reason", "") or type(error).__name__
        raise CannotListen(f"{http.certificate}: {reason}") from None
    return settings
