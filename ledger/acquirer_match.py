"""Which line of an acquirer's statements counts for an order, and what is wrong with the others.

Pure. An order is one payment for all time, so of all its lines one counts: of its earliest day the
first that says what it was sold for, or else the first. What was cleared once stays so, by
whatever line still says that. Every other line is named; where the books know its order, a case.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from ledger import reasons
from ledger.reservations import Settled


class Fault(StrEnum):
    """Why a line, an order or a day has no partner."""

    NO_ORDER = "no order of ours"
    NOT_SOLD = "not sold"
    OTHER_AMOUNT = "sold for another amount"
    STATED_TWICE = "on this day already"
    STATED_AGAIN = "on another day already"
    NOT_STATED = "confirmed, and on no statement"
    NOT_CONFIRMED = "sold, and not confirmed"
    GIVEN_BACK = "sold, and given back"
    WITHDRAWN = "cleared, and stated no more"
    NO_STATEMENT = "no statement of this day"


CASES = {
    Fault.NOT_SOLD: reasons.CHARGED_NOT_SOLD,
    Fault.OTHER_AMOUNT: reasons.CHARGED_OTHERWISE,
    Fault.STATED_TWICE: reasons.STATED_TWICE,
    Fault.STATED_AGAIN: reasons.STATED_TWICE,
    Fault.WITHDRAWN: reasons.STATED_NO_MORE,
}


class Stated(NamedTuple):
    """A line of the newest version of a day, and what the books know of its order (None: none)."""

    day: int
    order_no: str
    amount_fen: int
    sold_fen: int | None
    state: int | None
    device: int
    seq: int
    is_cleared: int


def judge(lines: Sequence[Stated]) -> list[Fault | None]:
    """What is wrong with each line of one order, given by day; None: it is what was sold."""
    first = lines[0]
    fitting = [
        at
        for at, line in enumerate(lines)
        if line.amount_fen == line.sold_fen and (line.is_cleared or line.day == first.day)
    ]
    counted = fitting[0] if fitting else 0
    return [
        _of_one(line) if at == counted else _of_another(line, lines[counted])
        for at, line in enumerate(lines)
    ]


def _of_one(line: Stated) -> Fault | None:
    if line.sold_fen is None:
        return Fault.NO_ORDER
    if line.state != Settled.SOLD:
        return Fault.NOT_SOLD
    return None if line.amount_fen == line.sold_fen else Fault.OTHER_AMOUNT


def _of_another(line: Stated, counted: Stated) -> Fault:
    return Fault.STATED_TWICE if line.day == counted.day else Fault.STATED_AGAIN
