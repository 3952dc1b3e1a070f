"""Books a top-up that a channel took in: `onecard ledger topup DATABASE --card --fen --order`.

May run beside the ledger: one of the two waits for the other's transaction. The same order again
changes nothing, so whoever is not sure whether it was booked books it again.
"""

from pathlib import Path
from typing import NamedTuple

from tools.session import signing


class PaidIn(NamedTuple):
    """What was paid in for a card; `number`: which its credit had in lost books, 0: the next."""

    card_no: int
    amount_fen: int
    order_id: str
    number: int = 0


def book(path: Path, what: PaidIn, by: str = "", now_s: int = 0) -> int:
    """The number of the credit. NotBooks, NotAllowed, TopUpRefused, StoreUnavailable."""
    with signing(path, by, now_s) as (store, who):
        return store.top_ups.top_up(*what, who, now_s)


def propose(path: Path, what: PaidIn, by: str = "", now_s: int = 0) -> int:
    """Say what was paid in, for another person to book; its number. As `book`."""
    card_no, amount_fen, order_id, number = what
    with signing(path, by, now_s) as (store, who):
        return store.top_ups.propose(card_no, amount_fen, order_id, who, now_s, number)
