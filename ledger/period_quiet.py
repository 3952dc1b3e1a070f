"""May a period be closed: can a sale of before its end still come, or not be booked at all?

Rules of this file. Reading only. It is the proof of ledger/quiescence.py for all cards at once:
every reader of the register but doors must have a mark at the period's end or later. A record that
nobody can read bars it, as does a genuine sale that is a case and not booked, until two persons
have corrected it, somebody has released it, or a period was closed over it.

A sale whose outcome is not known is no bar: it is in the books, only not decided, and a card may
never come back to decide it. The report counts such sales (`undecided`); each comes into the
period in which it is decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger import reasons
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.made_good import IS_DONE
from ledger.quiescence import (
    HEADS,
    OPAQUE,
    Bar,
    Blocking,
    Release,
    bar_of,
    fields_of,
    mark_below,
    read,
    releases_in,
)
from ledger.reservations import Settled
from protocols.wire import messages

# Genuine records that are cases, and whether two persons have made each good: of twins' records of
# one number each is a sale of its own.
_KEPT = f"""
SELECT c.reason, c.device, c.seq, c.sealed, CASE WHEN {IS_DONE} THEN 1 ELSE 0 END
FROM suspense_case c
WHERE c.reason IN ({reasons.FOUND}, {reasons.FORK}, {reasons.TOLD_AFTER_ITS_END})
ORDER BY c.device, c.seq, c.reason"""
_CORRECTED = f"""
SELECT device, seq FROM correction_approval WHERE reason IN (
    {reasons.LOST}, {reasons.UNREADABLE}, {reasons.FOUND}, {reasons.TOLD_AFTER_ITS_END})"""
_CLOSED_OVER = """
SELECT d.device, d.seq FROM open_decision d JOIN settlement_period p ON p.until_s = d.until_s
WHERE d.seq > 0 AND p.until_s < ?"""
_UNDECIDED = f"""
SELECT u.merchant_no, COUNT(*), SUM(u.amount_fen) FROM (
    SELECT merchant_no, amount_fen FROM intent
    WHERE state < {int(State.NOT_COMMITTED)} AND credit_no = 0 AND amount_fen > 0
    AND earliest_s < ?
    UNION ALL SELECT d.merchant_no, r.amount_fen FROM reservation r
    JOIN device d ON d.device = r.device
    WHERE r.state = {int(Settled.OPEN)} AND r.asked_s < ?
    UNION ALL SELECT d.merchant_no, o.amount_fen FROM acquirer_order o
    JOIN device d ON d.device = o.device
    WHERE o.state = {int(Settled.OPEN)} AND o.asked_s < ?) u
GROUP BY u.merchant_no ORDER BY u.merchant_no"""


@dataclass(frozen=True, slots=True)
class Said:
    """The mark of a reader (`seq` 0: it has none) and its head, as they are booked."""

    device: int
    head_seq: int
    seq: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Quiet:
    """No sale of before `before_s` is missing, unless of what is `blocking`.

    `undecided`: (merchant_no, count, fen) of sales whose outcome nobody knows.
    """

    before_s: int
    said: tuple[Said, ...]
    released: tuple[Release, ...]
    blocking: tuple[Blocking, ...]
    undecided: tuple[tuple[int, int, int], ...]


def examine(database: Dialect, before_s: int) -> Quiet:
    """What the books prove of all sales of before a moment."""
    heads = list(database.rows(HEADS))
    said, found = [], []
    for device, _site, head_seq, is_forked in heads:
        seq, sha256 = mark_below(database, device, head_seq + 1, before_s) or (0, b"")
        said.append(Said(device, head_seq, seq, bytes(sha256)))
        bar = bar_of(head_seq, seq, bool(is_forked))
        if bar is not None:
            found.append(Blocking(bar, device))
    found += _records(database, before_s, {row[0] for row in heads})
    releases = releases_in(database, {row[0]: row[2] for row in heads})
    used = {(one.device, one.seq) for one in found} & set(releases)
    undecided = database.rows(_UNDECIDED, (before_s,) * 3)
    return Quiet(
        before_s,
        tuple(said),
        tuple(releases[key] for key in sorted(used)),
        tuple(sorted({one for one in found if (one.device, one.seq) not in used}, key=place_of)),
        tuple((merchant_no, count, int(fen)) for merchant_no, count, fen in undecided),
    )


def place_of(one: Blocking) -> tuple[int, int, str]:
    """What bars is sorted by its record."""
    return one.device, one.seq, one.bar


def _records(database: Dialect, before_s: int, spenders: set[int]) -> Iterator[Blocking]:
    """Records that may be a sale of before, and are not booked as one."""
    passed = {(device, seq) for device, seq in database.rows(_CLOSED_OVER, (before_s,))}
    done = passed | {(device, seq) for device, seq in database.rows(_CORRECTED)}
    known = set()
    for reason, device, seq, sealed, is_done in list(database.rows(_KEPT)):
        fields = read(sealed)
        if fields is None:
            continue
        if reason == reasons.FOUND:
            known.add((device, seq))
        is_sale = fields["kind"] == messages.INTENT and fields["amount_fen"] > 0
        is_open = not is_done and (device, seq) not in passed
        if is_sale and fields["earliest_s"] < before_s and is_open:
            yield Blocking(Bar.NOT_BOOKED, device, seq)
    for device, seq in list(database.rows(OPAQUE)):
        if device not in spenders or (device, seq) in known | done:
            continue
        fields = fields_of(database, device, seq)
        is_known_now = fields is not None and fields["kind"] not in (
            messages.LOST,
            messages.INTENT,
            messages.CODE_SALE,
        )
        if not is_known_now and mark_below(database, device, seq, before_s) is None:
            yield Blocking(Bar.UNREADABLE, device, seq)
