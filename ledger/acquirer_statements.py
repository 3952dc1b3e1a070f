"""The acquirer's statements, day by day, beside the orders: what is on one, and what is not.

Rules of this file. A statement has the order numbers that we gave, so nothing is guessed. A line
whose order was sold for that amount is cleared: the acquirer owes it no more, the bank has it, and
the number of its transfer is its order's. Whatever else is shown, and where the books know its
order it is a case. A day is entered whole or not at all, once, in the order of days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger import chart, reasons
from ledger.acquirer import StatementLine, Word
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.reservations import Settled
from ledger.transfers import CLEAR, CLEAR_LINE, Transfer
from protocols.rules import clock

_DAY_S = 86_400
_LAST = "SELECT MAX(day) FROM acquirer_day"
# What a clock that was ahead has dated is of no day; its answer may be.
_FIRST = """
SELECT MIN(time_s) FROM (SELECT asked_s AS time_s FROM acquirer_order
    UNION ALL SELECT heard_s FROM acquirer_order WHERE heard_s > 0) o
WHERE time_s <= ?"""
_DAY = "SELECT 1 FROM acquirer_day WHERE day = ?"
_KNOWN = """
WITH k (wanted) AS (VALUES {keys})
SELECT order_no, amount_fen, day FROM k CROSS JOIN acquirer_line WHERE order_no = wanted"""
_ENTER_DAY = "INSERT INTO acquirer_day VALUES (?, ?)"
_ENTER = "INSERT INTO acquirer_line VALUES (?, ?, ?)"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
# Each line that is not cleared, with its order.
_LINES = f"""
SELECT l.day, l.order_no, l.amount_fen, o.amount_fen, o.state, o.device, o.seq
FROM acquirer_line l LEFT JOIN acquirer_order o ON o.order_no = l.order_no
WHERE NOT EXISTS (SELECT 1 FROM transfer t WHERE t.device = o.device AND t.seq = o.seq
    AND t.line = {CLEAR_LINE})
ORDER BY l.day, l.order_no"""
_MISSING = f"""
SELECT o.order_no, o.amount_fen, o.heard_s FROM acquirer_order o
LEFT JOIN acquirer_line l ON l.order_no = o.order_no
WHERE o.word = {int(Word.CONFIRMED)} AND l.order_no IS NULL AND o.heard_s < ?
ORDER BY o.order_no"""


class StatementRefused(Exception):
    """A statement that cannot be entered; nothing was, and the text says why."""


class Fault(StrEnum):
    """Why a line or an order has no partner."""

    NO_ORDER = "no order of ours"
    NOT_SOLD = "not sold"
    OTHER_AMOUNT = "sold for another amount"
    NOT_STATED = "confirmed, and on no statement"


_CASES = {
    Fault.NOT_SOLD: reasons.CHARGED_NOT_SOLD,
    Fault.OTHER_AMOUNT: reasons.CHARGED_OTHERWISE,
}


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A line of a day, or an order that should be on the statement of one (days since 1970)."""

    day: int
    order_no: str
    amount_fen: int
    fault: Fault


class AcquirerStatements:
    """The statements in the books of `database`. Every method is one transaction, or only reads.

    Raises StoreUnavailable of ledger.dialect: nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def next_day(self, utc_offset_s: int, now_s: int) -> int | None:
        """The day whose statement is to be entered next; None: there was no order up to now."""
        ((last,),) = self._database.rows(_LAST)
        if last is not None:
            return last + 1
        ((first_s,),) = self._database.rows(_FIRST, (now_s,))
        return None if first_s is None else clock.day(first_s, utc_offset_s)

    def enter(self, day: int, lines: Sequence[StatementLine], heard_s: int) -> int:
        """Enter the statement of a day, and clear what fits; how many lines were cleared.

        Again, with the same lines: nothing. Raises StatementRefused for others, for a day before
        the newest, and for an order that stands on a statement already.
        """
        wanted = {line.order_no: line for line in lines}
        if len(wanted) != len(lines):
            raise StatementRefused("an order stands on it twice")
        with self._database.transaction():
            keys = ((order_no,) for order_no in wanted)
            known = {row[0]: row[1:] for row in self._database.rows_of(_KNOWN, keys)}
            if list(self._database.rows(_DAY, (day,))):
                ((count,),) = self._database.rows(
                    "SELECT COUNT(*) FROM acquirer_line WHERE day = ?", (day,)
                )
                same = {line.order_no: (line.amount_fen, day) for line in lines}
                if known != same or count != len(lines):
                    raise StatementRefused("that day was told otherwise before")
                return 0
            if known:
                raise StatementRefused(f"order {min(known)} is on an earlier statement")
            ((last,),) = self._database.rows(_LAST)
            if last is not None and day != last + 1:
                raise StatementRefused(f"after day {last} comes the next one")
            self._database.many(_ENTER_DAY, [(day, heard_s)])
            rows = [(line.order_no, day, line.amount_fen) for line in wanted.values()]
            self._database.many(_ENTER, sorted(rows))
            return self._clear()

    def unmatched(self, utc_offset_s: int) -> list[Unmatched]:
        """Every line without an order that it fits, and every order that its day has not told.

        An order is missed when the day behind the one of its confirmation is entered too: which
        of two days it is told on is the acquirer's clock's to say.
        """
        found = [
            Unmatched(day, order_no, amount_fen, fault)
            for day, order_no, amount_fen, *order in self._database.rows(_LINES)
            if (fault := _fault(amount_fen, *order[:2])) is not None
        ]
        ((last,),) = self._database.rows(_LAST)
        if last is not None:
            before_s = max(0, last * _DAY_S - utc_offset_s)
            for order_no, amount_fen, heard_s in self._database.rows(_MISSING, (before_s,)):
                day = clock.day(heard_s, utc_offset_s)
                found.append(Unmatched(day, order_no, amount_fen, Fault.NOT_STATED))
        return found

    def _clear(self) -> int:
        """Clear every line that fits and is not; open the cases of those that do not."""
        transfers, cases = [], []
        for _day, _order_no, amount_fen, *order in list(self._database.rows(_LINES)):
            sold_fen, state, device, seq = order
            fault = _fault(amount_fen, sold_fen, state)
            if fault is None:
                what = CLEAR, chart.BANK, chart.ACQUIRED, amount_fen
                transfers.append(Transfer(device, seq, CLEAR_LINE, *what))
            elif fault in _CASES:
                cases.append((_CASES[fault], device, seq, b"", b""))
        post_authorized(self._database, transfers)
        self._database.many(_CASE, cases)
        return len(transfers)


def _fault(amount_fen: int, sold_fen: int | None, state: int | None) -> Fault | None:
    if sold_fen is None or state is None:
        return Fault.NO_ORDER
    if state != Settled.SOLD:
        return Fault.NOT_SOLD
    return None if amount_fen == sold_fen else Fault.OTHER_AMOUNT
