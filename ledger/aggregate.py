"""Payments by a merchant's aggregate code: what readers say, and what channels say.

Rules of this file. Neither moves money in these books (docs/adr/0022-aggregate-code.md): the payer
pays the channel, and the channel the merchant. A record is a merchant's word and stands here
unverified; a line of a channel's statement is the channel's. Both only ever come, in any order and
any number of times, and what they are to each other is worked out anew by aggregate_match.py.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.aggregate_match import WIDTH_MAX_S, Line, Matched, Sale, Slack, match
from ledger.claims import Claim
from ledger.dialect import Dialect, Row
from ledger.signatures import signed
from protocols.wire import messages, seal
from protocols.wire.errors import WireError

_BOOK = "INSERT INTO aggregate_sale VALUES (?, ?, ?, ?, ?, ?)"
_SALES = (
    "SELECT device, seq, merchant_no, amount_fen, earliest_s, latest_s FROM aggregate_sale"
    " ORDER BY device, seq"
)
_LINES = (
    "SELECT channel, order_no, merchant_no, amount_fen, time_s FROM statement_line"
    " ORDER BY channel, order_no"
)
# Of a time, and those of no time (in the words of ledger/growth_schema.py).
_DAY_S = 86_400
_SALES_OF = """
SELECT device, seq, merchant_no, amount_fen, earliest_s, latest_s FROM aggregate_sale
WHERE earliest_s >= ? AND earliest_s < ? AND latest_s - earliest_s <= ?"""
_WIDE = """
SELECT device, seq, merchant_no, amount_fen, earliest_s, latest_s FROM aggregate_sale
WHERE latest_s - earliest_s > 3600"""
_LINES_OF = """
SELECT channel, order_no, merchant_no, amount_fen, time_s FROM statement_line
WHERE time_s >= ? AND time_s < ?"""
_KNOWN = """
WITH k (channel, order_no) AS (VALUES {keys})
SELECT l.channel, l.order_no, l.merchant_no, l.amount_fen, l.time_s FROM k
JOIN statement_line l ON l.channel = k.channel AND l.order_no = k.order_no"""
_ENTER = "INSERT INTO statement_line VALUES (?, ?, ?, ?, ?)"


class StatementRefused(Exception):
    """A statement that cannot be imported; nothing was. `faults`: one text for each bad line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


@dataclass(frozen=True, slots=True)
class Imported:
    """How many lines of a statement are new in the books, and how many stood there before."""

    new: int
    known: int


class AggregateSales:
    """The payments by aggregate code in the books of `database`.

    Every method is one transaction, or only reads. Raises StoreUnavailable of ledger.dialect:
    nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def enter(
        self, lines: Sequence[tuple[int, Line]], by: tuple[str, int] | None = None
    ) -> Imported:
        """Enter the lines of a statement, each with its number in the file: all or none.

        One that is in the books already, or twice in the file, with the same facts is no news.
        `by`: whose word it is, and when; None: a program's. With the act stands the SHA-256 of
        what was entered, which says of a file whether it was this one.

        Raises StatementRefused: with other facts, or of a merchant that is not registered; and
        NotAllowed.
        """
        with self._database.transaction():
            if by is not None:
                about = f"statement of {len(lines)} lines"
                signed(self._database, "aggregate.enter", *by, about, _sha256(lines))
            merchants = {no for (no,) in self._database.rows("SELECT merchant_no FROM merchant")}
            keys = ((line.channel, line.order_no) for _, line in lines)
            rows = self._database.rows_of(_KNOWN, dict.fromkeys(keys))
            known = {(line.channel, line.order_no): line for line in (Line(*row) for row in rows)}
            new: dict[tuple[str, str], Line] = {}
            faults: list[str] = []
            for number, line in lines:
                key = line.channel, line.order_no
                before = known.get(key) or new.setdefault(key, line)
                if line.merchant_no not in merchants:
                    faults.append(f"line {number}: merchant {line.merchant_no} is not registered")
                elif before != line:
                    where = "in the books" if key in known else "further up"
                    faults.append(f"line {number}: order {line.order_no} is {where}, and differs")
            if faults:
                raise StatementRefused(faults)
            self._database.many(_ENTER, [tuple(line) for _, line in sorted(new.items())])
        return Imported(len(new), len(lines) - len(new))

    def sales(self) -> list[Sale]:
        """All that readers have recorded."""
        return [Sale(*row) for row in self._database.rows(_SALES)]

    def matched_of(self, from_s: int, to_s: int) -> Matched:
        """What is verified of the sales and lines from `from_s` up to `to_s` (UTC), as of now.

        As `matched` has it, unless payments of one amount to one merchant follow each other within
        minutes for more than a day on end. Sales whose reader did not know the time are of any.
        """
        around = max(from_s - _DAY_S, 0), to_s + _DAY_S
        rows = self._database.rows
        sales = [Sale(*row) for row in rows(_SALES_OF, (*around, WIDTH_MAX_S))]
        sales += [Sale(*row) for row in rows(_WIDE)]
        found = match(sales, (Line(*row) for row in rows(_LINES_OF, around)), Slack())
        own = {
            sale: status
            for sale, status in found.sales.items()
            if from_s <= sale.earliest_s < to_s or _is_wide(sale)
        }
        lines = {
            line: status for line, status in found.lines.items() if from_s <= line.time_s < to_s
        }
        return Matched(
            own, lines, {sale: found.pairs[sale] for sale in own if sale in found.pairs}
        )

    def matched(self, slack: Slack = Slack()) -> Matched:  # noqa: B008 - a tuple, and as such safe
        """What is verified as of now."""
        lines = [Line(*row) for row in self._database.rows(_LINES)]
        return match(self.sales(), lines, slack)


def _sha256(lines: Sequence[tuple[int, Line]]) -> str:
    """Of what a statement says, in its order; in hex."""
    whole = hashlib.sha256()
    for _number, line in lines:
        whole.update(" ".join(map(str, line)).encode() + b"\n")
    return whole.hexdigest()


def _is_wide(sale: Sale) -> bool:
    return sale.latest_s - sale.earliest_s > WIDTH_MAX_S


def book_sales(database: Dialect, claims: Iterable[Claim]) -> None:
    """Book what merchants say among booked records, in the transaction that books them."""
    rows = [
        _sale(claim.fields)
        for claim in claims
        if claim.kind == messages.AGGREGATE and claim.fields is not None
    ]
    database.many(_BOOK, rows)


def _sale(fields: dict[str, Any]) -> Sale:
    return Sale(*(fields[name] for name in Sale._fields))


IS_AS_SEALED = "a payment by aggregate code is what its record says, and each has one"


def not_as_sealed(database: Dialect) -> Iterator[Row]:
    """The records and rows that do not fit each other, for ledger/invariants.py."""
    said = set()
    sql = "SELECT sealed FROM record WHERE kind = ?"
    for (sealed,) in database.rows(sql, (messages.AGGREGATE,)):
        try:
            fields = messages.decode_record(seal.payload_of(sealed))
        except WireError:
            continue  # of a later firmware
        if fields["kind"] == messages.AGGREGATE:
            said.add(tuple(_sale(fields)))
    yield from sorted(said ^ set(database.rows(_SALES)))
