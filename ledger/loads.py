"""Loads: money that was paid in for a card, and whether it is on the card yet.

A load is one credit to one card and has its number, which is used once for all time. It comes from
a top-up or from a cancelled sale (ledger/cancels.py). Its money waits in the holder's pending
account; when the card is known to carry it, it moves to the purse.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger import chart
from ledger.dialect import Dialect
from ledger.transfers import LOAD, LOAD_LINE, TOP_UP, TOP_UP_LINE, Transfer
from protocols.card.purse import CARD_CENTRE

_LOADS = """
WITH k (wanted) AS (VALUES {keys})
SELECT number, card_no, amount_fen, is_loaded FROM k CROSS JOIN load WHERE number = wanted"""

_FLOOR_FEN = 0
_ENTER = "INSERT INTO load (number, card_no, amount_fen, order_id) VALUES (?, ?, ?, ?)"
_OPEN = (
    "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)


@dataclass(slots=True)
class Load:
    """`amount_fen` for card `card_no` under credit `number`; `is_loaded`: the card carries it."""

    number: int
    card_no: int
    amount_fen: int
    is_loaded: bool = False

    @property
    def what(self) -> tuple[int, int]:
        return self.card_no, self.amount_fen


def paid_in(load: Load) -> Transfer:
    """What a top-up moves."""
    pending = chart.pending(load.card_no)
    return Transfer(
        CARD_CENTRE, load.number, TOP_UP_LINE, TOP_UP, chart.BANK, pending, load.amount_fen
    )


def carried(load: Load) -> Transfer:
    """What moves once the card carries the load."""
    pending, purse = chart.pending(load.card_no), chart.purse(load.card_no)
    return Transfer(CARD_CENTRE, load.number, LOAD_LINE, LOAD, pending, purse, load.amount_fen)


def enter(database: Dialect, loads: Iterable[tuple[Load, str]]) -> None:
    """Loads that are new in the books, each with its order_id; their money is not moved here."""
    rows = [(load.number, load.card_no, load.amount_fen, order_id) for load, order_id in loads]
    database.many(_ENTER, rows)
    open_pending(database, [card_no for _number, card_no, *_rest in rows])


def open_pending(database: Dialect, cards: Iterable[int]) -> None:
    """The accounts of what waits for these cards are there from now on."""
    rows = [(chart.pending(card_no), chart.PENDING, card_no, _FLOOR_FEN) for card_no in cards]
    database.many(_OPEN, rows)


def loads_of(database: Dialect, numbers: Iterable[int]) -> dict[int, Load]:
    """The loads of these numbers, by number."""
    rows = database.rows_of(_LOADS, ((number,) for number in numbers))
    return {row[0]: Load(*row[:3], is_loaded=bool(row[3])) for row in rows}
