"""An operation of the API, and what its handler is called with: a request, and the policy."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ledger.api.accounts import AccountIds
from ledger.api.clients import Client, Scope
from ledger.store import LedgerStore

_NUMBER = re.compile(r"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who asks, what stands in the path, the query and the body, and when it came."""

    client: Client
    path: dict[str, str]
    query: Any  # of the operation's own type, or None
    body: Any
    now_s: int


@dataclass(frozen=True, slots=True)
class Policy:
    """`account_ids`, what one top-up may be, and when a lost card's money goes on.

    `code_key`: under which seeds of phones rest; None: no phone is bound here.
    """

    account_ids: AccountIds
    topup_max_fen: int
    carry_over_after_s: int
    code_key: bytes | None = field(default=None, repr=False)  # never in a log


@dataclass(frozen=True, slots=True)
class Download:
    """What is answered as a file of its own kind."""

    data: bytes
    kind: str
    name: str


Handler = Callable[[LedgerStore, Policy, Call], BaseModel | Download]


@dataclass(frozen=True, slots=True)
class Operation:
    """`method` at `path`, by whoever has `scope` (None: anybody); `reasons`: its own refusals.

    `answer` is a type, or the kind of a Download. `is_long`: it looks through all of the books.
    """

    name: str
    method: str
    path: str
    scope: Scope | None
    about: str
    answer: type[BaseModel] | str
    handler: Handler
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    reasons: tuple[int, ...] = field(default=())
    is_long: bool = False


class BadPlace(Exception):
    """What came as `after` is no place in this list."""


def place(text: str | None, start: tuple[int, ...]) -> Any:
    """The numbers of a place in a list that begins behind `start`. BadPlace."""
    if text is None:
        return start
    parts = text.split("-")
    if len(parts) != len(start) or not all(_NUMBER.fullmatch(part) for part in parts):
        raise BadPlace
    return tuple(map(int, parts))


def place_text(numbers: tuple[int, ...]) -> str:
    """A place as it goes into `next`."""
    return "-".join(map(str, numbers))
