"""The console as a process of its own: `onecard ledger console`, or beside `onecard ledger run`.

A flood or a fault here is nothing to the process that books what readers send (docs/adr/0044).
"""

import logging
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import uvicorn

from ledger.api.books import Books
from ledger.config import Config, ConfigError, load_code_key, load_config, open_books
from ledger.console.app import Console
from ledger.console.asked import Settings
from ledger.serving import REFUSALS, check_version, end_by_signal, listen, settings

__all__ = ["REFUSALS", "run"]

_SCHOOL_OFFSET_S = 28_800  # China Standard Time, where no [codes] says otherwise
_log = logging.getLogger(__name__)


def run(config_path: str | Path, *, parent: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Raises one of REFUSALS.

    `parent`: a descriptor that is open for as long as the process lives that has started this
    one; then this one ends too, however that one did.
    """
    config = load_config(config_path)
    line = config.console
    if line is None:
        raise ConfigError(f"{config_path}: console.host: missing, so there is no console")
    check_version(config)
    open_books(config).close()  # and durable
    with (
        closing(listen(line.host, line.port)) as listening,
        closing(Books(lambda: open_books(config))) as books,
    ):
        host, port = listening.getsockname()[:2]
        console = Console(books, _settings(config), line, port, _utc_s, _now_ms)
        server = uvicorn.Server(settings(console.application(), line))
        end_by_signal(server)
        if parent is not None:
            threading.Thread(target=_follow, args=(server, parent), daemon=True).start()
        _log.info("the console listens on %s, port %d", host, port)
        server.run(sockets=[listening])
    _log.info("the console stops")


def _settings(config: Config) -> Settings:
    shown = (("broker", config.identity), ("console", config.console), ("http", config.http))
    files = tuple(
        (name, line.certificate) for name, line in shown if line is not None and line.certificate
    )
    offset_s, key = _SCHOOL_OFFSET_S, None
    if config.codes is not None:
        offset_s, key = config.codes.policy.utc_offset_s, load_code_key(config.codes.key_file)
    return Settings(config.carry_over_after_s, offset_s, key, files)


def _follow(server: uvicorn.Server, parent: int) -> None:
    os.read(parent, 1)  # nobody writes: it ends when the other end is closed
    server.should_exit = True


def _utc_s() -> int:
    return int(time.time())


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
