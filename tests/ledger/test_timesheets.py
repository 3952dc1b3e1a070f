"""A month in shifts: what was surely so, and of what nobody knows no more than that."""

import random
from itertools import pairwise

import pytest

from ledger.attendance import FOLD_S, Punch
from ledger.rosters import Place, Roster, Shift
from ledger.timesheets import (
    ABSENT,
    EXTRA,
    NEAR_S,
    ONE,
    OPEN,
    PRESENT,
    UNCLEAR,
    Span,
    timesheet,
)
from tests.ledger.departments import DAY, EARLY, NIGHT

OFFSET_S, SEED = 28_800, 473
NEVER = (0, 0xFFFFFFFF)
SPAN = Span(DAY, DAY + 6, OFFSET_S, (DAY + 30) * 86_400)  # Thursday to Wednesday
CARDS = {7: "P1", 8: "P1", 9: "P2"}


def at(hour, minute=0, second=0, day=0):
    """A local time of the day `day` behind DAY."""
    return (DAY + day) * 86_400 + 3600 * hour + 60 * minute + second - OFFSET_S


def roster(shift=EARLY, until=None):
    places = [Place("P1", DAY - 9, "保洁", shift.name)]
    places += [Place("P1", until, "", "")] if until else []
    return Roster([EARLY, NIGHT, shift], places)


def sheet(*times, of=None, span=SPAN, device=3001):
    """The days of P1 behind punches at these times, or intervals, of card 7."""
    punches = []
    for seq, when in enumerate(times, 1):
        earliest_s, latest_s = when if isinstance(when, tuple) else (when, when)
        punches.append(Punch(device, seq, 7, earliest_s, latest_s))
    return timesheet(of or roster(), punches, CARDS, span)


def day(found, number=0):
    (one,) = (each for each in found.days if each.day == DAY + number)
    return one.state, one.late_min, one.early_min


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((at(7, 58), at(17, 2)), (PRESENT, 0, 0)),
        ((at(8, 5), at(16, 55)), (PRESENT, 0, 0)),  # five minutes of grace
        ((at(8, 5, 1), at(16, 54, 59)), (PRESENT, 6, 6)),
        ((at(12), at(12, 30)), (PRESENT, 240, 270)),
        ((at(8),), (ONE, 0, 0)),
        ((at(8), at(8) + FOLD_S), (ONE, 0, 0)),
        ((at(8), at(8) + FOLD_S + 1), (PRESENT, 0, 539)),
        ((), (ABSENT, 0, 0)),
        ((at(2), at(23)), (PRESENT, 0, 0)),  # as near as NEAR_S
        ((at(17, day=-1), at(8, day=1)), (ABSENT, 0, 0)),
        (((at(8), at(8, 30)), at(17)), (PRESENT, 0, 0)),  # perhaps late is not late
        (((at(8, 6), at(8, 30)), at(17)), (PRESENT, 6, 0)),
        ((at(8), (at(16), at(17))), (PRESENT, 0, 0)),
        ((at(8), (at(16), at(16, 30))), (PRESENT, 0, 30)),
        ((NEVER,), (UNCLEAR, 0, 0)),
        ((at(8), NEVER), (UNCLEAR, 0, 0)),
        ((at(9), at(17), NEVER), (PRESENT, 0, 0)),  # that one may have been at eight
    ],
)
def test_a_day_of_a_shift(times, said):
    assert day(sheet(*times)) == said


def test_whose_month_is_not_over_is_not_judged():
    for now_s, said in ((at(23) - 1, OPEN), (at(23), ABSENT)):
        assert day(sheet(span=Span(DAY, DAY + 6, OFFSET_S, now_s)))[0] == said
    assert day(sheet(at(9), span=Span(DAY, DAY + 6, OFFSET_S, at(12)))) == (OPEN, 0, 0)
    assert at(23) - at(17) == NEAR_S


def test_a_night_shift_is_the_day_on_which_it_began():
    found = sheet(at(21, 50), at(30, 10), at(46), at(53, 30), of=roster(NIGHT))
    assert [day(found, number) for number in (0, 1, 2)] == [
        (PRESENT, 0, 0),
        (PRESENT, 0, 30),
        (ABSENT, 0, 0),
    ]


def test_who_need_not_come_and_does_is_told_and_not_judged():
    saturday = 2
    found = sheet(at(9, day=saturday), at(11, day=saturday), of=roster())
    (one,) = (each for each in found.days if each.day == DAY + saturday)
    assert (one.state, one.left is not None, one.team) == (EXTRA, True, "保洁")
    assert {each.day - DAY for each in found.days} == {0, 1, 2, 4, 5, 6}  # no Sunday


def test_who_has_left_is_asked_for_nothing():
    found = sheet(at(8), at(17), at(9, day=5), of=roster(until=DAY + 1))
    assert [(each.day - DAY, each.state) for each in found.days] == [(0, PRESENT), (5, EXTRA)]


def test_a_card_in_the_place_of_another_is_the_same_person():
    punches = [Punch(3001, 1, 7, at(8), at(8)), Punch(3001, 2, 8, at(17), at(17))]
    assert day(timesheet(roster(), punches, CARDS, SPAN)) == (PRESENT, 0, 0)


def test_what_was_entered_by_hand_is_marked():
    punches = [Punch(3001, 1, 7, at(8), at(8)), Punch(0, 4, 7, at(17), at(17))]
    (one,) = (each for each in timesheet(roster(), punches, CARDS, SPAN).days if each.day == DAY)
    assert one.by_hand == (False, True)


def test_no_punch_is_lost_or_counted_twice_whatever_the_shifts():
    print("seed", SEED)
    draw = random.Random(SEED)
    for _ in range(60):
        shifts, places = [], [Place("P1", DAY - 9, "t", "s")]
        for _ in range(3):
            from_min = draw.randrange(1440)
            to_min = from_min + draw.randint(1, 960)
            facts = draw.randint(1, 127), from_min, to_min, draw.randint(0, 120)
            shifts.append(Shift("s", DAY - draw.randrange(-6, 9), *facts))
        known = Roster(shifts, places)
        times = sorted(draw.randrange(at(0, day=1), at(0, day=6)) for _ in range(9))
        intervals = [(s, s + draw.choice((0, 0, 5, 40_000))) for s in times]
        punches = [Punch(1, n, draw.choice((7, 8, 9, 99)), *w) for n, w in enumerate(intervals)]
        wide = Span(DAY - 3, DAY + 12, OFFSET_S, SPAN.now_s)
        found = timesheet(known, punches, CARDS, wide)
        told = {punch.seq for _who, punch in found.undated}
        others = {punch.seq for punch in found.others}
        assert others == {punch.seq for punch in punches if CARDS.get(punch.card_no) != "P1"}
        # What is dated is of one day: its first and last are between those of the others.
        seen = [one for one in found.days if one.came]
        for before, after in pairwise(seen):
            last = before.left or before.came
            assert last.earliest_s <= after.came.earliest_s
        ours = [one for one in punches if CARDS.get(one.card_no) == "P1" and one.seq not in told]
        for punch in ours:
            assert any(
                one.came.earliest_s <= punch.earliest_s <= (one.left or one.came).earliest_s + 60
                for one in seen
            )


# --- a break, and two times in a day -------------------------------------------------------------

CANTEEN = Shift("两头班", DAY - 30, 31, 360, 540, 5, ((960, 1200),))  # 6 to 9, and 16 to 20
BREAK = Shift("午休班", DAY - 30, 31, 480, 720, 5, ((780, 1020),))  # 8 to 12, and 13 to 17


def stretches(found, number=0):
    return {each.part: each for each in found.days if each.day == DAY + number}


def test_two_times_in_a_day_are_judged_each_by_itself():
    times = at(5, 58), at(9, 1), at(16, 20), at(19, 30)
    found = stretches(sheet(*times, of=roster(CANTEEN)))
    assert {part: one.state for part, one in found.items()} == {1: PRESENT, 2: PRESENT}
    assert [(one.late_min, one.early_min) for one in found.values()] == [(0, 0), (20, 30)]


def test_who_comes_in_the_evening_only_was_away_in_the_morning():
    found = stretches(sheet(at(15, 50), at(20, 5), of=roster(CANTEEN)))
    assert [(one.state, one.late_min) for one in found.values()] == [(ABSENT, 0), (PRESENT, 0)]


@pytest.mark.parametrize(
    ("back", "states", "late_min"),
    [
        (at(13, 0), [PRESENT, PRESENT], 0),
        (at(13, 25), [PRESENT, PRESENT], 25),  # too long at lunch
        (at(12, 20), [PRESENT, ONE], 0),  # nearer to the stretch before: nobody came back
    ],
)
def test_who_goes_out_for_a_break_comes_back_from_it(back, states, late_min):
    found = stretches(sheet(at(8), at(12), back, at(17, 1), of=roster(BREAK)))
    assert [one.state for one in found.values()] == states
    assert found[2].late_min == late_min


def test_who_does_not_punch_for_the_break_lacks_a_punch_of_each():
    found = stretches(sheet(at(8), at(17), of=roster(BREAK)))
    assert [one.state for one in found.values()] == [ONE, ONE]


def test_a_punch_that_may_be_of_either_stretch_makes_nobody_absent():
    found = sheet((at(11), at(16)), of=roster(BREAK))
    assert [one.state for one in stretches(found).values()] == [UNCLEAR, UNCLEAR]
    assert len(found.undated) == 1


def test_a_second_stretch_may_be_of_the_next_date():
    late = Shift("两夜班", DAY - 30, 127, 1200, 1320, 0, ((1470, 1800),))  # 20 to 22, 0:30 to 6
    times = at(19, 59), at(22), at(0, 40, day=1), at(6, day=1)
    found = stretches(sheet(*times, of=roster(late)))
    assert [(one.state, one.late_min) for one in found.values()] == [(PRESENT, 0), (PRESENT, 10)]


def test_no_punch_counts_in_two_stretches():
    """Of 200 months of punches: each is first or last of one stretch at most, and none is made."""
    print("seed", SEED)
    draw = random.Random(SEED)
    for _ in range(200):
        shift = draw.choice([CANTEEN, BREAK])
        clocks = [(draw.randrange(24), draw.randrange(60), 0, draw.randrange(6)) for _ in range(9)]
        times = sorted({at(*clock) for clock in clocks})
        found = sheet(*times, of=roster(shift))
        ends = [one.seq for each in found.days for one in (each.came, each.left) if one]
        assert len(ends) == len(set(ends))
        assert {(one.day, one.part) for one in found.days} >= {
            (day, part) for day in (DAY, DAY + 1) for part in (1, 2)
        }
