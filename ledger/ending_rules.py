"""What must always hold for readers and merchants that have ended: a part of ledger/invariants.py.

What a closed merchant is due is no rule: a sale may be decided late, and is its own.
"""

import hashlib
from collections.abc import Iterator

from ledger import chart
from ledger.dialect import Dialect, Row
from ledger.transfers import PAY_IN, PAY_IN_LINE

_KIND = 4294967296  # an account's number is kind * this + owner
_COME_TO = """EXISTS (SELECT 1 FROM dossier_step s JOIN dossier d ON d.number = s.dossier
    WHERE s.dossier = {} AND s.state_after = '{}' AND {})"""
_RETIRED = _COME_TO.format("r.dossier", "retired", "d.device = r.device")
_ENDING = _COME_TO.format("e.dossier", "winding-up", "d.merchant_no = e.merchant_no")
RULES = {
    "a reader has ended by its dossier, and each such dossier has ended one": f"""
        SELECT r.device, r.dossier FROM retirement r WHERE NOT {_RETIRED}
        UNION ALL SELECT d.device, d.number FROM dossier d JOIN dossier_step s
            ON s.dossier = d.number AND s.state_after = 'retired'
        WHERE NOT EXISTS (SELECT 1 FROM retirement r WHERE r.dossier = d.number)""",
    "of a reader that has ended nothing is booked": """
        SELECT r.device, r.head_seq, v.head_seq FROM retirement r
        JOIN device v ON v.device = r.device WHERE v.head_seq <> r.head_seq""",
    "a reader's mark is a record of it, or it was passed over": """
        SELECT r.device, r.mark_seq FROM retirement r WHERE r.mark_seq > 0 AND NOT EXISTS (
            SELECT 1 FROM record o WHERE o.device = r.device AND o.seq = r.mark_seq
            AND o.sha256 = r.mark_sha256)
        UNION ALL SELECT r.device, 0 FROM retirement r WHERE (r.mark_seq = 0) <> EXISTS (
            SELECT 1 FROM dossier_step s WHERE s.dossier = r.dossier AND s.verb = 'pass-over')""",
    "a merchant winds up by its dossier, and each such dossier has one": f"""
        SELECT e.merchant_no, e.dossier FROM merchant_end e WHERE NOT {_ENDING}
        UNION ALL SELECT d.merchant_no, d.number FROM dossier d JOIN dossier_step s
            ON s.dossier = d.number AND s.state_after = 'winding-up'
        WHERE NOT EXISTS (SELECT 1 FROM merchant_end e WHERE e.dossier = d.number)""",
    "a merchant that is closed has a statement, and no reader in use": """
        SELECT e.merchant_no, e.dossier FROM merchant_end e JOIN dossier_step s
            ON s.dossier = e.dossier AND s.state_after = 'closed'
        WHERE NOT EXISTS (SELECT 1 FROM closing_statement c WHERE c.dossier = e.dossier)
        OR EXISTS (SELECT 1 FROM device v WHERE v.merchant_no = e.merchant_no
            AND NOT EXISTS (SELECT 1 FROM retirement r WHERE r.device = v.device))""",
    "each settling of a merchant has its statement, and each payment of it is a step": """
        SELECT e.merchant_no, s.verb, COUNT(*) FROM merchant_end e
        JOIN dossier_step s ON s.dossier = e.dossier AND s.verb IN ('settle', 'pay-in')
        GROUP BY e.merchant_no, e.dossier, s.verb HAVING COUNT(*) <> CASE s.verb
            WHEN 'settle' THEN (SELECT COUNT(*) FROM closing_statement c
                WHERE c.dossier = e.dossier)
            ELSE (SELECT COUNT(*) FROM merchant_payment p WHERE p.dossier = e.dossier) END
        UNION ALL SELECT 0, 'settle', c.dossier FROM closing_statement c WHERE NOT EXISTS (
            SELECT 1 FROM dossier_step s WHERE s.dossier = c.dossier AND s.verb = 'settle')
        UNION ALL SELECT p.merchant_no, 'pay-in', p.dossier FROM merchant_payment p
        WHERE NOT EXISTS (
            SELECT 1 FROM dossier_step s WHERE s.dossier = p.dossier AND s.verb = 'pay-in')""",
    "what a merchant has paid in is booked once, as such": f"""
        SELECT p.number, p.amount_fen, t.amount_fen FROM merchant_payment p
        LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = p.number
            AND t.line = {PAY_IN_LINE} AND t.kind = {PAY_IN} AND t.debit_account = {chart.BANK}
            AND t.credit_account = {chart.MERCHANT * _KIND} + p.merchant_no
        WHERE COALESCE(t.amount_fen, 0) <> p.amount_fen
        UNION ALL SELECT t.seq, t.amount_fen, 0 FROM transfer t WHERE t.kind = {PAY_IN}
        AND NOT EXISTS (SELECT 1 FROM merchant_payment p WHERE p.number = t.seq)""",
}
IS_AS_KEPT = "the statement of an end is what it was"


def changed_statements(database: Dialect) -> Iterator[Row]:
    """Those whose hash is not that of what they say."""
    for number, sha256, report in database.rows(
        "SELECT number, sha256, report FROM closing_statement ORDER BY number"
    ):
        if hashlib.sha256(report.encode("ascii", "replace")).digest() != bytes(sha256):
            yield (number,)
