"""The acquirer's statements, day by day, beside the orders: what is on one, and what is not.

Rules of this file. A statement has the order numbers that we gave, so nothing is guessed. A line
whose order was sold for that amount is cleared: the acquirer owes it no more, the bank has it, and
the number of its transfer is its order's, so nothing clears twice. Whatever else is shown, and
where the books know its order it is a case (ledger/acquirer_match.py).

A day is entered whole, in whatever order days come, and as it was told: with what stands on it
twice. Told anew with other lines it is a new version, which counts from then on; the one before
stays. What was cleared and stands on no statement any more is a case: money that is booked is not
taken back by a file. A day that nobody tells is named, and holds up no other one.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from ledger import chart
from ledger.acquirer import StatementLine, Word
from ledger.acquirer_match import CASES, Fault, Stated, judge
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.reservations import Settled
from ledger.transfers import CLEAR, CLEAR_LINE, Transfer
from protocols.rules import clock

# Days that are asked for: an order may have been dated by a clock that was years behind.
MISSING_MAX = 31
_DAY_S = 86_400
_PATIENCE_S = 2 * _DAY_S  # for a day to be told, and for what is sold to be stated and cleared
# What a clock that was ahead has dated is of no day; its answer may be.
_FIRST = """
SELECT MIN(time_s) FROM (SELECT asked_s AS time_s FROM acquirer_order
    UNION ALL SELECT heard_s FROM acquirer_order WHERE heard_s > 0) o
WHERE time_s <= ?"""
_DAYS = "SELECT day, MAX(version) FROM acquirer_statement GROUP BY day ORDER BY day"
_VERSION = "SELECT COALESCE(MAX(version), 0) FROM acquirer_statement WHERE day = ?"
_LINES_OF = """
SELECT order_no, copy, amount_fen FROM acquirer_stated WHERE day = ? AND version = ?"""
_ENTER = "INSERT INTO acquirer_statement VALUES (?, ?, ?)"
_ENTER_LINE = "INSERT INTO acquirer_stated VALUES (?, ?, ?, ?, ?)"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_NEWEST = "(SELECT MAX(s.version) FROM acquirer_statement s WHERE s.day = {}.day)"
# Each line that is not simply cleared, with its order.
_LINES = f"""
WITH told AS (SELECT l.day, l.order_no, l.copy, l.amount_fen FROM acquirer_stated l
    WHERE l.version = {_NEWEST.format("l")})
SELECT l.day, l.order_no, l.amount_fen, o.amount_fen, o.state, o.device, o.seq,
    CASE WHEN t.seq IS NULL THEN 0 ELSE 1 END
FROM told l LEFT JOIN acquirer_order o ON o.order_no = l.order_no
LEFT JOIN transfer t ON t.device = o.device AND t.seq = o.seq AND t.line = {CLEAR_LINE}
WHERE t.seq IS NULL OR l.amount_fen <> o.amount_fen
OR l.order_no IN (SELECT order_no FROM told GROUP BY order_no HAVING COUNT(*) > 1)
ORDER BY l.order_no, l.day, l.copy"""
# Cleared by a line of a version that another one has replaced, and by none that counts.
_WITHDRAWN = f"""
SELECT MAX(l.day), o.order_no, o.amount_fen, o.device, o.seq FROM acquirer_stated l
JOIN acquirer_statement n ON n.day = l.day AND n.version = l.version + 1
JOIN acquirer_order o ON o.order_no = l.order_no AND o.amount_fen = l.amount_fen
JOIN transfer t ON t.device = o.device AND t.seq = o.seq AND t.line = {CLEAR_LINE}
WHERE NOT EXISTS (SELECT 1 FROM acquirer_stated c WHERE c.order_no = o.order_no
    AND c.amount_fen = o.amount_fen AND c.version = {_NEWEST.format("c")})
GROUP BY o.order_no, o.amount_fen, o.device, o.seq ORDER BY o.order_no"""
# Sold and on no statement, by when its acquirer was heard last: before, or at a time to come.
_MISSED_ORDERS = f"""
SELECT o.order_no, o.amount_fen, o.heard_s, o.word FROM acquirer_order o
WHERE o.state = {int(Settled.SOLD)} AND (o.heard_s < ? OR o.heard_s > ?)
AND NOT EXISTS (SELECT 1 FROM acquirer_stated l WHERE l.order_no = o.order_no
    AND l.version = {_NEWEST.format("l")})
AND NOT EXISTS (SELECT 1 FROM transfer t WHERE t.device = o.device AND t.seq = o.seq
    AND t.line = {CLEAR_LINE})
ORDER BY o.order_no"""
_MISSED = {Word.CONFIRMED: Fault.NOT_STATED, Word.VOIDED: Fault.GIVEN_BACK}


class Entered(NamedTuple):
    """What came of a statement: its version (0: it was no news), and how many lines it cleared."""

    version: int
    cleared: int


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A line of a day, an order that should be on the statement of one, or a day without one.

    Days since 1970; of a day without a statement `order_no` is "" and `amount_fen` 0.
    """

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

    def versions(self) -> dict[int, int]:
        """How often each day was told otherwise than before, by day; 1: once and for all."""
        return dict(self._database.rows(_DAYS))

    def last_day(self) -> int | None:
        """The newest day whose statement is entered; None: none is."""
        return max(self.versions(), default=None)

    def missing(self, until_day: int, utc_offset_s: int, now_s: int) -> list[int]:
        """The days before `until_day` that nobody has told, from the first order on, in order.

        The newest MISSING_MAX of them. What was entered counts too: no order has to be older.
        """
        from_day = min(self.versions(), default=0) - MISSING_MAX
        found = self.holes(until_day, utc_offset_s, now_s)
        return [day for day in found if day >= from_day][-MISSING_MAX:]

    def holes(self, until_day: int, utc_offset_s: int, now_s: int) -> list[int]:
        """Every such day, however many they are: an order may be dated years behind."""
        entered = self.versions()
        ((first_s,),) = self._database.rows(_FIRST, (now_s,))
        begun = [] if first_s is None else [clock.day(first_s, utc_offset_s)]
        first_day = min([*begun, *entered], default=until_day)
        return [day for day in range(first_day, until_day) if day not in entered]

    def enter(self, day: int, lines: Sequence[StatementLine], heard_s: int) -> Entered:
        """Enter the statement of a day, or a corrected one, and clear what fits.

        Again, with the same lines as the day's newest version: nothing.
        """
        told = list(_counted(lines))
        with self._database.transaction():
            ((version,),) = self._database.rows(_VERSION, (day,))
            if version and sorted(self._database.rows(_LINES_OF, (day, version))) == told:
                return Entered(0, 0)
            version += 1
            self._database.many(_ENTER, [(day, version, heard_s)])
            rows = [(day, version, *line) for line in told]
            self._database.many(_ENTER_LINE, rows)
            return Entered(version, self._clear())

    def unmatched(self, utc_offset_s: int, now_s: int) -> list[Unmatched]:
        """Every line without an order that it fits, every order that was sold and not stated, and
        every day that was over two days ago and that nobody has told.

        An order is missed when the day behind the one when its acquirer was heard last is entered
        too: which of two days it is told on is the acquirer's clock's to say. And two days later,
        whatever is entered.
        """
        found = [
            Unmatched(line.day, line.order_no, line.amount_fen, fault)
            for line, fault in self._judged()
            if fault is not None
        ]
        found += [
            Unmatched(day, order_no, fen, Fault.WITHDRAWN)
            for day, order_no, fen, *_ in self._database.rows(_WITHDRAWN)
        ]
        today = clock.day(now_s, utc_offset_s)
        holes = self.holes(today, utc_offset_s, now_s)
        due = clock.day(max(0, now_s - _PATIENCE_S), utc_offset_s)
        found += [Unmatched(day, "", 0, Fault.NO_STATEMENT) for day in holes if day < due]
        before_s, last = max(0, now_s - _PATIENCE_S), self.last_day()
        if last is not None:
            whole = min([last, *(day - 1 for day in holes)])
            before_s = max(before_s, whole * _DAY_S - utc_offset_s)
        for order_no, fen, heard_s, word in self._database.rows(_MISSED_ORDERS, (before_s, now_s)):
            fault = _MISSED.get(Word(word), Fault.NOT_CONFIRMED)
            found.append(Unmatched(clock.day(heard_s, utc_offset_s), order_no, fen, fault))
        return found

    def _judged(self) -> Iterator[tuple[Stated, Fault | None]]:
        rows = map(Stated._make, list(self._database.rows(_LINES)))
        for _order_no, group in groupby(rows, lambda line: line.order_no):
            lines = list(group)
            yield from zip(lines, judge(lines), strict=True)

    def _clear(self) -> int:
        """Clear every line that fits and is not; open the cases of those that do not."""
        transfers, cases = [], []
        for line, fault in self._judged():
            if fault is None and not line.is_cleared:
                what = CLEAR, chart.BANK, chart.ACQUIRED, line.amount_fen
                transfers.append(Transfer(line.device, line.seq, CLEAR_LINE, *what))
            elif fault is not None and fault in CASES and line.sold_fen is not None:
                cases.append((CASES[fault], line.device, line.seq, b"", b""))
        post_authorized(self._database, transfers)
        for _day, _order_no, _fen, device, seq in list(self._database.rows(_WITHDRAWN)):
            cases.append((CASES[Fault.WITHDRAWN], device, seq, b"", b""))
        self._database.many(_CASE, list(dict.fromkeys(cases)))
        return len(transfers)


def _counted(lines: Iterable[StatementLine]) -> Iterator[tuple[str, int, int]]:
    """(order number, which of its lines, amount) in order: the same lines are the same however
    they were sorted."""
    of_order: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        of_order[line.order_no].append(line.amount_fen)
    for order_no in sorted(of_order):
        for copy, amount_fen in enumerate(sorted(of_order[order_no]), 1):
            yield order_no, copy, amount_fen
