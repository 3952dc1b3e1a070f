"""What a card may have in a meal period: the rule against a model that remembers everything.

The card remembers one byte; the model keeps every sale, with the real time. Times are minutes from
a local midnight.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import charging, clock, meals, reasons
from protocols.wire.messages import FLAG_MEAL
from tests.rules.test_meals import (
    BREAKFAST,
    DAY,
    DINNER,
    LUNCH,
    MIDNIGHT_MS,
    NIGHT,
    OFFSET_S,
    PERIODS,
    slow_number,
    tables,
)

STAFF, STUDENT, TEMPORARY = 1, 2, 3
MEAL_FEN, PLAIN_FEN = 800, 1500
PRICES = charging.packed(
    [(charging.MEAL_ITEM, 0, 0, MEAL_FEN), (charging.PLAIN_MEAL_ITEM, 0, 0, PLAIN_FEN)]
)
MEAL = charging.MEAL, ()
FINE, PIN_NEEDED = meals.FINE, reasons.PIN_NEEDED


class Card:
    """One card; it takes what was approved as a till would write it."""

    def __init__(self, kind=STUDENT, day=DAY - 9, period_use=0):
        self.kind, self.day, self.period_use = kind, day, period_use

    def buy(self, what, minute, to_minute=None, periods=PERIODS, is_holder=False):
        """(answer, fen) of a meal, or of an amount in fen, by a clock that says so."""
        order = MEAL if what is MEAL else (charging.AMOUNT, (what,))
        interval_ms = between(minute, to_minute)
        answer, fen, use, flag = meals.sell((PRICES, periods), order, self, interval_ms, OFFSET_S)
        if answer == FINE or (is_holder and answer == PIN_NEEDED):
            self.day = max(clock.day(clock.seconds(interval_ms)[0], OFFSET_S), self.day)
            self.period_use, self.flag = use, flag
        return answer, fen


def between(minute, to_minute=None):
    """The interval of a clock, ms."""
    to_minute = minute if to_minute is None else to_minute
    return MIDNIGHT_MS + minute * 60000, MIDNIGHT_MS + to_minute * 60000


# --- failures -----------------------------------------------------------------------------------


def test_a_second_meal_is_refused_until_the_next_period():
    card = Card()
    assert card.buy(MEAL, 400) == (FINE, MEAL_FEN) and card.flag == FLAG_MEAL
    assert card.buy(MEAL, 401) == (reasons.NO_MEAL_LEFT, MEAL_FEN)
    assert card.buy(MEAL, 600) == (reasons.NO_MEAL_NOW, MEAL_FEN)
    assert card.buy(MEAL, 1000) == (FINE, MEAL_FEN)
    assert card.buy(MEAL, 400 + 1440) == (FINE, MEAL_FEN)


def test_behind_the_counted_meals_comes_what_the_kind_of_card_has_there():
    student, staff, guest = Card(STUDENT), Card(STAFF), Card(TEMPORARY)
    assert [student.buy(MEAL, 700) for _ in range(2)] == [(FINE, MEAL_FEN), (FINE, PLAIN_FEN)]
    assert student.flag == 0  # at the plain price it is a spend as any other
    assert [staff.buy(MEAL, 700) for _ in range(3)] == [(FINE, MEAL_FEN)] * 2 + [
        (PIN_NEEDED, MEAL_FEN)
    ]
    assert staff.buy(MEAL, 700, is_holder=True)[0] == PIN_NEEDED and staff.flag == FLAG_MEAL
    assert guest.buy(MEAL, 700) == (reasons.NO_MEAL_NOW, MEAL_FEN)
    for kind in (0, 4, 255):
        assert Card(kind).buy(MEAL, 700)[0] == reasons.NO_MEAL_NOW


def test_limits_of_a_period_hold_for_all_spends():
    card = Card()
    assert card.buy(3001, 700) == (reasons.OVER_MEAL_SPEND, 3001)
    for fen in (3000, 1, 1, 1):
        assert card.buy(fen, 700) == (FINE, fen)
    assert card.buy(1, 700) == (reasons.OVER_MEAL_COUNT, 1)
    # Between the periods nothing bounds it, and a period later all of it is over.
    assert card.buy(9000, 900) == (FINE, 9000)
    assert card.buy(1, 1000) == (FINE, 1)


def test_a_meal_is_a_spend():
    card = Card(STAFF)
    for what in (MEAL, 100, MEAL, 100):
        assert card.buy(what, 700)[0] == FINE
    assert card.buy(100, 700)[0] == reasons.OVER_MEAL_COUNT
    # The PIN is asked for where nothing else is wrong.
    assert card.buy(MEAL, 700)[0] == reasons.OVER_MEAL_COUNT


def test_the_night_goes_on_behind_midnight():
    card = Card(STAFF)
    assert card.buy(MEAL, 1300) == (FINE, MEAL_FEN)
    assert card.buy(MEAL, 1440 + 59)[0] == reasons.NO_MEAL_LEFT
    assert card.buy(100, 1440 + 20)[0] == FINE
    assert card.buy(100, 1440 + 21)[0] == reasons.OVER_MEAL_COUNT
    assert card.buy(MEAL, 1440 + 400)[0] == FINE
    assert card.buy(MEAL, 1440 + 1300)[0] == FINE


@pytest.mark.parametrize("order", ["shop first", "shop last"])
def test_a_pos_without_periods_leaves_the_count_as_it_is(order):
    """And a sale there behind midnight neither ends the night nor carries it into the day."""
    card = Card(STAFF)
    if order == "shop last":
        assert card.buy(MEAL, 1300)[0] == FINE
    assert card.buy(500, 1440 + 5, periods=())[0] == FINE
    assert card.buy(MEAL, 1440 + 30)[0] == (
        FINE if order == "shop first" else reasons.NO_MEAL_LEFT
    )
    assert card.buy(MEAL, 1440 + 31)[0] == reasons.NO_MEAL_LEFT
    assert card.buy(500, 1440 + 300, periods=())[0] == FINE
    assert card.buy(MEAL, 1440 + 400)[0] == FINE
    assert card.buy(MEAL, 1440 + 401, periods=())[0] == FINE  # there it is a thing with a price
    assert card.flag == 0
    assert card.buy(MEAL, 1440 + 402)[0] == reasons.NO_MEAL_LEFT
    assert card.buy(500, 3 * 1440, periods=())[0] == FINE and card.period_use == 0


# --- a clock in doubt ---------------------------------------------------------------------------


def test_a_doubt_at_a_border_counts_against_the_card():
    card = Card()
    assert card.buy(MEAL, 629, 631)[0] == reasons.NO_MEAL_NOW
    # What may have been lunch is one of the four spends of lunch.
    for _ in range(4):
        assert card.buy(100, 629, 631)[0] == FINE
    assert card.buy(100, 632)[0] == reasons.OVER_MEAL_COUNT
    # And lunch is over when it is over at both ends.
    assert card.buy(100, 809, 811)[0] == reasons.OVER_MEAL_COUNT
    assert card.buy(100, 810, 811)[0] == FINE


def test_two_periods_that_touch_are_one_as_long_as_nobody_knows_which():
    periods = ((0, 700, *LUNCH[2:]), (700, 1440, *DINNER[2:]))
    card = Card()
    assert card.buy(MEAL, 699, 701, periods) == (FINE, MEAL_FEN)
    assert card.buy(MEAL, 699, 701, periods)[0] == reasons.NO_MEAL_LEFT  # dinner refuses
    assert card.buy(MEAL, 701, 701, periods)[0] == FINE


@pytest.mark.parametrize("floor", [-30 * 1440, -1440, 400, 700, 900])
def test_without_the_time_money_is_taken_within_the_narrowest_limits_and_no_meal(floor):
    card = Card(STAFF, DAY)
    never = clock.NEVER_MS // 60000 - MIDNIGHT_MS // 60000
    assert card.buy(MEAL, floor, never)[0] == reasons.NO_MEAL_NOW
    assert card.buy(1501, floor, never)[0] == reasons.OVER_MEAL_SPEND  # it may be breakfast
    for _ in range(2):
        assert card.buy(1500, floor, never)[0] == FINE
    assert card.buy(1500, floor, never)[0] == reasons.OVER_MEAL_COUNT  # it may be night
    # A reader that knows the time counts anew where the card's period is surely over.
    assert card.buy(1500, 1000)[0] == FINE


def test_a_campus_that_serves_all_day_counts_without_the_time_too():
    """Nothing is between, so a meal is counted on a card of any day, and once."""
    periods = ((0, 1440, *BREAKFAST[2:]),)
    never = clock.NEVER_MS // 60000 - MIDNIGHT_MS // 60000
    for floor in (-40_000, 0, 900):
        card = Card(STUDENT, DAY)
        assert card.buy(MEAL, floor, never, periods)[0] == FINE
        assert card.buy(MEAL, floor, never, periods)[0] == reasons.NO_MEAL_LEFT
        assert card.buy(MEAL, 1440 + 5, periods=periods)[0] == FINE


def test_a_reader_that_is_behind_the_card_begins_nothing_anew():
    card = Card()
    assert card.buy(MEAL, 3 * 1440 + 400)[0] == FINE
    assert card.buy(MEAL, 1000)[0] == reasons.NO_MEAL_LEFT
    assert card.buy(MEAL, 3 * 1440 + 1000)[0] == FINE


def test_a_card_from_before_the_byte_has_had_nothing():
    for day in (0, DAY - 1, DAY):
        card = Card(STUDENT, day)
        assert card.buy(MEAL, 700) == (FINE, MEAL_FEN)
        assert card.period_use == 2 * 25 + 1 * 5


# --- what holds for all -------------------------------------------------------------------------


class Model:
    """The same limits, kept by somebody who has seen every sale and knows the time."""

    def __init__(self, periods, kind):
        self.periods, self.kind, self.sold = periods, kind, {}

    def answer(self, what, minute):
        """(answer, fen) of the next sale; `take` makes it one."""
        number = slow_number(self.periods, minute % 1440)
        if number == meals.BETWEEN:
            if what is MEAL:
                return reasons.NO_MEAL_NOW if self.periods else FINE, MEAL_FEN
            return FINE, what
        period, (had, spends) = self.periods[number - 1], self.sold.get(self._key(minute), (0, 0))
        answer, fen = FINE, MEAL_FEN if what is MEAL else what
        most, beyond = period[4 + self.kind - 1], period[7 + self.kind - 1]
        if what is MEAL and had >= most and beyond == 2:
            fen = PLAIN_FEN
        elif what is MEAL and had >= most:
            refused = reasons.NO_MEAL_LEFT if most else reasons.NO_MEAL_NOW
            answer = PIN_NEEDED if beyond == 1 else refused
        if answer in (FINE, PIN_NEEDED) and period[3] and spends >= period[3]:
            answer = reasons.OVER_MEAL_COUNT
        if period[2] and fen > period[2]:
            answer = reasons.OVER_MEAL_SPEND
        return answer, fen

    def take(self, is_meal, minute):
        if slow_number(self.periods, minute % 1440):
            had, spends = self.sold.get(self._key(minute), (0, 0))
            self.sold[self._key(minute)] = had + is_meal, spends + 1

    def _key(self, minute):
        """Which period on which day."""
        number = slow_number(self.periods, minute % 1440)
        begun_before = minute % 1440 < self.periods[number - 1][0]
        return number, minute // 1440 - begun_before


SALES = st.lists(
    st.tuples(
        st.integers(0, 3) | st.integers(0, 700) | st.integers(0, 4000),
        st.just(MEAL) | st.integers(1, 5000),
        st.booleans(),
        st.integers(0, 3),
    ),
    max_size=24,
)


@given(tables(), st.integers(1, 3), SALES, st.integers(-2000, 2000))
def test_one_byte_knows_what_a_memory_of_everything_does(periods, kind, sales, minute):
    """Readers whose clocks are right, with and without periods: every answer is the model's."""
    card, model = Card(kind), Model(periods, kind)
    for later, what, is_holder, shop in sales:
        minute += later
        if shop == 0 and what is not MEAL:
            assert card.buy(what, minute, periods=()) == (FINE, what)
            continue
        expected = model.answer(what, minute)
        assert card.buy(what, minute, periods=periods, is_holder=is_holder) == expected
        if expected[0] == FINE or (is_holder and expected[0] == PIN_NEEDED):
            model.take(card.flag == FLAG_MEAL, minute)


@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.integers(0, 3) | st.integers(0, 500),
            st.just(MEAL) | st.integers(1, 2000),
            st.integers(0, 5),
            st.integers(0, 5),
        ),
        max_size=40,
    ),
)
def test_no_doubt_of_some_minutes_gives_more_than_a_period_has(kind, sales):
    """Readers whose clocks are right within ten minutes; the periods are further apart."""
    card, model, minute = Card(kind), Model(PERIODS, kind), 380
    for later, what, before, behind in sales:
        minute += later
        answer, _ = card.buy(what, minute - before, minute + behind)
        if answer == FINE:
            model.take(card.flag == FLAG_MEAL, minute)
    for (number, _), (had, spends) in model.sold.items():
        period = PERIODS[number - 1]
        assert had <= period[meals.MEALS_MAX + kind - 1]
        assert not period[meals.SPENDS_MAX] or spends <= period[meals.SPENDS_MAX]


@given(
    tables(),
    st.integers(0, 4),
    st.integers(0, 255),
    st.integers(DAY - 2, DAY + 2),
    st.booleans(),
    st.lists(st.integers(-3000, 3000), min_size=4, max_size=4),
)
def test_knowing_less_of_the_time_never_helps(periods, kind, use, day, is_meal, minutes):
    """What an unsure clock allows at a meal's price, every clock within it allows."""
    low, begin, end, high = sorted(minutes)
    what = MEAL if is_meal else 700
    unsure, sure = Card(kind, day, use), Card(kind, day, use)
    if unsure.buy(what, low, high, periods)[0] == FINE and (unsure.flag or not is_meal):
        assert sure.buy(what, begin, end, periods) == (FINE, MEAL_FEN if is_meal else 700)
        assert sure.flag == unsure.flag


@given(
    tables(),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.sampled_from([MEAL, (charging.AMOUNT, (1,)), (charging.ITEM, (1,)), (charging.FIXED, ())]),
    st.tuples(st.integers(0, clock.NEVER_MS), st.integers(0, clock.NEVER_MS)).map(sorted),
)
def test_no_number_makes_it_fail_or_leaves_the_byte(periods, kind, use, day, order, interval_ms):
    card = Card(kind, day, use)
    answer, fen, after, flag = meals.sell((PRICES, periods), order, card, interval_ms, OFFSET_S)
    assert 0 <= after <= 9 * 25 + 24 and flag in (0, FLAG_MEAL)
    if answer == charging.NOT_PRICED:
        assert (fen, after, flag) == (0, 0, 0)
    else:
        assert fen > 0 and (answer in (FINE, PIN_NEEDED) or 276 <= answer <= 279)


def test_a_table_of_the_night_alone():
    card = Card(STAFF)
    assert card.buy(MEAL, 1300, periods=(NIGHT,))[0] == FINE
    assert card.buy(MEAL, 1440 + 30, periods=(NIGHT,))[0] == reasons.NO_MEAL_LEFT
