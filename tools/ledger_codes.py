"""Payments by code that nothing has settled, and how a person does: `onecard ledger codes`.

A payment waits for the record of its reader that decides it. A reader that never comes back, and a
record that was lost or that this ledger cannot read, leave it open: the money is nobody's.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ledger import marks
from ledger.acquirer_orders import Order
from ledger.code_sales import OpenSale
from ledger.marks import PAYMENT
from ledger.reservations import Reservation, Settled
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.session import signing

NONE_OPEN, OPEN = 0, 1
_COLUMNS = (
    "number",
    "reader/record",
    "site",
    "merchant",
    "amount",
    "asked (UTC)",
    "mark",
    "waits for",
)
_ROW = "{:>8}  {:>16}  {:<16}  {:>8}  {:>9}  {:<19}  {:<8}  {}"
_WAITS = {False: "its record", True: "a person: its record tells nothing"}


Found = list[tuple[OpenSale, str]]


def find(path: Path, before_s: int) -> Found:
    """What was reserved before that second (UTC) and is open, by reader: each and its mark."""
    with opened(path) as store:
        found = store.code_sales.open_since(before_s) + store.acquirer_orders.open_since(before_s)
        found.sort(key=lambda sale: (sale.device, sale.seq))
        return [(one, marks.shown(store, PAYMENT, str(one.number))[1]) for one in found]


def settle(
    path: Path, what: tuple[int, str], state: Settled, by: str = "", now_s: int = 0
) -> Reservation | Order:
    """Settle one, of any code; `what`: its number and mark.

    NotBooks, NotAllowed, OtherMark, SettleRefused, StoreUnavailable.
    """
    number, mark = what
    with signing(path, by, now_s) as (store, who):
        marks.check(store, PAYMENT, str(number), mark)
        if store.acquirer_orders.find(number) is not None:
            return store.acquirer_orders.settle(number, state, who, now_s)
        return store.code_sales.settle(number, state, who, now_s)


def propose(
    path: Path, what: tuple[int, str], state: Settled, by: str = "", now_s: int = 0
) -> int:
    """Say what became of one, for another person to settle it so; its number. As `settle`."""
    number, mark = what
    with signing(path, by, now_s) as (store, who):
        marks.check(store, PAYMENT, str(number), mark)
        is_order = store.acquirer_orders.find(number) is not None
        sales = store.acquirer_orders if is_order else store.code_sales
        return sales.propose(number, state, who, now_s)


def to_json(found: Found) -> str:
    """As one JSON array of objects; money in fen, times in seconds since 1970."""
    return json.dumps([asdict(sale) | {"mark": mark} for sale, mark in found], indent=2)


def to_text(found: Found) -> str:
    """For people."""
    if not found:
        return "Every payment by code that is that old is settled."
    lines = [_ROW.format(*_COLUMNS)]
    for sale, mark in found:
        asked = datetime.fromtimestamp(sale.asked_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
        record, amount = f"{sale.device}/{sale.seq}", format_yuan(sale.amount_fen)
        facts = sale.number, record, sale.site, sale.merchant_no, amount, asked, mark
        lines.append(_ROW.format(*facts, _WAITS[sale.is_mute]))
    readers = len({sale.device for sale, _mark in found})
    total = format_yuan(sum(sale.amount_fen for sale, _mark in found))
    lines.append(f"open: {len(found)}, readers: {readers}, in all: {total}")
    return "\n".join(lines)
