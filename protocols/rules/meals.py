"""Meal periods of a day: what a card may still have now, and at which price, also in doubt.

Rules of this file. A period is (from_min, to_min, spend_max_fen, spends_max, then for staff,
students and others meals_max, then for each of them what comes behind those meals): minutes of the
local day, the end not inside; the most that one spend may cost, and how many spends of a card
there may be in it (0: no such limit); how many counted meals a kind of card has in it, and whether
one more is refused (0), needs the PIN (PIN), or is sold at the plain price (PLAIN, charging.py).
Periods stand in order of their beginnings and do not overlap; the last one may end on the next day
and belongs to the day on which it began. They are the campus's: every menu has the same ones, for
the card counts by their numbers. China has had one offset and no summer time since 1992: a day is
1440 minutes long, everywhere in this project.

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

The card holds one byte, period_use: 25 times the number of a period of its day, 5 times the
counted meals in it, and the other spends, each up to 4. The number 9 is the period that began the
day before and goes on; 0 is none. Why so, and why no sum, says docs/adr/0023-counted-meals.md.
"""

from protocols.rules import charging, clock, reasons
from protocols.wire.messages import FLAG_MEAL

PERIODS_MAX = 8
FROM_MIN, TO_MIN, SPEND_MAX_FEN, SPENDS_MAX = 0, 1, 2, 3
MEALS_MAX, BEYOND = 4, 7  # of staff, and one place further for each kind of card after it (R11)
PERIOD_FIELDS = 10
PIN, PLAIN = 1, 2  # what is stricter has the lower number
DAY_MIN = 1440
FEN_MAX = 0xFFFFFF
COUNT_MAX = 4  # of meals, and of other spends, as far as a card counts
BETWEEN = 0  # the number of no period; the first one is 1
_KINDS = 3
SLOTS = 32
_BEGUN_BEFORE = 9
_COUNTS = (COUNT_MAX + 1) * (COUNT_MAX + 1)
PERIOD_USE_MAX = _COUNTS * (_BEGUN_BEFORE + 1) - 1

# Answers, numbered behind those of reasons.py; a number never gets a second meaning, and 523 to
# 527 were limits of this file before they became reasons.
FINE = 0
PERIOD_FORM = 521
PERIOD_ORDER = 522


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
        return (day - 1) * SLOTS + 2 * len(periods) - 1
    slot = 0
    for at, period in enumerate(periods):
        if minute >= period[FROM_MIN]:
            ends = DAY_MIN if at + 1 == len(periods) and _runs_over(periods) else period[TO_MIN]
            slot = 2 * at + (1 if minute < ends else 2)
    return day * SLOTS + slot


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
    if last - first >= 2 * SLOTS:
        last = first + 2 * SLOTS  # two days hold every slot of one
    found = set()
    for each in range(first, last + 1):
        slot = each % SLOTS
        if slot < slots and (each in (first, last) or _has_time(periods, slot)):
            found.add((slot + 1) // 2 if slot % 2 else BETWEEN)
    return tuple(sorted(found))


def sell(menu, order, card, interval_ms, utc_offset_s):
    """(answer, amount_fen, period_use, flag) of an order for a card, by menu and time.

    `menu` is what protocols.rules.menu.decode gives, `order` charging.order_of, `card` has kind,
    day and period_use of a purse view, `interval_ms` is (earliest, latest) in ms since 1970. FINE,
    PIN_NEEDED, or why not: a number of reasons.py, or one of charging.py with an amount of 0.
    `period_use` is that of the card behind the spend, to be written with the day that
    spending.decide gives; `flag` is FLAG_MEAL if it is a counted meal, or 0.

    What counts is what was taken: the byte is written together with the debit, so a refusal or a
    card that left changes nothing. A sale that is cancelled stays counted (cancel.py).
    """
    prices, periods = menu
    if not periods and not card.period_use:
        return charging.cost(order, prices, card.kind, (BETWEEN,)) + (0, 0)
    first, last = when = span(periods, interval_ms, utc_offset_s)
    numbers = possible(periods, when)
    # What still holds of the card's counts: anew where its period is surely over.
    number, counts = card.period_use // _COUNTS, card.period_use % _COUNTS
    now = card.day * SLOTS + 2 * number - 1
    if not 0 < number < _BEGUN_BEFORE:
        # Behind all periods of the day before, if one goes on; else that day is all one knows.
        now = (card.day - 1) * SLOTS + (SLOTS - 1 if number else 0)
    if periods and first > now:
        now, counts = first, 0
    meals, others = counts // (COUNT_MAX + 1), counts % (COUNT_MAX + 1)
    flag, answer = FLAG_MEAL if periods and order[0] == charging.MEAL else 0, FINE
    if flag:
        meals_max, beyond = _granted(periods, numbers, card.kind)
        if meals >= meals_max and beyond == PLAIN:
            flag, order = 0, charging.PLAIN_MEAL
        elif meals >= meals_max:
            refused = reasons.NO_MEAL_LEFT if meals_max else reasons.NO_MEAL_NOW
            answer = reasons.PIN_NEEDED if beyond == PIN else refused
    why_not, amount_fen = charging.cost(order, prices, card.kind, numbers)
    if why_not:
        return why_not, 0, 0, 0
    for number in numbers:
        spend_max_fen, spends_max = periods[number - 1][2:4] if number else (0, 0)
        if spends_max and meals + others >= spends_max and answer in (FINE, reasons.PIN_NEEDED):
            answer = reasons.OVER_MEAL_COUNT
        if spend_max_fen and amount_fen > spend_max_fen:
            answer = reasons.OVER_MEAL_SPEND
    if flag:
        meals += 1
    elif periods:
        others += 1
    day = max(clock.day(interval_ms[0] // 1000, utc_offset_s), card.day)
    return answer, amount_fen, _period_use(periods, now, last, meals, others, day), flag


def _period_use(periods, now, last, meals, others, day):
    """The byte of a card whose `day` is that of the stamp `now`, or the one behind."""
    slot = now % SLOTS
    if periods and not slot % 2:
        # Between two periods a spend counts in the next one, if that may have begun.
        following = now + 1 if slot < 2 * len(periods) else now - slot + SLOTS + 1
        now = following if following <= last else now
    ago = day - now // SLOTS
    if not now % 2 or ago > 1:
        return 0
    number = _BEGUN_BEFORE if ago else (now % SLOTS + 1) // 2
    return number * _COUNTS + min(meals, COUNT_MAX) * (COUNT_MAX + 1) + min(others, COUNT_MAX)


def _granted(periods, numbers, kind):
    """(meals_max, beyond) in every possible period; nothing between meals, or to no kind."""
    if not numbers[0] or not 1 <= kind <= _KINDS:
        return 0, 0
    meals_max, beyond = COUNT_MAX, PLAIN
    for number in numbers:
        period = periods[number - 1]
        meals_max = min(meals_max, period[MEALS_MAX - 1 + kind])
        beyond = min(beyond, period[BEYOND - 1 + kind])
    return meals_max, beyond


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
    bounds = (DAY_MIN - 1, DAY_MIN, FEN_MAX) + (COUNT_MAX,) * (1 + _KINDS) + (PLAIN,) * _KINDS
    for number, bound in zip(period, bounds):
        # True is an int in Python, not on our wire.
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= bound:
            return False
    return period[TO_MIN] > 0
