"""What must always hold where a bank pays: a part of ledger/invariants.py, for every kind."""

from ledger import chart
from ledger.payments.kinds import KINDS, Kind
from ledger.payments.schema import IS_KNOWN

_KIND = 4294967296  # an account's number is kind * this + owner


def rules_of(kind: Kind) -> dict[str, str]:
    """Rule -> the query of the rows that break it, for payments of one kind."""
    way = f"{kind.way * _KIND} +"
    (paid, paid_line), (returned, returned_line) = kind.paid, kind.returned
    queries = {
        f"a {kind.name} is paid as the bank says, and what it sent back is there again": f"""
            SELECT p.number, d.amount_fen, t.amount_fen, s.amount_fen FROM {{tries}} p
            LEFT JOIN {{dues}} d ON d.number = p.{{due}}
            LEFT JOIN {{results}} r ON r.number = p.number
            LEFT JOIN {{returns}} b ON b.number = p.number
            LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = p.number
                AND t.line = {paid_line} AND t.kind = {paid}
                AND t.debit_account = {way} d.owner AND t.credit_account = {chart.BANK}
            LEFT JOIN transfer s ON s.device = {chart.LEDGER_DEVICE} AND s.seq = p.number
                AND s.line = {returned_line} AND s.kind = {returned}
                AND s.credit_account = {way} d.owner AND s.debit_account = {chart.BANK}
            WHERE d.number IS NULL OR COALESCE(t.amount_fen, 0) <>
                CASE WHEN COALESCE(r.is_paid, 0) = 1 THEN d.amount_fen ELSE 0 END
            OR COALESCE(s.amount_fen, 0) <>
                CASE WHEN b.number IS NOT NULL THEN d.amount_fen ELSE 0 END""",
        f"nothing else moves as if a bank had paid a {kind.name}": f"""
            SELECT t.device, t.seq, t.line FROM transfer t
            LEFT JOIN {{tries}} p ON p.number = t.seq
            WHERE t.kind IN ({paid}, {returned}) AND (p.number IS NULL
                OR t.device <> {chart.LEDGER_DEVICE} OR t.line <> CASE t.kind
                    WHEN {paid} THEN {paid_line} ELSE {returned_line} END)""",
        f"a {kind.name} is with the bank, or paid, once at a time": """
            SELECT p.{due}, COUNT(*) FROM {tries} p
            LEFT JOIN {results} r ON r.number = p.number
            LEFT JOIN {returns} b ON b.number = p.number
            WHERE COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL
            GROUP BY p.{due} HAVING COUNT(*) > 1""",
        f"a {kind.name} on its way to a bank is what no bank has paid": f"""
            SELECT a.id, a.balance_fen FROM account a WHERE a.kind = {kind.way}
            AND a.balance_fen <> (
                SELECT COALESCE(SUM(d.amount_fen), 0) FROM {{dues}} d
                WHERE d.owner = a.owner AND NOT EXISTS (
                    SELECT 1 FROM {{tries}} p JOIN {{results}} r ON r.number = p.number
                    LEFT JOIN {{returns}} b ON b.number = p.number
                    WHERE p.{{due}} = d.number AND r.is_paid = 1 AND b.number IS NULL))""",
    }
    return {rule: kind.sql(query) for rule, query in queries.items()}


RULES = {rule: sql for kind in KINDS.values() for rule, sql in rules_of(kind).items()}
# Behind the newest restore: what was mistyped behind one before counts no more.
_AGAIN = " UNION ALL ".join(
    kind.sql(
        "SELECT n.number, n.payment FROM bank_payment n"
        " JOIN {tries} t ON t.number = n.payment JOIN {dues} d ON d.number = t.{due}"
        f" WHERE n.kind = '{kind.name}' AND n.restore = (SELECT MAX(number) FROM books_restore)"
        " AND (d.amount_fen <> n.amount_fen"
        " OR d.purpose <> n.purpose OR t.file <> n.file)"
    )
    for kind in KINDS.values()
)
RULES["a payment that the bank has is known again as what it is"] = _AGAIN
RULES["files go again behind a restore by the word of two persons, of all that is noted"] = f"""
    SELECT w.restore, w.notes FROM payment_release w
    LEFT JOIN payment_release o ON o.restore = w.restore AND o.notes = w.notes AND o.step = 1
        AND o.person <> w.person
    WHERE w.step = 2 AND (o.person IS NULL OR w.amount_fen <> (
        SELECT COALESCE(SUM(n.amount_fen), 0) FROM bank_payment n
        WHERE n.restore = w.restore AND n.number <= w.notes)
    OR w.because = '' AND EXISTS (SELECT 1 FROM bank_payment n
        WHERE n.restore = w.restore AND n.number <= w.notes AND NOT {IS_KNOWN}
        AND n.number > COALESCE((SELECT MAX(b.notes) FROM payment_release b
            WHERE b.restore = w.restore AND b.step = 2 AND b.notes < w.notes), 0)))"""
