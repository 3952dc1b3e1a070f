"""Shifts, and who works in which team and shift from which day on (R7.4).

Rules of this file. What holds on a day is what was said last for the latest day up to it, so a
month of before is judged by the hours of then (R26), and what was wrong is said again for the same
day; nothing is taken back. Days are those of the school, counted from 1970. A person is the number
by which the school knows them; whether they have a card by now is another matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from ledger.dialect import Dialect
from ledger.holders import DAY_MAX, is_person_no
from ledger.signatures import signed

SHIFT_CHARS_MAX, TEAM_CHARS_MAX, PERSON_CHARS_MAX = 16, 32, 32
SHIFT_MIN_MAX, GRACE_MIN_MAX = 960, 120
PARTS_MAX = 4
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # as the bits of a mask
_DAY_MIN = 1440
_SHIFTS = """
SELECT number, shift, from_day, days, from_min, to_min, grace_min FROM shift_change
ORDER BY number"""
_PARTS = "SELECT number, from_min, to_min FROM shift_part ORDER BY number, part"
_ROSTER = "SELECT person_no, from_day, team, shift FROM roster_change ORDER BY number"
_Said = TypeVar("_Said")
_ADD_SHIFT = "INSERT INTO shift_change VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_PART = "INSERT INTO shift_part VALUES (?, ?, ?, ?)"
_ADD_PLACE = "INSERT INTO roster_change VALUES (?, ?, ?, ?, ?, ?, ?)"


class RosterRefused(Exception):
    """Nothing was changed; the text says why, and of which line, never of whom."""


@dataclass(frozen=True, slots=True)
class Shift:
    """The hours of a shift from a day on; `days` is a mask with Monday in bit 0.

    `to_min` beyond 1,440 is on the next day. Who comes `grace_min` late is not late. `more`: the
    stretches (from_min, to_min) behind a break, or a second time in the day; each has its punches.
    """

    name: str
    from_day: int
    days: int
    from_min: int
    to_min: int
    grace_min: int
    more: tuple[tuple[int, int], ...] = ()

    @property
    def stretches(self) -> tuple[tuple[int, int], ...]:
        """All of them, in order."""
        return (self.from_min, self.to_min), *self.more

    def is_on(self, day: int) -> bool:
        """Whether it works on a day (1970-01-01 was a Thursday)."""
        return bool(self.days >> (day + 3) % 7 & 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a person works from a day on; `team` and `shift` "": nowhere."""

    person_no: str = field(repr=False)
    from_day: int
    team: str
    shift: str


class Roster:
    """What was said of shifts and places, to be asked what holds on a day. Pure."""

    def __init__(self, shifts: Iterable[Shift], places: Iterable[Place]) -> None:
        self._shifts: dict[str, dict[int, Shift]] = {}
        for shift in shifts:
            self._shifts.setdefault(shift.name, {})[shift.from_day] = shift
        self._places: dict[str, dict[int, Place]] = {}
        for place in places:
            self._places.setdefault(place.person_no, {})[place.from_day] = place

    def shift(self, name: str, day: int) -> Shift | None:
        """The hours of a shift on a day; None: it has none yet."""
        return _on(self._shifts.get(name, {}), day)

    def place(self, person_no: str, day: int) -> Place | None:
        """Where a person works on a day; None: nowhere."""
        place = _on(self._places.get(person_no, {}), day)
        return place if place is not None and place.shift else None

    def hours(self, person_no: str, day: int) -> Shift | None:
        """The shift that a person has on a day; None: they need not come."""
        place = self.place(person_no, day)
        shift = None if place is None else self.shift(place.shift, day)
        return shift if shift is not None and shift.is_on(day) else None

    def people(self, days: Iterable[int]) -> list[str]:
        """Who works somewhere on any of these days, in the order of their numbers."""
        asked = list(days)
        return sorted(who for who in self._places if any(self.place(who, day) for day in asked))

    def said_of(self, person_no: str, from_day: int) -> Place | None:
        """What was said last for just that day."""
        return self._places.get(person_no, {}).get(from_day)

    def said_of_shift(self, name: str, from_day: int) -> Shift | None:
        """What was said last for just that day."""
        return self._shifts.get(name, {}).get(from_day)


class Rosters:
    """The shifts and places in the books. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def roster(self) -> Roster:
        """All that was said so far."""
        return Roster(self.shifts(), [Place(*row) for row in self._database.rows(_ROSTER)])

    def shifts(self) -> list[Shift]:
        """Each word on a shift, in order."""
        more: dict[int, list[tuple[int, int]]] = {}
        for number, from_min, to_min in self._database.rows(_PARTS):
            more.setdefault(number, []).append((from_min, to_min))
        rows = list(self._database.rows(_SHIFTS))
        return [Shift(*row, more=tuple(more.get(number, ()))) for number, *row in rows]

    def set_shift(self, shift: Shift, person: str, time_s: int) -> None:
        """Say the hours of a shift from a day on. Again, the same: nothing.

        RosterRefused, NotAllowed.
        """
        _check_word("a shift", shift.name, SHIFT_CHARS_MAX)
        _check_word("who says it", person, PERSON_CHARS_MAX)
        _check_stretches(shift)
        if not 0 < shift.days <= 127 or not 0 <= shift.grace_min <= GRACE_MIN_MAX:
            raise RosterRefused(f"a shift has days, and {GRACE_MIN_MAX} minutes of grace at most")
        _check_day(shift.from_day)
        with self._database.transaction():
            about = f"shift {shift.name}"
            person = signed(self._database, "roster.set", person, time_s, about)
            if self.roster().said_of_shift(shift.name, shift.from_day) == shift:
                return
            facts = shift.days, shift.from_min, shift.to_min, shift.grace_min, person, time_s
            number = self._next("shift_change")
            self._database.many(_ADD_SHIFT, [(number, shift.name, shift.from_day, *facts)])
            parts = [(number, part, *hours) for part, hours in enumerate(shift.more, 2)]
            self._database.many(_ADD_PART, parts)

    def place(self, lines: Sequence[tuple[int, Place]], person: str, time_s: int) -> int:
        """Enter a list (number of its line, what it says), all of it or none; how many are news.

        RosterRefused names the line. NotAllowed.
        """
        _check_word("who enters it", person, PERSON_CHARS_MAX)
        seen: dict[tuple[str, int], int] = {}
        with self._database.transaction():
            about = f"a list of {len(lines)} lines"
            person = signed(self._database, "roster.set", person, time_s, about)
            known = self.roster()
            news = []
            for line, place in lines:
                self._check(known, line, place)
                before = seen.setdefault((place.person_no, place.from_day), line)
                if before != line:
                    raise RosterRefused(f"line {line}: the person and day of line {before} again")
                if known.said_of(place.person_no, place.from_day) != place:
                    news.append(place)
            number = self._next("roster_change")
            rows = [
                (at, one.person_no, one.from_day, one.team, one.shift, person, time_s)
                for at, one in enumerate(news, number)
            ]
            self._database.many(_ADD_PLACE, rows)
        return len(rows)

    def _check(self, known: Roster, line: int, place: Place) -> None:
        try:
            if not is_person_no(place.person_no):
                raise RosterRefused("no number of a person")
            _check_day(place.from_day)
            if place.team or place.shift:
                _check_word("a team", place.team, TEAM_CHARS_MAX)
                if known.shift(place.shift, place.from_day) is None:
                    raise RosterRefused("no shift of this name has hours on that day")
        except RosterRefused as error:
            raise RosterRefused(f"line {line}: {error}") from None

    def _next(self, table: str) -> int:
        sql = f"SELECT COALESCE(MAX(number), 0) + 1 FROM {table}"
        ((number,),) = self._database.rows(sql)
        return number


def _on(said: Mapping[int, _Said], day: int) -> _Said | None:
    """What holds on a day, of what was said from which day on."""
    begun = [from_day for from_day in said if from_day <= day]
    return said[max(begun)] if begun else None


def _check_stretches(shift: Shift) -> None:
    """One behind the other, all of them within SHIFT_MIN_MAX of the first. RosterRefused."""
    behind_min = shift.from_min
    for at, (from_min, to_min) in enumerate(shift.stretches):
        if from_min < behind_min + (at > 0) or to_min <= from_min:
            raise RosterRefused("stretches of a shift follow each other, with a break between")
        behind_min = to_min
    length_min = behind_min - shift.from_min
    if length_min > SHIFT_MIN_MAX or not 0 <= shift.from_min < _DAY_MIN:
        raise RosterRefused(f"a shift is of 1 minute to {SHIFT_MIN_MAX // 60} hours")
    if len(shift.stretches) > PARTS_MAX:
        raise RosterRefused(f"a shift has {PARTS_MAX} stretches at most")


def _check_word(what: str, text: str, chars_max: int) -> None:
    if not 0 < len(text) <= chars_max or not text.isprintable() or text != text.strip():
        raise RosterRefused(f"{what} has a name of 1 to {chars_max} characters")


def _check_day(day: int) -> None:
    if not 0 <= day <= DAY_MAX:
        raise RosterRefused("a day is between 1970 and 2149")
