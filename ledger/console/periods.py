"""Periods: the list, what bars the next one, closing it (ledger/periods.py, R7.1)."""

from dataclasses import dataclass

from ledger.console import typed
from ledger.console.asked import Asked, Page, Refused, Shown, ToSign, Waiting
from ledger.console.period_words import REASONS, TEXTS
from ledger.console.refusals import BAD_FIELDS
from ledger.dialect import Dialect
from ledger.period_reasons import PeriodRefused
from ledger.period_sheet import BARS
from ledger.periods import STEPS
from protocols.rules.money import format_yuan

__all__ = ["PAGES", "REASONS", "REFUSES", "TEXTS", "TO_SIGN", "WAITING"]

REFUSES = (PeriodRefused,)
WORKS_WITH = (
    "period.close",
    "period.decide",
    "period.audit",
    "period.head",
    "period.leader",
    "period.centre",
)
_SHOWN = 24
_NUMBER_MAX = 0xFFFFFFFF
_ROWS = f"""
SELECT p.number, p.name, p.from_s, p.until_s, p.person, p.closed_s, (
        SELECT COUNT(*) FROM period_approval a WHERE a.period = p.number),
    CASE WHEN EXISTS (SELECT 1 FROM period_refusal r WHERE r.period = p.number) THEN 1 ELSE 0 END,
    COALESCE((SELECT SUM(m.due_fen) FROM period_merchant m
        WHERE m.period = p.number AND m.due_fen > 0), 0)
FROM settlement_period p WHERE p.number < ? ORDER BY p.number DESC LIMIT {_SHOWN + 1}"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A period in the list. `step`: whose approval it waits for, "" for nobody's."""

    number: int
    name: str
    from_s: int
    until_s: int
    person: str
    closed_s: int
    step: str
    is_refused: bool
    due_fen: int


def listed(database: Dialect, below: int) -> list[Listed]:
    """The newest periods below a number, one more than are shown."""
    steps = [*STEPS, ""]
    found = []
    for number, name, from_s, until_s, person, closed_s, count, is_refused, due_fen in list(
        database.rows(_ROWS, (below,))
    ):
        step = "" if is_refused else steps[count]
        facts = number, name, from_s, until_s, person, closed_s, step
        found.append(Listed(*facts, bool(is_refused), int(due_fen)))
    return found


def show(asked: Asked) -> Shown:
    """The periods, the newest first."""
    found = listed(asked.store.database, typed.in_query(asked, "below", _NUMBER_MAX))
    shown = found[:_SHOWN]
    more = shown[-1].number if len(found) > _SHOWN else 0
    return Shown("periods.html", {"periods": shown, "more": more})


def show_close(asked: Asked) -> Shown:
    """What bars the period that would end with a day; nothing, until a day is said."""
    said = asked.fields.get("until_day") or asked.query.get("until", "")
    day = typed.day(said)
    context: dict = {"until": said, "day": day, "bars": BARS, "quiet": None, "left": ()}
    newest = listed(asked.store.database, _NUMBER_MAX)
    context["before"] = newest[0] if newest else None
    if day is not None:
        with asked.store.database.reading():
            quiet, left = asked.store.periods.quiet(typed.begins_s(asked, day + 1))
        context |= {"quiet": quiet, "left": left}
    return Shown("period_close.html", context)


def close(asked: Asked) -> str:
    """Close the period, or decide that it may be closed with something open."""
    day = typed.day(typed.text(asked, "until_day"))
    if day is None:
        raise Refused(BAD_FIELDS, "until_day")
    until_s = typed.begins_s(asked, day + 1)
    if asked.fields.get("act") == "decide":
        places = [place(name) for name in asked.fields if name.startswith("open-")]
        if not places:
            raise Refused(BAD_FIELDS, "open")
        because = typed.text(asked, "because")
        asked.store.periods.decide(until_s, places, asked.person, because, asked.now_s)
        return f"/periods/close?until={typed.text(asked, 'until_day')}&done=decided"
    name = typed.text(asked, "name")
    made = asked.store.periods.close(name, until_s, asked.person, asked.now_s)
    return f"/periods/{made.number}?done=closed"


def place(name: str) -> tuple[int, int]:
    """(device, seq) of the field open-1001-0."""
    return typed.record(name.removeprefix("open-"), "-", "open")


_LAST = """
SELECT person, time_s FROM period_approval WHERE period = ? ORDER BY step DESC LIMIT 1"""


def to_sign(asked: Asked) -> list[ToSign]:
    """Reports whose next step is that of whoever asks; their page has the refusal too."""
    found = []
    for one in listed(asked.store.database, _NUMBER_MAX):
        if one.step and asked.may(f"period.{one.step}"):
            before = list(asked.store.database.rows(_LAST, (one.number,)))
            person, time_s = before[0] if before else (one.person, one.closed_s)
            what = "period", f"{one.number} · {one.name}", person, time_s
            said = f"¥ {format_yuan(one.due_fen)}"
            found.append(ToSign(*what, said, f"/periods/{one.number}"))
    return found


def waiting(asked: Asked) -> list[Waiting]:
    """Reports whose next approval whoever asks may give."""
    mine = to_sign(asked)
    path = mine[0].path if mine else "/periods"
    return [Waiting("period_waits", len(mine), path)]


WAITING, TO_SIGN = (waiting,), (to_sign,)
PAGES = (
    Page(
        "/periods",
        ("结算期间", "Periods"),
        show,
        verbs=WORKS_WITH,
        menu="menu_money",
        access_key="p",
    ),
    Page(
        "/periods/close",
        ("结账", "Close a period"),
        show_close,
        verbs=("period.close", "period.decide"),
        do=close,
        menu="menu_money",
        is_once=False,  # by name and end; it looks through all that was ever booked
    ),
)
