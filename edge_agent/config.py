"""The agent's configuration: one TOML file, read once, refused as a whole if any of it is wrong.

site = "north"
data = "/var/lib/onecard-agent"          # created with mode 0700 if absent
ledger_public_key = "ledger.pub.pem"     # PEM, or 64 hex digits; relative to this file

[readers]                                # the broker of the building
host = "127.0.0.1"
port = 1883
strangers = false                        # true: it is this building's alone, so who speaks there
                                         # of another site was moved, and may ask the ledger

[upstream]                               # the broker of the card centre
host = "127.0.0.1"
port = 1884
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from protocols.wire import topics


class ConfigError(Exception):
    """The configuration cannot be used; the text names the file, the key and what is wrong."""


@dataclass(frozen=True)
class Broker:
    """Where a broker listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Config:
    """A checked configuration. `ledger_public_key` is the raw key, 32 bytes."""

    site: str
    data: Path
    ledger_public_key: bytes
    readers: Broker
    upstream: Broker
    strangers: bool = False


def load(path: str) -> Config:
    """The configuration in the TOML file `path`. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        _only(table, "", ("site", "data", "ledger_public_key", "readers", "upstream"))
        site = _text(table, "", "site")
        if not topics.is_site(site):
            raise ConfigError("site: only a-z, 0-9 and '-', 1 to 16 characters, not 'ledger'")
        folder = Path(path).parent
        readers, strangers = _readers(table)
        return Config(
            site,
            folder / _text(table, "", "data"),
            _public_key(folder / _text(table, "", "ledger_public_key")),
            readers,
            _broker(table, "upstream"),
            strangers,
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _readers(table: dict[str, Any]) -> tuple[Broker, bool]:
    section = table.get("readers")
    strangers = section.pop("strangers", False) if isinstance(section, dict) else False
    if not isinstance(strangers, bool):
        raise ConfigError("readers.strangers: true or false is needed")
    return _broker(table, "readers"), strangers


def _broker(table: dict[str, Any], name: str) -> Broker:
    section = table.get(name)
    if not isinstance(section, dict):
        raise ConfigError(f"[{name}]: missing")
    _only(section, name + ".", ("host", "port"))
    port = section.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65_535:
        raise ConfigError(f"{name}.port: a number from 1 to 65535 is needed")
    return Broker(_text(section, name + ".", "host"), port)


def _only(table: dict[str, Any], prefix: str, known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"{prefix}{key}: unknown; known here are {', '.join(known)}")


def _text(table: dict[str, Any], prefix: str, key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{prefix}{key}: a text is needed")
    return value


def _public_key(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if not data.startswith(b"-----"):
            raw = bytes.fromhex(data.decode("ascii"))
            Ed25519PublicKey.from_public_bytes(raw)
            return raw
        key = load_pem_public_key(data)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"ledger_public_key: {path}: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"ledger_public_key: {path}: not an Ed25519 key")
    return key.public_bytes_raw()
