"""Meal periods: every border, and which of them a doubt of the clock makes possible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import clock, meals

DAY, OFFSET_S = 20000, 8 * 3600
# from, to, one spend, spends, meals of staff, students, others, and what comes behind them
BREAKFAST = (390, 540, 1500, 0, 1, 1, 0, 0, 0, 0)
LUNCH = (630, 810, 3000, 4, 2, 1, 0, 1, 2, 0)
DINNER = (990, 1140, 3000, 4, 1, 1, 1, 0, 0, 0)
NIGHT = (1260, 60, 2000, 2, 1, 0, 0, 0, 0, 0)  # until one in the morning
PERIODS = (BREAKFAST, LUNCH, DINNER, NIGHT)
MIDNIGHT_MS = (DAY * 86400 - OFFSET_S) * 1000
NEVER = meals.span(PERIODS, clock.NEVER_SET, OFFSET_S)


def at(minute, to_minute=None, periods=PERIODS, day=0):
    """First and last stamp of a clock that says so, minutes from local midnight."""
    start_ms = MIDNIGHT_MS + (day * 1440 + minute) * 60000
    end_ms = start_ms if to_minute is None else MIDNIGHT_MS + (day * 1440 + to_minute) * 60000
    return meals.span(periods, (start_ms, end_ms), OFFSET_S)


def possible(*minutes, periods=PERIODS):
    return meals.possible(periods, at(*minutes, periods=periods))


# --- what is no table of periods ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("periods", "answer"),
    [
        (PERIODS, meals.FINE),
        ((), meals.FINE),
        ([list(LUNCH)], meals.FINE),
        (((600, 600, *LUNCH[2:]),), meals.FINE),  # a day from ten to ten
        (((0, 1440, *LUNCH[2:]),), meals.FINE),
        (None, meals.PERIOD_FORM),
        (7, meals.PERIOD_FORM),
        ((LUNCH[:-1],), meals.PERIOD_FORM),
        (((*LUNCH, 0),), meals.PERIOD_FORM),
        (((True, *LUNCH[1:]),), meals.PERIOD_FORM),
        (((-1, *LUNCH[1:]),), meals.PERIOD_FORM),
        (((1440, *LUNCH[1:]),), meals.PERIOD_FORM),
        (((630, 1441, *LUNCH[2:]),), meals.PERIOD_FORM),
        (((630, 0, *LUNCH[2:]),), meals.PERIOD_FORM),  # midnight is the end of a day: 1440
        (((630, 810, 1 << 24, *LUNCH[3:]),), meals.PERIOD_FORM),
        (((630, 810, 0, 5, *LUNCH[4:]),), meals.PERIOD_FORM),  # no card counts to five
        (((*LUNCH[:4], 5, *LUNCH[5:]),), meals.PERIOD_FORM),
        (((*LUNCH[:-1], 3),), meals.PERIOD_FORM),
        (((*LUNCH[:3], 4, 4, 4, 4, 2, 2, 2),), meals.FINE),
        (((*LUNCH[:-1], "1"),), meals.PERIOD_FORM),
        (((630,),), meals.PERIOD_FORM),
        ([(minute, minute + 9, *LUNCH[2:]) for minute in range(0, 90, 10)], meals.PERIOD_FORM),
        ((LUNCH, BREAKFAST), meals.PERIOD_ORDER),
        ((LUNCH, LUNCH), meals.PERIOD_ORDER),
        ((BREAKFAST, (539, 810, *LUNCH[2:])), meals.PERIOD_ORDER),
        ((NIGHT, DINNER), meals.PERIOD_ORDER),
        ((BREAKFAST, (1260, 391, *NIGHT[2:])), meals.PERIOD_ORDER),
        ((BREAKFAST, (1260, 390, *NIGHT[2:])), meals.FINE),
    ],
)
def test_a_wrong_table_is_answered(periods, answer):
    assert meals.fault_of(periods) == answer


# --- which period it is -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "numbers"),
    [
        ((389,), (0,)),
        ((390,), (1,)),
        ((539,), (1,)),
        ((540,), (0,)),
        ((1259,), (0,)),
        ((1260,), (4,)),
        ((1439,), (4,)),
        ((0,), (4,)),  # of the evening before
        ((59,), (4,)),
        ((60,), (0,)),
        ((389, 390), (0, 1)),
        ((539, 630), (0, 1, 2)),
        ((400, 700), (0, 1, 2)),
        ((0, 1439), (0, 1, 2, 3, 4)),
        ((1430, 1445), (4,)),
        ((1430, 1500), (0, 4)),
    ],
)
def test_borders_of_the_day(minutes, numbers):
    assert possible(*minutes) == numbers


def test_a_clock_nobody_set_may_mean_any_period():
    assert meals.possible(PERIODS, NEVER) == (0, 1, 2, 3, 4)


def test_periods_that_follow_at_once_leave_nothing_between():
    periods = ((0, 700, *LUNCH[2:]), (700, 1440, *DINNER[2:]))
    assert possible(699, 700, periods=periods) == (1, 2)
    assert possible(1430, 1445, periods=periods) == (1, 2)
    assert possible(0, 9 * 1440, periods=periods) == (1, 2)
    whole = ((600, 600, *LUNCH[2:]),)
    assert possible(0, 9 * 1440, periods=whole) == (1,)


def test_the_same_night_has_one_stamp_and_the_next_another():
    assert at(1430) == at(10, day=1)
    assert at(1430)[0] < at(1430, day=1)[0]


def test_another_offset_is_another_period():
    noon_s = DAY * 86400 + 12 * 3600  # in Greenwich
    first = meals.stamp(PERIODS, noon_s, 0)
    assert meals.possible(PERIODS, (first, first)) == (2,)
    first = meals.stamp(PERIODS, noon_s, 9 * 3600)
    assert meals.possible(PERIODS, (first, first)) == (4,)


# --- what holds for all -------------------------------------------------------------------------

MINUTES = st.lists(st.integers(0, 1439), min_size=0, max_size=16, unique=True).map(sorted)
LIMITS = st.tuples(
    st.integers(0, 5000),
    *[st.integers(0, meals.COUNT_MAX)] * 4,
    *[st.integers(0, meals.PLAIN)] * 3,
)


@st.composite
def tables(draw):
    """Periods as they may be, some that touch, some that run into the next day."""
    edges = draw(MINUTES)
    if len(edges) % 2:
        edges.append(draw(st.integers(1, edges[0])) if edges[0] else 1440)
    pairs = zip(edges[::2], edges[1::2], strict=True)
    drawn = [(begin, end, *draw(LIMITS)) for begin, end in pairs]
    if len(drawn) > 1 and draw(st.booleans()):
        drawn[0] = (drawn[0][0], drawn[1][0], *drawn[0][2:])
    return drawn


TIMES = st.tuples(st.integers(-1500, 3000), st.integers(0, 400) | st.integers(0, 4000)).map(
    lambda drawn: (drawn[0], drawn[0] + drawn[1])
)


def slow_number(periods, minute):
    """The period of a minute of the day, from the words of its definition."""
    for number, (begin, end, *_) in enumerate(periods, 1):
        within = begin <= minute < end if begin < end else minute >= begin or minute < end
        if within:
            return number
    return meals.BETWEEN


@given(tables(), TIMES)
def test_possible_is_what_some_minute_says(periods, minutes):
    assert meals.fault_of(periods) == meals.FINE
    slow = {slow_number(periods, minute % 1440) for minute in range(minutes[0], minutes[1] + 1)}
    assert possible(*minutes, periods=periods) == tuple(sorted(slow))


@given(tables(), st.integers(-3000, 3000), st.integers(0, 3000))
def test_a_stamp_never_falls(periods, minute, more):
    first, last = at(minute, minute + more, periods)
    assert first <= last < 1 << 24
