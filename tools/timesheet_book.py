"""The month of property staff as a file: `onecard ledger attendance report` (R7.4).

The file is for its owner alone. NotBooks, NotAllowed, BadDate, BadInput, StoreUnavailable.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ledger.timesheet_book import STATES, BadMonth, Report, span_of, workbook
from ledger.timesheet_book import read as read_month
from ledger.timesheets import Timesheet
from tools.ledger_attendance import BadDate
from tools.ledger_batch import write_private
from tools.ledger_forks import opened
from tools.ledger_rosters import told


def write(
    path: Path, month: str, out: Path, utc_offset_s: int, why: tuple[str, str], now_s: int
) -> str:
    """Write the workbook of the month "2026-11"; what is in it.

    `why`: the reason to see numbers unmasked ("": masked), and who.
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
    try:
        span_of(month, utc_offset_s, now_s)  # before an act is written
        shown: Callable[[str], str]
        _roster, shown = told(path, f"month {month}", why, now_s)
        with opened(path) as store:
            return read_month(store, month, utc_offset_s, shown, now_s)
    except BadMonth as error:
        raise BadDate(str(error)) from None
