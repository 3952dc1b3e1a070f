"""The acquirer's statements, day by day, beside the orders: what is on one, and what is not.

Rules of this file. A statement has the order numbers that we gave, so nothing is guessed. A line
whose order was sold for that amount is cleared: the acquirer owes it no more, the bank has it, and
the number of its transfer is its order's. Whatever else is shown, and where the books know its
order it is a case. A day is entered whole or not at all, once, in the order of days. An order that
was on an earlier day stands on a later one as _again names it: it is shown, and clears nothing.
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
_PATIENCE_S = 2 * _DAY_S  # for what is sold to be stated and cleared
_ORDER_CHARS_MAX = 64
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
_LINES_OF = "SELECT order_no, amount_fen FROM acquirer_line WHERE day = ?"
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
# Sold and on no statement, by when its acquirer was heard last: before, or at a time to come.
_MISSING = f"""
SELECT o.order_no, o.amount_fen, o.heard_s, o.word FROM acquirer_order o
LEFT JOIN acquirer_line l ON l.order_no = o.order_no
WHERE o.state = {int(Settled.SOLD)} AND l.order_no IS NULL AND (o.heard_s < ? OR o.heard_s > ?)
ORDER BY o.order_no"""


class StatementRefused(Exception):
    """A statement that cannot be entered; nothing was, and the text says why."""


class Fault(StrEnum):
    """Why a line or an order has no partner."""

    NO_ORDER = "no order of ours"
    NOT_SOLD = "not sold"
    OTHER_AMOUNT = "sold for another amount"
    NOT_STATED = "confirmed, and on no statement"
    NOT_CONFIRMED = "sold, and not confirmed"
    GIVEN_BACK = "sold, and given back"
    STATED_AGAIN = "on an earlier day already"


_MISSED = {Word.CONFIRMED: Fault.NOT_STATED, Word.VOIDED: Fault.GIVEN_BACK}
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
        last = self.last_day()
        if last is not None:
            return last + 1
        ((first_s,),) = self._database.rows(_FIRST, (now_s,))
        return None if first_s is None else clock.day(first_s, utc_offset_s)

    def last_day(self) -> int | None:
        """The day up to which statements are entered; None: none is."""
        ((last,),) = self._database.rows(_LAST)
        return last

    def enter(self, day: int, lines: Sequence[StatementLine], heard_s: int) -> int:
        """Enter the statement of a day, and clear what fits; how many lines were cleared.

        Again, with the same lines: nothing. Raises StatementRefused for others, for a day before
        the newest, and for an order that stands on it twice.
        """
        with self._database.transaction():
            keys = {(line.order_no,): None for line in lines}
            known = {row[0]: row[2] for row in self._database.rows_of(_KNOWN, keys)}
            told = {
                _again(day, line.order_no)
                if known.get(line.order_no, day) < day
                else line.order_no: line.amount_fen
                for line in lines
            }
            if len(told) != len(lines):
                raise StatementRefused("an order stands on it twice")
            if list(self._database.rows(_DAY, (day,))):
                if dict(self._database.rows(_LINES_OF, (day,))) != told:
                    raise StatementRefused("that day was told otherwise before")
                return 0
            last = self.last_day()
            if last is not None and day != last + 1:
                raise StatementRefused(f"after day {last} comes the next one")
            self._database.many(_ENTER_DAY, [(day, heard_s)])
            rows = [(order_no, day, amount_fen) for order_no, amount_fen in told.items()]
            self._database.many(_ENTER, sorted(rows))
            return self._clear()

    def unmatched(self, utc_offset_s: int, now_s: int) -> list[Unmatched]:
        """Every line without an order that it fits, and every order that was sold and not stated.

        An order is missed when the day behind the one when its acquirer was heard last is entered
        too: which of two days it is told on is the acquirer's clock's to say. And two days later,
        whatever is entered.
        """
        found = []
        for day, order_no, amount_fen, *order in self._database.rows(_LINES):
            fault, first = _fault(amount_fen, *order[:2]), _again(day, "")
            if fault is Fault.NO_ORDER and order_no.startswith(first):
                fault, order_no = Fault.STATED_AGAIN, order_no.removeprefix(first)
            if fault is not None:
                found.append(Unmatched(day, order_no, amount_fen, fault))
        last, before_s = self.last_day(), max(0, now_s - _PATIENCE_S)
        if last is not None:
            before_s = max(before_s, last * _DAY_S - utc_offset_s)
        rows = self._database.rows(_MISSING, (before_s, now_s))
        for order_no, amount_fen, heard_s, word in rows:
            fault = _MISSED.get(Word(word), Fault.NOT_CONFIRMED)
            found.append(Unmatched(clock.day(heard_s, utc_offset_s), order_no, amount_fen, fault))
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


def _again(day: int, order_no: str) -> str:
    # How an order that stands on an earlier day too is written. No order of ours has a space, or
    # is so long that it is cut.
    return f"{day} again {order_no}"[:_ORDER_CHARS_MAX]


def _fault(amount_fen: int, sold_fen: int | None, state: int | None) -> Fault | None:
    if sold_fen is None or state is None:
        return Fault.NO_ORDER
    if state != Settled.SOLD:
        return Fault.NOT_SOLD
    return None if amount_fen == sold_fen else Fault.OTHER_AMOUNT
