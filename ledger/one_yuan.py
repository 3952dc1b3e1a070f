"""Follow one spend: from the tap, over the transfers it made, to the period that has settled it.

Reading only. Everything is found by the record that began it, (device, seq), and nothing is worked
out anew: what stands here are rows of the books, in the order in which money goes.
"""

from dataclasses import dataclass
from typing import Any

from ledger import chart
from ledger.dialect import Dialect
from ledger.quiescence import fields_of

_RECORD = "SELECT sha256 FROM record WHERE device = ? AND seq = ?"
_STATE = "SELECT state FROM intent WHERE device = ? AND seq = ?"
_TRANSFERS = """
SELECT device, seq, line, kind, debit_account, credit_account, amount_fen FROM transfer
WHERE device = ? AND seq = ? ORDER BY line"""
_PERIOD = """
SELECT p.number, p.name, p.closed_s, p.sha256, m.number, m.due_fen, l.amount_fen
FROM period_line l JOIN settlement_period p ON p.number = l.period
JOIN period_merchant m ON m.period = l.period AND m.merchant_no = l.merchant_no
WHERE l.device = ? AND l.seq = ? ORDER BY l.line"""
_APPROVALS = "SELECT step, person, time_s FROM period_approval WHERE period = ? ORDER BY step"
_PAYMENTS = """
SELECT t.number, t.file, t.time_s, r.is_paid, r.time_s FROM remittance_try t
LEFT JOIN remittance_result r ON r.number = t.number WHERE t.due = ? ORDER BY t.number"""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money from one account to another: (kind of account, owner) each."""

    line: int
    kind: int
    debit: tuple[str, int]
    credit: tuple[str, int]
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The period in which it was settled, who approved that, and what the bank was told."""

    number: int
    name: str
    closed_s: int
    sha256: str
    amount_fen: int
    due_fen: int
    approvals: tuple[tuple[int, str, int], ...]
    payments: tuple[tuple[int, str, int, int | None, int | None], ...]


@dataclass(frozen=True, slots=True)
class Path:
    """`fields`: what the reader has sealed; `state` of ledger.evidence.State, None: no spend."""

    device: int
    seq: int
    sha256: str
    fields: dict[str, Any] | None
    state: int | None
    transfers: tuple[Transfer, ...]
    settled: tuple[Settled, ...]


def follow(database: Dialect, device: int, seq: int) -> Path | None:
    """Where the money of a record went; None: the books have no such record."""
    hashes = [bytes(one).hex() for (one,) in database.rows(_RECORD, (device, seq))]
    if not hashes:
        return None
    state = next((one for (one,) in database.rows(_STATE, (device, seq))), None)
    transfers = tuple(_transfer(row) for row in database.rows(_TRANSFERS, (device, seq)))
    settled = tuple(_settled(database, row) for row in list(database.rows(_PERIOD, (device, seq))))
    said = fields_of(database, device, seq)
    return Path(device, seq, hashes[0], said, state, transfers, settled)


def _transfer(row: tuple[Any, ...]) -> Transfer:
    _device, _seq, line, kind, debit, credit, amount_fen = row
    return Transfer(line, kind, _account(debit), _account(credit), amount_fen)


def _account(number: int) -> tuple[str, int]:
    kind = chart.kind(number)
    return chart.KIND_NAMES.get(kind, str(kind)), chart.owner(number)


def _settled(database: Dialect, row: tuple[Any, ...]) -> Settled:
    number, name, closed_s, sha256, due, due_fen, amount_fen = row
    approvals = tuple(database.rows(_APPROVALS, (number,)))
    payments = tuple(database.rows(_PAYMENTS, (due,)))
    said = bytes(sha256).hex()
    return Settled(number, name, closed_s, said, amount_fen, due_fen, approvals, payments)
