"""Attendance for property staff: `onecard ledger attendance month|enter|withdraw|entries` (R7.4).

The month is read only, so it may be asked for beside the ledger, and of a backup. A card stands
there by its number. "~" between two times: the machine did not know better.
"""

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from ledger.attendance import Day, Month, Punch
from ledger.timesheet_book import BadMonth, first_of
from tools.ledger_forks import opened
from tools.session import signing

_TIME_UNKNOWN_S = 0xFFFFFFFF
_COLUMNS = ("card", "day", "came", "left", "punches", "folded", "by hand")
_ROW = "{:>10}  {:<10}  {:<19}  {:<19}  {:>7}  {:>6}  {}"


class BadDate(Exception):
    """Not a month, a time or a time of day."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Local time, and when a day begins there."""

    utc_offset_s: int
    begins_s: int = 0

    def clock(self, utc_s: int) -> str:
        moment = datetime.fromtimestamp(utc_s + self.utc_offset_s, UTC)
        return moment.strftime("%H:%M:%S")

    def day_and_clock(self, utc_s: int) -> str:
        if utc_s >= _TIME_UNKNOWN_S:
            return "-"
        moment = datetime.fromtimestamp(utc_s + self.utc_offset_s, UTC)
        return moment.strftime("%Y-%m-%d %H:%M:%S")


def zone(utc_offset_s: int, begins: str) -> Zone:
    """A zone whose days begin at "05:00"; BadDate."""
    try:
        moment = datetime.strptime(begins, "%H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise BadDate(f"'{begins}' is not a time of day such as 05:00") from error
    return Zone(utc_offset_s, moment.hour * 3600 + moment.minute * 60)


def month(path: Path, text: str, where: Zone) -> Month:
    """The month `text` ("2026-11") in the database `path`. NotBooks, BadDate."""
    try:
        first = first_of(text)
    except BadMonth as error:
        raise BadDate(str(error)) from None
    with opened(path) as store:
        return store.attendance.month(first, where.utc_offset_s, where.begins_s)


def enter(path: Path, card_no: int, at: str, person: str, because: str, now_s: int) -> int:
    """Enter a punch by hand; its number. NotBooks, BadDate, EntryRefused, StoreUnavailable."""
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise BadDate(f"'{at}' is not a time as in ISO 8601") from error
    if moment.tzinfo is None:
        raise BadDate(f"'{at}' needs its zone, such as +08:00")
    with signing(path, person, now_s) as (store, who):
        time_s = int(moment.timestamp())
        return store.attendance.enter(card_no, time_s, now_s, who, because)


def withdraw(path: Path, number: int, person: str, because: str, now_s: int) -> None:
    """Withdraw an entry. NotBooks, EntryRefused, StoreUnavailable."""
    with signing(path, person, now_s) as (store, who):
        store.attendance.withdraw(number, now_s, who, because)


def entries(path: Path, where: Zone) -> str:
    """Every entry by hand, a line each. NotBooks."""
    lines = []
    with opened(path) as store:
        for (
            number,
            card_no,
            time_s,
            entered_s,
            person,
            because,
            withdraws,
        ) in store.attendance.entries():
            at, entered = where.day_and_clock(time_s), where.day_and_clock(entered_s)
            what = f"withdraws {withdraws}" if withdraws is not None else f"card {card_no} at {at}"
            lines.append(f"{number}: {what}, entered {entered} by {person}: {because}")
    return "\n".join(lines) or "Nothing was entered by hand."


def to_text(found: Month, where: Zone) -> str:
    """For people."""
    lines = [f"Attendance of {found.first:%Y-%m}: first and last punch of each day"]
    if found.days:
        lines.append(_ROW.format(*_COLUMNS))
    lines += [_ROW.format(*_cells(day, where)).rstrip() for day in found.days]
    if found.undated:
        lines += ["", "On which day these were is not known (the machine had no time):"]
    for punch in found.undated:
        between = where.day_and_clock(punch.earliest_s), where.day_and_clock(punch.latest_s)
        record = f"record {punch.device}/{punch.seq}"
        lines.append(f"  card {punch.card_no}, {record}: {between[0]} ~ {between[1]}")
    if not found.days and not found.undated:
        lines.append("Nobody punched.")
    return "\n".join(lines)


def to_csv(found: Month, where: Zone) -> str:
    """For a spreadsheet: the days, and what is undated with an empty day."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(_cells(day, where) for day in found.days)
    for punch in found.undated:
        times = where.day_and_clock(punch.earliest_s), where.day_and_clock(punch.latest_s)
        writer.writerow((punch.card_no, "", *times, 1, 0, ""))
    return out.getvalue().rstrip("\n")


def to_json(found: Month) -> str:
    """As one JSON object; times in seconds since 1970."""
    days = [
        {
            "card_no": day.card_no,
            "day": day.day.isoformat(),
            "came": _fields(day.came),
            "left": None if day.left is None else _fields(day.left),
            "punches": day.punches,
            "folded": day.folded,
        }
        for day in found.days
    ]
    undated = [_fields(punch) | {"card_no": punch.card_no} for punch in found.undated]
    return json.dumps(
        {"month": f"{found.first:%Y-%m}", "days": days, "undated": undated}, indent=2
    )


def _cells(day: Day, where: Zone) -> tuple[object, ...]:
    ends = [punch for punch in (day.came, day.left) if punch is not None]
    hands = [name for name, punch in zip(("came", "left"), ends, strict=False) if punch.is_manual]
    came, left = (_moment(day, punch, where) for punch in (day.came, day.left))
    return day.card_no, day.day.isoformat(), came, left, day.punches, day.folded, " ".join(hands)


def _moment(day: Day, punch: Punch | None, where: Zone) -> str:
    """The time of a punch, and by how many days it is behind the day's date."""
    if punch is None:
        return "-"
    first, last = where.clock(punch.earliest_s), where.clock(punch.latest_s)
    shown = first if punch.latest_s - punch.earliest_s <= 1 else f"{first}~{last}"
    later = (_date(punch.earliest_s, where) - day.day).days
    return f"{shown}+{later}" if later else shown


def _date(utc_s: int, where: Zone) -> date:
    return (date(1970, 1, 1)) + timedelta(seconds=utc_s + where.utc_offset_s)


def _fields(punch: Punch) -> dict[str, Any]:
    return {
        "device": punch.device,
        "seq": punch.seq,
        "earliest_s": punch.earliest_s,
        "latest_s": punch.latest_s,
        "is_manual": punch.is_manual,
    }
