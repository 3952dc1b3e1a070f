"""Takings by meal as a chart that is drawn here, with the same numbers as a table and a file."""

from dataclasses import dataclass

from ledger import meal_takings
from ledger.console import typed
from ledger.console.asked import Asked, Download, Page, Shown
from ledger.console.exports import asked_for
from ledger.console.merchants import WORKS_WITH, merchant
from ledger.console.texts import Texts
from ledger.meal_takings import MealTakings
from ledger.period_sheet import Fen

_DAYS = 7
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 960, 320, 90, 40, 16
# Told apart by their lightness too; one for each meal, and one for between them.
COLOURS = ("#8a95a3", "#f2a93b", "#1f4e79", "#7d2e68", "#17693c", "#a8201a", "#4b5a2a", "#0b7285")
_EVERYBODY = -1


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart, in its units; `label` is told to whoever cannot see it."""

    x: int
    y: int
    width: int
    height: int
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """All that the template draws: bars, days (x, text), lines of amounts (y, text)."""

    width: int
    height: int
    left: int
    base: int
    bars: tuple[Bar, ...]
    days: tuple[tuple[int, str], ...]
    lines: tuple[tuple[int, str], ...]


def draw(found: list[MealTakings], first: int, meals: int) -> Chart:
    """The days from `first` on, a bar for each meal and one for what is between them."""
    most_fen = _round_up(max([one.fen for one in found], default=0))
    base = _HEIGHT - _BOTTOM
    high = base - _TOP
    of_day = (_WIDTH - _LEFT) // _DAYS
    wide = max((of_day - 16) // (meals + 1), 4)
    bars = []
    for one in found:
        tall = one.fen * high // most_fen
        # What is between the meals stands behind them.
        place = one.meal - 1 if one.meal else meals
        x = _LEFT + (one.day - first) * of_day + 8 + place * wide
        label = f"{typed.date_of(one.day)} {Fen(one.fen)}"
        bars.append(Bar(x, base - tall, wide - 2, tall, COLOURS[one.meal % len(COLOURS)], label))
    days = tuple(
        (_LEFT + at * of_day + of_day // 2, typed.date_of(first + at)[5:]) for at in range(_DAYS)
    )
    lines = tuple((base - high * part // 4, str(Fen(most_fen * part // 4))) for part in range(5))
    return Chart(_WIDTH, _HEIGHT, _LEFT, base, tuple(bars), days, lines)


def _round_up(fen: int) -> int:
    """The next round sum: 1, 2 or 5 and noughts, at least a yuan."""
    step = 100
    while True:
        for times in (1, 2, 5):
            if step * times >= fen:
                return step * times
        step *= 10


def _asked(asked: Asked) -> tuple[int, int, str]:
    """(last day, merchant or -1, its name)."""
    last = typed.day_in_query(asked)
    merchant_no = typed.in_query(asked, "merchant", _EVERYBODY)
    if merchant_no == _EVERYBODY:
        return last, merchant_no, ""
    return last, merchant_no, str(merchant(asked.store.database, merchant_no)[1])


def show(asked: Asked) -> Shown:
    """A week up to a day, of all merchants or of one."""
    database = asked.store.database
    with database.reading():
        last, merchant_no, name = _asked(asked)
        first, offset_s = last - _DAYS + 1, asked.settings.school_offset_s
        meals = meal_takings.meals(database)
        found = meal_takings.of_days(database, first, last, offset_s, merchant_no)
    by_day = {(one.day, one.meal): one for one in found}
    context = {
        "chart": draw(found, first, len(meals)),
        "by_day": by_day,
        "days": range(first, last + 1),
        "meals": list(enumerate(map(_hours, meals), 1)),
        "colours": COLOURS,
        "last": last,
        "merchant_no": None if merchant_no == _EVERYBODY else merchant_no,
        "name": name,
    }
    return Shown("takings.html", context)


def show_file(asked: Asked) -> Download:
    """The same week as a file."""
    database = asked.store.database
    with database.reading():
        last, merchant_no, name = _asked(asked)
        first, offset_s = last - _DAYS + 1, asked.settings.school_offset_s
        hours = ["其他时间", *map(_hours, meal_takings.meals(database))]
        found = meal_takings.of_days(database, first, last, offset_s, merchant_no)
    rows = [
        (typed.date_of(one.day), hours[one.meal], name or "全部商户", one.count, Fen(one.fen))
        for one in found
    ]
    heads = ("日期", "餐段", "商户", "笔数", "金额")
    kind, file = asked.query.get("as", ""), f"takings-{typed.date_of(last)}"
    return asked_for(kind, file, ("分餐段营业额", heads, rows), asked.now_s)


def _hours(meal: tuple[int, int]) -> str:
    begin, end = meal[0] % 1440, meal[1] % 1440
    return f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


PAGES = (
    Page(
        "/takings",
        ("分餐段营业额", "Takings by meal"),
        show,
        verbs=WORKS_WITH,
        menu="menu_money",
    ),
    Page("/takings/list", ("营业额清单", "Takings as a list"), show_file, verbs=WORKS_WITH),
)
TEXTS: Texts = {
    "takings": ("分餐段营业额", "Takings by meal"),
    "tak_between": ("其他时间", "Between meals"),
    "tak_all": ("全部商户", "All merchants"),
    "tak_last": ("到哪一天（七天）", "Up to which day (seven of them)"),
    "tak_says": (
        "金额（元），撤销的销售也在内。",
        "In yuan; sales that were cancelled are in it.",
    ),
}
