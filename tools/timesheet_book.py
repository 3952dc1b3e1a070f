"""The month of property staff as a workbook: `onecard ledger attendance report` (R7.4).

Rules of this file. What stands in the timesheet is written, not worked out anew. A text from the
books is a text in the file, never a formula, a link or a number. What was entered by hand is
marked wherever it stands. The same books make the same bytes, but for the month that is not over.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import xlsxwriter

from ledger.attendance import Punch
from ledger.rosters import Roster, Shift
from ledger.timesheets import (
    ABSENT,
    EXTRA,
    ONE,
    OPEN,
    PRESENT,
    UNCLEAR,
    PersonDay,
    Span,
    Timesheet,
    timesheet,
)
from tools.ledger_attendance import BadDate, Zone
from tools.ledger_batch import write_private
from tools.ledger_forks import opened
from tools.ledger_lives import date_of
from tools.ledger_rosters import hours_text, stretch_text, told

STATES = {
    PRESENT: "出勤",
    ONE: "缺一次打卡",
    ABSENT: "缺勤",
    UNCLEAR: "待核实",
    OPEN: "未结束",
    EXTRA: "非排班日出勤",
}
_HAND = "手工"
_SUMMARY_HEADS = ("工号", "班组", "班次", "应出勤", *STATES.values())
_SUMMARY_HEADS += ("迟到次数", "迟到分钟", "早退次数", "早退分钟", "手工补录")
_DAY_HEADS = ("工号", "日期", "班组", "班次", "上下班时间", "到", "离", "状态")
_DAY_HEADS += ("迟到分钟", "早退分钟", "手工补录")
_ENTRY_HEADS = ("编号", "工号", "卡号", "时间", "录入时间", "录入人", "理由", "撤销编号")
_PUNCH_HEADS = ("工号", "卡号", "考勤机", "记录号", "最早", "最晚")
_MACHINE_HEADS = ("考勤机", "已收到的最后记录号", "该记录时间")
_EPOCH = date(1970, 1, 1)

Cell = str | int


@dataclass(frozen=True, slots=True)
class Report:
    """The sheets of a workbook: title, heads and rows of each; the first is the summary.

    `first`: the day that the file says it was made, so that the same books make the same bytes.
    """

    title: str
    first: date
    sheets: tuple[tuple[str, Sequence[str], list[Sequence[Cell]]], ...]


def write(
    path: Path, month: str, out: Path, utc_offset_s: int, why: tuple[str, str], now_s: int
) -> str:
    """Write the workbook of the month "2026-11"; what is in it.

    `why`: the reason to see numbers unmasked ("": masked), and who. NotBooks, NotAllowed, BadDate,
    BadInput, StoreUnavailable.
    """
    report, found = read(path, month, utc_offset_s, why, now_s)
    write_private(out, workbook(report))
    states = Counter(day.state for day in found.days)
    late = sum(day.late_min > 0 for day in found.days)
    early = sum(day.early_min > 0 for day in found.days)
    people = len({day.person_no for day in found.days})
    said = ", ".join(f"{states[state]} {state}" for state in STATES)
    return f"{out}: {people} people, days: {said}; {late} late, {early} early"


def read(
    path: Path, month: str, utc_offset_s: int, why: tuple[str, str], now_s: int
) -> tuple[Report, Timesheet]:
    """The report of a month, and what it is made of. As `write`."""
    span = _span(month, utc_offset_s, now_s)
    zone = Zone(utc_offset_s)
    roster, shown = told(path, f"month {month}", why, now_s)
    with opened(path) as store:
        cards = dict(store.attendance.cards())
        found = timesheet(roster, store.attendance.punches(*span.seconds), cards, span)
        machines = store.attendance.machines()
        entries = store.attendance.entries()
    own = [each for each in entries if _is_in(span, each[2])]
    whose = {card_no: shown(person_no) for card_no, person_no in cards.items()}
    report = Report(
        f"考勤月报 {month}",
        _EPOCH + timedelta(days=span.first),
        (
            ("汇总", _SUMMARY_HEADS, list(_summary(found, shown))),
            ("逐日", _DAY_HEADS, [_day_row(roster, day, zone, shown) for day in found.days]),
            (
                "手工补录",
                _ENTRY_HEADS,
                [_entry_row(each, whose, zone) for each in own],
            ),
            (
                "日期不明",
                _PUNCH_HEADS,
                [_punch_row(shown(who), one, zone) for who, one in found.undated],
            ),
            (
                "名册外打卡",
                _PUNCH_HEADS,
                [_punch_row(whose.get(one.card_no, ""), one, zone) for one in found.others],
            ),
            (
                "考勤机",
                _MACHINE_HEADS,
                [(device, seq, zone.day_and_clock(time_s)) for device, seq, time_s in machines],
            ),
        ),
    )
    return report, found


def workbook(report: Report) -> bytes:
    """An xlsx file."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    created = datetime.combine(report.first, datetime.min.time())
    book.set_properties({"title": report.title, "created": created})
    bold = book.add_format({"bold": True, "bottom": 1})
    for at, (title, heads, rows) in enumerate(report.sheets):
        sheet = book.add_worksheet(title)
        sheet.set_landscape()
        sheet.set_paper(9)  # A4
        sheet.fit_to_pages(1, 0)
        sheet.set_column(0, len(heads) - 1, 14)
        line = 0
        if at == 0:
            sheet.write_string(0, 0, report.title, bold)
            line = 1
        for column, head in enumerate(heads):
            sheet.write_string(line, column, head, bold)
        for number, row in enumerate(rows, line + 1):
            for column, cell in enumerate(row):
                if isinstance(cell, str):
                    sheet.write_string(number, column, cell)
                else:
                    sheet.write_number(number, column, cell)
    book.close()
    return out.getvalue()


def _summary(found: Timesheet, shown: Callable[[str], str]) -> Iterator[Sequence[Cell]]:
    for person_no, group in groupby(found.days, attrgetter("person_no")):
        days = list(group)
        states = Counter(day.state for day in days)
        late = [day.late_min for day in days if day.late_min]
        early = [day.early_min for day in days if day.early_min]
        by_hand = sum(sum(day.by_hand) for day in days)
        due = len(days) - states[EXTRA]
        teams = " ".join(dict.fromkeys(day.team for day in days if day.team))
        shifts = " ".join(dict.fromkeys(day.shift for day in days if day.shift))
        counts = [states[state] for state in STATES]
        late_early = len(late), sum(late), len(early), sum(early)
        yield shown(person_no), teams, shifts, due, *counts, *late_early, by_hand


def _day_row(
    roster: Roster, day: PersonDay, zone: Zone, shown: Callable[[str], str]
) -> Sequence[Cell]:
    hours = roster.hours(day.person_no, day.day)
    is_one_of = hours is not None and bool(hours.more)
    hands = [text for text, is_so in zip(("到", "离"), day.by_hand, strict=True) if is_so]
    return (
        shown(day.person_no),
        date_of(day.day),
        day.team,
        f"{day.shift}（{day.part}）" if is_one_of else day.shift,
        _hours(hours, day.part) if hours else "",
        _when(day.came, zone),
        _when(day.left, zone),
        STATES[day.state],
        day.late_min,
        day.early_min,
        f"{_HAND}：{'、'.join(hands)}" if hands else "",
    )


def _hours(shift: Shift, part: int) -> str:
    """Of a shift with one stretch its days too."""
    return stretch_text(shift.stretches[part - 1]) if shift.more else hours_text(shift)


def _entry_row(
    entry: tuple[int, int, int, int, str, str, int | None], cards: dict[int, str], zone: Zone
) -> Sequence[Cell]:
    number, card_no, time_s, entered_s, person, because, withdraws = entry
    times = zone.day_and_clock(time_s), zone.day_and_clock(entered_s)
    return number, cards.get(card_no, ""), card_no, *times, person, because, withdraws or ""


def _when(punch: Punch | None, zone: Zone) -> str:
    if punch is None:
        return ""
    first, last = map(zone.day_and_clock, (punch.earliest_s, punch.latest_s))
    return first if punch.latest_s - punch.earliest_s <= 1 else f"{first}~{last}"


def _punch_row(person_no: str, punch: Punch, zone: Zone) -> Sequence[Cell]:
    device = _HAND if punch.is_manual else punch.device
    times = map(zone.day_and_clock, (punch.earliest_s, punch.latest_s))
    return person_no, punch.card_no, device, punch.seq, *times


def _span(month: str, utc_offset_s: int, now_s: int) -> Span:
    try:
        first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise BadDate(f"'{month}' is not a month such as 2026-11") from None
    after = (first + timedelta(days=32)).replace(day=1)
    return Span((first - _EPOCH).days, (after - _EPOCH).days - 1, utc_offset_s, now_s)


def _is_in(span: Span, time_s: int) -> bool:
    return span.first <= (time_s + span.utc_offset_s) // 86_400 <= span.last
