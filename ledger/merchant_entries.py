"""What merchants ever got or gave back, straight from the transfers: by day, by month, in all.

Rules of this file. Reading only. An entry's time is the earliest that its record may be of; what
no record dates has time 0. The settlement's own transfers are no entries. A day is that of the
zone that is asked for. What statements say is what is booked so far: late records change days of
before, and a month's statement says what of it is settled where.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger import chart
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.made_good import OF_CANCELLED
from ledger.procedures import COSTS_BOOKED
from ledger.transfers import (
    ACQUIRE,
    CANCEL,
    CHARGE,
    CODE_SALE,
    CORRECT,
    COST,
    MADE_GOOD_LINE,
    PAID_AFTER_ALL,
    PAY_IN,
    RECOVER,
    RECOVER_LINE,
    REMIT,
    REMITTED,
    SENT_BACK,
    SPEND,
    WRITE_OFF,
)

SALES = (SPEND, CODE_SALE, ACQUIRE)
DAY_S = 86_400
_KIND = 4294967296  # an account's number is kind * this + owner
_BOOKED = ", ".join(f"'{state}'" for state in COSTS_BOOKED.values())
OWN = f"({CHARGE}, {REMIT}, {REMITTED}, {SENT_BACK})"
_OF_SIDE = f"""
SELECT t.device, t.seq, t.line, t.kind,
    t.{{side}}_account - {chart.MERCHANT * _KIND} AS merchant_no,
    {{sign}}t.amount_fen AS amount_fen,
    CASE WHEN t.kind IN ({SPEND}, {CANCEL}) THEN COALESCE(i.earliest_s, 0)
        WHEN t.kind = {CODE_SALE} THEN COALESCE(r.asked_s, 0)
        WHEN t.kind = {ACQUIRE} THEN COALESCE(o.asked_s, 0)
        WHEN t.kind = {CORRECT} THEN COALESCE(c.time_s, 0)
        WHEN t.kind = {COST} THEN COALESCE((SELECT MIN(s.time_s) FROM dossier_step s
            WHERE s.dossier = t.seq AND s.state_after IN ({_BOOKED})), 0)
        WHEN t.kind IN ({PAY_IN}, {PAID_AFTER_ALL}) THEN COALESCE((
            SELECT MIN(p.time_s) FROM merchant_payment p WHERE p.number = t.seq), 0)
        WHEN t.kind = {WRITE_OFF} THEN COALESCE((SELECT MIN(w.time_s) FROM write_off w
            WHERE w.proposal = t.seq), 0)
        ELSE 0 END AS time_s
FROM transfer t
LEFT JOIN intent i ON i.device = t.device AND i.seq = t.seq
LEFT JOIN reservation r ON r.device = t.device AND r.seq = t.seq
LEFT JOIN acquirer_order o ON o.device = t.device AND o.seq = t.seq
LEFT JOIN correction_approval c ON c.number = t.seq AND t.device = {chart.LEDGER_DEVICE}
WHERE t.kind NOT IN {OWN} AND t.{{side}}_account
    BETWEEN {chart.MERCHANT * _KIND} AND {chart.MERCHANT * _KIND + _KIND - 1}"""
# Everything that merchants ever got or gave back, but for their settlement itself.
ENTRIES = " UNION ALL ".join(
    _OF_SIDE.format(side=side, sign=sign) for side, sign in (("credit", ""), ("debit", "-"))
)
_TRIAL = f"""
SELECT kind, SUM(debit), SUM(credit) FROM (
    SELECT debit_account / {_KIND} AS kind, amount_fen AS debit, 0 AS credit FROM transfer
    UNION ALL SELECT credit_account / {_KIND}, 0, amount_fen FROM transfer) e
GROUP BY kind ORDER BY kind"""
# The same of a time (from_s, until_s, four times), from the stretch of an index that has it: what
# records of readers date by those, and what the ledger's own transfers do by all of its own.
_BY_OWN = (CORRECT, COST, PAY_IN, PAID_AFTER_ALL, WRITE_OFF)
_BY_RECORD = (
    (
        "intent",
        "earliest_s",
        f"s.state = {int(State.COMMITTED)} AND s.credit_no = 0 AND",
        (SPEND, CANCEL),
    ),
    ("reservation", "asked_s", "", (CODE_SALE,)),
    ("acquirer_order", "asked_s", "", (ACQUIRE,)),
)
_TIMED = " UNION ALL ".join(
    f"""
SELECT t.kind, t.debit_account, t.credit_account, t.amount_fen, s.{when} AS time_s
FROM {table} s CROSS JOIN transfer t
WHERE {also} s.{when} >= ? AND s.{when} < ? AND t.device = s.device AND t.seq = s.seq
    AND t.kind IN ({", ".join(map(str, kinds))})"""
    for table, when, also, kinds in _BY_RECORD
)
_ENTRIES_OF = " UNION ALL ".join(
    f"""
SELECT m.kind, m.{side}_account - {chart.MERCHANT * _KIND} AS merchant_no,
    {sign}m.amount_fen AS amount_fen, m.time_s
FROM timed m WHERE m.{side}_account
    BETWEEN {chart.MERCHANT * _KIND} AND {chart.MERCHANT * _KIND + _KIND - 1}"""
    for side, sign in (("credit", ""), ("debit", "-"))
)
_OWN_ENTRIES = " UNION ALL ".join(
    _OF_SIDE.format(side=side, sign=sign)
    + f" AND t.device = {chart.LEDGER_DEVICE} AND t.kind IN {_BY_OWN}"
    for side, sign in (("credit", ""), ("debit", "-"))
)
# What a merchant has back of a sale that it had borne (ledger/carry_over.py, ledger/made_good.py):
# nothing dates it.
_UNDATED = f"""
UNION ALL SELECT t.kind, t.credit_account - {chart.MERCHANT * _KIND}, t.amount_fen, 0
FROM correction_approval a JOIN correction p ON p.number = a.number
JOIN transfer t ON t.device = p.device AND t.seq = p.seq AND t.line = {MADE_GOOD_LINE}
    AND t.credit_account = p.debit_account
WHERE a.reason IN {OF_CANCELLED} AND t.credit_account
    BETWEEN {chart.MERCHANT * _KIND} AND {chart.MERCHANT * _KIND + _KIND - 1}
UNION ALL SELECT t.kind, t.credit_account - {chart.MERCHANT * _KIND}, t.amount_fen, 0
FROM load_end e CROSS JOIN cancel c CROSS JOIN transfer t
WHERE c.number = e.number AND t.device = c.device AND t.seq = c.intent_seq
    AND t.line = {RECOVER_LINE} AND t.kind = {RECOVER} AND t.credit_account
    BETWEEN {chart.MERCHANT * _KIND} AND {chart.MERCHANT * _KIND + _KIND - 1}"""
_DAYS = f"""
WITH timed AS ({_TIMED}), entries AS ({_ENTRIES_OF}
UNION ALL SELECT own.kind, own.merchant_no, own.amount_fen, own.time_s
FROM ({_OWN_ENTRIES}) own WHERE own.time_s >= ? AND own.time_s < ?{{undated}})
SELECT (e.time_s + {{offset_s}}) / {DAY_S} AS day, e.merchant_no, e.kind, COUNT(*),
    SUM(e.amount_fen)
FROM entries e GROUP BY (e.time_s + {{offset_s}}) / {DAY_S}, e.merchant_no, e.kind"""


_BALANCES = "SELECT kind, SUM(balance_fen) FROM account GROUP BY kind ORDER BY kind"
_WHERE = f"""
SELECT e.merchant_no, e.kind, COALESCE(l.period, 0), COUNT(*), SUM(e.amount_fen)
FROM ({ENTRIES}) e LEFT JOIN period_line l ON l.device = e.device AND l.seq = e.seq
    AND l.line = e.line AND l.merchant_no = e.merchant_no
WHERE e.time_s >= ? AND e.time_s < ?
GROUP BY e.merchant_no, e.kind, COALESCE(l.period, 0) ORDER BY e.merchant_no"""

# (kind of transfer, is late, count, fen)
Sum = tuple[int, bool, int, int]


@dataclass(frozen=True, slots=True)
class Balance:
    """All accounts of a kind: what moved out of them and into them, ever."""

    kind: str
    debit_fen: int
    credit_fen: int


@dataclass(frozen=True, slots=True)
class Day:
    """What a merchant's records of one day (since 1970, in its zone) came to, as booked so far."""

    day: int
    merchant_no: int
    count: int
    sales_fen: int
    cancelled_fen: int
    other_fen: int


@dataclass(frozen=True, slots=True)
class Month:
    """What a merchant's records of a period's time came to, as booked so far.

    `settled`: (number of a period, fen) of what is settled where, 0 for nowhere yet.
    """

    merchant_no: int
    count: int
    sales_fen: int
    cancelled_fen: int
    other_fen: int
    settled: tuple[tuple[int, int], ...]

    @property
    def fen(self) -> int:
        return self.sales_fen - self.cancelled_fen + self.other_fen


def trial_balance(database: Dialect) -> list[Balance]:
    """Each kind of account, as of now: all debits are all credits."""
    rows = list(database.rows(_TRIAL))
    return [Balance(chart.KIND_NAMES[kind], int(out), int(into)) for kind, out, into in rows]


def days(database: Dialect, from_s: int, until_s: int, utc_offset_s: int) -> list[Day]:
    """What merchants got day by day, of records of that time, in whatever period they are."""
    sums: dict[tuple[int, int], list[Sum]] = {}
    undated = _UNDATED if from_s <= 0 < until_s else ""
    sql = _DAYS.format(offset_s=int(utc_offset_s), undated=undated)
    rows = database.rows(sql, (from_s, until_s) * 4)
    for day, merchant_no, kind, count, fen in list(rows):
        sums.setdefault((day, merchant_no), []).append((kind, False, count, int(fen)))
    return [Day(*key, *groups(sums[key])[:4]) for key in sorted(sums)]


def months(database: Dialect, from_s: int, until_s: int) -> list[Month]:
    """The same of a whole span, and where it is settled."""
    sums: dict[int, list[Sum]] = {}
    settled: dict[int, dict[int, int]] = {}
    for merchant_no, kind, period, count, fen in list(database.rows(_WHERE, (from_s, until_s))):
        sums.setdefault(merchant_no, []).append((kind, False, count, int(fen)))
        own = settled.setdefault(merchant_no, {})
        own[period] = own.get(period, 0) + int(fen)
    return [Month(no, *groups(sums[no])[:4], tuple(sorted(settled[no].items()))) for no in sums]


def untied(database: Dialect, number: int, from_s: int, until_s: int) -> Iterator[str]:
    """Where statements of a closed period do not come to the same fen, in sentences.

    Its days are its month; what is settled in it is its row without what is late; all debits are
    all credits, and each kind's are its balance.
    """
    of_days: dict[int, int] = {}
    for day in days(database, from_s, until_s, 0):
        fen = day.sales_fen - day.cancelled_fen + day.other_fen
        of_days[day.merchant_no] = of_days.get(day.merchant_no, 0) + fen
    found = {one.merchant_no: one for one in months(database, from_s, until_s)}
    sql = "SELECT merchant_no, sales_fen - cancelled_fen + other_fen - late_fen"
    sql += " FROM period_merchant WHERE period = ?"
    for merchant_no, own_fen in list(database.rows(sql, (number,))):
        month = found.get(merchant_no)
        if (month.fen if month else 0) != of_days.get(merchant_no, 0):
            yield f"merchant {merchant_no}: its days are not its month"
        if (dict(month.settled).get(number, 0) if month else 0) != own_fen:
            yield f"merchant {merchant_no}: what it is due is not of its records"
    balances = trial_balance(database)
    if sum(one.debit_fen for one in balances) != sum(one.credit_fen for one in balances):
        yield "debits are not credits"
    kinds = {chart.KIND_NAMES[kind]: int(fen) for kind, fen in database.rows(_BALANCES)}
    for one in balances:
        if kinds.get(one.kind) != one.credit_fen - one.debit_fen:
            yield f"{one.kind}: its accounts are not what its transfers come to"


def groups(sums: Sequence[Sum]) -> tuple[int, int, int, int, int, int]:
    """count, sales, cancelled, other, and late ones of (kind, is late, count, fen)."""
    sales_fen = sum(fen for kind, _, _, fen in sums if kind in SALES)
    cancelled_fen = -sum(fen for kind, _, _, fen in sums if kind == CANCEL)
    other_fen = sum(fen for _, _, _, fen in sums) - sales_fen + cancelled_fen
    late = [(count, fen) for _, is_late, count, fen in sums if is_late]
    count = sum(count for _, _, count, _ in sums)
    late_count, late_fen = sum(one[0] for one in late), sum(one[1] for one in late)
    return count, sales_fen, cancelled_fen, other_fen, late_count, late_fen
