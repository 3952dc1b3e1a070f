"""The report of a closed period: what four persons approve, and its sheet (R7.1)."""

import json
from typing import Any

from ledger import period_sheet
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Refused, Shown
from ledger.console.exports import XLSX
from ledger.console.periods import WORKS_WITH
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.period_reasons import WRONG_SPAN, PeriodRefused
from ledger.period_report import by_reader
from ledger.period_sheet import BARS, Sheet
from ledger.periods import STEPS, Period
from ledger.quiescence import Bar

_PATH = "/periods/{period}"


def show(asked: Asked) -> Shown:
    """What merchants are due, who has signed, and the form of whoever is next."""
    with asked.store.database.reading():
        period = _period(asked)
        told = by_reader(asked.store.database, period.number)
    report = json.loads(period.report)
    merchants = [one for one in report["merchants"] if one["count"] or one["due_fen"]]
    readers: dict[int, list[tuple[int, int, int]]] = {}
    for merchant_no, *rest in told:
        readers.setdefault(merchant_no, []).append((rest[0], rest[1], rest[2]))
    steps = list(STEPS)
    context = {
        "period": period,
        "merchants": merchants,
        "readers": readers,
        "total_fen": sum(max(one["due_fen"], 0) for one in merchants),
        "opened": [one | {"bar": Bar(one["bar"])} for one in report["open"]],
        "bars": BARS,
        "signed": {steps[one[0] - 1]: one[1:] for one in period.approvals},
        "steps": steps,
        "next": "" if period.has_ended else steps[len(period.approvals)],
    }
    return Shown("period_report.html", context)


def sign(asked: Asked) -> str:
    """Approve it as the next step, or refuse it."""
    number, step = typed.in_path(asked, "period"), asked.fields.get("step", "")
    what = number, step, asked.fields.get("sha256", ""), asked.person
    act = asked.fields.get("act")
    if act == "approve":
        asked.store.periods.approve(*what, asked.now_s)
        return f"/periods/{number}?done=approved"
    if act == "refuse":
        asked.store.periods.refuse(*what, typed.text(asked, "because"), asked.now_s)
        return f"/periods/{number}?done=refused"
    raise Refused(BAD_FIELDS, "act")


def show_workbook(asked: Asked) -> Download:
    """The sheet as a workbook."""
    sheet = _sheet(asked)
    return Download(f"period-{asked.path['period']}.xlsx", XLSX, period_sheet.workbook(sheet))


def show_paper(asked: Asked) -> Shown:
    """The sheet as a page to print: all merchants, then one page for each."""
    context: dict[str, Any] = {"sheet": _sheet(asked), "signs": list(STEPS.values())}
    return Shown("period_paper.html", context | {"period_no": typed.in_path(asked, "period")})


def _sheet(asked: Asked) -> Sheet:
    with asked.store.database.reading():
        number = _period(asked).number
        return period_sheet.read(asked.store, number, asked.settings.school_offset_s)


def _period(asked: Asked) -> Period:
    try:
        return asked.store.periods.period(typed.in_path(asked, "period"))
    except PeriodRefused as error:
        if error.reason != WRONG_SPAN:
            raise
        raise Refused(NOTHING_HERE) from None


PAGES = (
    Page(
        _PATH,
        ("结算报告", "Settlement report"),
        show,
        verbs=WORKS_WITH,
        do=sign,
        is_once=False,  # by step and person; it compares every line with the books
    ),
    Page(
        f"{_PATH}/sheet.xlsx",
        ("结算单（Excel）", "Settlement sheet (Excel)"),
        show_workbook,
        verbs=WORKS_WITH,
        is_long=True,  # it goes through each sale of its time
    ),
    Page(
        f"{_PATH}/sheet",
        ("商户结算单", "Settlement sheet"),
        show_paper,
        verbs=WORKS_WITH,
        is_long=True,
    ),
)
