"""What must always hold for an acquirer's payments: a part of ledger/invariants.py."""

from ledger import chart
from ledger.acquirer import Word
from ledger.reservations import Settled
from ledger.transfers import ACQUIRE, CLEAR, CLEAR_LINE, SETTLE_LINE

_KIND = 4294967296  # an account's number is kind * this + owner
RULES = {
    "an order that is sold has gone to its merchant, once, all of it; no other one has": f"""
        SELECT o.number, o.state, t.kind, t.amount_fen FROM acquirer_order o
        JOIN device d ON d.device = o.device
        LEFT JOIN transfer t ON t.device = o.device AND t.seq = o.seq AND t.line = {SETTLE_LINE}
        WHERE (t.kind IS NOT NULL) <> (o.state = {int(Settled.SOLD)})
        OR t.kind <> {ACQUIRE} OR t.amount_fen <> o.amount_fen
        OR t.debit_account <> {chart.ACQUIRED}
        OR (t.credit_account <> {chart.MERCHANT * _KIND} + d.merchant_no
            AND t.credit_account NOT BETWEEN
                {chart.SUSPENSE * _KIND} AND {chart.FEES * _KIND - 1})""",
    "what an acquirer has taken for us belongs to an order": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN acquirer_order o ON o.device = t.device AND o.seq = t.seq
        WHERE t.kind IN ({ACQUIRE}, {CLEAR}) AND o.number IS NULL
        OR (t.kind = {CLEAR}) <> (t.line = {CLEAR_LINE})""",
    "what is cleared is on a statement, as it was sold": f"""
        SELECT t.device, t.seq, t.amount_fen, l.amount_fen FROM transfer t
        LEFT JOIN acquirer_order o ON o.device = t.device AND o.seq = t.seq
        LEFT JOIN acquirer_stated l ON l.order_no = o.order_no AND l.amount_fen = t.amount_fen
        WHERE t.kind = {CLEAR} AND (l.amount_fen IS NULL OR o.amount_fen <> t.amount_fen
            OR o.state <> {int(Settled.SOLD)}
            OR t.debit_account <> {chart.BANK} OR t.credit_account <> {chart.ACQUIRED})""",
    "a statement has every version of its day": """
        SELECT day, COUNT(*), MAX(version) FROM acquirer_statement
        GROUP BY day HAVING COUNT(*) <> MAX(version)""",
    "nothing was sold that an acquirer did not hold": f"""
        SELECT number, state, word FROM acquirer_order
        WHERE state = {int(Settled.SOLD)} AND word IN ({int(Word.SILENT)}, {int(Word.REFUSED)})""",
    "no number of a payment by code was given twice": """
        SELECT o.number FROM acquirer_order o JOIN reservation r
        ON r.number = o.number OR (r.device = o.device AND r.seq = o.seq)""",
    "the acquirer owes what is sold and on no statement": f"""
        SELECT a.id, a.balance_fen FROM account a WHERE a.id = {chart.ACQUIRED}
        AND a.balance_fen <> -(SELECT COALESCE(SUM(o.amount_fen), 0) FROM acquirer_order o
            WHERE o.state = {int(Settled.SOLD)} AND NOT EXISTS (SELECT 1 FROM transfer t
                WHERE t.device = o.device AND t.seq = o.seq AND t.line = {CLEAR_LINE}))""",
}
