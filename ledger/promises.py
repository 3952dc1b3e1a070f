"""What of the money that waits for a card is promised to it, so that no code can pay with it.

A load is promised from its first try on: it may be coming on the card. What a cancelled sale gave
back is promised at once: a reader may have made the sale up, and only the card shows whether it
has paid (ledger/cancels.py). The sum of what is promised and not on the card is the floor of the
pending account, and the database keeps the account above it. What has ended (ledger/carry_over.py)
never comes on its card and is promised to it no more.
"""

from collections.abc import Iterable

from ledger import chart
from ledger.cancels import NUMBER_MIN
from ledger.dialect import Dialect
from ledger.loads import Load
from ledger.transfers import UNDO, UNDO_LINE, Transfer
from protocols.card.purse import CARD_CENTRE

# Of a load l that is not on its card.
WAS_TRIED = "EXISTS (SELECT 1 FROM load_try t WHERE t.number = l.number)"
HAS_ENDED = "EXISTS (SELECT 1 FROM load_end e WHERE e.number = l.number)"
IS_PROMISED = f"((l.number >= {NUMBER_MIN} OR {WAS_TRIED}) AND NOT {HAS_ENDED})"
_ENDED = """
WITH k (wanted) AS (VALUES {keys})
SELECT number FROM k CROSS JOIN load_end WHERE number = wanted"""
_PROMISE = "UPDATE account SET floor_fen = floor_fen + ? WHERE id = ?"
_RELEASE = f"""
UPDATE account SET floor_fen = floor_fen - ?
WHERE id = ? AND EXISTS (SELECT 1 FROM load l WHERE l.number = ? AND {IS_PROMISED})"""


def promise(database: Dialect, loads: Iterable[Load]) -> None:
    """Keep the money of loads that were not promised before; it has to be there already."""
    rows = [(load.amount_fen, chart.pending(load.card_no)) for load in loads]
    database.many(_PROMISE, rows)


def release(database: Dialect, loads: Iterable[Load]) -> None:
    """Their cards carry these loads: before their money moves, it need not be kept any more."""
    rows = [(load.amount_fen, chart.pending(load.card_no), load.number) for load in loads]
    database.many(_RELEASE, rows)


def undone(database: Dialect, loads: Iterable[Load]) -> list[Transfer]:
    """What moves back of loads that are told to have come on their cards: of those that ended.

    Their money has gone to the next card. It has to be posted with them, or the account would look
    as if what is promised to the card were not there.
    """
    by_number = {load.number: load for load in loads}
    ended = sorted(database.rows_of(_ENDED, ((number,) for number in by_number)))
    return [_way_back(by_number[number]) for (number,) in ended]


def _way_back(load: Load) -> Transfer:
    purse, pending = chart.purse(load.card_no), chart.pending(load.card_no)
    return Transfer(CARD_CENTRE, load.number, UNDO_LINE, UNDO, purse, pending, load.amount_fen)
