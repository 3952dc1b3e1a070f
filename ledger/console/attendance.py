"""The month of property staff: on the page, and as the workbook of R7.4.

Numbers of persons are masked, on the page always, in the file unless somebody says why (ADR 66).
"""

from ledger import timesheet_book
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import XLSX
from ledger.console.refusals import BAD_FIELDS
from ledger.console.texts import Texts
from ledger.privacy import masked, reveal_roster
from ledger.timesheet_book import BadMonth

_SHOWN = 200


def _month(asked: Asked) -> str:
    said = asked.fields.get("month") or asked.query.get("month", "")
    return said.strip() or typed.date_of(asked.today())[:7]


def show(asked: Asked) -> Shown:
    """The summary of a month, the first persons of it; a month that is none: this one."""
    month = _month(asked)
    try:
        with asked.store.database.reading():
            what = month, asked.settings.school_offset_s, masked, asked.now_s
            _title, heads, rows = timesheet_book.summary(asked.store, *what)
    except BadMonth:
        month = typed.date_of(asked.today())[:7]
        return Shown("attendance.html", {"month": month, "heads": (), "rows": [], "count": 0})
    context = {"month": month, "heads": heads, "rows": rows[:_SHOWN], "count": len(rows)}
    return Shown("attendance.html", context)


def write(asked: Asked) -> Download:
    """The workbook of a month; with a reason, which is an act, numbers as they are."""
    month, because = _month(asked), typed.text(asked, "because")
    try:
        timesheet_book.span_of(month, asked.settings.school_offset_s, asked.now_s)
    except BadMonth:
        raise Refused(BAD_FIELDS, "month") from None
    if because:
        about = f"month {month}", asked.person, because, asked.now_s
        reveal_roster(asked.store.database, *about)
    with asked.store.database.reading():
        shown = str if because else masked
        what = month, asked.settings.school_offset_s, shown, asked.now_s
        report, _found = timesheet_book.read(asked.store, *what)
    return Download(f"attendance-{month}.xlsx", XLSX, timesheet_book.workbook(report))


PAGES = (
    Page(
        "/attendance",
        ("物业考勤月报", "Attendance of a month"),
        show,
        verbs=("roster.set",),
        do=write,
        menu="menu_devices",
        access_key="k",
        is_once=False,  # it only reads; its reason is an act each time
    ),
)
TEXTS: Texts = {
    "att_month": ("月份，如 2026-11", "Month, such as 2026-11"),
    "att_look": ("查看", "Look"),
    "att_file": ("下载 Excel 月报", "Download the workbook"),
    "att_because": (
        "要显示完整工号时写明用途（会记入审计）；不写则遮住",
        "Why numbers are needed unmasked (it is kept); empty: they are masked",
    ),
    "att_people": ("人", "people"),
}
