"""Shifts and who works in them: `onecard ledger attendance shift`, `staff`, `roster` (R7.4)."""

import re
from collections.abc import Callable
from pathlib import Path

from adapters.spreadsheet import SpreadsheetRefused, table
from ledger.privacy import masked, reveal_roster
from ledger.rosters import DAYS, Place, Roster, RosterRefused, Rosters, Shift
from ledger.timesheet_book import hours_text
from protocols.rules import clock
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput, date_of, day_of
from tools.session import signing

COLUMNS = {"person_no": "工号", "team": "班组", "shift": "班次", "from": "起始日"}
NOWHERE = ("-", "离职")
_DAY_MIN = 1440
_CLOCK = "([0-2][0-9]):([0-5][0-9])"
_DAYS = re.compile("([a-z]{3})(?:-([a-z]{3}))? (.+)")
_HOURS = re.compile(f"{_CLOCK}-{_CLOCK}")


def set_shift(
    path: Path, name: str, hours: str, facts: tuple[str, int], by: str, now_s: int
) -> str:
    """Say the hours of a shift; `facts`: from which day on, minutes of grace.

    NotBooks, NotAllowed, RosterRefused, BadInput, StoreUnavailable.
    """
    first, grace_min = facts
    days, (own, *more) = read_hours(hours)
    shift = Shift(name, day_of(first), days, *own, grace_min, tuple(more))
    with signing(path, by, now_s) as (store, who):
        Rosters(store.database).set_shift(shift, who, now_s)
    return f"shift {name}: {hours_text(shift)} from {first} on"


def enter(path: Path, file: Path, by: str, now_s: int) -> str:
    """Enter a list (xlsx, CSV), all of it or none. As `set_shift`."""
    lines = _read(file)
    with signing(path, by, now_s) as (store, who):
        news = Rosters(store.database).place(lines, who, now_s)
    return f"{len(lines)} lines, {news} of them news"


def show(path: Path, day: str, utc_offset_s: int, why: tuple[str, str], now_s: int) -> str:
    """Who works where on a day, "" for today; `why`: the reason to see numbers unmasked, and who.

    NotBooks, NotAllowed, BadInput, StoreUnavailable.
    """
    asked = day_of(day) if day else clock.day(now_s, utc_offset_s)
    roster, shown = told(path, f"roster of {date_of(asked)}", why, now_s)
    lines = [_line(roster, person_no, asked, shown) for person_no in roster.people([asked])]
    return "\n".join([f"On {date_of(asked)}:", *(lines or ["nobody"])])


def told(
    path: Path, what: str, why: tuple[str, str], now_s: int
) -> tuple[Roster, Callable[[str], str]]:
    """The roster, and how the number of a person on it is told: masked, or behind an act as it is.

    `why`: ("", ...) for masked. As `show`.
    """
    because, by = why
    if because:
        with signing(path, by, now_s) as (store, who):
            reveal_roster(store.database, what, who, because, now_s)
            return Rosters(store.database).roster(), str
    with opened(path) as store:
        return Rosters(store.database).roster(), masked


def read_hours(text: str) -> tuple[int, list[tuple[int, int]]]:
    """(days, stretches) of "mon-fri 08:00-12:00,13:00-17:00"; each is (from_min, to_min).

    What ends before it begins, or begins before the one before has ended, is of the next day.
    """
    found = _DAYS.fullmatch(text)
    first, last = (found[1], found[2] or found[1]) if found else ("", "")
    stretches = [_HOURS.fullmatch(each) for each in found[3].split(",")] if found else [None]
    if None in stretches or first not in DAYS or last not in DAYS:
        raise BadInput(
            f'{text!r}: a shift is like "mon-fri 08:00-12:00,13:00-17:00", or "mon 22:00-06:00"'
        )
    from_day, to_day = DAYS.index(first), DAYS.index(last)
    if from_day > to_day:
        raise BadInput(f"{text!r}: a week begins on Monday")
    told: list[tuple[int, int]] = []
    for each in stretches:
        assert each is not None
        from_min, to_min = (60 * int(each[at]) + int(each[at + 1]) for at in (1, 3))
        if from_min >= _DAY_MIN or to_min > _DAY_MIN:
            raise BadInput(f"{text!r}: a day has 24 hours")
        from_min += _DAY_MIN * bool(told and from_min < told[-1][1])
        told.append((from_min, to_min + _DAY_MIN * _days_on(from_min, to_min)))
    return sum(1 << day for day in range(from_day, to_day + 1)), told


def _days_on(from_min: int, to_min: int) -> int:
    """How many days behind the one where a shift begins an end is, as it is said."""
    return (from_min - to_min) // _DAY_MIN + 1 if to_min <= from_min else 0


def _read(file: Path) -> list[tuple[int, Place]]:
    try:
        rows = table(file.read_bytes(), COLUMNS)
    except (OSError, SpreadsheetRefused) as error:
        raise BadInput(f"{file}: {error}") from None
    lines = []
    for number, (person_no, team, shift, first) in rows:
        try:
            day = day_of(first)
        except BadInput as error:
            raise RosterRefused(f"line {number}: {error}") from None
        place = Place(person_no, day, "", "") if shift in NOWHERE else None
        lines.append((number, place or Place(person_no, day, team, shift)))
    if not lines:
        raise BadInput(f"{file}: no lines")
    return lines


def _line(roster: Roster, person_no: str, day: int, shown: Callable[[str], str]) -> str:
    place, hours = roster.place(person_no, day), roster.hours(person_no, day)
    assert place is not None
    when = "need not come" if hours is None else hours_text(hours)
    return f"  {shown(person_no)}, {place.team}, {place.shift}: {when}"
