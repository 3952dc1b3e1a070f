"""A merchant's day: what its readers have recorded beside what is booked, and who has signed it.

Rules of this file (R7.1). A day is that of the zone it is asked in, and a sale is of the day of
the earliest moment at which it can have been. A reader's total is of its own records, the books'
total of the transfers to the merchant; late records change days of before. Whoever signs shows
the hash of what was seen: what has changed since is not signed, nor what does not fit. The
signature is the act (ledger/signatures.py), so a day may be signed again when more has come.
"""

import hashlib
from dataclasses import astuple, dataclass

from ledger import chart
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.people import NOT_FOUNDED
from ledger.signatures import NotAllowed, are_there, signed
from ledger.transfers import ACQUIRE, CANCEL, CANCEL_LINE, CODE_SALE, SETTLE_LINE, SPEND_LINE

CHANGED, APART = 791, 792
TEXTS = {
    CHANGED: "the day's totals are others by now than those that were seen",
    APART: "what readers have recorded is not what is booked: nobody signs that",
}
DAY_S = 86_400
_VERB = "day.sign"
# In the words of the index of ledger/takings.py.
_SALES = f"""
SELECT i.device, COUNT(*), SUM(i.amount_fen), COALESCE(SUM(t.amount_fen), 0),
    COALESCE(SUM(c.amount_fen), 0)
FROM intent i LEFT JOIN transfer t ON t.device = i.device AND t.seq = i.seq
    AND t.line = {SPEND_LINE} AND t.credit_account = ?
LEFT JOIN transfer c ON c.device = i.device AND c.seq = i.seq
    AND c.line = {CANCEL_LINE} AND c.kind = {CANCEL}
WHERE i.state = {int(State.COMMITTED)} AND i.credit_no = 0
    AND i.earliest_s >= ? AND i.earliest_s < ? AND i.merchant_no = ?
GROUP BY i.device ORDER BY i.device"""
# A payment by code has a record of its reader too; what was sold is the line that settles it.
_BY_CODE = f"""
SELECT o.device, COUNT(*), SUM(o.amount_fen), COALESCE(SUM(t.amount_fen), 0) FROM (
    SELECT device, seq, amount_fen FROM reservation
    WHERE state = 1 AND asked_s >= ? AND asked_s < ?
    UNION ALL SELECT device, seq, amount_fen FROM acquirer_order
    WHERE state = 1 AND asked_s >= ? AND asked_s < ?) o
JOIN device d ON d.device = o.device
LEFT JOIN transfer t ON t.device = o.device AND t.seq = o.seq AND t.line = {SETTLE_LINE}
    AND t.kind IN ({CODE_SALE}, {ACQUIRE})
WHERE d.merchant_no = ? GROUP BY o.device"""
_SIGNED = """
SELECT login, evidence, time_s FROM operator_act
WHERE verb = ? AND subject = ? AND reason = 0 ORDER BY number"""


class DayRefused(Exception):
    """A day that is not signed; nothing was changed. `reason`: CHANGED or APART."""

    def __init__(self, reason: int) -> None:
        super().__init__(f"{TEXTS[reason]} ({reason}, R7.1)")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ReaderTotal:
    """What a reader has recorded for a merchant on a day, and what of it is booked."""

    device: int
    count: int
    recorded_fen: int
    booked_fen: int
    cancelled_fen: int


@dataclass(frozen=True, slots=True)
class DayTotal:
    """A merchant's day (since 1970, at the school)."""

    merchant_no: int
    day: int
    readers: tuple[ReaderTotal, ...]

    @property
    def booked_fen(self) -> int:
        """Sales less those that were cancelled."""
        return sum(one.booked_fen - one.cancelled_fen for one in self.readers)

    @property
    def is_even(self) -> bool:
        """Whether what readers have recorded is what is booked."""
        return all(one.recorded_fen == one.booked_fen for one in self.readers)

    @property
    def sha256(self) -> str:
        """Of all that is shown, in hexadecimal."""
        said = [self.merchant_no, self.day, *(astuple(one) for one in self.readers)]
        return hashlib.sha256(repr(said).encode()).hexdigest()


def total(database: Dialect, merchant_no: int, day: int, utc_offset_s: int) -> DayTotal:
    """As booked so far."""
    from_s = max(0, day * DAY_S - utc_offset_s)
    span = from_s, from_s + DAY_S
    asked = chart.payable(merchant_no), *span, merchant_no
    found = {row[0]: [int(fen) for fen in row[1:]] for row in database.rows(_SALES, asked)}
    by_code = list(database.rows(_BY_CODE, (*span, *span, merchant_no)))
    for device, *more in by_code:
        own = found.setdefault(device, [0, 0, 0, 0])
        for at, value in enumerate(more):
            own[at] += int(value)
    readers = (ReaderTotal(device, *found[device]) for device in sorted(found))
    return DayTotal(merchant_no, day, tuple(readers))


def sign(
    database: Dialect,
    what: tuple[int, int, int],
    sha256: str,
    person: str,
    time_s: int,
) -> str:
    """`person` has looked at a day: (merchant_no, day, utc_offset_s), seen under that hash.

    Who has signed it. DayRefused, NotAllowed: also where the books have no operators, for then
    nothing would stand anywhere.
    """
    if not are_there(database):
        raise NotAllowed(NOT_FOUNDED, _VERB)
    with database.transaction():
        about = _about(*what[:2])
        person = signed(database, _VERB, person, time_s, about, sha256)
        seen = total(database, *what)
        if seen.sha256 != sha256:
            raise DayRefused(CHANGED)
        if not seen.is_even:
            raise DayRefused(APART)
    return person


def signatures(database: Dialect, merchant_no: int, day: int) -> list[tuple[str, str, int]]:
    """(person, hash of what they have seen, time_s) of each signature, in order."""
    rows = database.rows(_SIGNED, (_VERB, _about(merchant_no, day)))
    return [(login, evidence, time_s) for login, evidence, time_s in rows]


def _about(merchant_no: int, day: int) -> str:
    return f"merchant {merchant_no} day {day}"
