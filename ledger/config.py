"""The ledger's configuration file (TOML) and the register it starts with.

    data_dir = "/var/lib/onecard-ledger"    # where ledger.sqlite lives
    database = "postgresql://ledger@db/books"  # optional: the books are there, and not in a file
    database_password_file = "db.password"  # optional: its password, which never stands in the URL
    signing_key_file = "signing.key"        # 64 hexadecimal digits: the Ed25519 key
    credit_key_file = "credit.key"          # optional, 32 hexadecimal digits: the master of the
                                            # keys that put money on cards; none goes on without
    carry_over_after_h = 72                 # optional: from the report of a card's loss on, until
                                            # what was on it goes to the card in its place
    register_file = "register.toml"         # optional: devices, merchants, cards to make known

    [codes]                                 # optional: codes of phones; none is taken without
    key_file = "codes.key"                  # 64 hexadecimal digits: phones' seeds rest under it
    sale_max_fen = 5000                     # one sale; there is no PIN with a code
    day_max_fen = 15000                     # a card's calendar day
    utc_offset_s = 28800                    # when that begins, and the days of a card
    clock_error_ms = 1000                   # how wrong this ledger's clock may be

    [acquirer]                              # optional, with [codes]: whoever takes payments by
                                            # the codes of WeChat, Alipay and UnionPay for us
    url = "https://pay.example.org/onecard" # plain http on this machine only
    key_file = "acquirer.key"               # 64 hexadecimal digits: seals what both say
    timeout_ms = 2000                       # without an answer for so long there is none

    [[travel]]                              # optional, any number: below so many seconds nobody
    from = "north"                          # gets from one site to the other, so a card that does
    to = "south"                            # is a case (ledger/fraud.py)
    seconds = 240

    [broker]
    host = "127.0.0.1"
    port = 1883
    ca = "tls/ca.pem"                       # these three together, or none: TLS, with a
    certificate = "tls/certificate.pem"     # certificate for `name`
    key = "tls/key.pem"
    name = "ledger"                         # of a second ledger on one broker (and on one
                                            # database) "ledger-2", then "ledger-3" and "ledger-4"
    fallbacks = ["10.0.0.12:1883"]          # optional: further nodes of the same cluster of
                                            # brokers, tried in turn
    subscription_qos = 1                    # optional; 0 with a cluster of NATS

    [http]                                  # optional: for `onecard ledger serve` (ADR 44)
    host = "127.0.0.1"
    port = 8440
    clients_file = "clients.toml"           # who may ask (ledger/api/clients.py)
    account_key_file = "account.key"        # 64 hexadecimal digits: makes the numbers of accounts
    topup_max_fen = 100000                  # one top-up of a channel
    requests_per_s = 50                     # of one client; twice as many at once
    certificate = "http-tls/certificate.pem"  # both or none: TLS. Without, it listens on this
    key = "http-tls/key.pem"                # machine only
    ca = "http-tls/clients.pem"             # optional: clients need a certificate of it as well

    [console]                               # optional: the card centre's console (ADR 74), which
    host = "127.0.0.1"                      # `onecard ledger run` starts beside itself
    port = 8441
    name = "onecard.example.edu"            # beyond this machine: as it stands in the address
    requests_per_s = 20                     # of one browser; twice as many at once
    certificate = "console-tls/certificate.pem"  # both or none: TLS. Without, it listens on this
    key = "console-tls/key.pem"             # machine only

File names are relative to the configuration file; those of keys may begin with
$CREDENTIALS_DIRECTORY/ (systemd), and else nobody but the owner may read them. The register is
TOML or, when its name ends in .json, JSON of the same shape; importing it again changes nothing:

    [[merchant]]
    merchant_no = 12
    name = "Canteen 1"
    [[device]]
    device = 1001
    key = "..."         # 64 hexadecimal digits
    previous_key = "..."  # optional: the one that `key` replaces
    merchant_no = 12
    site = "canteen-1"
    department = "logistics"  # optional: who answers for it (R20)
    person_numbers = true     # optional: a library desk, which may ask for personal numbers
    [[card]]
    card_no = 7
    balance_fen = 5000
    uid = "04a1b2c3d4e5f6"  # optional: money can then be put on it, and of a DESFire what its
                            # chip signs can be checked
    chip = "desfire"        # optional: that (the default) or "classic"
    kind = "student"        # optional, but then all three, as they stand on the card: "staff",
    valid_from = "2026-09-01"  # "student" or "temporary", its first and its last day. Doors
    valid_to = "2030-08-31"    # take the codes of no other cards. Days told anew replace these
    person_no = "2026010203"  # optional: the holder's, 1 to 16 of 0-9 and A-Z, for library desks;
                              # another one, told anew, replaces it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from adapters import secret_files
from adapters.failover import Address, BadAddress, parse_all
from adapters.identity import LEDGER, LEDGERS, Identity, IdentityError
from adapters.secret_files import SecretFileError
from ledger.card_validity import Validity, know
from ledger.carry_over import AFTER_S
from ledger.code_sales import CodePolicy
from ledger.config_listen import (
    LOOPBACK,
    PORT_MAX,
    ConsoleLine,
    Http,
    console_of,
    http_of,
    secret,
)
from ledger.config_table import ConfigError
from ledger.config_table import Table as _Table
from ledger.config_table import load as _load
from ledger.dialect import POSTGRESQL, says_password
from ledger.retirement import is_retired
from ledger.store import LedgerStore, RegistryError
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY
from protocols.wire import desk_messages, messages, topics

KEY_BYTES, CREDIT_KEY_BYTES = 32, 16
_FEN_MAX, _ERROR_MS_MAX, _DAY_S = 0xFFFFFF, 60_000, 86_400
_HOUR_S, _AFTER_H_MAX = 3_600, 8_784
_TIMEOUT_MS_MAX = 30_000
_UID_BYTES = (4, 7, 10)
_IDENTITY = ("ca", "certificate", "key")  # in Identity's order
_KINDS = {"staff": STAFF, "student": STUDENT, "temporary": TEMPORARY}
_EPOCH, _DAY_MAX = date(1970, 1, 1), 0xFFFF
_CHIPS = {"classic": messages.CLASSIC, "desfire": messages.DESFIRE}


@dataclass(frozen=True, slots=True)
class Codes:
    """Payments by code: the key of the seeds, what may be paid, and how sure the clock is."""

    key_file: Path
    policy: CodePolicy
    clock_error_ms: int


@dataclass(frozen=True, slots=True)
class AcquirerLine:
    """How the acquirer is reached."""

    url: str
    key_file: Path
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Config:
    """Where the ledger keeps its books and which broker it serves."""

    data_dir: Path
    broker_host: str
    broker_port: int
    signing_key_file: Path
    register_file: Path | None
    credit_key_file: Path | None = None
    codes: Codes | None = None
    carry_over_after_s: int = AFTER_S
    identity: Identity | None = None
    database_url: str = ""
    database_password_file: Path | None = None
    http: Http | None = None
    console: ConsoleLine | None = None
    acquirer: AcquirerLine | None = None
    walks: Mapping[frozenset[str], int] = field(default_factory=dict)
    broker_fallbacks: tuple[Address, ...] = ()
    subscription_qos: int = 1

    @property
    def database(self) -> Path:
        """The file of the books, where they are in a file."""
        return self.data_dir / "ledger.sqlite"


def load_config(path: str | Path) -> Config:
    """The configuration in the TOML file `path`; ConfigError names what is wrong with it."""
    path = Path(path)
    table = _Table(path, "", _load(path))
    broker = table.table("broker")
    register = table.text("register_file", "")
    credit_key = table.text("credit_key_file", "")
    after_h = table.number("carry_over_after_h", AFTER_S // _HOUR_S, most=_AFTER_H_MAX)
    host, port = broker.text("host", "127.0.0.1"), broker.number("port", 1883, most=PORT_MAX)
    config = Config(
        data_dir=path.parent / table.text("data_dir"),
        broker_host=host,
        broker_port=port,
        broker_fallbacks=_fallbacks(path, broker, (host, port)),
        subscription_qos=broker.number("subscription_qos", 1, most=1),
        signing_key_file=secret(path, table.text("signing_key_file")),
        register_file=secret(path, register) if register else None,
        credit_key_file=secret(path, credit_key) if credit_key else None,
        codes=_codes(path, table.table("codes")),
        carry_over_after_s=after_h * _HOUR_S,
        identity=_identity(path, broker),
        http=http_of(path, table.table("http")),
        console=console_of(path, table.table("console")),
        acquirer=_acquirer(path, table.table("acquirer")),
        walks=_walks(path, table),
        **_database(path, table),
    )
    if config.acquirer and not config.codes:
        raise ConfigError(f"{path}: acquirer.url: needs [codes]")
    broker.end()
    table.end()
    return config


def _fallbacks(path: Path, broker: _Table, first: Address) -> tuple[Address, ...]:
    try:
        return parse_all(first, broker.texts("fallbacks"))
    except BadAddress as error:
        raise ConfigError(f"{path}: {broker.where('fallbacks')}: {error}") from None


def _database(path: Path, table: _Table) -> dict[str, Any]:
    url = table.text("database", "")
    password = table.text("database_password_file", "")
    if url and not url.startswith(POSTGRESQL):
        raise ConfigError(f"{path}: database: does not begin with {POSTGRESQL}")
    if url and says_password(url):
        text = "a password is never in it: name its file as database_password_file"
        raise ConfigError(f"{path}: database: {text}")
    if password and not url:
        raise ConfigError(f"{path}: database_password_file: there is no database")
    file = secret(path, password) if password else None
    return {"database_url": url, "database_password_file": file}


def _walks(path: Path, table: _Table) -> dict[frozenset[str], int]:
    """The least seconds between two sites."""
    walks: dict[frozenset[str], int] = {}
    for walk in table.tables("travel"):
        sites = frozenset((walk.text("from"), walk.text("to")))
        if len(sites) != 2 or not all(map(topics.is_site, sites)) or sites in walks:
            text = "takes the names of two sites, each pair once"
            raise ConfigError(f"{path}: {walk.where('to')}: {text}")
        walks[sites] = walk.number("seconds", most=_DAY_S)
        walk.end()
    return walks


def open_books(config: Config) -> LedgerStore:
    """The books that `config` names. ConfigError, and what LedgerStore.open raises."""
    return LedgerStore.open(config.database_url or str(config.database), load_password(config))


def load_password(config: Config) -> str | None:
    """That of the database; None: it needs none (or libpq knows it). Raises ConfigError."""
    path = config.database_password_file
    try:
        return None if path is None else secret_files.read(path).decode().rstrip("\n")
    except SecretFileError as error:
        raise ConfigError(str(error)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not text in UTF-8") from None


def _identity(path: Path, table: _Table) -> Identity | None:
    texts = [table.text(name, "") for name in _IDENTITY]
    own_name = table.text("name", LEDGER)
    if own_name not in LEDGERS:
        raise ConfigError(f"{path}: {table.where('name')}: one of {', '.join(LEDGERS)}")
    if not any(texts):
        return None
    if not all(texts):
        raise ConfigError(f"{path}: {table.where('ca')}: {', '.join(_IDENTITY)} belong together")
    ca, certificate, key = (secret(path, text) for text in texts)
    identity = Identity(ca, certificate, key, own_name)
    try:
        identity.check()
    except IdentityError as error:
        raise ConfigError(f"{path}: {table.where('certificate')}: {error}") from None
    return identity


def _codes(path: Path, table: _Table) -> Codes | None:
    key_file = table.text("key_file", "")
    if not key_file:
        table.end()
        return None
    policy = CodePolicy(
        sale_max_fen=table.number("sale_max_fen", 5_000, most=_FEN_MAX),
        day_max_fen=table.number("day_max_fen", 15_000),
        utc_offset_s=table.number("utc_offset_s", 28_800, most=_DAY_S),
    )
    codes = Codes(
        secret(path, key_file),
        policy,
        table.number("clock_error_ms", 1_000, most=_ERROR_MS_MAX),
    )
    table.end()
    return codes


def _acquirer(path: Path, table: _Table) -> AcquirerLine | None:
    url = table.text("url", "")
    if not url:
        table.end()
        return None
    parts = urlsplit(url)
    is_here = parts.scheme == "http" and parts.hostname in LOOPBACK
    if (parts.scheme != "https" or not parts.hostname) and not is_here:
        text = "begins with https://, or http:// and is on this machine"
        raise ConfigError(f"{path}: {table.where('url')}: {text}")
    key_file = secret(path, table.text("key_file"))
    timeout_ms = table.number("timeout_ms", 2_000, most=_TIMEOUT_MS_MAX)
    if not timeout_ms:
        raise ConfigError(f"{path}: {table.where('timeout_ms')}: 1 at least")
    table.end()
    return AcquirerLine(url, key_file, timeout_ms)


def load_account_key(path: Path) -> bytes:
    """The 32-byte key in `path` that the numbers of accounts are made with."""
    return _key_in(path, KEY_BYTES)


def load_signing_key(path: Path) -> bytes:
    """The 32-byte Ed25519 key in `path`. Never made here: the agents must know its other half."""
    if not path.exists():
        how = "onecard keys export keys ledger, or to try it: openssl rand -hex 32"
        raise ConfigError(f"{path}: there is no such file; what makes one: {how}")
    return _key_in(path, KEY_BYTES)


def load_credit_key(path: Path) -> bytes:
    """The 16-byte master key in `path` that the credit keys of all cards are made from."""
    return _key_in(path, CREDIT_KEY_BYTES)


def load_code_key(path: Path) -> bytes:
    """The 32-byte key in `path` that the seeds of phones rest under."""
    return _key_in(path, KEY_BYTES)


def load_acquirer_key(path: Path) -> bytes:
    """The 32-byte key in `path` that seals what the acquirer and the ledger say."""
    return _key_in(path, KEY_BYTES)


def _key_in(path: Path, size: int) -> bytes:
    try:
        return _key(path, "key", secret_files.read(path).decode("ascii").strip(), size)
    except SecretFileError as error:
        raise ConfigError(str(error)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not {2 * size} hexadecimal digits") from None


def import_register(store: LedgerStore, path: Path) -> None:
    """Make everything in the register file known to `store`. Raises ConfigError.

    One with readers has their keys: nobody else may read it.
    """
    table = _Table(path, "", _load(path))
    readers = list(table.tables("device"))
    try:
        if readers:
            secret_files.read(path)
        merchants, devices = store.merchants.onboarding.sift(
            [_merchant(merchant) for merchant in table.tables("merchant")],
            [_device(path, device) for device in readers],
        )
        for merchant_no, name in merchants:
            store.register_merchant(merchant_no, name)
        store.register_devices(
            (device, previous or key, merchant_no, site)
            for device, previous, key, merchant_no, site, *_ in devices
        )
        for device, previous, key, *_ in devices:
            # What the register plans for a reader that has ended must not stop the ledger.
            if previous and not is_retired(store.database, device):
                store.rotate_device_key(device, key)
        store.tampers.answer_for((each[0], each[5]) for each in devices if each[5])
        store.merchants.onboarding.answer_for(each[0] for each in devices)
        store.person_numbers.let_ask((device[0], device[-1]) for device in devices)
        cards = [_card(path, card) for card in table.tables("card")]
        store.issue_cards((card_no, balance_fen) for card_no, balance_fen, *_ in cards)
        for kind in _CHIPS.values():
            store.know_chips(
                ((card_no, uid) for card_no, _fen, uid, its, *_ in cards if uid and its == kind),
                kind,
            )
        know(store.database, [validity for *_, validity, _ in cards if validity])
        store.person_numbers.know((card[0], card[-1]) for card in cards if card[-1])
    except SecretFileError as error:
        raise ConfigError(str(error)) from None
    except RegistryError as error:
        raise ConfigError(f"{path}: {error}") from error
    table.end()


def _merchant(merchant: _Table) -> tuple[int, str]:
    facts = merchant.number("merchant_no"), merchant.text("name", "")
    merchant.end()
    return facts


def _device(path: Path, device: _Table) -> tuple[int, bytes, bytes, int, str, str, bool]:
    """Device, previous key (empty if there is none), key, merchant_no, site, department, whether
    it may ask for personal numbers."""
    previous = device.text("previous_key", "")
    facts = (
        device.number("device"),
        _key(path, device.where("previous_key"), previous) if previous else b"",
        _key(path, device.where("key"), device.text("key")),
        device.number("merchant_no"),
        device.text("site", "campus"),
        device.text("department", ""),
        device.flag("person_numbers"),
    )
    device.end()
    return facts


def _card(path: Path, card: _Table) -> tuple[int, int, bytes, int, Validity | None, str]:
    """card_no, balance_fen, UID (empty if it is not told), kind of chip, and if told validity and
    the holder's number (empty if not)."""
    text = card.text("uid", "")
    try:
        uid = bytes.fromhex(text)
    except ValueError:
        uid = b"?"
    if len(uid) not in (0, *_UID_BYTES):
        raise ConfigError(f"{path}: {card.where('uid')}: not 4, 7 or 10 bytes in hexadecimal")
    chip = card.text("chip", "desfire")
    if chip not in _CHIPS:
        raise ConfigError(f"{path}: {card.where('chip')}: neither {' nor '.join(_CHIPS)}")
    card_no = card.number("card_no")
    validity = _validity(path, card, card_no)
    person_no = card.text("person_no", "")
    if person_no and not desk_messages.is_person_no(person_no.encode()):
        # Not the number itself: it is somebody's.
        text = f"{card.where('person_no')}: not 1 to 16 of 0-9 and A-Z"
        raise ConfigError(f"{path}: {text}")
    facts = card_no, card.number("balance_fen"), uid, _CHIPS[chip], validity, person_no
    card.end()
    return facts


def _validity(path: Path, card: _Table, card_no: int) -> Validity | None:
    """`kind`, `valid_from` and `valid_to` of a card: all of them or none."""
    texts = [card.text(name, "") for name in ("kind", "valid_from", "valid_to")]
    if not any(texts):
        return None
    kind, *days = texts
    if kind not in _KINDS:
        raise ConfigError(f"{path}: {card.where('kind')}: none of {', '.join(_KINDS)}")
    try:
        first, last = ((date.fromisoformat(day) - _EPOCH).days for day in days)
    except ValueError:
        first, last = 1, 0
    if not 0 <= first <= last <= _DAY_MAX:
        text = "valid_from and valid_to are days such as 2026-09-01, in their order"
        raise ConfigError(f"{path}: {card.where('valid_from')}: {text}")
    return Validity(card_no, _KINDS[kind], first, last)


def _key(path: Path, where: str, text: str, size: int = KEY_BYTES) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != size:
        raise ConfigError(f"{path}: {where}: not {2 * size} hexadecimal digits")
    return key
