"""The HTTP API as a process of its own: `onecard ledger serve`.

It needs no lock: the database lets writers take turns, and every verb is one transaction. That it
ends, or is flooded, is nothing to the process that books what readers send.
"""

import logging
import time
from contextlib import closing
from pathlib import Path

import uvicorn

from ledger.api.accounts import AccountIds
from ledger.api.app import Api
from ledger.api.books import Books
from ledger.api.calls import Policy
from ledger.api.clients import load_clients
from ledger.api.limits import Pace
from ledger.config import (
    Config,
    ConfigError,
    load_account_key,
    load_code_key,
    load_config,
    open_books,
)
from ledger.serving import (
    REFUSALS,
    CannotListen,
    check_version,
    end_by_signal,
    listen,
    settings,
)

__all__ = ["REFUSALS", "CannotListen", "run"]

_log = logging.getLogger(__name__)


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
    check_version(config)
    open_books(config).close()  # and durable
    with (
        closing(listen(config.http.host, config.http.port)) as listening,
        closing(_books(config)) as books,
    ):
        pace = Pace(config.http.requests_per_s, lambda: time.monotonic_ns() // 1_000_000)
        api = Api(books, clients, policy, pace, lambda: int(time.time()))
        server = uvicorn.Server(settings(api.application(), config.http))
        end_by_signal(server)
        host, port = listening.getsockname()[:2]
        _log.info("the ledger's API listens on %s, port %d", host, port)
        server.run(sockets=[listening])
    _log.info("the ledger's API stops")


def _books(config: Config) -> Books:
    return Books(lambda: open_books(config))
