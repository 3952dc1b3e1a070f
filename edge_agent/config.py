"""The agent's configuration: one TOML file, read once, refused as a whole if any of it is wrong.

site = "north"
data = "/var/lib/onecard-agent"          # created with mode 0700 if absent
ledger_public_key = "ledger.pub.pem"     # PEM, or 64 hex digits; relative to this file

[readers]                                # the broker of the building
host = "127.0.0.1"
port = 1883
ca = "tls/ca.pem"                        # these three together, or none: TLS with a certificate
certificate = "tls/certificate.pem"      # for <site>/agent
key = "tls/key.pem"                      # mode 0600, or $CREDENTIALS_DIRECTORY/name of systemd
strangers = false                        # true: it is this building's alone, so who speaks there
                                         # of another site was moved, and may ask the ledger

[upstream]                               # the broker of the card centre; as above
host = "127.0.0.1"
port = 1884
fallbacks = ["10.0.0.12:1884"]           # may be left out: further nodes of the same cluster of
                                         # brokers, tried in turn
subscription_qos = 1                     # may be left out; 0 with a cluster of NATS

[store]                                  # may be left out, and each of its keys too
budget_mb = 2048                         # what records may use of the disk before none are taken
retention_days = 7                       # how long they stay when the ledger has booked them

[enrolment]                              # may be left out
required = false                         # true: readers are taken that were enrolled or approved

[view]                                   # may be left out: then there is no page
port = 9466                              # of the loopback: page, metrics, what `top` shows

[home_assistant]                         # may be left out: diagnostics by MQTT discovery
enabled = true                           # false: what it was told is taken back
host = "10.0.0.7"                        # its broker; ca, certificate, key as above
port = 1883
prefix = "homeassistant"                 # of its discovery topics
user = "onecard"                         # these two together, or none
password_file = "ha.password"            # mode 0600, or $CREDENTIALS_DIRECTORY/name

[[lines]]                                # none, or one for each serial line
url = "/dev/ttyUSB0"                     # or socket://host:port, rfc2217://host:port
baud = 115200
readers = [1001, 1002]                   # the device numbers that hang on it
"""

import copy
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from adapters import secret_files
from adapters.failover import Address, BadAddress, parse_all
from adapters.identity import Identity, IdentityError, agent_name
from adapters.secret_files import SecretFileError
from edge_agent.config_source import BadVariable, Source
from protocols.wire import topics

BAUDS = (19_200, 38_400, 57_600, 115_200)
READERS_PER_LINE_MAX = 32  # what an RS-485 transceiver drives
SCHEMES = ("socket", "rfc2217")
_IDENTITY = ("ca", "certificate", "key")  # in Identity's order
_CLUSTER_S_OWN = ("fallbacks", "subscription_qos")
_HOME_S_OWN = ("enabled", "prefix", "user", "password_file")
_PREFIX = re.compile(r"[a-zA-Z0-9_-]+(?:/[a-zA-Z0-9_-]+)*")
BUDGET_MB, BUDGET_MB_MAX = 2048, 1 << 20
RETENTION_DAYS, RETENTION_DAYS_MAX = 7, 366
DAY_MS = 86_400_000
HOME_PREFIX = "homeassistant"


# Section -> its keys; "" are those above all sections.
_BROKER = ("host", "port", *_IDENTITY)
KEYS = {
    "": ("site", "data", "ledger_public_key"),
    "readers": (*_BROKER, "strangers"),
    "upstream": (*_BROKER, *_CLUSTER_S_OWN),
    "store": ("budget_mb", "retention_days"),
    "enrolment": ("required",),
    "view": ("port",),
    "home_assistant": (*_BROKER, *_HOME_S_OWN),
}
DEFAULTS = {
    "readers.strangers": False,
    "upstream.subscription_qos": 1,
    "enrolment.required": False,
    "home_assistant.enabled": True,
    "home_assistant.prefix": HOME_PREFIX,
    "store.budget_mb": BUDGET_MB,
    "store.retention_days": RETENTION_DAYS,
}


class ConfigError(Exception):
    """The configuration cannot be used; the text names the file, the key and what is wrong."""


@dataclass(frozen=True)
class Broker:
    """Where a broker listens, and who we are to it; without that, no TLS.

    `fallbacks`: further nodes, where it is a cluster. `subscription_qos`: as of MqttPort.
    """

    host: str
    port: int
    identity: Identity | None = None
    fallbacks: tuple[Address, ...] = ()
    subscription_qos: int = 1

    @property
    def addresses(self) -> tuple[Address, ...]:
        """All that it may be dialled by, in the order in which they are tried."""
        return (self.host, self.port), *self.fallbacks


@dataclass(frozen=True)
class LineConfig:
    """A serial line and the device numbers of its readers."""

    url: str
    baud: int
    readers: tuple[int, ...]


@dataclass(frozen=True)
class HomeConfig:
    """Home Assistant's broker, its prefix, whether it is told anything, and who says so to it."""

    broker: Broker
    prefix: str = HOME_PREFIX
    enabled: bool = True
    login: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Config:
    """A checked configuration. `ledger_public_key` is the raw key, 32 bytes."""

    site: str
    data: Path
    ledger_public_key: bytes
    readers: Broker
    upstream: Broker
    lines: tuple[LineConfig, ...] = ()
    strangers: bool = False
    budget_bytes: int = BUDGET_MB << 20
    retention_ms: int = RETENTION_DAYS * DAY_MS
    view_port: int | None = None
    enrolment: bool = False
    home_assistant: HomeConfig | None = None


def load(path: str, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration in the TOML file `path`, and in the environment. Raises ConfigError."""
    return load_from(read(path, environment), path)


def read(path: str, environment: Mapping[str, str] | None = None) -> Source:
    """What `path` and the environment (the process's) say, unchecked. Raises ConfigError."""
    try:
        with open(path, encoding="utf-8") as file:
            known = os.environ if environment is None else environment
            return Source(path, file.read(), known, KEYS)
    except BadVariable as error:
        raise ConfigError(str(error)) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def load_from(source: Source, path: str) -> Config:
    """The configuration that a source says; names in it are relative to `path`. ConfigError."""
    table = copy.deepcopy(source.table)
    try:
        _only(table, "", (*KEYS[""], *filter(None, KEYS), "lines"))
        site = _text(table, "", "site")
        if not topics.is_site(site):
            raise ConfigError("site: only a-z, 0-9 and '-', 1 to 16 characters, not 'ledger'")
        folder = Path(path).parent
        readers, strangers = _readers(table, folder, site)
        return Config(
            site,
            folder / _text(table, "", "data"),
            _public_key(folder / _text(table, "", "ledger_public_key")),
            readers,
            _upstream(table, folder, site),
            _lines(table.get("lines", [])),
            strangers,
            *_store(table.get("store", {})),
            _view_port(table.get("view")),
            _enrolment(table.get("enrolment", {})),
            _home_assistant(table, folder, site),
        )
    except ConfigError as error:
        name = str(error).partition(":")[0].partition(",")[0]
        raise ConfigError(f"{source.where(name)}: {error}") from None


def spelled_out(source: Source, config: Config) -> str:
    """The whole configuration as TOML, each value with who has said it; no secret is in it."""
    out = []
    for section, keys in KEYS.items():
        if section == "home_assistant" and section not in source.table:
            continue
        said = source.table.get(section, {}) if section else source.table
        values = {key: said.get(key, DEFAULTS.get(f"{section}.{key}")) for key in keys}
        given = {key: value for key, value in values.items() if value is not None}
        if section and given:
            out.append(f"\n[{section}]")
        for key, value in given.items():
            name = f"{section}.{key}" if section else key
            out.append(f"{key} = {json.dumps(value)}  # {source.origin(name)}")
    for line in config.lines:
        out.append(f"\n[[lines]]  # {source.origin('lines')}")
        shown = {"url": line.url, "baud": line.baud, "readers": list(line.readers)}
        out += [f"{key} = {json.dumps(value)}" for key, value in shown.items()]
    return "\n".join(out) + "\n"


def _readers(table: dict[str, Any], folder: Path, site: str) -> tuple[Broker, bool]:
    section = table.get("readers")
    strangers = section.pop("strangers", False) if isinstance(section, dict) else False
    if not isinstance(strangers, bool):
        raise ConfigError("readers.strangers: true or false is needed")
    return _broker(table, "readers", folder, site), strangers


def _upstream(table: dict[str, Any], folder: Path, site: str) -> Broker:
    section = table.get("upstream")
    own = {}
    if isinstance(section, dict):
        own = {key: section.pop(key) for key in _CLUSTER_S_OWN if key in section}
    qos = _number(own, "upstream.subscription_qos", 1, (0, 1))
    broker = _broker(table, "upstream", folder, site)
    try:
        others = parse_all((broker.host, broker.port), own.get("fallbacks", []))
    except BadAddress as error:
        raise ConfigError(f"upstream.fallbacks: {error}") from None
    return replace(broker, fallbacks=others, subscription_qos=qos)


def _broker(table: dict[str, Any], name: str, folder: Path, site: str) -> Broker:
    section = table.get(name)
    if not isinstance(section, dict):
        raise ConfigError(f"[{name}]: missing")
    _only(section, name + ".", ("host", "port", *_IDENTITY))
    port = section.get("port")
    if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65_535:
        raise ConfigError(f"{name}.port: a number from 1 to 65535 is needed")
    host = _text(section, name + ".", "host")
    return Broker(host, port, _identity(section, name + ".", folder, site))


def _identity(section: dict[str, Any], prefix: str, folder: Path, site: str) -> Identity | None:
    if not any(key in section for key in _IDENTITY):
        return None
    texts = [_text(section, prefix, key) for key in _IDENTITY]
    try:
        ca, certificate, key = (secret_files.locate(folder, text) for text in texts)
        identity = Identity(ca, certificate, key, agent_name(site))
        identity.check()
    except (SecretFileError, IdentityError) as error:
        raise ConfigError(f"{prefix}key, certificate, ca: {error}") from None
    return identity


def _store(section: Any) -> tuple[int, int]:
    if not isinstance(section, dict):
        raise ConfigError("[store]: a section is needed")
    _only(section, "store.", ("budget_mb", "retention_days"))
    budget_mb = _number(section, "store.budget_mb", BUDGET_MB, (1, BUDGET_MB_MAX))
    days = _number(section, "store.retention_days", RETENTION_DAYS, (0, RETENTION_DAYS_MAX))
    return budget_mb << 20, days * DAY_MS


def _view_port(section: Any) -> int | None:
    if section is None:
        return None
    if not isinstance(section, dict):
        raise ConfigError("[view]: a section is needed")
    _only(section, "view.", ("port",))
    return _number(section, "view.port", 0, (1, 65_535))


def _home_assistant(table: dict[str, Any], folder: Path, site: str) -> HomeConfig | None:
    if "home_assistant" not in table:
        return None
    section, name = table["home_assistant"], "home_assistant."
    own = {}
    if isinstance(section, dict):
        own = {key: section.pop(key) for key in _HOME_S_OWN if key in section}
    broker = _broker(table, "home_assistant", folder, site)
    enabled = own.pop("enabled", True)
    if not isinstance(enabled, bool):
        raise ConfigError(f"{name}enabled: true or false is needed")
    texts = {key: _text(own, name, key) for key in own}
    prefix = texts.get("prefix", HOME_PREFIX)
    if not _PREFIX.fullmatch(prefix) or prefix.split("/")[0] == topics.PREFIX.split("/")[0]:
        raise ConfigError(f"{name}prefix: a-z, A-Z, 0-9, '_', '-' and '/', and not ours")
    if ("user" in texts) != ("password_file" in texts):
        raise ConfigError(f"{name}user, password_file: both, or none of them")
    if "user" not in texts:
        return HomeConfig(broker, prefix, enabled)
    try:
        path = secret_files.locate(folder, texts["password_file"])
        password = secret_files.read(path).decode("utf-8").rstrip("\r\n")
    except SecretFileError as error:
        raise ConfigError(f"{name}password_file: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{name}password_file: not a text in UTF-8") from None
    return HomeConfig(broker, prefix, enabled, (texts["user"], password))


def _enrolment(section: Any) -> bool:
    if not isinstance(section, dict):
        raise ConfigError("[enrolment]: a section is needed")
    _only(section, "enrolment.", ("required",))
    required = section.get("required", False)
    if not isinstance(required, bool):
        raise ConfigError("enrolment.required: true or false is needed")
    return required


def _number(section: dict[str, Any], name: str, default: int, bounds: tuple[int, int]) -> int:
    value = section.get(name.rpartition(".")[2], default)
    lowest, highest = bounds
    if type(value) is not int or not lowest <= value <= highest:
        raise ConfigError(f"{name}: a number from {lowest} to {highest} is needed")
    return value


def _lines(sections: Any) -> tuple[LineConfig, ...]:
    if not isinstance(sections, list):
        raise ConfigError("lines: each line is a section [[lines]]")
    found: list[LineConfig] = []
    known: dict[int | str, str] = {}
    for number, section in enumerate(sections, 1):
        name = f"lines[{number}]"
        if not isinstance(section, dict):
            raise ConfigError(f"{name}: each line is a section [[lines]]")
        line = _line(section, name)
        for once in (line.url, *line.readers):
            if once in known:
                raise ConfigError(f"{name}: {once} stands in {known[once]} already")
            known[once] = name
        found.append(line)
    return tuple(found)


def _line(section: dict[str, Any], name: str) -> LineConfig:
    _only(section, name + ".", ("url", "baud", "readers"))
    baud = section.get("baud", 115_200)
    if baud not in BAUDS or isinstance(baud, bool):
        raise ConfigError(f"{name}.baud: one of {', '.join(map(str, BAUDS))}")
    readers = section.get("readers")
    if not isinstance(readers, list) or not 1 <= len(readers) <= READERS_PER_LINE_MAX:
        raise ConfigError(f"{name}.readers: a list of 1 to {READERS_PER_LINE_MAX} device numbers")
    for device in readers:
        if type(device) is not int or not 1 <= device <= topics.DEVICE_MAX:
            raise ConfigError(f"{name}.readers: {device!r} is no device number")
    url = _text(section, name + ".", "url")
    scheme, separator, rest = url.partition("://")
    if not url.startswith("/") and (scheme not in SCHEMES or not separator or not rest):
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ConfigError(f"{name}.url: a device as /dev/ttyUSB0, or {known} and where it is")
    return LineConfig(url, baud, tuple(readers))


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
    except OSError as error:
        how = "64 hexadecimal digits, which the ledger logs when it starts, or PEM"
        raise ConfigError(f"ledger_public_key: {path}: {error.strerror}: {how}") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"ledger_public_key: {path}: {error}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"ledger_public_key: {path}: not an Ed25519 key")
    return key.public_bytes_raw()
