"""What must always hold for debts that are written off: a part of ledger/invariants.py."""

from ledger import chart
from ledger.transfers import PAID_AFTER_ALL, PAY_IN_LINE, WRITE_OFF, WRITE_OFF_LINE

_KIND = 4294967296  # an account's number is kind * this + owner
_SIGNED = """SELECT 1 FROM dossier_step s WHERE s.dossier = w.dossier AND s.step = w.step
    AND s.verb = 'write-off' AND s.act = 'sign'"""
_OF_LOSSES = """(
            SELECT t.debit_account, t.credit_account, SUM(t.amount_fen) AS amount_fen
            FROM transfer t WHERE t.kind = {kind} GROUP BY t.debit_account, t.credit_account)"""
RULES = {
    "what is written off was proposed by one person and signed by another": f"""
        SELECT w.proposal, w.dossier, w.step FROM write_off w
        LEFT JOIN debt_proposal p ON p.number = w.proposal
        WHERE p.number IS NULL OR p.dossier <> w.dossier OR p.step <> w.step - 1
        OR NOT EXISTS ({_SIGNED}) OR EXISTS (
            SELECT 1 FROM dossier_step a JOIN dossier_step b ON b.dossier = a.dossier
            WHERE a.dossier = w.dossier AND a.step = p.step AND b.step = w.step
            AND a.person = b.person)
        UNION ALL SELECT 0, s.dossier, s.step FROM dossier_step s WHERE s.verb = 'write-off'
        AND NOT EXISTS (SELECT 1 FROM write_off w
            WHERE w.dossier = s.dossier AND w.step = s.step)""",
    "a debt is written off once, to one bearer, all of it": f"""
        SELECT p.number, p.amount_fen, COALESCE(t.amount_fen, 0) FROM debt_proposal p
        LEFT JOIN write_off w ON w.proposal = p.number
        LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = p.number
            AND t.line = {WRITE_OFF_LINE} AND t.kind = {WRITE_OFF}
            AND t.debit_account = {chart.LOSS * _KIND} + p.reason
            AND t.credit_account = {chart.MERCHANT * _KIND} + p.merchant_no
        WHERE COALESCE(t.amount_fen, 0) <> CASE WHEN w.proposal IS NULL THEN 0
            ELSE p.amount_fen END
        UNION ALL SELECT t.seq, t.amount_fen, 0 FROM transfer t WHERE t.kind = {WRITE_OFF}
        AND NOT EXISTS (SELECT 1 FROM write_off w WHERE w.proposal = t.seq)""",
    "each proposal is a step of its merchant's end, and each such step has one": """
        SELECT p.number, p.dossier, p.step FROM debt_proposal p WHERE NOT EXISTS (
            SELECT 1 FROM merchant_end e JOIN dossier_step s
            ON s.dossier = e.dossier AND s.step = p.step AND s.verb = 'propose'
            WHERE e.dossier = p.dossier AND e.merchant_no = p.merchant_no)
        UNION ALL SELECT 0, s.dossier, s.step FROM dossier_step s WHERE s.verb = 'propose'
        AND NOT EXISTS (SELECT 1 FROM debt_proposal p
            WHERE p.dossier = s.dossier AND p.step = s.step)""",
    "what comes back of a loss was paid in, and is no more than was lost": f"""
        SELECT t.seq, t.amount_fen, 0 FROM transfer t WHERE t.kind = {PAID_AFTER_ALL}
        AND NOT EXISTS (SELECT 1 FROM transfer i WHERE i.device = t.device AND i.seq = t.seq
            AND i.line = {PAY_IN_LINE} AND i.credit_account = t.debit_account
            AND i.amount_fen = t.amount_fen)
        UNION ALL SELECT 0, b.amount_fen, 0 FROM {_OF_LOSSES.format(kind=PAID_AFTER_ALL)} b
        LEFT JOIN {_OF_LOSSES.format(kind=WRITE_OFF)} w
            ON w.debit_account = b.credit_account AND w.credit_account = b.debit_account
        WHERE b.amount_fen > COALESCE(w.amount_fen, 0)""",
}
