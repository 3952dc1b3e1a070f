"""Payments by aggregate code: a channel's statement comes in, and what matches nothing (R24.1).

The line of a statement is what the channel says, a record what a merchant says; neither moves
money here. What is not verified is shown of seven days, the oldest last, a page at a time; sales
whose reader did not know the time stand in each week.
"""

from ledger.aggregate import StatementRefused
from ledger.aggregate_match import Line, Sale, Status
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import asked_for
from ledger.console.payments import UNREADABLE
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.period_sheet import Cell, Fen
from ledger.statements import read

_SHOWN = 100
_DAYS = 7
_FAULTS_SHOWN = 5
_WHO = ("aggregate.enter", "period.centre")
HEADS = ("来源", "终端/渠道", "记录号/订单号", "商户号", "金额", "最早", "最晚", "状态")
_ZH = {Status.UNVERIFIED: "没有对上", Status.AMBIGUOUS: "对不准，要人看"}


def open_of(
    asked: Asked, last: int
) -> tuple[list[tuple[Sale, Status]], list[tuple[Line, Status]], int]:
    """Of seven days: sales without a line, lines without a sale, and how many are verified."""
    to_s = typed.begins_s(asked, last + 1)
    from_s = max(to_s - _DAYS * typed.DAY_S, 0)
    with asked.store.database.reading():
        found = asked.store.aggregate.matched_of(from_s, to_s)
    sales = [each for each in found.sales.items() if each[1] is not Status.VERIFIED]
    lines = [each for each in found.lines.items() if each[1] is not Status.VERIFIED]
    sales.sort(key=lambda each: (-each[0].earliest_s, each[0]))
    lines.sort(key=lambda each: (-each[0].time_s, each[0]))
    return sales, lines, len(found.pairs)


def show(asked: Asked) -> Shown:
    """What is not verified, and the form for a statement."""
    last = typed.day_in_query(asked)
    sales, lines, verified = open_of(asked, last)
    at = typed.in_query(asked, "page")
    span = slice(at * _SHOWN, (at + 1) * _SHOWN)
    has_more = max(len(sales), len(lines)) > span.stop
    context = {
        "sales": sales[span],
        "lines": lines[span],
        "count": len(sales) + len(lines),
        "verified": verified,
        "more": at + 1 if has_more else 0,
        "first": last - _DAYS + 1,
        "last": last,
        "days": _DAYS,
    }
    return Shown("statements.html", context)


def enter(asked: Asked) -> str:
    """Import a statement: every line of it, or none."""
    sent = asked.files.get("statement")
    if sent is None or not sent.data:
        raise Refused(BAD_FIELDS, "statement")
    try:
        told = read(sent.data)
        made = asked.store.aggregate.enter(told, (asked.person, asked.now_s))
    except StatementRefused as error:
        shown = "; ".join(error.faults[:_FAULTS_SHOWN])
        more = len(error.faults) - _FAULTS_SHOWN
        raise Refused(UNREADABLE, shown + (f"; and {more} more" if more > 0 else "")) from None
    newest_s = max(line.time_s for _number, line in told)
    day = typed.date_of((newest_s + asked.settings.school_offset_s) // typed.DAY_S)
    return f"/statements?day={day}&done={'statement' if made.new else 'statement_known'}"


def show_file(asked: Asked) -> Download:
    """What is not verified, as a file."""
    last = typed.day_in_query(asked)
    sales, lines, _verified = open_of(asked, last)
    rows: list[tuple[Cell, ...]] = [
        ("终端记录", str(one.device), str(one.seq), str(one.merchant_no), Fen(one.amount_fen),
         typed.clock(asked, one.earliest_s), typed.clock(asked, one.latest_s), _ZH[status])
        for one, status in sales
    ]  # fmt: skip
    rows += [
        ("渠道账单", one.channel, one.order_no, str(one.merchant_no), Fen(one.amount_fen),
         typed.clock(asked, one.time_s), "", _ZH[status])
        for one, status in lines
    ]  # fmt: skip
    kind = asked.query.get("as", "")
    name = f"unmatched-{typed.date_of(last)}"
    return asked_for(kind, name, ("未对上", HEADS, rows), asked.now_s)


PAGES = (
    Page(
        "/statements",
        ("聚合码对账", "Aggregate code"),
        show,
        verbs=_WHO,
        do=enter,
        menu="menu_money",
        access_key="a",
        takes_files=True,
    ),
    Page(
        "/statements/open",
        ("未对上的清单", "What matches nothing"),
        show_file,
        verbs=_WHO,
    ),
)
TEXTS: Texts = {
    "st_enter": ("导入渠道账单", "Import a channel's statement"),
    "st_file": (
        "CSV 文件，列：channel, order_no, merchant_no, amount, time",
        "CSV file with the columns channel, order_no, merchant_no, amount, time",
    ),
    "st_send": ("导入", "Import"),
    "st_verified": ("已对上（笔）", "Verified"),
    "st_sales": ("终端记了、账单里没有的", "Recorded, and on no statement"),
    "st_lines": ("账单里有、终端没有记的", "On a statement, and of no record"),
    "st_last": ("到哪一天（七天）", "Up to which day (seven of them)"),
    "st_before": ("前七天", "The seven days before"),
    "st_after": ("后七天", "The seven days after"),
    "st_all_good": ("全部对上。", "Everything is verified."),
    "st_channel": ("渠道", "Channel"),
    "st_order": ("订单号", "Order"),
    "st_status": ("状态", "Status"),
    "st_time": ("时间", "Time"),
    "st_unverified": ("没有对上", "unverified"),
    "st_ambiguous": ("对不准，要人看", "ambiguous: somebody has to look"),
    "as_xlsx": ("下载 Excel", "Excel"),
    "as_csv": ("下载 CSV", "CSV"),
    "done_statement": ("已导入", "Imported"),
    "done_statement_known": ("这份账单以前已经导入过", "All of it was imported before"),
}
