"""A merchant's day total beside what its readers have recorded, to sign (R7.1)."""

from ledger import day_totals
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import asked_for
from ledger.console.merchants import WORKS_WITH, merchant
from ledger.console.refusals import BAD_FIELDS, Words
from ledger.console.texts import Texts
from ledger.day_totals import APART, CHANGED, DayRefused
from ledger.period_sheet import Fen

REFUSES = (DayRefused,)
REASONS = {
    CHANGED: Words(
        ("您看过以后又有新记录，合计变了", day_totals.TEXTS[CHANGED]),
        ("页面上已是新的合计，看过再签。", "The page has the new totals: look, then sign."),
    ),
    APART: Words(
        ("终端记录与入账不一致，不能签", day_totals.TEXTS[APART]),
        (
            "先请图书信息中心运行 onecard ledger check。",
            "The information centre runs onecard ledger check first.",
        ),
    ),
}
_PATH = "/merchants/{merchant}/day"
_HEADS = ("商户号", "日期", "终端", "笔数", "终端合计", "入账合计", "撤销", "净额")


def show(asked: Asked) -> Shown:
    """The two totals, reader by reader, and who has signed what."""
    merchant_no = typed.in_path(asked, "merchant")
    day = typed.day(asked.fields.get("day", "")) or typed.day_in_query(asked)
    database = asked.store.database
    with database.reading():
        facts = merchant(database, merchant_no)
        found = day_totals.total(database, merchant_no, day, asked.settings.school_offset_s)
        signed = day_totals.signatures(database, merchant_no, day)
    return Shown("merchant_day.html", {"facts": facts, "total": found, "day": day,
                                       "signed": signed})  # fmt: skip


def sign(asked: Asked) -> str:
    """Sign what was seen."""
    merchant_no, day = typed.in_path(asked, "merchant"), typed.day(typed.text(asked, "day"))
    if day is None:
        raise Refused(BAD_FIELDS, "day")
    what = merchant_no, day, asked.settings.school_offset_s
    sha256 = asked.fields.get("sha256", "")
    day_totals.sign(asked.store.database, what, sha256, asked.person, asked.now_s)
    return f"/merchants/{merchant_no}/day?day={typed.date_of(day)}&done=day_signed"


def show_file(asked: Asked) -> Download:
    """The day as a file."""
    merchant_no, day = typed.in_path(asked, "merchant"), typed.day_in_query(asked)
    database = asked.store.database
    with database.reading():
        merchant(database, merchant_no)
        found = day_totals.total(database, merchant_no, day, asked.settings.school_offset_s)
    rows = [
        (str(merchant_no), typed.date_of(day), str(one.device), one.count, Fen(one.recorded_fen),
         Fen(one.booked_fen), Fen(one.cancelled_fen), Fen(one.booked_fen - one.cancelled_fen))
        for one in found.readers
    ]  # fmt: skip
    kind, name = asked.query.get("as", ""), f"merchant-{merchant_no}-{typed.date_of(day)}"
    return asked_for(kind, name, ("日合计", _HEADS, rows), asked.now_s)


PAGES = (
    Page(_PATH, ("商户日合计", "A merchant's day"), show, verbs=WORKS_WITH, do=sign),
    Page(f"{_PATH}/list", ("商户日合计清单", "Day as a list"), show_file, verbs=WORKS_WITH),
)
TEXTS: Texts = {
    "day_even": ("终端合计与入账合计一致", "Readers and books agree"),
    "day_apart": ("终端合计与入账合计不一致", "Readers and books do not agree"),
    "day_recorded": ("终端合计", "As recorded"),
    "day_booked": ("入账合计", "As booked"),
    "day_cancelled": ("撤销", "Cancelled"),
    "day_net": ("净额", "Net"),
    "day_all": ("合计", "In all"),
    "day_sign": ("核对无误，签字", "Checked: sign it"),
    "day_signed_by": ("签字", "Signed by"),
    "day_signed_old": ("签字以后又有新记录", "more has come since"),
    "day_other": ("看另一天", "Another day"),
    "done_day_signed": ("已签字", "Signed"),
}
