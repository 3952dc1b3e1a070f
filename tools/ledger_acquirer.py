"""What an acquirer's statements and the orders do not agree on: `onecard ledger acquirer`."""

import json
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path

from ledger.acquirer_statements import Unmatched
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened

ALL_MATCHED, UNMATCHED = 0, 1
_COLUMNS = ("day", "amount", "what is wrong", "order")
_ROW = "{:<10}  {:>9}  {:<28}  {}"
_EPOCH = date(1970, 1, 1)


def find(path: Path, utc_offset_s: int) -> list[Unmatched]:
    """Lines without an order that they fit, and orders on no statement. NotBooks."""
    with opened(path) as store:
        return store.acquirer_statements.unmatched(utc_offset_s)


def to_json(found: list[Unmatched]) -> str:
    """As one JSON array of objects; money in fen, days as 2026-11-26."""
    return json.dumps([asdict(each) | {"day": _name(each)} for each in found], indent=2)


def to_text(found: list[Unmatched]) -> str:
    """For people."""
    if not found:
        return "Every line of the acquirer's statements has its order, every order its line."
    rows = [
        _ROW.format(_name(each), format_yuan(each.amount_fen), each.fault.value, each.order_no)
        for each in found
    ]
    return "\n".join([_ROW.format(*_COLUMNS), *rows, f"unmatched: {len(found)}"])


def _name(each: Unmatched) -> str:
    return (_EPOCH + timedelta(days=each.day)).isoformat()
