"""What must always hold for dossiers, admissions and duties: a part of ledger/invariants.py."""

from collections.abc import Iterator

from ledger import chart
from ledger.dialect import Dialect, Row
from ledger.procedure_rows import ROWS
from ledger.transfers import COST, COST_LINES

_KIND = 4294967296  # an account's number is kind * this + owner
_WHENS = " ".join(f"WHEN '{item}' THEN {line}" for item, line in COST_LINES.items())
_LINE = f"CASE c.item {_WHENS} END"
_HAS_COME_TO = """EXISTS (SELECT 1 FROM dossier_step s
    WHERE s.dossier = {} AND s.state_after IN ({}))"""
_BOOKED = _HAS_COME_TO.format("c.dossier", "'moved', 'compensated'")
RULES = {
    "a dossier begins with its first step, and each step follows the one before": """
        SELECT s.dossier, s.step, s.state_before FROM dossier_step s
        LEFT JOIN dossier_step p ON p.dossier = s.dossier AND p.step = s.step - 1
        WHERE s.step < 1 OR s.state_before <> COALESCE(p.state_after, 'absent')
        OR s.step > 1 AND p.step IS NULL
        UNION ALL SELECT d.number, 0, '' FROM dossier d WHERE NOT EXISTS (
            SELECT 1 FROM dossier_step s WHERE s.dossier = d.number)""",
    "each step is one of its procedure's table": """
        SELECT s.dossier, s.step, s.verb FROM dossier_step s
        LEFT JOIN dossier d ON d.number = s.dossier AND d.kind = s.kind
        LEFT JOIN procedure_rule r ON r.kind = s.kind AND r.verb = s.verb
            AND r.state_before = s.state_before AND r.state_after = s.state_after
            AND r.role = s.role AND r.act = s.act
        WHERE d.number IS NULL OR r.kind IS NULL""",
    "signatures are of different persons, and nobody signs what he has said": """
        SELECT s.dossier, s.step, s.person FROM dossier_step s
        JOIN dossier_step o ON o.dossier = s.dossier AND o.person = s.person
            AND o.step < s.step AND (o.act = 'sign' AND (o.verb <> s.verb OR s.kind <> 'closing'
                    OR (o.evidence, o.said) = (s.evidence, s.said))
                OR o.step = s.step - 1
                OR o.step = 1 AND s.kind IN ('merchant', 'device', 'relocation', 'damage',
                    'retirement', 'closing'))
        WHERE s.act = 'sign'""",
    "a thing in custody comes from the hands that had it": """
        SELECT s.dossier, s.step, s.given_by FROM dossier_step s
        WHERE s.act IN ('take', 'give') AND s.given_by <> COALESCE((
            SELECT o.person FROM dossier_step o
            WHERE o.dossier = s.dossier AND o.act IN ('take', 'give') AND o.step < s.step
            ORDER BY o.step DESC LIMIT 1), '')
        OR s.act IN ('say', 'sign') AND s.given_by <> ''
        OR s.act = 'give' AND s.given_by <> s.person""",
    "no more readers than five persons have signed for": f"""
        SELECT a.application, f.quantity, COUNT(*) FROM admission a
        LEFT JOIN annex_form f ON f.dossier = a.application
        GROUP BY a.application, f.quantity
        HAVING f.quantity IS NULL OR COUNT(*) > f.quantity
        OR NOT {_HAS_COME_TO.format("a.application", "'approved'")}""",
    "once the register is closed, who is in it was there before or is approved": f"""
        SELECT 'device', v.device FROM device v WHERE EXISTS (SELECT 1 FROM annex_form)
        AND NOT EXISTS (SELECT 1 FROM admission a WHERE a.device = v.device)
        AND NOT EXISTS (SELECT 1 FROM registered_before b
            WHERE b.kind = 'device' AND b.number = v.device)
        UNION ALL SELECT 'merchant', m.merchant_no FROM merchant m
        WHERE EXISTS (SELECT 1 FROM annex_form)
        AND NOT EXISTS (SELECT 1 FROM dossier d WHERE d.kind = 'merchant'
            AND d.merchant_no = m.merchant_no
            AND {_HAS_COME_TO.format("d.number", "'approved'")})
        AND NOT EXISTS (SELECT 1 FROM registered_before b
            WHERE b.kind = 'merchant' AND b.number = m.merchant_no)""",
    "a reader that was admitted is its applicant's": """
        SELECT v.device, v.merchant_no, o.merchant_no FROM admission a
        JOIN dossier o ON o.number = a.application JOIN device v ON v.device = a.device
        WHERE v.merchant_no <> o.merchant_no""",
    "who has five signatures is a merchant, by the name on the form": f"""
        SELECT d.number, d.merchant_no, f.name FROM dossier d
        LEFT JOIN annex_form f ON f.dossier = d.number
        LEFT JOIN merchant m ON m.merchant_no = d.merchant_no
        WHERE d.kind = 'merchant' AND {_HAS_COME_TO.format("d.number", "'approved'")}
        AND (m.name IS NULL OR f.name IS NULL OR m.name <> f.name)""",
    "what a dossier has cost is booked once, when it is due, from who bears it": f"""
        SELECT c.dossier, c.item, c.amount_fen, t.amount_fen FROM dossier_cost c
        JOIN dossier d ON d.number = c.dossier
        LEFT JOIN transfer t ON t.device = {chart.LEDGER_DEVICE} AND t.seq = c.dossier
            AND t.line = {_LINE} AND t.kind = {COST} AND t.credit_account = {chart.EARNED}
            AND t.debit_account = CASE c.bearer WHEN 'merchant'
                THEN {chart.MERCHANT * _KIND} + d.merchant_no ELSE {chart.BANK} END
        WHERE COALESCE(t.amount_fen, 0) <> CASE WHEN {_BOOKED} THEN c.amount_fen ELSE 0 END""",
    "nothing else is booked as the cost of a dossier": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN dossier_cost c ON c.dossier = t.seq AND t.device = {chart.LEDGER_DEVICE}
            AND t.line = {_LINE}
        WHERE t.kind = {COST} AND c.dossier IS NULL""",
    "whoever makes a round was named for it": """
        SELECT o.department, o.site, o.day, o.person FROM duty_round o
        WHERE NOT EXISTS (SELECT 1 FROM duty u WHERE u.department = o.department
            AND u.site = o.site AND u.person = o.person)""",
    "what a round could not put right is a ticket": """
        SELECT o.department, o.site, o.day, i.item FROM duty_round o
        JOIN (SELECT 'devices' AS item UNION ALL SELECT 'network' UNION ALL SELECT 'power') i
            ON CASE i.item WHEN 'devices' THEN o.devices WHEN 'network' THEN o.network
                ELSE o.power END = 2
        WHERE NOT EXISTS (SELECT 1 FROM duty_ticket t JOIN dossier d ON d.number = t.dossier
            WHERE d.kind = 'repair' AND t.department = o.department AND t.site = o.site
            AND t.day = o.day AND t.item = i.item)""",
}
IS_THE_TABLE = "the table of steps in the books is this program's"


def foreign_rows(database: Dialect) -> Iterator[Row]:
    """Rows of `procedure_rule` that are not of the program, and those that are missing."""
    sql = "SELECT kind, verb, state_before, state_after, role, act FROM procedure_rule"
    yield from sorted(set(database.rows(sql)) ^ {tuple(row) for row in ROWS})
