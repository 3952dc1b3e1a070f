"""Who has inspected its readers on a day: `onecard ledger inspections DATABASE` (R17, R7.3).

The books are opened for reading only. "~" between two times: the reader did not know better.
"""

import csv
import io
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path

from ledger.inspections import INSPECTED, MISSING, TIME_UNKNOWN_S, Fault, Look, ReaderDay, of_day
from protocols.rules import reasons
from protocols.rules.reason_texts import TEXTS
from tools.ledger_attendance import BadDate
from tools.ledger_forks import opened

ALL_INSPECTED, SOME_MISSING = 0, 1
_DAY_S = 86_400
_COLUMNS = (
    "merchant",
    "name",
    "device",
    "site",
    "department",
    "state",
    "from",
    "to",
    "record",
    "wrong",
    "waiting",
    "battery_mv",
    "faults",
    "standing",
)


def find(path: Path, day: str, utc_offset_s: int) -> list[ReaderDay]:
    """Each reader on the local day "2026-11-26". NotBooks, BadDate."""
    try:
        from_s = _DAY_S * (date.fromisoformat(day) - date(1970, 1, 1)).days - utc_offset_s
    except ValueError as error:
        raise BadDate(f"'{day}' is not a day such as 2026-11-26") from error
    with opened(path) as store:
        return of_day(store.database, from_s, from_s + _DAY_S)


def code_of(found: list[ReaderDay]) -> int:
    """Whether for any reader there is no proof."""
    is_missing = any(each.state != INSPECTED for each in found)
    return SOME_MISSING if is_missing else ALL_INSPECTED


def to_text(found: list[ReaderDay], day: str, utc_offset_s: int) -> str:
    """For people: by merchant, and in the end whom to remind."""
    lines = [f"Inspections of {day}"]
    remind = []
    for (merchant_no, name), group in groupby(found, lambda one: (one.merchant_no, one.merchant)):
        readers = list(group)
        lines.append(f"merchant {merchant_no}, {name}")
        for each in readers:
            lines += _paragraph(each, utc_offset_s)
        missing = [str(each.device) for each in readers if each.state != INSPECTED]
        if missing:
            remind.append(f"  merchant {merchant_no}, {name}: {', '.join(missing)}")
    if not found:
        lines.append("no reader of a merchant is registered")
    return "\n".join(lines + (["To remind (R7.3):", *remind] if remind else []))


def to_csv(found: list[ReaderDay], utc_offset_s: int) -> str:
    """For a spreadsheet: a line for each reader; reasons and records by their numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in found:
        look = each.look
        cells: tuple[object, ...] = ("",) * 6
        if look is not None:
            times = _time(look.earliest_s, utc_offset_s), _time(look.latest_s, utc_offset_s)
            wrong = " ".join(map(str, look.wrong))
            cells = (*times, look.seq, wrong, look.waiting, look.battery_mv)
        whose = each.merchant_no, each.merchant, each.device, each.site, each.department
        standing = [fault.seq for fault in each.faults if fault.end is None]
        faults = [fault.seq for fault in each.faults]
        words = (" ".join(map(str, numbers)) for numbers in (faults, standing))
        writer.writerow((*whose, each.state, *cells, *words))
    return out.getvalue().rstrip("\n")


def _paragraph(each: ReaderDay, utc_offset_s: int) -> list[str]:
    who = f"  reader {each.device}, {each.site}"
    who += f" ({each.department})" if each.department else ""
    look = each.look
    if each.state == MISSING:
        last = "" if look is None else f", last {_when(look, utc_offset_s)}, record {look.seq}"
        lines = [f"{who}: NOT INSPECTED{last}"]
    else:
        assert look is not None
        word = "inspected" if each.state == INSPECTED else "PERHAPS INSPECTED"
        wrong = "; ".join(_reason(reason) for reason in look.wrong) or "in order"
        when = _when(look, utc_offset_s)
        lines = [f"{who}: {word} {when}, record {look.seq}: {wrong}"]
        if look.waiting:
            lines.append(f"    {look.waiting} records waited")
    return lines + [f"    {_fault(fault, utc_offset_s)}" for fault in each.faults]


def _fault(fault: Fault, utc_offset_s: int) -> str:
    told = f"fault reported {_when(fault, utc_offset_s)}, record {fault.seq}"
    if fault.last_reason != reasons.APPROVED:
        told += f", after {_reason(fault.last_reason)}"
    if fault.end is None:
        return f"{told}: STANDS"
    return f"{told}: ended {_when(fault.end, utc_offset_s)}, record {fault.end.seq}"


def _reason(number: int) -> str:
    return f"{number} ({TEXTS[number][0]})" if number in TEXTS else str(number)


def _when(of: Look | Fault, utc_offset_s: int) -> str:
    first, last = _time(of.earliest_s, utc_offset_s), _time(of.latest_s, utc_offset_s)
    return first if of.latest_s - of.earliest_s <= 1 else f"{first or '?'} ~ {last or '?'}"


def _time(utc_s: int, utc_offset_s: int) -> str:
    if not 0 < utc_s < TIME_UNKNOWN_S:
        return ""
    return datetime.fromtimestamp(utc_s + utc_offset_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
