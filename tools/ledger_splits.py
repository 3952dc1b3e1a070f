"""Reports split charges to the office for merchants: `onecard ledger splits DATABASE` (R19.1).

The books are opened for reading only, so it may run beside the ledger, and on a backup. A card
stands there by its number, which only the card centre can give a name; `sha256` is that of the
sealed bytes in table `record`. A finding is a matter to ask about, no proof of intent: honest
lunches give some too (`onecard bench split` measures how many).
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ledger.splits import FOREVER_S, Books, Report, Spend, Split, report
from protocols.rules import split
from protocols.rules.money import format_yuan
from protocols.wire import messages
from tools.ledger_forks import opened

NONE_FOUND, FOUND = 0, 1
_TIME_UNKNOWN_S = 0xFFFFFFFF
_COLUMNS = ("record", "amount", "at earliest (UTC)", "at latest (UTC)", "network", "holder")
_ROW = "    {:>15}  {:>9}  {:<19}  {:<19}  {:<7}  {}"
_HOLDER = ((messages.FLAG_PIN, "PIN"), (messages.FLAG_IDENTITY, "looked at"))
_WORDS = {True: "sure", False: "possible"}
_MEANS = {
    "sure": "one purchase by every clock within its doubt",
    "possible": "one purchase if the clocks stood so; they may have stood otherwise",
}


class BadTime(Exception):
    """Not a time with its zone."""


def find(
    path: Path, limit_fen: int, window_s: int, since: str | None, until: str | None
) -> Report:
    """The report on the database `path`; NotBooks if it is none, BadTime for since or until.

    Those two are times as in ISO 8601 with a zone, or None.
    """
    since_s = 0 if since is None else _seconds(since)
    until_s = FOREVER_S if until is None else _seconds(until)
    with opened(path) as store:
        return report(store, limit_fen, window_s, since_s, until_s)


def to_json(found: Report) -> str:
    """The report as one JSON object; money in fen, times in seconds since 1970."""
    fields = {
        "books": _books_fields(found.books),
        "limit_fen": found.limit_fen,
        "window_s": found.window_s,
        "since_s": found.since_s,
        "until_s": found.until_s,
        "merchants": [
            {"merchant_no": number, "name": found.merchants.get(number, ""), "spends": spends}
            for number, spends in found.spends.items()
        ],
        "splits": [_split_fields(one) for one in found.splits],
    }
    return json.dumps(fields, indent=2, ensure_ascii=False)


def to_text(found: Report) -> str:
    """The report for people: from which books, merchant by merchant, and what the words mean."""
    books = found.books
    lines = [
        f"Split charges (R19.1): within {found.window_s} s, without the PIN, together above "
        f"{format_yuan(found.limit_fen)}",
        f"books: {books.records} records of {len(books.heads)} readers, state {books.sha256}",
        f"spends from {_time(found.since_s)} to {_time(found.until_s)}",
        "",
    ]
    for merchant_no, spends in found.spends.items():
        own = [one for one in found.splits if one.merchant_no == merchant_no]
        sure = sum(one.is_sure for one in own)
        name = found.merchants.get(merchant_no, "")
        lines.append(
            f"merchant {merchant_no} {name}: {len(own)} purchases split, {sure} of them surely; "
            f"{spends} spends"
        )
        for one in own:
            lines += _split_lines(one)
    if found.splits:
        lines += [f"{word:>8}: {meaning}" for word, meaning in _MEANS.items()]
    else:
        lines.append("No purchase was split.")
    return "\n".join(lines)


def _split_lines(one: Split) -> Iterator[str]:
    yield (
        f"  card {one.card_no}: {_WORDS[one.is_sure].upper()}, {format_yuan(one.total_fen)} in "
        f"{len(one.charges)} parts; {_who_knew(one)}"
    )
    yield _ROW.format(*_COLUMNS)
    for spend in sorted((*one.charges, *one.proven), key=_moment):
        yield _ROW.format(
            "/".join(map(str, spend.charge[:2])),
            format_yuan(spend.charge[split.AMOUNT_FEN]),
            _time(spend.charge[split.EARLIEST_S]),
            _time(spend.charge[split.LATEST_S]),
            "offline" if spend.charge[split.FLAGS] & messages.FLAG_OFFLINE else "online",
            _holder(spend) or "no PIN",
        )
    yield ""


def _who_knew(one: Split) -> str:
    if not one.seen_by:
        return "no reader could know: each saw its own part only"
    readers = ", ".join(map(str, one.seen_by))
    return f"reader {readers} alone took more than the limit and should have asked"


def _split_fields(one: Split) -> dict[str, Any]:
    return {
        "merchant_no": one.merchant_no,
        "card_no": one.card_no,
        "is_sure": one.is_sure,
        "total_fen": one.total_fen,
        "seen_by": list(one.seen_by),
        "charges": [_spend_fields(spend) for spend in one.charges],
        "proven": [_spend_fields(spend) for spend in one.proven],
    }


def _spend_fields(spend: Spend) -> dict[str, Any]:
    flags = spend.charge[split.FLAGS]
    return {
        "device": spend.charge[split.DEVICE],
        "seq": spend.charge[split.SEQ],
        "amount_fen": spend.charge[split.AMOUNT_FEN],
        "earliest_s": spend.charge[split.EARLIEST_S],
        "latest_s": spend.charge[split.LATEST_S],
        "boot_id": spend.charge[split.BOOT_ID],
        "mono_s": spend.charge[split.MONO_S],
        "is_offline": bool(flags & messages.FLAG_OFFLINE),
        "holder": _holder(spend),
        "sha256": spend.sha256.hex(),
    }


def _books_fields(books: Books) -> dict[str, Any]:
    heads = [{"device": device, "seq": seq} for device, seq in books.heads]
    return {"records": books.records, "sha256": books.sha256, "heads": heads}


def _holder(spend: Spend) -> str:
    """How the holder was known: "PIN", "looked at", or "" for not at all."""
    return ", ".join(word for flag, word in _HOLDER if spend.charge[split.FLAGS] & flag)


def _moment(spend: Spend) -> tuple[int, ...]:
    return spend.charge[split.EARLIEST_S], *spend.charge[:2]


def _seconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadTime(f"'{text}' is not a time as in ISO 8601") from error
    if moment.tzinfo is None:
        raise BadTime(f"'{text}' needs its zone, such as +08:00")
    return int(moment.timestamp())


def _time(utc_s: int) -> str:
    if utc_s >= _TIME_UNKNOWN_S:
        return "-"
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
