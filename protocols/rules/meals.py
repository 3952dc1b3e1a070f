"""Meal periods of a day: which limits and meals of a card hold now, also when the clock doubts.

Rules of this file. A period is (from_min, to_min, spend_max_fen, total_max_fen, count_max, staff,
student, temporary): minutes of the local day, the end not inside; the most that one spend, and all
spends of a card in it, may cost; how many spends; and how many counted meals each kind of card has
in it. 0 is none. Periods stand in order of their beginnings and do not overlap; the last one may
end on the next day and belongs to the day on which it began. China has had one offset and no
summer time since 1992: a day is 1440 minutes long, everywhere in this project.

A day is cut into slots, numbered so that they only ever grow: 0 before the first period, 1 in it,
2 behind it, 3 in the second. A stamp is day and slot in one number. The clock is an interval, so
there is a first and a last stamp, and everything between is possible:
- limits: the narrowest of all possible periods holds, and the counts of a period end only when it
  is over at both ends, or the card has seen a later one (as the day does in spending.py). A doubt
  counts against the card, by a few seconds, or the limit would be no limit;
- a counted meal, or an item of a meal: it must be served in every possible period. Outside of all
  there is none. So a reader that does not know the time takes money and counts no meals (R23.1b);
- the price: the lowest of the possible ones (charging.py). A reader in doubt is the merchant's to
  keep online (R17.1); it must not take more from the holder than the actual amount (R19.1).
"""

from protocols.rules import clock

PERIODS_MAX = 8
FROM_MIN, TO_MIN, SPEND_MAX_FEN, TOTAL_MAX_FEN, COUNT_MAX = 0, 1, 2, 3, 4
STAFF_MEALS = 5  # and one place further for each kind of card after staff (R11)
PERIOD_FIELDS = 8
DAY_MIN = 1440
FEN_MAX = 0xFFFFFF
SPENDS_MAX = 255
BETWEEN = 0  # the number of no period; the first one is 1
_KINDS = 3
_SLOTS = 32

# Answers, numbered behind those of reasons.py; a number never gets a second meaning.
FINE = 0
PERIOD_FORM = 521
PERIOD_ORDER = 522
NO_MEAL_NOW = 523
NO_MEAL_LEFT = 524
OVER_MEAL_SPEND = 525
OVER_MEAL_TOTAL = 526
OVER_MEAL_COUNT = 527
# A card that has not been in any period: (stamp, total_fen, spends, meals).
NEW = (0, 0, 0, 0)


def fault_of(periods):
    """FINE, or why these are no periods of a day; asked once, when settings are read."""
    if not isinstance(periods, (list, tuple)) or len(periods) > PERIODS_MAX:
        return PERIOD_FORM
    for period in periods:
        if not _is_period(period):
            return PERIOD_FORM
    for at in range(len(periods) - 1):
        begin, end = periods[at][FROM_MIN], periods[at][TO_MIN]
        if not begin < end <= periods[at + 1][FROM_MIN]:
            return PERIOD_ORDER
    if periods and _runs_over(periods) and periods[-1][TO_MIN] > periods[0][FROM_MIN]:
        return PERIOD_ORDER
    return FINE


def stamp(periods, time_s, utc_offset_s):
    """Day and slot of a second as one number, which never falls as time goes on."""
    day = clock.day(time_s, utc_offset_s)
    minute = (time_s + utc_offset_s) % 86400 // 60
    if periods and _runs_over(periods) and minute < periods[-1][TO_MIN]:
        # Still the last period of the day before.
        return (day - 1) * _SLOTS + 2 * len(periods) - 1
    slot = 0
    for at, period in enumerate(periods):
        if minute >= period[FROM_MIN]:
            ends = DAY_MIN if at + 1 == len(periods) and _runs_over(periods) else period[TO_MIN]
            slot = 2 * at + (1 if minute < ends else 2)
    return day * _SLOTS + slot


def span(periods, interval_ms, utc_offset_s):
    """(first, last) stamp that it may be."""
    earliest_s, latest_s = clock.seconds(interval_ms)
    return stamp(periods, earliest_s, utc_offset_s), stamp(periods, latest_s, utc_offset_s)


def possible(periods, first_and_last):
    """The numbers of the periods that it may be, BETWEEN among them; rising, none twice."""
    if not periods:
        return (BETWEEN,)
    first, last = first_and_last
    slots = 2 * len(periods) + 1
    if last - first >= 2 * _SLOTS:
        last = first + 2 * _SLOTS  # two days hold every slot of one
    found = set()
    for each in range(first, last + 1):
        slot = each % _SLOTS
        if slot < slots and (each in (first, last) or _has_time(periods, slot)):
            found.add((slot + 1) // 2 if slot % 2 else BETWEEN)
    return tuple(sorted(found))


def meals_left(periods, kind, state, first_and_last):
    """How many counted meals a card of this kind has now, for the display; 0 where in doubt."""
    most = _at_least(periods, possible(periods, first_and_last), _meals_of(kind))
    return max(most - _carried(state, first_and_last)[3], 0)


def decide(periods, kind, state, amount_fen, is_meal, first_and_last):
    """(FINE, next state) or (why not, None), by the rules of meal periods alone.

    `state` is the (stamp, total_fen, spends, meals) that the card's last spend has left, NEW at
    first. What counts is what was taken: the next state is written together with the debit, a
    refusal or a card that left changes nothing, and a meal that is cancelled goes back to the
    state before it. Between meals there is no limit of a meal, and nothing is counted but the
    sums that the slot's own number starts anew.
    """
    _, total_fen, spends, meals = _carried(state, first_and_last)
    now = max(first_and_last[0], state[0])
    total_fen, spends, meals = total_fen + amount_fen, spends + 1, meals + (1 if is_meal else 0)
    numbers = possible(periods, first_and_last)
    checks = (
        (is_meal and _at_least(periods, numbers, _meals_of(kind)) == 0, NO_MEAL_NOW),
        (is_meal and meals > _at_least(periods, numbers, _meals_of(kind)), NO_MEAL_LEFT),
        (_is_over(periods, numbers, SPEND_MAX_FEN, amount_fen), OVER_MEAL_SPEND),
        (_is_over(periods, numbers, TOTAL_MAX_FEN, total_fen), OVER_MEAL_TOTAL),
        (_is_over(periods, numbers, COUNT_MAX, spends), OVER_MEAL_COUNT),
    )
    for refused, answer in checks:
        if refused:
            return answer, None
    # Between meals nothing bounds the counts but the room a card has for them.
    return FINE, (now, min(total_fen, FEN_MAX), min(spends, SPENDS_MAX), min(meals, SPENDS_MAX))


def _carried(state, first_and_last):
    """The counts that still hold: anew only where the slot they belong to is surely over."""
    return NEW if first_and_last[0] > state[0] else state


def _is_over(periods, numbers, field, value):
    """Whether a value is above the limit of any period that it may be."""
    return any(number and value > periods[number - 1][field] for number in numbers)


def _at_least(periods, numbers, field):
    """What every possible period grants; nothing is granted between meals, or to no kind."""
    if field is None:
        return 0
    return min([periods[number - 1][field] if number else 0 for number in numbers])


def _meals_of(kind):
    return STAFF_MEALS + kind - 1 if 1 <= kind <= _KINDS else None


def _has_time(periods, slot):
    """Whether any minute of a day is in a slot: two periods may follow each other at once."""
    count = len(periods)
    if slot % 2 or not count:
        return True
    over_min = periods[-1][TO_MIN] if _runs_over(periods) else 0
    if slot == 0:
        return over_min < periods[0][FROM_MIN]
    if slot == 2 * count:
        return over_min == 0 and periods[-1][TO_MIN] < DAY_MIN
    at = slot // 2
    return periods[at - 1][TO_MIN] < periods[at][FROM_MIN]


def _runs_over(periods):
    """Whether the last period goes on into the next day."""
    return periods[-1][TO_MIN] <= periods[-1][FROM_MIN]


def _is_period(period):
    if not isinstance(period, (list, tuple)) or len(period) != PERIOD_FIELDS:
        return False
    bounds = (DAY_MIN - 1, DAY_MIN, FEN_MAX, FEN_MAX) + (SPENDS_MAX,) * (1 + _KINDS)
    for number, bound in zip(period, bounds):
        # True is an int in Python, not on our wire.
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= bound:
            return False
    return period[TO_MIN] > 0
