"""What an acquirer's statements and the orders do not agree on: `onecard ledger acquirer`."""

import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

from ledger.acquirer_match import Fault
from ledger.acquirer_statements import Unmatched
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened

ALL_MATCHED, UNMATCHED = 0, 1
HOLES_SHOWN = 31  # days without a statement, the newest; how many more there are is said
_COLUMNS = ("day", "amount", "what is wrong", "order")
_ROW = "{:<10}  {:>9}  {:<28}  {}"
_EPOCH = date(1970, 1, 1)


def find(path: Path, utc_offset_s: int, now_s: int) -> tuple[list[Unmatched], dict[int, int]]:
    """Lines without an order that they fit, orders that were sold and are on no statement, days
    that nobody has told; and how many versions of each day are entered. NotBooks.
    """
    with opened(path) as store:
        statements = store.acquirer_statements
        return statements.unmatched(utc_offset_s, now_s), statements.versions()


def to_json(found: list[Unmatched]) -> str:
    """As one JSON array of objects; money in fen, days as 2026-11-26."""
    return json.dumps([asdict(each) | {"day": _date(each.day)} for each in found], indent=2)


def to_text(found: list[Unmatched], versions: dict[int, int]) -> str:
    """For people."""
    entered = "No statement is entered."
    if versions:
        corrected = [
            f"{_date(day)} was corrected: version {version}.\n"
            for day, version in sorted(versions.items())
            if version > 1
        ]
        entered = f"{''.join(corrected)}Statements are entered up to {_date(max(versions))}."
    if not found:
        all_well = "Every line of the statements has its order; nothing waits for over two days."
        return f"{all_well}\n{entered}"
    holes = [each for each in found if each.fault is Fault.NO_STATEMENT]
    older = sorted(holes, key=lambda each: each.day)[:-HOLES_SHOWN]
    rows = [
        _ROW.format(_date(each.day), format_yuan(each.amount_fen), each.fault.value, each.order_no)
        for each in found
        if each not in older
    ]
    if older:
        since = _date(older[0].day)
        rows.append(f"and {len(older)} days before, from {since} on, without one: --json has them")
    return "\n".join([_ROW.format(*_COLUMNS), *rows, f"unmatched: {len(found)}", entered])


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
