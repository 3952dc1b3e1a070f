"""What must always hold for merchants' settlement: a part of ledger/invariants.py."""

from collections.abc import Iterator

from ledger import chart
from ledger.dialect import Dialect, Row
from ledger.payments.kinds import REMITTANCE
from ledger.payments.rules import rules_of
from ledger.period_report import AHEAD_S, PER_BP, faults
from ledger.transfers import (
    CHARGE,
    CHARGE_LINE,
    REMIT,
    REMIT_LINE,
)

_KIND = 4294967296  # an account's number is kind * this + owner
_PAYABLE = f"{chart.MERCHANT * _KIND} +"
_REMITTANCE = f"{chart.REMITTANCE * _KIND} +"
_BY_FOUR = "(SELECT COUNT(DISTINCT a.person) FROM period_approval a WHERE a.period = m.period) = 4"
_TURNOVER = "(m.sales_fen - m.cancelled_fen + m.brought_turnover_fen)"
RULES = {
    "a line of a period is what a transfer gave its merchant": f"""
        SELECT l.device, l.seq, l.line, l.merchant_no, l.amount_fen FROM period_line l
        LEFT JOIN transfer t ON t.device = l.device AND t.seq = l.seq AND t.line = l.line
        WHERE t.seq IS NULL OR t.kind <> l.kind OR l.amount_fen <>
            CASE WHEN t.credit_account = {_PAYABLE} l.merchant_no THEN t.amount_fen ELSE 0 END -
            CASE WHEN t.debit_account = {_PAYABLE} l.merchant_no THEN t.amount_fen ELSE 0 END""",
    "a line is of before its period's end, or of a time to come when that was closed": f"""
        SELECT l.device, l.seq, l.line, l.period FROM period_line l
        LEFT JOIN settlement_period p ON p.number = l.period
        WHERE p.number IS NULL
        OR l.time_s >= p.until_s AND l.time_s <= p.closed_s + {AHEAD_S}""",
    "a period begins where the one before ends": """
        SELECT p.number, p.from_s, b.until_s FROM settlement_period p
        LEFT JOIN settlement_period b ON b.number = p.number - 1
        WHERE p.from_s <> COALESCE(b.until_s, 0) OR (b.number IS NULL) <> (p.number = 1)""",
    "what a merchant is due follows from its sums": f"""
        SELECT m.number, m.due_fen FROM period_merchant m
        WHERE m.due_fen <> {_TURNOVER} + m.other_fen + m.brought_fen - m.commission_fen
        OR m.commission_fen <> CASE WHEN {_TURNOVER} >= 0 THEN 1 ELSE -1 END
            * ((ABS({_TURNOVER}) * m.rate_bp + {PER_BP // 2}) / {PER_BP})""",
    "what goes on to the next period is what the one before has not paid": """
        SELECT m.number, m.brought_turnover_fen, m.brought_fen FROM period_merchant m
        LEFT JOIN period_merchant b ON b.period = m.period - 1 AND b.merchant_no = m.merchant_no
        LEFT JOIN period_refusal r ON r.period = b.period
        WHERE m.brought_turnover_fen <> CASE WHEN r.period IS NULL THEN 0
            ELSE b.sales_fen - b.cancelled_fen + b.brought_turnover_fen END
        OR m.brought_fen <> CASE WHEN b.number IS NULL THEN 0
            WHEN r.period IS NOT NULL THEN b.other_fen + b.brought_fen
            WHEN b.due_fen < 0 THEN b.due_fen ELSE 0 END""",
    "a report is approved by four persons in turn, none of whom has closed it, or refused": """
        SELECT p.number, COUNT(a.step), MAX(a.step) FROM settlement_period p
        JOIN period_approval a ON a.period = p.number
        LEFT JOIN period_refusal r ON r.period = p.number
        GROUP BY p.number, p.person, r.step
        HAVING COUNT(DISTINCT a.person) <> MAX(a.step) OR COUNT(a.step) <> MAX(a.step)
        OR MAX(CASE WHEN a.person = p.person THEN 1 ELSE 0 END) = 1
        OR COALESCE(r.step, MAX(a.step) + 1) <> MAX(a.step) + 1""",
    "an approved report moves its commission and what is due, and no other does": f"""
        SELECT m.number, m.commission_fen, c.amount_fen, m.due_fen, d.amount_fen
        FROM period_merchant m
        LEFT JOIN transfer c ON c.device = {chart.LEDGER_DEVICE} AND c.seq = m.number
            AND c.line = {CHARGE_LINE} AND c.kind = {CHARGE}
            AND c.debit_account = CASE WHEN m.commission_fen > 0
                THEN {_PAYABLE} m.merchant_no ELSE {chart.COMMISSION} END
            AND c.credit_account = CASE WHEN m.commission_fen > 0
                THEN {chart.COMMISSION} ELSE {_PAYABLE} m.merchant_no END
        LEFT JOIN transfer d ON d.device = {chart.LEDGER_DEVICE} AND d.seq = m.number
            AND d.line = {REMIT_LINE} AND d.kind = {REMIT}
            AND d.debit_account = {_PAYABLE} m.merchant_no
            AND d.credit_account = {_REMITTANCE} m.merchant_no
        WHERE COALESCE(c.amount_fen, 0) <>
            CASE WHEN {_BY_FOUR} THEN ABS(m.commission_fen) ELSE 0 END
        OR COALESCE(d.amount_fen, 0) <>
            CASE WHEN {_BY_FOUR} AND m.due_fen > 0 THEN m.due_fen ELSE 0 END""",
    "nothing else moves as if a merchant were settled": f"""
        SELECT t.device, t.seq, t.line FROM transfer t
        LEFT JOIN period_merchant m ON m.number = t.seq
        WHERE t.kind IN ({CHARGE}, {REMIT}) AND (
            t.device <> {chart.LEDGER_DEVICE} OR t.line <> CASE t.kind
                WHEN {CHARGE} THEN {CHARGE_LINE} ELSE {REMIT_LINE} END
            OR m.number IS NULL)""",
}
AS_REPORTED = "a closed period is what its report says"


def broken(database: Dialect) -> list[str]:
    """Those of these rules, and of payments to merchants, that do not hold; no others."""
    rules = RULES | rules_of(REMITTANCE)
    found = [rule for rule, sql in rules.items() if list(database.rows(sql))]
    return found + [AS_REPORTED] * any(True for _ in not_as_reported(database))


def not_as_reported(database: Dialect) -> Iterator[Row]:
    """(number of a period, what is wrong) of each that its report does not tell."""
    numbers = list(database.rows("SELECT number FROM settlement_period ORDER BY number"))
    for (number,) in numbers:
        for fault in faults(database, number):
            yield number, fault
