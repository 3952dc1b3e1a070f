"""Payments by aggregate code and the statements of channels: `onecard ledger aggregate`."""

import json
from datetime import UTC, datetime
from pathlib import Path

from ledger.aggregate import Imported
from ledger.aggregate_match import Line, Matched, Sale, Slack, Status
from ledger.statements import read
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.session import signing

ALL_VERIFIED, OPEN = 0, 1
_COLUMNS = ("status", "merchant", "amount", "at earliest (UTC)", "at latest (UTC)", "what")
_ROW = "{:<10}  {:>8}  {:>9}  {:<19}  {:<19}  {}"
_TIME_UNKNOWN_S = 0xFFFFFFFF


def enter(path: Path, statement: Path, by: str, now_s: int) -> Imported:
    """Import a statement. NotBooks, NotAllowed, StatementRefused, StoreUnavailable, OSError."""
    lines = read(statement.read_bytes())
    with signing(path, by, now_s) as (store, who):
        return store.aggregate.enter(lines, (who, now_s))


def find(path: Path, slack: Slack) -> Matched:
    """What is verified in the database `path`; NotBooks if it is none."""
    with opened(path) as store:
        return store.aggregate.matched(slack)


def is_open(matched: Matched) -> bool:
    """Whether somebody has to look at something."""
    statuses = (*matched.sales.values(), *matched.lines.values())
    return any(status is not Status.VERIFIED for status in statuses)


def to_json(matched: Matched) -> str:
    """Two lists of objects; money in fen, times in seconds since 1970."""
    sales = [
        sale._asdict() | {"status": status.value, "line": _name(matched.pairs[sale])}
        if sale in matched.pairs
        else sale._asdict() | {"status": status.value, "line": None}
        for sale, status in matched.sales.items()
    ]
    lines = [line._asdict() | {"status": status.value} for line, status in matched.lines.items()]
    return json.dumps({"records": sales, "lines": lines}, indent=2)


def to_text(matched: Matched, with_verified: bool) -> str:
    """For people: what is open, and with_verified the rest too; then what it comes to."""
    rows = [
        _sale_row(sale, status, matched.pairs.get(sale))
        for sale, status in matched.sales.items()
        if with_verified or status is not Status.VERIFIED
    ]
    rows += [
        _line_row(line, status)
        for line, status in matched.lines.items()
        if status is not Status.VERIFIED
    ]
    text = [_ROW.format(*_COLUMNS), *rows] if rows else []
    for status in Status:
        own = [sale.amount_fen for sale, known in matched.sales.items() if known is status]
        text.append(f"records {status.value}: {len(own)}, in all: {format_yuan(sum(own))}")
    alone = [
        line.amount_fen for line, known in matched.lines.items() if known is not Status.VERIFIED
    ]
    text.append(
        f"statement lines: {len(matched.lines)}, of them without a record of their own: "
        f"{len(alone)}, in all: {format_yuan(sum(alone))}"
    )
    return "\n".join(text)


def _sale_row(sale: Sale, status: Status, line: Line | None) -> str:
    what = f"record {sale.device}/{sale.seq}" + (f", {_name(line)}" if line else "")
    when = _time(sale.earliest_s), _time(sale.latest_s)
    return _ROW.format(status, sale.merchant_no, format_yuan(sale.amount_fen), *when, what)


def _line_row(line: Line, status: Status) -> str:
    word = {Status.UNVERIFIED: "no record"}.get(status, status.value)
    when = (_time(line.time_s),) * 2
    return _ROW.format(word, line.merchant_no, format_yuan(line.amount_fen), *when, _name(line))


def _name(line: Line) -> str:
    return f"{line.channel} {line.order_no}"


def _time(utc_s: int) -> str:
    if utc_s >= _TIME_UNKNOWN_S:
        return "-"
    return datetime.fromtimestamp(utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
