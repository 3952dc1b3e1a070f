"""A month of who works in shifts: when they had to come, and what their punches say (R7.4).

Rules of this file. It is pure. A punch is of the stretch to which it is nearest, so a night shift
is one day, whatever its date, and no punch counts twice; further than NEAR_S from any it is of its
own day. A shift has a stretch for each time that one comes to it: two where it has a break, for
which one punches, or is worked twice a day. First came, last left (attendance.py). A doubt is the
person's: late is who surely was, and who may have punched is not absent but "unclear". What is not
over is "open". Of whom a machine has not told yet is absent here: a report says how far each
machine was heard.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.attendance import Punch, unfolded
from ledger.rosters import Roster

NEAR_S = 6 * 3600
PRESENT, ONE, ABSENT, UNCLEAR, OPEN, EXTRA = "present", "one", "absent", "unclear", "open", "extra"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Span:
    """The days from `first` up to `last`, both inside, since 1970, where the school is.

    `now_s`: what is not over by then is open (UTC).
    """

    first: int
    last: int
    utc_offset_s: int
    now_s: int

    @property
    def seconds(self) -> tuple[int, int]:
        """From when up to when punches may be of these days (UTC)."""
        from_s = self.first * _DAY_S - self.utc_offset_s
        to_s = (self.last + 1) * _DAY_S - self.utc_offset_s
        return max(0, from_s - _DAY_S - NEAR_S), to_s + 2 * _DAY_S + NEAR_S


@dataclass(frozen=True, slots=True)
class PersonDay:
    """A stretch of a day of a person who works in `team` and `shift`; `part` counts from 1.

    `state` is one of the words above.
    `late_min`, `early_min`: minutes begun, 0 for in time. `left`: None where there is one punch.
    """

    person_no: str = field(repr=False)
    day: int
    team: str
    shift: str
    part: int
    state: str
    came: Punch | None
    left: Punch | None
    late_min: int
    early_min: int

    @property
    def by_hand(self) -> tuple[bool, bool]:
        """Whether a person has entered when they came, and when they left."""
        came, left = self.came, self.left
        return came is not None and came.is_manual, left is not None and left.is_manual


@dataclass(frozen=True, slots=True)
class Timesheet:
    """`days` by person and day. `undated`: punches whose day is not known, of those on the roster.

    `others`: punches in these days of cards of nobody who is on it.
    """

    days: tuple[PersonDay, ...]
    undated: tuple[tuple[str, Punch], ...]
    others: tuple[Punch, ...]


def timesheet(
    roster: Roster, punches: Iterable[Punch], cards: dict[int, str], span: Span
) -> Timesheet:
    """The days of `span`; `punches` in order, `cards`: card -> number of its holder."""
    people = roster.people(range(span.first, span.last + 1))
    dated: dict[str, dict[tuple[int, int], list[Punch]]] = {person_no: {} for person_no in people}
    undated: list[tuple[str, Punch]] = []
    others: list[Punch] = []
    for punch in sorted(punches, key=lambda one: (one.earliest_s, one.device, one.seq)):
        person_no = cards.get(punch.card_no, "")
        if person_no not in dated:
            if _may_be_in(span, punch):
                others.append(punch)
            continue
        first, last = (
            _place_of(roster, person_no, time_s, span.utc_offset_s)
            for time_s in (punch.earliest_s, punch.latest_s)
        )
        if first == last:
            dated[person_no].setdefault(first, []).append(punch)
        else:
            undated.append((person_no, punch))
    doubts: dict[str, list[Punch]] = {person_no: [] for person_no in people}
    for person_no, punch in undated:
        doubts[person_no].append(punch)
    days = [
        found
        for who in people
        for day in range(span.first, span.last + 1)
        for part in range(1, max(len(_stretches(roster, who, day)), 1) + 1)
        if (
            found := _judged(
                roster, who, (day, part), dated[who].get((day, part), []), doubts[who], span
            )
        )
    ]
    told = tuple(each for each in undated if _may_be_in(span, each[1]))
    return Timesheet(tuple(days), told, tuple(others))


def _stretches(roster: Roster, person_no: str, day: int) -> tuple[tuple[int, int], ...]:
    """Those of the shift that a person has on a day; (): they need not come."""
    shift = roster.hours(person_no, day)
    return shift.stretches if shift else ()


def _place_of(roster: Roster, person_no: str, time_s: int, utc_offset_s: int) -> tuple[int, int]:
    """(day, part) of the stretch to which a moment is nearest, the earlier of two; else its own
    day, and the first."""
    own = (time_s + utc_offset_s) // _DAY_S
    near = []
    for day in (own - 1, own, own + 1):
        for part, hours in enumerate(_stretches(roster, person_no, day), 1):
            begin_s, end_s = _hours_s(hours, day, utc_offset_s)
            near.append((max(begin_s - time_s, time_s - end_s, 0), day, part))
    distance_s, *place = min(near, default=(NEAR_S + 1, own, 1))
    day, part = place if distance_s <= NEAR_S else (own, 1)
    return day, part


def _judged(
    roster: Roster,
    person_no: str,
    at: tuple[int, int],
    punches: list[Punch],
    doubts: Sequence[Punch],
    span: Span,
) -> PersonDay | None:
    """A stretch, `at` (day, part); None: nobody had to come, and nobody did."""
    day, part = at
    place, shift = roster.place(person_no, day), roster.hours(person_no, day)
    counted = unfolded(punches)
    came = counted[0] if counted else None
    left = counted[-1] if len(counted) > 1 else None
    team, name = (place.team, place.shift) if place else ("", "")
    where = person_no, day, team, name, part
    if shift is None:
        return PersonDay(*where, EXTRA, came, left, 0, 0) if came else None
    begin_s, end_s = _hours_s(shift.stretches[part - 1], day, span.utc_offset_s)
    is_doubtful = any(
        one.earliest_s <= end_s + NEAR_S and one.latest_s >= begin_s - NEAR_S for one in doubts
    )
    late_min = early_min = 0
    if end_s + NEAR_S > span.now_s:
        state = OPEN
    elif left is None:
        known = ONE if came else ABSENT
        state = UNCLEAR if is_doubtful else known
    else:
        state, grace_s = PRESENT, 60 * shift.grace_min
        if not is_doubtful and came is not None:
            late_min = _minutes(came.earliest_s - begin_s, grace_s)
            early_min = _minutes(end_s - left.latest_s, grace_s)
    return PersonDay(*where, state, came, left, late_min, early_min)


def _minutes(late_s: int, grace_s: int) -> int:
    """Minutes begun, if it is more than the grace."""
    return -(-late_s // 60) if late_s > grace_s else 0


def _hours_s(hours: tuple[int, int], day: int, utc_offset_s: int) -> tuple[int, int]:
    """When a stretch (from_min, to_min) of a day begins and ends (UTC)."""
    midnight_s = day * _DAY_S - utc_offset_s
    return midnight_s + 60 * hours[0], midnight_s + 60 * hours[1]


def _may_be_in(span: Span, punch: Punch) -> bool:
    first, last = ((s + span.utc_offset_s) // _DAY_S for s in (punch.earliest_s, punch.latest_s))
    return first <= span.last and last >= span.first
