"""The month of property staff as a workbook (R7.4).

Rules of this file. What stands in the timesheet is written, not worked out anew. A text from the
books is a text in the file, never a formula, a link or a number. What was entered by hand is
marked wherever it stands. The same books make the same bytes, but for the month that is not over.
"""

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter

import xlsxwriter

from ledger.attendance import Punch
from ledger.intervals import TIME_UNKNOWN_S
from ledger.rosters import DAYS, Roster, Rosters, Shift
from ledger.store import LedgerStore
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
_DAY_MIN = 1440
_MONTH, _YEARS = re.compile("([0-9]{4})-([0-9]{1,2})"), (1970, 2105)

Cell = str | int
Table = tuple[str, Sequence[str], list[Sequence[Cell]]]  # title, heads, rows
Entry = tuple[int, int, int, int, str, str, int | None]  # as ledger/attendance.py lists them


class BadMonth(Exception):
    """The text is no month of ours."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Local time."""

    utc_offset_s: int

    def day_and_clock(self, utc_s: int) -> str:
        """Such as 2026-11-27 07:58:12; "-": nobody knew."""
        if utc_s >= TIME_UNKNOWN_S:
            return "-"
        moment = datetime.fromtimestamp(utc_s + self.utc_offset_s, UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Report:
    """The sheets of a workbook: title, heads and rows of each; the first is the summary.

    `first`: the day that the file says it was made, so that the same books make the same bytes.
    """

    title: str
    first: date
    sheets: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What a month is made of; `whose`: card -> its person's number as it is told."""

    found: Timesheet
    roster: Roster
    entries: list[Entry]
    whose: dict[int, str]
    span: Span


def summary(
    store: LedgerStore, month: str, utc_offset_s: int, shown: Callable[[str], str], now_s: int
) -> Table:
    """The first sheet of the report of a month, without the others. As `read`."""
    return _summed(_gather(store, month, utc_offset_s, shown, now_s).found, shown)


def read(
    store: LedgerStore, month: str, utc_offset_s: int, shown: Callable[[str], str], now_s: int
) -> tuple[Report, Timesheet]:
    """The report of a month ("2026-11"), and what it is made of. BadMonth.

    `store` has to be one state of the books; `shown`: how a person's number is told.
    """
    what = _gather(store, month, utc_offset_s, shown, now_s)
    found, zone = what.found, Zone(utc_offset_s)
    days = [_day_row(what.roster, day, zone, shown) for day in found.days]
    undated = [_punch_row(shown(who), one, zone) for who, one in found.undated]
    others = [_punch_row(what.whose.get(one.card_no, ""), one, zone) for one in found.others]
    machines: list[Sequence[Cell]] = [
        (device, seq, zone.day_and_clock(time_s))
        for device, seq, time_s in store.attendance.machines()
    ]
    sheets: tuple[Table, ...] = (
        _summed(found, shown),
        ("逐日", _DAY_HEADS, days),
        ("手工补录", _ENTRY_HEADS, [_entry_row(each, what.whose, zone) for each in what.entries]),
        ("日期不明", _PUNCH_HEADS, undated),
        ("名册外打卡", _PUNCH_HEADS, others),
        ("考勤机", _MACHINE_HEADS, machines),
    )
    first = _EPOCH + timedelta(days=what.span.first)
    return Report(f"考勤月报 {month}", first, sheets), found


def _gather(
    store: LedgerStore, month: str, utc_offset_s: int, shown: Callable[[str], str], now_s: int
) -> _Gathered:
    span = span_of(month, utc_offset_s, now_s)
    roster = Rosters(store.database).roster()
    punches = store.attendance.punches(*span.seconds)
    entries = store.attendance.entries()
    cards = store.attendance.people([one.card_no for one in punches] + [one[1] for one in entries])
    found = timesheet(roster, punches, cards, span)
    own = [each for each in entries if _is_in(span, each[2])]
    whose = {card_no: shown(person_no) for card_no, person_no in cards.items()}
    return _Gathered(found, roster, own, whose, span)


def _summed(found: Timesheet, shown: Callable[[str], str]) -> Table:
    return "汇总", _SUMMARY_HEADS, list(_summary(found, shown))


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
        (_EPOCH + timedelta(days=day.day)).isoformat(),
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


def _entry_row(entry: Entry, cards: dict[int, str], zone: Zone) -> Sequence[Cell]:
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


def span_of(month: str, utc_offset_s: int, now_s: int) -> Span:
    """The days of a month such as "2026-11". BadMonth."""
    first = first_of(month)
    after = (first + timedelta(days=32)).replace(day=1)
    return Span((first - _EPOCH).days, (after - _EPOCH).days - 1, utc_offset_s, now_s)


def first_of(month: str) -> date:
    """The first day of a month such as "2026-11", of those that a punch may be of. BadMonth."""
    found = _MONTH.fullmatch(month)
    year, number = map(int, found.groups()) if found else (0, 0)
    if not _YEARS[0] <= year <= _YEARS[1] or not 1 <= number <= 12:
        raise BadMonth(f"'{month}' is not a month such as 2026-11")
    return date(year, number, 1)


def _is_in(span: Span, time_s: int) -> bool:
    return span.first <= (time_s + span.utc_offset_s) // 86_400 <= span.last


def hours_text(shift: Shift) -> str:
    """The words for a shift's hours."""
    names = [name for at, name in enumerate(DAYS) if shift.days >> at & 1]
    days = names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
    return f"{days} {','.join(map(stretch_text, shift.stretches))}"


def stretch_text(hours: tuple[int, int]) -> str:
    """The words for one of them."""
    from_min, to_min = hours[0] % _DAY_MIN, hours[1]
    to_min -= _DAY_MIN * (to_min > _DAY_MIN)
    return f"{from_min // 60:02}:{from_min % 60:02}-{to_min // 60:02}:{to_min % 60:02}"
