"""Whether the books balance today: one line, and below it what does not, reader and record.

Rules of this file. It looks at one day, by indexes, so that it is shown at once however old the
books are; `onecard ledger check` goes through all of them. Red: balances that are not nothing in
all, a sale of the day that is not booked as its record says, records that are missing behind a
gap, and a case with money of that day that two persons have not settled. What is not known yet is
told beside it: sales without an outcome, readers that have not spoken, older cases.
A case is of the time of its record, or of the last sale that its reader wrote before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.bearers import LOSSES
from ledger.console import typed
from ledger.console.asked import Asked, Page, Shown
from ledger.console.texts import Texts
from ledger.dialect import Dialect
from ledger.evidence import State
from ledger.made_good import IS_DONE
from ledger.quiescence import marks_time, read
from ledger.retirement import IN_USE
from ledger.transfers import SPEND_LINE

SHOWN_MAX = 50
_SUM = "SELECT COALESCE(SUM(balance_fen), 0) FROM account"
_OF_DAY = f"""i.state = {int(State.COMMITTED)} AND i.credit_no = 0
    AND i.earliest_s >= ? AND i.earliest_s < ?"""
# In the order of expressions: by that of the key PostgreSQL would go through every sale there is.
_APART = f"""
SELECT i.device, i.seq, i.amount_fen, COALESCE(t.amount_fen, 0) FROM intent i
LEFT JOIN transfer t ON t.device = i.device AND t.seq = i.seq AND t.line = {SPEND_LINE}
WHERE {_OF_DAY} AND i.amount_fen <> COALESCE(t.amount_fen, 0)
ORDER BY i.device + 0, i.seq + 0 LIMIT {SHOWN_MAX}"""
_TAKEN = f"SELECT COUNT(*), COALESCE(SUM(i.amount_fen), 0) FROM intent i WHERE {_OF_DAY}"
_UNDECIDED = f"""
SELECT COUNT(*), COALESCE(SUM(amount_fen), 0) FROM intent
WHERE state < {int(State.NOT_COMMITTED)} AND credit_no = 0 AND amount_fen > 0
AND earliest_s < ?"""
_GAPS = f"""
SELECT d.device, d.head_seq + 1, MIN(p.seq) FROM parked p JOIN device d ON d.device = p.device
WHERE {IN_USE} GROUP BY d.device, d.head_seq ORDER BY d.device"""
_CASES = f"""
SELECT c.reason, c.device, c.seq, (SELECT i.earliest_s FROM intent i
    WHERE i.device = c.device AND i.seq <= c.seq ORDER BY i.seq DESC LIMIT 1)
FROM suspense_case c WHERE c.reason IN ({", ".join(map(str, sorted(LOSSES)))})
AND NOT {IS_DONE}
ORDER BY c.reason, c.device, c.seq"""
_HEADS = f"""
SELECT d.device, d.site, r.sealed FROM device d
LEFT JOIN record r ON r.device = d.device AND r.seq = d.head_seq
WHERE NOT EXISTS (SELECT 1 FROM door o WHERE o.device = d.device) AND {IN_USE}
ORDER BY d.device"""


@dataclass(frozen=True, slots=True)
class Apart:
    """What does not balance: text, reader, record (0: none), and what was said and booked."""

    text: str
    device: int
    seq: int
    said_fen: int | None = None
    booked_fen: int | None = None
    reason: int = 0


@dataclass(frozen=True, slots=True)
class Balance:
    """`apart`: what makes it red, the first SHOWN_MAX of each sort."""

    apart: tuple[Apart, ...]
    count: int
    taken_fen: int
    undecided: tuple[int, int]
    unheard: tuple[tuple[int, str], ...]
    older_cases: int


def of_day(database: Dialect, from_s: int, to_s: int) -> Balance:
    """Of sales from `from_s` up to `to_s` (UTC)."""
    ((off_fen,),) = database.rows(_SUM)
    apart = [Apart("apart_sum", 0, 0, 0, int(off_fen))] if off_fen else []
    for device, seq, said_fen, booked_fen in list(database.rows(_APART, (from_s, to_s))):
        apart.append(Apart("apart_sale", device, seq, said_fen, booked_fen))
    apart += [Apart("apart_gap", row[0], row[1]) for row in list(database.rows(_GAPS))]
    cases = list(database.rows(_CASES))
    own = [row for row in cases if row[3] is not None and from_s <= row[3] < to_s]
    apart += [Apart("apart_case", row[1], row[2], reason=row[0]) for row in own[:SHOWN_MAX]]
    ((count, taken_fen),) = database.rows(_TAKEN, (from_s, to_s))
    ((open_count, open_fen),) = database.rows(_UNDECIDED, (to_s,))
    return Balance(
        tuple(apart),
        count,
        int(taken_fen),
        (open_count, int(open_fen)),
        tuple(_unheard(database, from_s)),
        len(cases) - len(own),
    )


def _unheard(database: Dialect, since_s: int) -> Iterator[tuple[int, str]]:
    """Readers whose newest booked record is not surely of then or later."""
    for device, site, sealed in list(database.rows(_HEADS)):
        fields = read(bytes(sealed)) if sealed else None
        if fields is None or not marks_time(fields, since_s):
            yield device, site


def show(asked: Asked) -> Shown:
    """The line, and what is behind it."""
    day = typed.day_in_query(asked)
    from_s = typed.begins_s(asked, day)
    with asked.store.database.reading():
        found = of_day(asked.store.database, from_s, from_s + typed.DAY_S)
    return Shown("balance.html", {"balance": found, "day": day, "shown_max": SHOWN_MAX})


PAGES = (
    Page(
        "/balance",
        ("今日是否平账", "Does it balance"),
        show,
        verbs=("period.close", "period.centre", "period.audit"),
        menu="menu_money",
        access_key="b",
    ),
)
TEXTS: Texts = {
    "balances": ("平账", "It balances"),
    "balances_not": ("不平", "It does not balance"),
    "balance_of": ("日期", "Day"),
    "balance_look": ("查看这一天", "Look at this day"),
    "balance_sales": ("已成交笔数", "Committed sales"),
    "balance_taken": ("成交金额", "What they come to"),
    "balance_apart": ("不平在这里", "Where it does not"),
    "balance_what": ("情况", "What"),
    "balance_said": ("记录金额", "As recorded"),
    "balance_booked": ("入账金额", "As booked"),
    "balance_unknown": ("还不知道的", "Not known yet"),
    "balance_undecided": ("结果未明的消费（笔，元）", "Sales without an outcome (how many, yuan)"),
    "balance_unheard": (
        "这一天还没有消息的终端",
        "Readers that have not spoken since that day began",
    ),
    "balance_older": ("其他日期未结的有钱差错", "Open cases with money of other days"),
    "balance_whole": (
        "这里只看一天；全部账簿由 onecard ledger check 逐笔核对。",
        "This looks at one day; onecard ledger check goes through all of the books.",
    ),
    "apart_sum": (
        "所有账户余额之和不为零：请图书信息中心运行 onecard ledger check",
        "all balances do not come to nothing: the information centre runs onecard ledger check",
    ),
    "apart_sale": (
        "记录与入账不同：请图书信息中心运行 onecard ledger check",
        "the record says another amount than is booked: onecard ledger check",
    ),
    "apart_gap": (
        "从这个记录号起缺记录：请让终端联网，补传后自动入账",
        "records from this one on are missing: get the reader online, and they are booked",
    ),
    "apart_case": ("有钱的差错未结：点开处理", "a case with money is open: open it"),
    "of_reader": ("终端", "Reader"),
    "of_record": ("记录号", "Record"),
}
