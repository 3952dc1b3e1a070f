"""Meal periods: every border, what a doubt of the clock does, and what counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import charging_texts, clock, meals

DAY, OFFSET_S = 20000, 8 * 3600
# from, to, spend, total, count, meals of staff, students, others
BREAKFAST = (390, 540, 1500, 2000, 3, 1, 1, 0)
LUNCH = (630, 810, 3000, 4000, 4, 2, 1, 0)
DINNER = (990, 1140, 3000, 4000, 4, 1, 1, 1)
NIGHT = (1260, 60, 2000, 2000, 2, 1, 0, 0)  # until one in the morning
PERIODS = (BREAKFAST, LUNCH, DINNER, NIGHT)
STAFF, STUDENT, TEMPORARY = 1, 2, 3
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
        (((*LUNCH[:-1], 256),), meals.PERIOD_FORM),
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


# --- what counts --------------------------------------------------------------------------------


def pay(state, fen, minutes, kind=STUDENT, is_meal=False):
    return meals.decide(PERIODS, kind, state, fen, is_meal, at(*minutes))


def test_one_meal_and_no_second_one_until_the_next_period():
    answer, state = pay(meals.NEW, 800, (700,), is_meal=True)
    assert (answer, state[1:]) == (meals.FINE, (800, 1, 1))
    assert pay(state, 800, (701,), is_meal=True) == (meals.NO_MEAL_LEFT, None)
    # Who is perhaps still at lunch has had it.
    answer, _ = meals.decide(PERIODS, STUDENT, state, 800, True, at(809, 995))
    assert answer == meals.NO_MEAL_NOW
    answer, state = pay(state, 800, (1000,), is_meal=True)
    assert (answer, state[1:]) == (meals.FINE, (800, 1, 1))


def test_staff_has_two_meals_at_lunch_and_a_guest_none():
    assert meals.meals_left(PERIODS, STAFF, meals.NEW, at(700)) == 2
    _, state = pay(meals.NEW, 800, (700,), STAFF, True)
    assert meals.meals_left(PERIODS, STAFF, state, at(700)) == 1
    assert pay(meals.NEW, 800, (700,), TEMPORARY, True) == (meals.NO_MEAL_NOW, None)
    for kind in (0, 4, 255):
        assert pay(meals.NEW, 800, (700,), kind, True) == (meals.NO_MEAL_NOW, None)


def test_money_is_no_meal_but_counts_as_spend():
    answer, state = pay(meals.NEW, 800, (700,))
    assert (answer, state[1:]) == (meals.FINE, (800, 1, 0))


@pytest.mark.parametrize(
    ("state", "fen", "answer"),
    [
        ((0, 0), 3000, meals.FINE),
        ((0, 0), 3001, meals.OVER_MEAL_SPEND),
        ((1500, 1), 2500, meals.FINE),
        ((1500, 1), 2501, meals.OVER_MEAL_TOTAL),
        ((30, 3), 1, meals.FINE),
        ((40, 4), 1, meals.OVER_MEAL_COUNT),
    ],
)
def test_limits_of_a_period(state, fen, answer):
    assert pay((at(700)[0], *state, 0), fen, (705,))[0] == answer
    # A period later all of it is over, and between the periods nothing bounds it.
    assert pay((at(700)[0], *state, 0), min(fen, 3000), (1000,))[0] == meals.FINE
    assert pay((at(700)[0], *state, 0), fen, (900,))[0] == meals.FINE


def test_without_the_time_money_is_taken_within_all_limits_and_no_meal():
    for is_meal, fen, answer in (
        (True, 100, meals.NO_MEAL_NOW),
        (False, 1500, meals.FINE),
        (False, 1501, meals.OVER_MEAL_SPEND),  # it may be breakfast
    ):
        given_answer, _ = meals.decide(PERIODS, STAFF, meals.NEW, fen, is_meal, NEVER)
        assert given_answer == answer


def test_a_card_that_has_seen_a_later_period_keeps_its_counts():
    later = (at(700, day=3)[0], 3900, 1, 1)
    assert pay(later, 101, (700,))[0] == meals.OVER_MEAL_TOTAL
    assert pay(later, 100, (700,)) == (meals.FINE, (later[0], 4000, 2, 1))


# --- what holds for all -------------------------------------------------------------------------

MINUTES = st.lists(st.integers(0, 1439), min_size=0, max_size=16, unique=True).map(sorted)
LIMITS = st.tuples(
    st.integers(0, 5000), st.integers(0, 9000), *[st.integers(0, 4) for _ in range(4)]
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


STATES = st.tuples(
    st.integers(0, 30 * DAY), st.integers(0, 9000), st.integers(0, 5), st.integers(0, 5)
) | st.builds(
    lambda minute, day, counts: (DAY * 32 + day * 32 + minute % 17, *counts),
    st.integers(0, 16),
    st.integers(-1, 1),
    st.tuples(st.integers(0, 9000), st.integers(0, 5), st.integers(0, 5)),
)
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


@given(tables(), st.integers(0, 4), STATES, st.integers(1, 9000), st.booleans(), TIMES, TIMES)
def test_knowing_less_of_the_time_never_helps(periods, kind, state, fen, is_meal, minutes, doubt):
    """What an unsure clock allows, every clock within it allows; and it ends no count sooner."""
    lowest, highest = min(minutes[0], doubt[0]), max(minutes[1], doubt[1])
    answer, unsure = meals.decide(periods, kind, state, fen, is_meal, at(lowest, highest, periods))
    if answer == meals.FINE:
        sure = meals.decide(periods, kind, state, fen, is_meal, at(*minutes, periods=periods))
        assert sure[0] == meals.FINE
        assert unsure[0] <= sure[1][0]
        assert all(
            counted >= other for counted, other in zip(unsure[1:], sure[1][1:], strict=True)
        )


@given(tables(), st.integers(0, 4), st.lists(st.tuples(st.integers(1, 3000), st.booleans())))
def test_a_period_never_holds_more_than_its_limits(periods, kind, spends):
    for number, period in enumerate(periods, 1):
        state, paid, counted = meals.NEW, [], 0
        when = at(period[0], periods=periods)
        assert meals.possible(periods, when) == (number,)
        for fen, is_meal in spends:
            answer, after = meals.decide(periods, kind, state, fen, is_meal, when)
            if answer == meals.FINE:
                state, paid = after, [*paid, fen]
                counted += is_meal
        assert sum(paid) <= period[meals.TOTAL_MAX_FEN] or not paid
        assert max(paid, default=0) <= period[meals.SPEND_MAX_FEN]
        assert len(paid) <= period[meals.COUNT_MAX]
        granted = period[meals.STAFF_MEALS + kind - 1] if 1 <= kind <= 3 else 0
        assert counted <= granted


@given(
    tables(),
    st.integers(0, 255),
    st.tuples(*[st.integers(0, meals.FEN_MAX)] * 2, *[st.integers(0, 255)] * 2),
    st.integers(0, meals.FEN_MAX),
    st.booleans(),
    st.tuples(st.integers(0, clock.NEVER_MS), st.integers(0, clock.NEVER_MS)).map(sorted),
)
def test_no_number_makes_it_fail_or_leaves_the_card_s_room(
    periods, kind, state, fen, is_meal, interval_ms
):
    when = meals.span(periods, interval_ms, OFFSET_S)
    answer, after = meals.decide(periods, kind, state, fen, is_meal, when)
    assert meals.meals_left(periods, kind, state, when) >= 0
    if answer == meals.FINE:
        assert 0 <= after[0] <= meals.FEN_MAX and 0 <= after[1] <= meals.FEN_MAX
        assert max(after[2:]) <= meals.SPENDS_MAX
    else:
        assert after is None and answer in charging_texts.TEXTS
