"""Who may open which door: `onecard ledger access VERB DATABASE ...`; the rules are the books'.

May run beside the ledger, which looks once a second whether a door has changed, and says so.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ledger.access import FREE, GRANT, PIN, AccessBook, AccessRefused, Change, Periods
from ledger.code_entries import Unused
from protocols.rules import access
from tools.ledger_forks import opened
from tools.session import signing

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MIN = 1440
_PERIOD = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?(?: (\d\d):(\d\d)-(\d\d):(\d\d))?")


def read_hours(text: str) -> Periods:
    """Periods of "mon-fri 08:00-18:00, sat", "always" or "never"; AccessRefused for others."""
    if text in ("always", "never"):
        return ((127, 0, _DAY_MIN),) if text == "always" else ()
    return tuple(_period(part.strip()) for part in text.split(","))


def _period(text: str) -> tuple[int, int, int]:
    found = _PERIOD.fullmatch(text)
    first, last = (found[1], found[2] or found[1]) if found else ("", "")
    if found is None or first not in DAYS or last not in DAYS:
        raise AccessRefused(f'{text!r}: hours are like "mon-fri 08:00-18:00, sat"')
    from_day, to_day = DAYS.index(first), DAYS.index(last)
    if from_day > to_day:
        raise AccessRefused(f"{text!r}: a week begins on Monday")
    days = sum(1 << day for day in range(from_day, to_day + 1))
    if found[3] is None:
        return days, 0, _DAY_MIN
    from_min, to_min = (60 * int(found[at]) + int(found[at + 1]) for at in (3, 5))
    if from_min >= to_min:
        raise AccessRefused(f"{text!r}: what runs over midnight is two periods")
    return days, from_min, to_min


def hours_text(periods: Periods) -> str:
    """The words for periods that `read_hours` takes."""
    if not periods:
        return "never"
    if tuple(periods) == ((127, 0, _DAY_MIN),):
        return "always"
    return ", ".join(_period_text(*period) for period in periods)


def _period_text(days: int, from_min: int, to_min: int) -> str:
    names = [name for day, name in enumerate(DAYS) if days >> day & 1]
    is_run = len(names) > 1 and days >> DAYS.index(names[0]) == (1 << len(names)) - 1
    listed = [f"{names[0]}-{names[-1]}"] if is_run else names
    when = f" {from_min // 60:02}:{from_min % 60:02}-{to_min // 60:02}:{to_min % 60:02}"
    return ", ".join(name + ("" if to_min - from_min == _DAY_MIN else when) for name in listed)


def show(path: Path, device: int) -> str:
    """A line for each change of a door. NotBooks for another file."""
    with opened(path) as store:
        lines = [_line(change) for change in store.access.changes(device)]
    return "\n".join(lines or [f"nothing has been granted at door {device}"])


def _line(change: Change) -> str:
    last_no = change.first_no + change.count - 1
    cards = (
        f"card {change.first_no}" if change.count == 1 else f"cards {change.first_no}-{last_no}"
    )
    hours = "" if change.verb == PIN else hours_text(access.unpacked(change.periods))
    told = {
        GRANT: f"{cards} into group {change.group}" if change.group else f"{cards} may not enter",
        FREE: f"open to everybody: {hours}",
        PIN: f"group {change.group}: {'a PIN' if change.periods else 'no PIN'}",
    }.get(change.verb, f"group {change.group}: {hours}")
    time = datetime.fromtimestamp(change.time_s, UTC).isoformat().replace("+00:00", "Z")
    return f"  epoch {change.number}, {time}, {change.person}: {told}"


def unused_codes(path: Path, before_s: int) -> str:
    """A line for each answer about an identity code, older than that, that no ENTRY has; or "".

    NotBooks for another file.
    """
    with opened(path) as store:
        lines = [_answer_line(answer) for answer in store.code_entries.unused(before_s)]
    return "\n".join(lines)


def _answer_line(answer: Unused) -> str:
    time = datetime.fromtimestamp(answer.asked_s, UTC).isoformat().replace("+00:00", "Z")
    place = f"door {answer.device} ({answer.site})"
    return f"answer {answer.number}, {time}, {place}: card {answer.card_no}"


def change(
    path: Path, person: str, act: Callable[[AccessBook, str], object], now_s: int
) -> object:
    """What `act` of the doors in the books `path` and of who signs says.

    NotBooks, NotAllowed, AccessRefused.
    """
    with signing(path, person, now_s) as (store, who):
        return act(store.access, who)
