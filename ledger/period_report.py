"""What merchants got, by period and by day: lines, sums, and the report that four persons approve.

Rules of this file. A line is what one transfer gave a merchant or took; its time is the earliest
that its record may be of, so a mark at a period's end (ledger/period_quiet.py) says that no line
of before is missing. Sales are spends and payments by code; a cancelled one counts where its sale
does. Everything else (corrections) is `other`, and bears no commission. What no record dates is of
before all times: it comes into the next period that is closed. So does what a clock that was ahead
has dated, with the time that it says: no period would ever come to it.

The report is canonical JSON: equal findings have equal bytes, and its hash follows that of the
report before. Money in fen, times in seconds since 1970, hashes in hexadecimal.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ledger.chart import LEDGER_DEVICE
from ledger.closing import IS_CLOSED
from ledger.dialect import Dialect
from ledger.merchant_entries import ENTRIES, Sum, groups, trial_balance
from ledger.period_quiet import Quiet
from ledger.reasons import OF_A_TIME_TO_COME, PAID_AFTER_ITS_END, TOLD_BEHIND_ITS_MARK
from ledger.transfers import SPEND

PER_BP = 10_000
AHEAD_S = 86_400  # behind the moment of closing: what is further off was dated by a wrong clock
_GATHER = f"""
SELECT e.merchant_no, e.device, e.seq, e.line, e.kind, e.amount_fen, e.time_s
FROM ({ENTRIES}) e
WHERE (e.time_s < ? OR e.time_s > ?) AND NOT EXISTS (
    SELECT 1 FROM period_line l WHERE l.device = e.device AND l.seq = e.seq AND l.line = e.line
        AND l.merchant_no = e.merchant_no)"""
_IS_LATE = "CASE WHEN time_s < {from_s} OR time_s >= {until_s} THEN 1 ELSE 0 END"
_SUMS = f"""
SELECT merchant_no, kind, {_IS_LATE} AS is_late, COUNT(*),
    SUM(amount_fen) FROM period_line WHERE period = ?
GROUP BY merchant_no, kind, {_IS_LATE}"""
_LINES = """
SELECT merchant_no, device, seq, line, kind, amount_fen, time_s FROM period_line
WHERE period = ? ORDER BY merchant_no, device, seq, line"""
_MERCHANTS = "SELECT merchant_no FROM merchant ORDER BY merchant_no"
_BEFORE = """
SELECT m.merchant_no, m.sales_fen - m.cancelled_fen + m.brought_turnover_fen,
    m.other_fen + m.brought_fen, m.due_fen,
    CASE WHEN EXISTS (SELECT 1 FROM period_refusal r WHERE r.period = m.period) THEN 1 ELSE 0 END
FROM period_merchant m WHERE m.period = ?"""
_RATES = """
SELECT merchant_no, rate_bp FROM commission_rate c
WHERE number = (SELECT MAX(number) FROM commission_rate WHERE merchant_no = c.merchant_no)"""
_ROWS = """
SELECT number, period, merchant_no, count, sales_fen, cancelled_fen, other_fen, late_count,
    late_fen, brought_turnover_fen, brought_fen, rate_bp, commission_fen, due_fen
FROM period_merchant WHERE period = ? ORDER BY merchant_no"""
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM period_merchant"
_WRITE_LINES = "INSERT INTO period_line VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_CHECKED = {"from_s", "until_s", "previous", "lines_sha256", "merchants"}  # of a report
_HASH = "SELECT sha256 FROM settlement_period WHERE number = ?"
# Of late sales: those whose clock says that they are surely of before.
_SURELY = """
WITH k (reader, number) AS (VALUES {keys})
SELECT device, seq, latest_s FROM k CROSS JOIN intent WHERE device = reader AND seq = number"""
# When a merchant closed, its every entry was in a period: what is in a later one came behind that.
_CLOSED = f"SELECT e.merchant_no FROM merchant_end e WHERE {IS_CLOSED}"
_CASE = "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_READERS = """
SELECT merchant_no, device, COUNT(*), SUM(amount_fen) FROM period_line WHERE period = ?
GROUP BY merchant_no, device ORDER BY merchant_no, device"""
_LATE = "SELECT device, seq, line, merchant_no, kind, amount_fen, time_s FROM period_line"
_LATE += " WHERE period = ? AND (time_s < ? OR time_s >= ?)"
_LATE += " ORDER BY merchant_no, time_s, device, seq, line"


@dataclass(frozen=True, slots=True)
class Due:
    """What a merchant is due of a period: the row `number` of the books.

    `late_fen` of `late_count` lines are of before the period (or of no known time, or of one to
    come), and are in the sums. `brought_turnover_fen` and `brought_fen` come from the period
    before: all of it where its report was refused, what the merchant owes where it was approved.
    """

    number: int
    period: int
    merchant_no: int
    count: int
    sales_fen: int
    cancelled_fen: int
    other_fen: int
    late_count: int
    late_fen: int
    brought_turnover_fen: int
    brought_fen: int
    rate_bp: int
    commission_fen: int
    due_fen: int


def commission(turnover_fen: int, rate_bp: int) -> int:
    """So many hundredths of a percent, half a fen rounded up, of less than nothing likewise down.

    So what is charged for a sale is given back with it, but for the rounding of the whole.
    """
    fen = (abs(turnover_fen) * rate_bp + PER_BP // 2) // PER_BP
    return fen if turnover_fen >= 0 else -fen


@dataclass(frozen=True, slots=True)
class Cut:
    """All that is in a period, as one state of the books has it, and what each merchant is due.

    `lines`: (merchant_no, device, seq, line, kind, amount_fen, time_s) in their order.
    """

    number: int
    lines: list[tuple[int, ...]]
    due: list[Due]
    cases: list[tuple[int, int, int]]


def cut(database: Dialect, number: int, from_s: int, until_s: int, closed_s: int) -> Cut:
    """Everything of before `until_s` that is in no period: that is period `number`.

    So is what is of more than AHEAD_S behind `closed_s`, the time of closing. It only reads, and
    all there ever was: nobody has to wait for it, for what is booked behind it is the next one's.
    """
    lines = sorted(database.rows(_GATHER, (until_s, closed_s + AHEAD_S)))
    sums: dict[int, dict[tuple[int, bool], tuple[int, int]]] = defaultdict(dict)
    for merchant_no, _device, _seq, _line, kind, fen, time_s in lines:
        own, key = sums[merchant_no], (kind, not from_s <= time_s < until_s)
        count, so_far_fen = own.get(key, (0, 0))
        own[key] = count + 1, so_far_fen + fen
    brought = {row[0]: row[1:] for row in database.rows(_BEFORE, (number - 1,))}
    rates = dict(database.rows(_RATES))
    ((next_number,),) = database.rows(_NEXT)
    due = []
    for at, (merchant_no,) in enumerate(list(database.rows(_MERCHANTS))):
        came = _brought(brought.get(merchant_no))
        key = next_number + at, number, merchant_no
        own_sums = [(*kind, *sum_) for kind, sum_ in sums.get(merchant_no, {}).items()]
        due.append(_due(key, own_sums, came, rates.get(merchant_no, 0)))
    return Cut(number, lines, due, _cases(database, number, lines, (from_s, until_s)))


def write(database: Dialect, made: Cut) -> None:
    """Put its lines and what merchants are due into the books, and the cases of what is odd.

    In the transaction of the caller, who closes the period in it.
    """
    database.many(_WRITE_LINES, [(made.number, *line) for line in made.lines])
    marks = ", ".join("?" for _ in Due.__slots__)
    rows = [_row(one) for one in made.due]
    database.many(f"INSERT INTO period_merchant VALUES ({marks})", rows)
    database.many(_CASE, [(*case, b"", b"") for case in made.cases])


def _cases(
    database: Dialect, number: int, lines: list[tuple[int, ...]], span: tuple[int, int]
) -> list[tuple[int, int, int]]:
    """One for each late sale of a reader whose mark was past it when the last period closed.

    And one for each record of a time to come (a person's clock is not a reader's), and for each of
    a merchant that is closed.
    """
    from_s, until_s = span
    sql = "SELECT report FROM settlement_period WHERE number = ?"
    heads = {
        device: head_seq
        for (text,) in list(database.rows(sql, (number - 1,)))
        for device, head_seq, mark_seq, _sha256 in json.loads(text)["readers"]
        if mark_seq
    }
    late = [
        (device, seq)
        for _merchant_no, device, seq, _line, kind, _fen, time_s in lines
        if kind == SPEND and time_s < from_s and seq > heads.get(device, seq)
    ]
    found = database.rows_of(_SURELY, sorted(set(late)))
    cases = [
        (TOLD_BEHIND_ITS_MARK, device, seq) for device, seq, latest_s in found if latest_s < from_s
    ]
    closed = {merchant_no for (merchant_no,) in database.rows(_CLOSED)}
    told = [(line[0], line[1], line[2], line[6]) for line in lines if line[1] != LEDGER_DEVICE]
    ahead = {(device, seq) for _no, device, seq, time_s in told if time_s >= until_s}
    behind = {(device, seq) for no, device, seq, _time_s in told if no in closed}
    cases += [(OF_A_TIME_TO_COME, *place) for place in sorted(ahead)]
    return cases + [(PAID_AFTER_ITS_END, *place) for place in sorted(behind)]


def build(
    database: Dialect, period: tuple[int, str, int, int, str, int], quiet: Quiet, made: Cut
) -> str:
    """The text of a report: of `period` (number, name, from_s, until_s, person, closed_s).

    By the same state of the books as the cut.
    """
    number, name, from_s, until_s, person, closed_s = period
    names = dict(database.rows("SELECT merchant_no, name FROM merchant"))
    decided = database.rows(
        "SELECT device, seq, bar, person, because, time_s FROM open_decision WHERE until_s = ?"
        " ORDER BY device, seq",
        (until_s,),
    )
    barred = {(one.device, one.seq) for one in quiet.blocking}
    keys = ("device", "seq", "bar", "person", "because", "time_s")
    said = [[one.device, one.head_seq, one.seq, one.sha256.hex()] for one in quiet.said]
    fields = {
        "period": number,
        "name": name,
        "from_s": from_s,
        "until_s": until_s,
        "closed_s": closed_s,
        "closed_by": person,
        "previous": _previous(database, number),
        "merchants": [asdict(one) | {"name": names[one.merchant_no]} for one in made.due],
        "lines_sha256": sha256_of(made.lines),
        "readers": said,
        "open": [
            dict(zip(keys, row, strict=True)) for row in decided if (row[0], row[1]) in barred
        ],
        "released": [asdict(one) for one in quiet.released],
        "undecided": [list(row) for row in quiet.undecided],
        "trial_balance": [asdict(one) for one in trial_balance(database)],
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def read_due(database: Dialect, number: int) -> list[Due]:
    """What the merchants are due of a closed period."""
    return [Due(*row) for row in database.rows(_ROWS, (number,))]


def faults(database: Dialect, number: int) -> Iterator[str]:
    """What the books say otherwise than the report of a closed period, in sentences."""
    sql = "SELECT report, sha256, from_s, until_s FROM settlement_period WHERE number = ?"
    for text, sha256, from_s, until_s in list(database.rows(sql, (number,))):
        if hashlib.sha256(text.encode()).digest() != bytes(sha256):
            yield "its hash is not that of what it says"
            return
        said = _read(text)
        if said is None:
            yield "it is no report of a period"
            return
        if (said["from_s"], said["until_s"]) != (from_s, until_s):
            yield "it is of another time"
        if said["previous"] != _previous(database, number):
            yield "it does not follow the report before it"
        if said["lines_sha256"] != lines_sha256(database, number):
            yield "its lines are not those in the books"
        rows = [asdict(one) for one in read_due(database, number)]
        if [{**one, "name": None} for one in rows] != [
            {**one, "name": None} for one in said["merchants"]
        ]:
            yield "what merchants are due is not what the books say"
        yield from _wrong_sums(database, number, from_s, until_s)


def _read(text: str) -> dict[str, Any] | None:
    """A report with what it is checked by; None: it is none."""
    try:
        said = json.loads(text)
    except ValueError:
        return None
    is_report = isinstance(said, dict) and said.keys() >= _CHECKED and _has_merchants(said)
    return said if is_report else None


def _has_merchants(said: dict[str, Any]) -> bool:
    merchants = said["merchants"]
    return isinstance(merchants, list) and all(isinstance(one, dict) for one in merchants)


def lines_sha256(database: Dialect, number: int) -> str:
    """Of all lines of a period, in their order."""
    return sha256_of(database.rows(_LINES, (number,)))


def sha256_of(lines: Iterable[tuple[int, ...]]) -> str:
    """Of lines as they stand in a cut."""
    whole = hashlib.sha256()
    for row in lines:
        whole.update(" ".join(map(str, row)).encode() + b"\n")
    return whole.hexdigest()


def by_reader(database: Dialect, number: int) -> list[tuple[int, int, int, int]]:
    """(merchant_no, device, count, fen) of a period; device 0: what was corrected here."""
    rows = database.rows(_READERS, (number,))
    return [(merchant_no, device, count, int(fen)) for merchant_no, device, count, fen in rows]


def late_lines(database: Dialect, number: int, from_s: int, until_s: int) -> list[tuple[int, ...]]:
    """(device, seq, line, merchant_no, kind, amount_fen, time_s) of each that is not of its time.

    That is what came late, and what was dated by a clock that was ahead.
    """
    return list(database.rows(_LATE, (number, from_s, until_s)))


def _due(
    key: tuple[int, int, int],
    sums: Sequence[Sum],
    brought: tuple[int, int],
    rate_bp: int,
) -> Due:
    count, sales_fen, cancelled_fen, other_fen, late_count, late_fen = groups(sums)
    turnover_fen = sales_fen - cancelled_fen + brought[0]
    charged_fen = commission(turnover_fen, rate_bp)
    due_fen = turnover_fen + other_fen + brought[1] - charged_fen
    own = count, sales_fen, cancelled_fen, other_fen, late_count, late_fen
    return Due(*key, *own, *brought, rate_bp, charged_fen, due_fen)


def _brought(before: tuple[int, int, int, int] | None) -> tuple[int, int]:
    """(turnover, other) that goes on from the period before, of its row."""
    if before is None:
        return 0, 0
    turnover_fen, other_fen, due_fen, is_refused = before
    return (turnover_fen, other_fen) if is_refused else (0, min(due_fen, 0))


def _sums(database: Dialect, number: int, from_s: int, until_s: int) -> dict[int, list[Sum]]:
    sums: dict[int, list[Sum]] = {}
    rows = database.rows(_SUMS.format(from_s=from_s, until_s=until_s), (number,))
    for merchant_no, kind, is_late, count, fen in list(rows):
        sums.setdefault(merchant_no, []).append((kind, bool(is_late), count, int(fen)))
    return sums


def _wrong_sums(database: Dialect, number: int, from_s: int, until_s: int) -> Iterator[str]:
    sums = _sums(database, number, from_s, until_s)
    for one in read_due(database, number):
        brought = one.brought_turnover_fen, one.brought_fen
        key = one.number, number, one.merchant_no
        if one != _due(key, sums.pop(one.merchant_no, []), brought, one.rate_bp):
            yield f"merchant {one.merchant_no}: its lines come to something else"
    for merchant_no in sorted(sums):
        yield f"merchant {merchant_no}: has lines and is not in the report"


def _previous(database: Dialect, number: int) -> str:
    return next((bytes(sha).hex() for (sha,) in database.rows(_HASH, (number - 1,))), "")


def _row(due: Due) -> tuple[int, ...]:
    return tuple(getattr(due, name) for name in Due.__slots__)
