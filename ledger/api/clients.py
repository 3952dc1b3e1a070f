"""Who may ask: named clients, the scopes they have, and their tokens, which are kept hashed.

    [[client]]
    name = "ecode"                # a-z and -, at most 16: also the channel of its top-ups
    token_sha256 = "..."          # 64 hexadecimal digits: `onecard ledger token` makes both
    scopes = ["accounts", "topups"]

A token is 32 random bytes, so its bare hash cannot be turned back, and comparing needs no salt.
"""

import hmac
import re
import secrets
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from adapters import secret_files
from adapters.secret_files import SecretFileError
from ledger import people
from ledger.config import ConfigError
from ledger.periods import STEPS
from ledger.signatures import hash_of

__all__ = ["hash_of"]

TOKEN_BYTES = 32
_NAME = re.compile(r"[a-z][a-z-]{0,15}")
_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "token_sha256", "scopes"}


class Scope(StrEnum):
    """What a client may do."""

    ACCOUNTS = "accounts"  # learn the number of a card's account
    BALANCES = "balances"  # see what is on an account, and its statement
    LOSSES = "losses"  # report a card lost
    TOPUPS = "topups"  # pay in, and cancel its own
    PHONES = "phones"  # bind a holder's phone, whose name it has proven
    DEVICES = "devices"
    CASES = "cases"
    METRICS = "metrics"
    SESSIONS = "sessions"  # end the own session
    HOLDERS = "holders"  # see whose a card is, masked
    PERSONAL = "personal"  # see it unmasked, and say why
    ACTS = "acts"  # see what operators have done
    PERIODS = "periods"  # see merchants' settlement, its statements and sheets
    PERIOD_CLOSE = "period-close"
    PERIOD_DECIDE = "period-decide"
    PERIOD_SIGN = "period-sign"
    PAYMENTS = "payments"  # make a file that pays merchants
    RESULTS = "results"  # note what the bank says of it


_SIGNS = {role for step in STEPS for role in people.VERBS[f"period.{step}"].roles}
# What operators may ask, by their roles. The rest is for subsystems.
OF_ROLES = {
    Scope.SESSIONS: tuple(people.ROLES),
    Scope.HOLDERS: (people.CLERK, people.TREASURER, people.WARDEN, people.GUARD, people.HEAD),
    Scope.PERSONAL: people.VERBS["personal.show"].roles,
    Scope.ACTS: (people.ADMINISTRATOR,),
    Scope.DEVICES: (people.ENGINEER, people.STEWARD, people.WARDEN, people.GUARD),
    Scope.CASES: (people.ENGINEER, people.CLERK, people.TREASURER),
    Scope.METRICS: (people.ENGINEER,),
    Scope.PERIODS: tuple(role for role in people.ROLES if role in {*_SIGNS, people.CLERK}),
    Scope.PERIOD_CLOSE: people.VERBS["period.close"].roles,
    Scope.PERIOD_DECIDE: people.VERBS["period.decide"].roles,
    Scope.PERIOD_SIGN: tuple(role for role in people.ROLES if role in _SIGNS),
    Scope.PAYMENTS: people.VERBS["period.file"].roles,
    Scope.RESULTS: people.VERBS["period.results"].roles,
}
# What takes a person who answers for it: no token of a subsystem has these.
_OF_PERSONS_ONLY = {Scope.SESSIONS, Scope.HOLDERS, Scope.PERSONAL, Scope.ACTS}
_OF_PERSONS_ONLY |= {Scope.PERIODS, Scope.PERIOD_CLOSE, Scope.PERIOD_DECIDE, Scope.PERIOD_SIGN}
_OF_PERSONS_ONLY |= {Scope.PAYMENTS, Scope.RESULTS}
_OPERATOR = "operator:"  # no client is called so


@dataclass(frozen=True, slots=True)
class Client:
    """One of whom we know the hash of the token."""

    name: str
    token_hash: bytes = field(repr=False)
    scopes: frozenset[Scope]
    person: str = field(default="", repr=False)  # of an operator: who, proven


class Clients:
    """All clients. Their names and tokens are different."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = list(clients)

    def by_token(self, token: str) -> Client | None:
        """Whose token it is. Takes as long for each client, and for none."""
        token_hash = hash_of(token)
        found = None
        for client in self._clients:
            if hmac.compare_digest(client.token_hash, token_hash):
                found = client
        return found


def operator(person: str, roles: Iterable[str]) -> Client:
    """Somebody proven, as a client with the scopes of their roles."""
    held = set(roles)
    scopes = frozenset(scope for scope, may in OF_ROLES.items() if held & set(may))
    return Client(_OPERATOR + person, b"", scopes, person)


def new_token() -> str:
    """One that nobody can guess."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def load_clients(path: Path) -> Clients:
    """The clients in the TOML file `path`. ConfigError names what is wrong, and no token."""
    try:
        content = tomllib.loads(secret_files.read(path).decode("utf-8"))
    except SecretFileError as error:
        raise ConfigError(str(error)) from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    tables = content.pop("client", [])
    if content or not isinstance(tables, list):
        raise ConfigError(f"{path}: nothing but [[client]] belongs here")
    clients = [check(table, f"{path}: client[{at}]: ") for at, table in enumerate(tables)]
    for what in ("name", "token_hash"):
        if len({getattr(client, what) for client in clients}) < len(clients):
            raise ConfigError(f"{path}: two clients have one {what.partition('_')[0]}")
    return Clients(clients)


def check(table: Any, where: str = "") -> Client:
    """The client that a table describes. ConfigError, which begins with `where`."""
    if not isinstance(table, dict) or set(table) != _FIELDS:
        raise ConfigError(f"{where}has {', '.join(sorted(_FIELDS))}, and nothing else")
    name, token_hash, scopes = (table[key] for key in ("name", "token_sha256", "scopes"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{where}name: a-z and -, 1 to 16 characters")
    if not isinstance(token_hash, str) or not _HASH.fullmatch(token_hash):
        raise ConfigError(f"{where}token_sha256: not 64 hexadecimal digits")
    known = {scope.value for scope in Scope if scope not in _OF_PERSONS_ONLY}
    if not isinstance(scopes, list) or not all(scope in known for scope in scopes):
        raise ConfigError(f"{where}scopes: some of {', '.join(sorted(known))}")
    return Client(name, bytes.fromhex(token_hash), frozenset(map(Scope, scopes)))
