"""What the simulated acquirer knows: one payment for each order number, on disk before it answers.

It shares nothing with ledger/: what the two have to agree on is said in ledger/acquirer.py, and
that they do is what tests are for. Payers are made up from their codes: the last two digits say
whether they have money (00: none), whether their code is too old (01), and whether they have to
confirm on the phone first (02: the second time they are asked they have).
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

RESERVED, REFUSED, CONFIRMED, VOID = "reserved", "refused", "confirmed", "void"
PENDING, UNKNOWN = "pending", "unknown"
_POOR, _OLD, _SLOW = "00", "01", "02"
_TABLE = """
CREATE TABLE IF NOT EXISTS payment (
    order_no TEXT PRIMARY KEY,
    code TEXT NOT NULL,
    amount_fen INTEGER NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    day TEXT NOT NULL
)"""
_FIND = "SELECT code, amount_fen, state, why FROM payment WHERE order_no = ?"
_PUT = "INSERT OR REPLACE INTO payment VALUES (?, ?, ?, ?, ?, ?)"

Answer = dict[str, Any]


class Payments:
    """The acquirer's books in the file `path` (":memory:" in tests). Of one thread at a time."""

    def __init__(self, path: str | Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute(_TABLE)

    def carry_out(self, verb: str, order_no: str, today: str, said: Answer) -> Answer:
        """Do `verb` of an order; what to answer. `said`: "code" and "amount_fen" of a reserve."""
        with self._lock:
            known = self._database.execute(_FIND, (order_no,)).fetchone()
            code, amount_fen, state, why = known or ("", said.get("amount_fen", 0), UNKNOWN, "")
            before = state
            if verb == "reserve" and state == UNKNOWN:
                code = said["code"]
                state, why = self._judge(code)
            elif verb in ("reserve", "query") and state == PENDING:
                state = RESERVED  # the payer has confirmed meanwhile
            elif verb == "confirm" and state == RESERVED:
                state = CONFIRMED
            elif verb == "void" and state in (UNKNOWN, PENDING, RESERVED):
                state = VOID  # of what was never heard of too: it will never be paid
            if state != before:
                self._database.execute(_PUT, (order_no, code, amount_fen, state, why, today))
            return {"order_no": order_no, "amount_fen": amount_fen, "state": state, "why": why}

    def expire(self, order_no: str) -> None:
        """The acquirer's own time-out: what it has reserved for too long is the payer's again."""
        sql = "UPDATE payment SET state = ? WHERE order_no = ? AND state = ?"
        with self._lock:
            self._database.execute(sql, (VOID, order_no, RESERVED))

    def stray(self, order_no: str, amount_fen: int, today: str) -> None:
        """It has taken a payment for us that nobody of ours has asked for."""
        row = order_no, "", amount_fen, CONFIRMED, "", today
        with self._lock:
            self._database.execute(_PUT, row)

    def statement(self, day: str) -> list[list[Any]]:
        """[order_no, amount_fen] of each payment that was confirmed on a day."""
        sql = "SELECT order_no, amount_fen FROM payment WHERE state = ? AND day = ? ORDER BY 1"
        with self._lock:
            return [list(row) for row in self._database.execute(sql, (CONFIRMED, day))]

    def charged(self) -> dict[str, int]:
        """What every payer is without now, by order number: reserved or confirmed."""
        sql = "SELECT order_no, amount_fen FROM payment WHERE state IN (?, ?)"
        with self._lock:
            return dict(self._database.execute(sql, (RESERVED, CONFIRMED)).fetchall())

    def states(self) -> dict[str, str]:
        """The state of each payment by order number."""
        with self._lock:
            return dict(self._database.execute("SELECT order_no, state FROM payment").fetchall())

    def close(self) -> None:
        self._database.close()

    def _judge(self, code: str) -> tuple[str, str]:
        sql = "SELECT 1 FROM payment WHERE code = ? AND state IN (?, ?, ?)"
        used = self._database.execute(sql, (code, RESERVED, CONFIRMED, PENDING)).fetchone()
        if used:
            return REFUSED, "code_used"
        if code.endswith(_POOR):
            return REFUSED, "balance_short"
        if code.endswith(_OLD):
            return REFUSED, "code_expired"
        return (PENDING if code.endswith(_SLOW) else RESERVED), ""
