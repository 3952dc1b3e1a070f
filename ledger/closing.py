"""Merchants that leave: what of them is still open, and the statement of the end (R16, R22).

Rules of this file. From its signature on a merchant winds up: it gets no reader and no number for
one, and sells on until its readers have ended. It is settled when nothing of it is open: every
reader has ended (ledger/retirement.py), every payment by code is decided, every entry is in a
period, and it is neither owed nor owes anything. What it owes it pays in, or two persons write it
off (ledger/debts.py). The statement of the end is kept as canonical JSON with its hash; who closes
says its mark, and it has to be what the books say then. The regulation knows no deposit.

What comes behind that is never lost: a sale that is decided late is its merchant's, stands in the
next period, is paid to its account, and is a case (ledger/period_report.py). What it owes then, or
pays of what was written off, opens it again: it winds up once more, is settled by one person with
another statement, and closed by a second one. The statements of before stay.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger import chart
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.evidence import State
from ledger.merchant_entries import OWN, groups
from ledger.reasons import OTHER_MERCHANT
from ledger.reservations import Settled
from ledger.transfers import (
    CHARGE,
    COST,
    PAID_AFTER_ALL,
    PAY_IN,
    PAY_IN_LINE,
    RECOVER,
    REMITTED,
    SENT_BACK,
    WRITE_OFF,
    Transfer,
)

MARK_CHARS = 12
# Of a merchant_end `e` of a query: the last word of its dossier.
IS_CLOSED = """(SELECT s.state_after FROM dossier_step s WHERE s.dossier = e.dossier
    ORDER BY s.step DESC LIMIT 1) = 'closed'"""
_BEGIN = "INSERT INTO merchant_end VALUES (?, ?)"
_IS_ENDING = "SELECT 1 FROM merchant_end WHERE merchant_no = ?"
_READERS = """
SELECT d.device FROM device d WHERE d.merchant_no = ?
AND NOT EXISTS (SELECT 1 FROM retirement r WHERE r.device = d.device) ORDER BY d.device"""
# The last state of each dossier about it, but for this one.
_DOSSIERS = """
SELECT d.number, d.kind, s.state_after FROM dossier d JOIN dossier_step s ON s.dossier = d.number
WHERE d.merchant_no = ? AND d.number <> ? AND s.step = (
    SELECT MAX(l.step) FROM dossier_step l WHERE l.dossier = d.number)
AND EXISTS (SELECT 1 FROM procedure_rule p
    WHERE p.kind = d.kind AND p.state_before = s.state_after)
ORDER BY d.number"""
# No record of a reader that has ended decides them any more: a person does (ledger/code_sales.py).
_BY_CODE = f"""
SELECT r.number, r.amount_fen FROM reservation r JOIN device d ON d.device = r.device
WHERE d.merchant_no = ? AND r.state = {int(Settled.OPEN)}
UNION SELECT o.number, o.amount_fen FROM acquirer_order o JOIN device d ON d.device = o.device
WHERE d.merchant_no = ? AND o.state = {int(Settled.OPEN)} ORDER BY 1"""
# Its entries (ledger/merchant_entries.py) without a look at those of all others, for whoever books
# waits: of its readers, of the ledger itself, of readers that have named it for another, and what
# it has back of a sale of another's reader that it had borne.
_COLUMNS = "t.device, t.seq, t.line, t.kind, t.debit_account, t.credit_account, t.amount_fen"
_MINE = f"""
SELECT {_COLUMNS} FROM device d CROSS JOIN transfer t
WHERE d.merchant_no = ? AND t.device = d.device
UNION ALL SELECT {_COLUMNS} FROM transfer t WHERE t.device = {chart.LEDGER_DEVICE}
UNION ALL SELECT {_COLUMNS} FROM (
    SELECT DISTINCT c.device, c.seq FROM suspense_case c JOIN device d ON d.device = c.device
    WHERE c.reason = {OTHER_MERCHANT} AND d.merchant_no <> ?) c CROSS JOIN transfer t
WHERE t.device = c.device AND t.seq = c.seq AND t.kind <> {RECOVER}
UNION ALL SELECT {_COLUMNS} FROM (
    SELECT DISTINCT p.device, p.seq FROM correction p JOIN device d ON d.device = p.device
    WHERE p.debit_account = ? AND d.merchant_no <> ?) p CROSS JOIN transfer t
WHERE t.device = p.device AND t.seq = p.seq AND t.kind = {RECOVER}"""
_OUTSIDE = f"""
SELECT COUNT(*), COALESCE(SUM(
    CASE WHEN e.credit_account = ? THEN e.amount_fen ELSE -e.amount_fen END), 0)
FROM ({_MINE}) e
WHERE ? IN (e.debit_account, e.credit_account) AND e.kind NOT IN {OWN} AND NOT EXISTS (
    SELECT 1 FROM period_line l WHERE l.device = e.device AND l.seq = e.seq AND l.line = e.line
        AND l.merchant_no = ?)"""
_BALANCE = "SELECT balance_fen FROM account WHERE id = ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM merchant_payment"
_PAID_IN = "INSERT INTO merchant_payment VALUES (?, ?, ?, ?, ?)"
# Of its periods, where each entry is once nothing is open, and of the ledger's own transfers: by
# their keys, for whoever books anything waits for it.
_SUMS = """
SELECT kind, COUNT(*), SUM(amount_fen) FROM period_line
WHERE period IN (SELECT number FROM settlement_period) AND merchant_no = ?
GROUP BY kind ORDER BY kind"""
_MOVED = f"""
SELECT t.kind, SUM(CASE WHEN t.debit_account = ? THEN t.amount_fen ELSE -t.amount_fen END)
FROM transfer t WHERE t.device = {chart.LEDGER_DEVICE}
AND ? IN (t.debit_account, t.credit_account) AND t.kind IN (?, ?, ?)
GROUP BY t.kind"""
_ENDED = """
SELECT r.device, r.head_seq, r.mark_seq, r.dossier FROM retirement r
JOIN device d ON d.device = r.device WHERE d.merchant_no = ? ORDER BY r.device"""
_PERIODS = """
SELECT m.period, p.name, m.sales_fen, m.cancelled_fen, m.other_fen, m.commission_fen, m.due_fen
FROM period_merchant m JOIN settlement_period p ON p.number = m.period
WHERE m.merchant_no = ? AND (m.count > 0 OR m.due_fen <> 0 OR m.commission_fen <> 0
    OR m.brought_fen <> 0 OR m.brought_turnover_fen <> 0) ORDER BY m.period"""
_UNDECIDED = f"""
SELECT COUNT(*), COALESCE(SUM(i.amount_fen), 0) FROM intent i
WHERE i.merchant_no = ? AND i.credit_no = 0 AND i.amount_fen > 0
AND i.state < {int(State.NOT_COMMITTED)}"""
_WRITTEN_OFF = """
SELECT p.reason, p.amount_fen FROM write_off w JOIN debt_proposal p ON p.number = w.proposal
WHERE p.merchant_no = ? ORDER BY p.number"""
# A merchant that was opened again is not closed.
_CLOSED = f"SELECT e.merchant_no, e.dossier FROM merchant_end e WHERE {IS_CLOSED} ORDER BY 1"
_NAME = "SELECT name FROM merchant WHERE merchant_no = ?"
_NEXT_STATEMENT = "SELECT COALESCE(MAX(number), 0) + 1 FROM closing_statement"
_KEEP = "INSERT INTO closing_statement VALUES (?, ?, ?, ?, ?)"
_NEWEST = """
SELECT sha256, report, time_s FROM closing_statement WHERE dossier = ?
ORDER BY number DESC LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Statement:
    """The statement of an end: canonical JSON, money in fen, and when it was made."""

    sha256: bytes
    report: str
    time_s: int

    @property
    def mark(self) -> str:
        """What whoever closes says back."""
        return self.sha256.hex()[:MARK_CHARS]


def begin(database: Dialect, merchant_no: int, dossier: int) -> None:
    """From now on it winds up, in the transaction of the signature."""
    database.many(_BEGIN, [(merchant_no, dossier)])


def is_ending(database: Dialect, merchant_no: int) -> bool:
    """Whether it winds up, or is closed."""
    return bool(list(database.rows(_IS_ENDING, (merchant_no,))))


def open_things(database: Dialect, merchant_no: int, dossier: int) -> list[str]:
    """What keeps a merchant from being settled, in sentences; []: nothing does."""
    return list(_open(database, merchant_no, dossier))


def outside(database: Dialect, merchant_no: int) -> tuple[int, int]:
    """How many entries of a merchant are in no period yet, and what they come to in fen."""
    account = chart.payable(merchant_no)
    words = account, merchant_no, merchant_no, account, merchant_no, account, merchant_no
    ((count, fen),) = list(database.rows(_OUTSIDE, words))
    return count, int(fen)


def behind_its_end(database: Dialect) -> Iterator[tuple[int, int, str]]:
    """(merchant_no, dossier, what) of each that is closed, and of which money is open again."""
    for merchant_no, dossier in list(database.rows(_CLOSED)):
        found = list(_money(database, merchant_no))
        if found:
            yield merchant_no, dossier, "; ".join(found)


def owed_fen(database: Dialect, merchant_no: int) -> int:
    """What it owes the card centre, in fen."""
    return max(-_balance(database, chart.payable(merchant_no)), 0)


def pay_in(database: Dialect, dossier: int, merchant_no: int, amount_fen: int, time_s: int) -> int:
    """So much of what it owes has come in, in a transaction of the caller, who has asked.

    The number of the payment.
    """
    ((number,),) = database.rows(_NEXT)
    database.many(_PAID_IN, [(number, dossier, merchant_no, amount_fen, time_s)])
    way = chart.BANK, chart.payable(merchant_no), amount_fen
    post_authorized(database, [Transfer(chart.LEDGER_DEVICE, number, PAY_IN_LINE, PAY_IN, *way)])
    return int(number)


def settle(database: Dialect, dossier: int, merchant_no: int, time_s: int) -> None:
    """Keep the statement of the end, in a transaction of the caller."""
    report = build(database, merchant_no, dossier)
    ((number,),) = database.rows(_NEXT_STATEMENT)
    sha256 = hashlib.sha256(report.encode("ascii")).digest()
    database.many(_KEEP, [(number, dossier, sha256, report, time_s)])


def newest(database: Dialect, dossier: int) -> Statement | None:
    """The statement that counts; None: it was never settled."""
    for sha256, report, time_s in list(database.rows(_NEWEST, (dossier,))):
        return Statement(bytes(sha256), report, time_s)
    return None


def is_so(database: Dialect, merchant_no: int, dossier: int, statement: Statement) -> bool:
    """Whether the books still say what it says, and nothing of the merchant is open."""
    same = build(database, merchant_no, dossier) == statement.report
    return same and not open_things(database, merchant_no, dossier)


def build(database: Dialect, merchant_no: int, dossier: int) -> str:
    """What the books say of a merchant from its first sale on: equal books, equal text."""
    ((name,),) = list(database.rows(_NAME, (merchant_no,)))
    rows = list(database.rows(_SUMS, (merchant_no,)))
    sums = [(kind, False, count, int(fen)) for kind, count, fen in rows]
    count, sales_fen, cancelled_fen, other_fen, *_late = groups(sums)
    by_kind = {kind: int(fen) for kind, _count, fen in rows}
    undecided, undecided_fen = next(iter(database.rows(_UNDECIDED, (merchant_no,))))
    fields: dict[str, Any] = {
        "merchant_no": merchant_no,
        "name": name,
        "dossier": dossier,
        "readers": [list(row) for row in database.rows(_ENDED, (merchant_no,))],
        "periods": [list(row) for row in database.rows(_PERIODS, (merchant_no,))],
        "count": count,
        "sales_fen": sales_fen,
        "cancelled_fen": cancelled_fen,
        "costs_fen": -by_kind.get(COST, 0),
        "paid_in_fen": by_kind.get(PAY_IN, 0),
        "other_fen": other_fen - by_kind.get(COST, 0) - by_kind.get(PAY_IN, 0),
        "commission_fen": _moved(database, chart.payable(merchant_no), CHARGE),
        "remitted_fen": _moved(database, chart.remittance(merchant_no), REMITTED, SENT_BACK),
        "undecided": [undecided, int(undecided_fen)],
    }
    if WRITE_OFF in by_kind:  # statements of before there were write-offs say nothing of them
        fields["other_fen"] -= by_kind[WRITE_OFF] + by_kind.get(PAID_AFTER_ALL, 0)
        fields["written_off"] = [list(row) for row in database.rows(_WRITTEN_OFF, (merchant_no,))]
        fields["recovered_fen"] = -by_kind.get(PAID_AFTER_ALL, 0)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def _open(database: Dialect, merchant_no: int, dossier: int) -> Iterator[str]:
    for (device,) in list(database.rows(_READERS, (merchant_no,))):
        yield f"reader {device} is in use"
    for number, kind, state in list(database.rows(_DOSSIERS, (merchant_no, dossier))):
        yield f"dossier {number} ({kind}) is {state}"
    for number, fen in list(database.rows(_BY_CODE, (merchant_no, merchant_no))):
        yield f"payment {number} by code, of {fen} fen, is undecided"
    count, fen = outside(database, merchant_no)
    if count:
        yield f"{count} entries of {fen} fen are in no period"
    yield from _money(database, merchant_no)


def _money(database: Dialect, merchant_no: int) -> Iterator[str]:
    due_fen = _balance(database, chart.payable(merchant_no))
    if due_fen > 0:
        yield f"{due_fen} fen are due to it by no approved period"
    elif due_fen:
        yield f"it owes {-due_fen} fen"
    on_its_way_fen = _balance(database, chart.remittance(merchant_no))
    if on_its_way_fen:
        yield f"{on_its_way_fen} fen are on their way to its bank"


def _balance(database: Dialect, account: int) -> int:
    return next((fen for (fen,) in database.rows(_BALANCE, (account,))), 0)


def _moved(database: Dialect, account: int, *kinds: int) -> int:
    """What transfers of up to three kinds have taken from an account, less what they gave it."""
    wanted = [*kinds, *kinds[:1] * (3 - len(kinds))]
    return sum(int(fen) for _kind, fen in database.rows(_MOVED, (account, account, *wanted)))
