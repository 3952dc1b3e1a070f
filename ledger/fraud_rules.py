"""What must always hold for findings and corrections: a part of ledger/invariants.py."""

from ledger import chart, reasons
from ledger.made_good import CORRECTED_FEN, IS_OF_CASE, IS_OF_CREDIT, OF_CANCELLED, OF_PURSES
from ledger.transfers import BEAR, CANCEL, CORRECT, CORRECT_LINE, MADE_GOOD_LINE, RECOVER

_KIND = 4294967296  # an account's number is kind * this + owner
_BORNE = f"""(
    c.bearer = 'holder' AND {{account}} / {_KIND} = {chart.HOLDER}
    OR c.bearer = 'merchant' AND {{account}} / {_KIND} = {chart.MERCHANT}
    OR c.bearer = 'card centre' AND {{account}} / {_KIND} IN ({chart.LOSS}, {chart.FEES})
    OR c.bearer = 'device owner' AND {{account}} = {chart.OWNER * _KIND} + c.device)"""
RULES = {
    "a finding is a case about two records of its card": """
        SELECT f.reason, f.device, f.seq, f.first_device, f.first_seq FROM finding f
        LEFT JOIN suspense_case s ON s.reason = f.reason AND s.device = f.device
            AND s.seq = f.seq AND s.sha256 = f.sha256
        LEFT JOIN intent a ON a.device = f.first_device AND a.seq = f.first_seq
        LEFT JOIN intent b ON b.device = f.device AND b.seq = f.seq
        WHERE s.reason IS NULL OR COALESCE(a.card_no, -1) <> f.card_no
        OR COALESCE(b.card_no, -1) <> f.card_no""",
    "what two persons have approved is booked once, as it was proposed": f"""
        SELECT p.number, c.amount_fen, t.amount_fen FROM correction_approval p
        LEFT JOIN correction c ON c.number = p.number AND c.person <> p.person
            AND c.reason = p.reason AND c.device = p.device AND c.seq = p.seq
            AND c.sha256 = p.sha256
        LEFT JOIN transfer t ON t.device = 0 AND t.seq = p.number AND t.line = {CORRECT_LINE}
            AND t.kind = {CORRECT} AND t.debit_account = c.debit_account
            AND t.credit_account = c.credit_account AND t.amount_fen = c.amount_fen
        WHERE t.seq IS NULL""",
    "nothing is corrected but what two persons have approved": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN correction_approval p ON p.number = t.seq AND t.device = 0
            AND t.line = {CORRECT_LINE}
        WHERE t.kind = {CORRECT} AND p.number IS NULL""",
    "what one sale has cost is made good once, whichever of its cases it was": f"""
        SELECT c.number, a.number, 0 FROM correction_approval c JOIN correction_approval a
        ON a.number > c.number AND {IS_OF_CASE}
        UNION ALL SELECT i.device, i.seq, t.amount_fen FROM correction_approval p
        JOIN intent i ON i.device = p.device AND i.seq = p.seq
        JOIN transfer t ON t.device = i.device AND t.seq = i.seq AND t.kind = {BEAR}
        WHERE p.reason IN {OF_PURSES} AND t.amount_fen + {CORRECTED_FEN} > i.amount_fen""",
    "what one credit has cost is made good once, whichever of its cases it was": f"""
        SELECT c.number, a.number FROM correction_approval c JOIN correction_approval a
        ON a.number > c.number AND {IS_OF_CREDIT}""",
    "what a cancelled sale gave back is theirs first who had made it good, and no more of it": f"""
        SELECT p.number, t.device, t.seq, p.amount_fen, m.amount_fen FROM transfer t
        JOIN correction_approval a ON a.device = t.device AND a.seq = t.seq
            AND a.reason IN {OF_CANCELLED}
        JOIN correction p ON p.number = a.number AND (p.credit_account = t.credit_account
            OR p.credit_account / {_KIND} = {chart.HOLDER})
        LEFT JOIN transfer m ON m.device = t.device AND m.seq = t.seq AND m.kind = {RECOVER}
            AND m.line = {MADE_GOOD_LINE} AND m.debit_account = t.credit_account
            AND m.credit_account = p.debit_account
        WHERE t.kind = {CANCEL} AND COALESCE(m.amount_fen, 0) <> p.amount_fen
        UNION ALL SELECT 0, m.device, m.seq, 0, m.amount_fen FROM transfer m
        WHERE m.line = {MADE_GOOD_LINE} AND (m.kind <> {RECOVER} OR NOT EXISTS (
            SELECT 1 FROM correction_approval a JOIN correction p ON p.number = a.number
            JOIN suspense_case s ON s.device = a.device AND s.seq = a.seq
                AND s.reason = {reasons.CANCELLED_WHEN_MADE_GOOD}
            JOIN transfer t ON t.device = a.device AND t.seq = a.seq AND t.kind = {CANCEL}
            WHERE a.device = m.device AND a.seq = m.seq
            AND p.debit_account = m.credit_account))""",
    "a correction comes to the account of its one bearer": f"""
        SELECT c.number, c.bearer, c.debit_account, c.credit_account FROM correction c
        WHERE NOT {_BORNE.format(account="c.debit_account")}
        AND NOT {_BORNE.format(account="c.credit_account")}""",
}
