"""What a handler of the API is called with: one request, the policy, and places in lists."""

import re
from dataclasses import dataclass, field
from typing import Any

from ledger.api.accounts import AccountIds
from ledger.api.clients import Client

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
