"""Where the ledger listens, as its configuration says: the HTTP API, and the console.

A part of ledger/config.py. Beyond this machine nothing is served without a certificate.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from adapters import secret_files
from adapters.secret_files import SecretFileError
from ledger.config_table import ConfigError, Table

LOOPBACK = ("127.0.0.1", "::1", "localhost")
PORT_MAX = 65535
_FEN_MAX, _REQUESTS_MAX = 0xFFFFFF, 10_000
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Http:
    """The HTTP API: where it listens, who may ask, and within which bounds."""

    host: str
    port: int
    clients_file: Path
    account_key_file: Path
    topup_max_fen: int
    requests_per_s: int
    certificate: Path | None
    key: Path | None
    ca: Path | None


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """The console: where it listens, and by which `name` browsers know it ("": this machine)."""

    host: str
    port: int
    name: str
    requests_per_s: int
    certificate: Path | None
    key: Path | None
    ca: Path | None = None


def http_of(path: Path, table: Table) -> Http | None:
    """The table [http] of the configuration in `path`. Raises ConfigError."""
    clients_file = table.text("clients_file", "")
    if not clients_file:
        table.end()
        return None
    http = Http(
        host=table.text("host", "127.0.0.1"),
        port=table.number("port", 8440, most=PORT_MAX),
        clients_file=secret(path, clients_file),
        account_key_file=secret(path, table.text("account_key_file")),
        topup_max_fen=table.number("topup_max_fen", 100_000, most=_FEN_MAX),
        requests_per_s=table.number("requests_per_s", 50, most=_REQUESTS_MAX),
        certificate=_file(path, table, "certificate"),
        key=_file(path, table, "key"),
        ca=_file(path, table, "ca"),
    )
    _check(path, table, http)
    if http.ca and not http.key:
        raise ConfigError(f"{path}: {table.where('certificate')}: certificate and key, or none")
    table.end()
    return http


def console_of(path: Path, table: Table) -> ConsoleLine | None:
    """The table [console] of the configuration in `path`. Raises ConfigError."""
    host = table.text("host", "")
    if not host:
        table.end()
        return None
    line = ConsoleLine(
        host=host,
        port=table.number("port", 8441, most=PORT_MAX),
        name=table.text("name", ""),
        requests_per_s=table.number("requests_per_s", 20, most=_REQUESTS_MAX),
        certificate=_file(path, table, "certificate"),
        key=_file(path, table, "key"),
    )
    _check(path, table, line)
    is_here = line.host in LOOPBACK
    if (not is_here and not line.name) or (line.name and not _NAME.fullmatch(line.name)):
        text = "the name in the address that browsers ask for, such as onecard.example.edu"
        raise ConfigError(f"{path}: {table.where('name')}: {text}")
    table.end()
    return line


def secret(path: Path, text: str) -> Path:
    """Where the secret lies that the configuration in `path` calls `text`. Raises ConfigError."""
    try:
        return secret_files.locate(path.parent, text)
    except SecretFileError as error:
        raise ConfigError(f"{path}: {error}") from None


def _file(path: Path, table: Table, name: str) -> Path | None:
    text = table.text(name, "")
    return secret(path, text) if text else None


def _check(path: Path, table: Table, line: Http | ConsoleLine) -> None:
    if (line.certificate is None) != (line.key is None):
        raise ConfigError(f"{path}: {table.where('certificate')}: certificate and key, or none")
    if line.key is None and line.host not in LOOPBACK:
        text = "beyond this machine nothing is served without a certificate"
        raise ConfigError(f"{path}: {table.where('host')}: {text}")
    if not line.requests_per_s:
        raise ConfigError(f"{path}: {table.where('requests_per_s')}: 1 at least")
