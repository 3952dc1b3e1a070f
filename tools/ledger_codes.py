"""Payments by code that nothing has settled, and how a person does: `onecard ledger codes`.

A payment waits for the record of its reader that decides it. A reader that never comes back, and a
record that was lost or that this ledger cannot read, leave it open: the money is nobody's.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ledger.acquirer_orders import Order
from ledger.code_sales import OpenSale
from ledger.reservations import Reservation, Settled
from protocols.rules.money import format_yuan
from tools.ledger_forks import opened
from tools.session import signing

NONE_OPEN, OPEN = 0, 1
_COLUMNS = ("number", "reader/record", "site", "merchant", "amount", "asked (UTC)", "waits for")
_ROW = "{:>8}  {:>16}  {:<16}  {:>8}  {:>9}  {:<19}  {}"
_WAITS = {False: "its record", True: "a person: its record tells nothing"}


def find(path: Path, before_s: int) -> list[OpenSale]:
    """What was reserved before that second (UTC) and is open, by reader; NotBooks."""
    with opened(path) as store:
        found = store.code_sales.open_since(before_s) + store.acquirer_orders.open_since(before_s)
    return sorted(found, key=lambda sale: (sale.device, sale.seq))


def settle(
    path: Path, number: int, state: Settled, by: str = "", now_s: int = 0
) -> Reservation | Order:
    """Settle one, of any code. NotBooks, NotAllowed, SettleRefused, StoreUnavailable."""
    with signing(path, by, now_s) as (store, who):
        if store.acquirer_orders.find(number) is not None:
            return store.acquirer_orders.settle(number, state, who, now_s)
        return store.code_sales.settle(number, state, who, now_s)


def propose(path: Path, number: int, state: Settled, by: str = "", now_s: int = 0) -> int:
    """Say what became of one, for another person to settle it so; its number. As `settle`."""
    with signing(path, by, now_s) as (store, who):
        is_order = store.acquirer_orders.find(number) is not None
        sales = store.acquirer_orders if is_order else store.code_sales
        return sales.propose(number, state, who, now_s)


def to_json(found: list[OpenSale]) -> str:
    """As one JSON array of objects; money in fen, times in seconds since 1970."""
    return json.dumps([asdict(sale) for sale in found], indent=2)


def to_text(found: list[OpenSale]) -> str:
    """For people."""
    if not found:
        return "Every payment by code that is that old is settled."
    lines = [_ROW.format(*_COLUMNS)]
    for sale in found:
        asked = datetime.fromtimestamp(sale.asked_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
        record, amount = f"{sale.device}/{sale.seq}", format_yuan(sale.amount_fen)
        facts = sale.number, record, sale.site, sale.merchant_no, amount, asked
        lines.append(_ROW.format(*facts, _WAITS[sale.is_mute]))
    readers = len({sale.device for sale in found})
    total = format_yuan(sum(sale.amount_fen for sale in found))
    lines.append(f"open: {len(found)}, readers: {readers}, in all: {total}")
    return "\n".join(lines)
