"""What was taken at each meal, day by day: one stretch of one index (ledger/takings.py).

Meals are those of the campus's menus (protocols/rules/meals.py: every menu has the same), or where
no menu has any, MEALS. A sale is of the moment at which it began, at the earliest; what is outside
of all meals is BETWEEN, and what is behind midnight of a meal that runs over is of its date.
"""

from dataclasses import dataclass

from ledger.dialect import Dialect
from ledger.evidence import State
from protocols.rules import menu
from protocols.wire.errors import WireError

MEALS = ((300, 600), (600, 870), (870, 1260))  # breakfast, lunch, dinner: minutes of the day
BETWEEN = 0
_DAY_S, _MIN_S = 86_400, 60
_NEWEST = "SELECT menu FROM menu_change ORDER BY number DESC LIMIT 1"
# In the words of the index.
_TAKEN = f"""
SELECT (earliest_s + {{offset_s}}) / {_DAY_S} AS day, CASE {{whens}} ELSE {BETWEEN} END AS meal,
    COUNT(*), SUM(amount_fen) FROM intent
WHERE state = {int(State.COMMITTED)} AND credit_no = 0 AND earliest_s >= ? AND earliest_s < ?
    AND ? IN (-1, merchant_no)
GROUP BY (earliest_s + {{offset_s}}) / {_DAY_S}, CASE {{whens}} ELSE {BETWEEN} END"""


@dataclass(frozen=True, slots=True)
class MealTakings:
    """A day's meal, 1 the first one; cancelled sales are in it too."""

    day: int
    meal: int
    count: int
    fen: int


def meals(database: Dialect) -> tuple[tuple[int, int], ...]:
    """(from_min, to_min) of each meal of the day, as the newest menu has them."""
    for (data,) in list(database.rows(_NEWEST)):
        try:
            periods = menu.decode(bytes(data))[1]
        except WireError:
            break
        if periods:
            return tuple((int(one[0]), int(one[1])) for one in periods)
    return MEALS


def of_days(
    database: Dialect, first: int, last: int, utc_offset_s: int, merchant_no: int = -1
) -> list[MealTakings]:
    """From the day `first` up to `last`, both inside; of one merchant, or (-1) of all."""
    minute = f"(earliest_s + {int(utc_offset_s)}) % {_DAY_S} / {_MIN_S}"
    whens = " ".join(
        f"WHEN {minute} >= {begin} AND {minute} < {end} THEN {number}"
        for number, (begin, end) in enumerate(meals(database), 1)
    )
    sql = _TAKEN.format(offset_s=int(utc_offset_s), whens=whens)
    span = max(0, first * _DAY_S - utc_offset_s), (last + 1) * _DAY_S - utc_offset_s
    rows = list(database.rows(sql, (*span, merchant_no)))
    return [MealTakings(day, meal, count, int(fen)) for day, meal, count, fen in sorted(rows)]
