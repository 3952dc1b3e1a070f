"""Cards and accounts that are new in the books."""

from collections.abc import Iterable, Mapping

from ledger import chart
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.transfers import OPENING, Transfer

_PURSE_FLOOR_FEN = 0


def issue(database: Dialect, cards: Mapping[int, int]) -> None:
    """Open a purse for each card_no with its balance_fen, in a transaction of the caller."""
    sql = "SELECT COALESCE(MAX(opening_seq), 0) FROM card"
    ((seq,),) = database.rows(sql)
    rows, transfers = [], []
    for card_no, fen in cards.items():
        if fen:
            seq += 1
            purse = chart.purse(card_no)
            transfers.append(
                Transfer(chart.LEDGER_DEVICE, seq, 0, OPENING, chart.BANK, purse, fen)
            )
        rows.append((card_no, fen, seq if fen else 0))
    database.many("INSERT INTO card VALUES (?, ?, ?)", rows)
    open_accounts(database, ((chart.HOLDER, card_no, _PURSE_FLOOR_FEN) for card_no in cards))
    post_authorized(database, transfers)


def open_accounts(database: Dialect, accounts: Iterable[tuple[int, int, int | None]]) -> None:
    """(kind, owner, floor_fen) of each account that nobody has opened."""
    database.many(
        "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, ?)",
        [(chart.account(kind, owner), kind, owner, floor) for kind, owner, floor in accounts],
    )
