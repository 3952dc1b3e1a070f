"""Books a top-up that a channel took in: `onecard ledger topup DATABASE --card --fen --order`.

May run beside the ledger: one of the two waits for the other's transaction. The same order again
changes nothing, so whoever is not sure whether it was booked books it again.
"""

from contextlib import closing
from pathlib import Path

from tools.ledger_forks import books_in, opened


def book(path: Path, card_no: int, amount_fen: int, order_id: str, number: int = 0) -> int:
    """The number of the credit. NotBooks for another file, TopUpRefused, StoreUnavailable."""
    with opened(path):
        pass  # these are books, and of this program's schema: nothing is migrated by the way
    with closing(books_in(path)) as store:
        return store.top_ups.top_up(card_no, amount_fen, order_id, number)
