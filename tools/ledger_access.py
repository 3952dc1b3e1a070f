"""Who may open which door: `onecard ledger access VERB DATABASE ...`; the rules are the books'.

May run beside the ledger, which looks once a second whether a door has changed, and says so.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ledger.access import FREE, GRANT, PIN, AccessBook, AccessRefused, Change, Periods
from ledger.code_entries import Unused
from ledger.door_log import DoorLog, Entry
from ledger.intervals import TIME_UNKNOWN_S
from ledger.rosters import DAYS
from protocols.rules import access, reasons
from protocols.rules.reason_texts import TEXTS
from tools.ledger_forks import opened
from tools.ledger_lives import BadInput, day_of
from tools.session import signing, written

_DAY_MIN, _DAY_S = 1440, 86_400
_OPENED = (reasons.APPROVED, access.DURESS)
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
        terms, ends = store.access.terms(device), store.access.ends(device)
        lines = [_line(change, terms, ends) for change in store.access.changes(device)]
    return "\n".join(lines or [f"nothing has been granted at door {device}"])


def _line(change: Change, terms: Mapping[int, int], ends: Mapping[int, int]) -> str:
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
    if change.number in terms:
        told += f", until {_utc(terms[change.number])}"
    if change.number in ends:
        told += f": epoch {ends[change.number]} is over"
    return f"  epoch {change.number}, {_utc(change.time_s)}, {change.person}: {told}"


def unused_codes(path: Path, before_s: int) -> str:
    """A line for each answer about an identity code, older than that, that no ENTRY has; or "".

    NotBooks for another file.
    """
    with opened(path) as store:
        lines = [_answer_line(answer) for answer in store.code_entries.unused(before_s)]
    return "\n".join(lines)


def _answer_line(answer: Unused) -> str:
    place = f"door {answer.device} ({answer.site})"
    return f"answer {answer.number}, {_utc(answer.asked_s)}, {place}: card {answer.card_no}"


def end_of(day: str, utc_offset_s: int) -> int:
    """When the last day "2027-01-31" is over where the school is (UTC); BadInput."""
    return (day_of(day) + 1) * _DAY_S - utc_offset_s


def end(path: Path, now_s: int) -> str:
    """Take back what is over. NotBooks, AccessRefused, StoreUnavailable."""
    with written(path) as store:
        ended = store.access.end_grants(now_s)
    lines = [f"door {device}: epoch {epoch}" for device, epoch in ended]
    return "\n".join(lines or ["nothing is over"])


def told(
    path: Path, device: int, span: tuple[str, str], note: tuple[str, str], now_s: int
) -> list[Entry]:
    """The entries of a door; `span`: from and to in ISO 8601, `note`: purpose and who asks.

    The question is in the books before anything is told. NotBooks, NotAllowed, AccessRefused,
    BadInput, StoreUnavailable.
    """
    from_s, to_s = (_moment(text) for text in span)
    purpose, person = note
    with signing(path, person, now_s) as (store, who):
        return DoorLog(store.database).ask(device, (from_s, to_s), purpose, who, now_s)


def entries_text(found: Sequence[Entry], utc_offset_s: int) -> str:
    """A line for each entry; "~" between two times: the door did not know better."""
    lines = []
    for each in found:
        times = sorted({each.earliest_s, each.latest_s})
        when = "~".join(_local(time_s, utc_offset_s) for time_s in times)
        card = f"card {each.card_no}" if each.card_no else "no card"
        whose = f" of {each.person_no}" if each.person_no else ""
        came = "opened" if each.reason in _OPENED else "refused"
        said = TEXTS[each.reason][0] if each.reason in TEXTS else ""
        why = f" ({each.reason}{': ' if said else ''}{said})" if each.reason else ""
        lines.append(f"{when}, record {each.seq}: {card}{whose}: {came}{why}")
    return "\n".join(lines or ["nobody"])


def questions(path: Path, utc_offset_s: int) -> str:
    """A line for each question. NotBooks for another file."""
    with opened(path) as store:
        found = DoorLog(store.database).questions()
    lines = [
        f"{one.number}, {_local(one.time_s, utc_offset_s)}, {one.person}: door {one.device},"
        f" {_local(one.from_s, utc_offset_s)} to {_local(one.to_s, utc_offset_s)}: {one.purpose}"
        for one in found
    ]
    return "\n".join(lines or ["nobody has asked"])


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput(f"'{text}' is no time with its zone, such as 2026-11-26T08:00:00+08:00")
    return int(moment.timestamp())


def _local(time_s: int, utc_offset_s: int) -> str:
    if time_s >= TIME_UNKNOWN_S:
        return "-"
    return datetime.fromtimestamp(time_s + utc_offset_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _utc(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def change(
    path: Path, person: str, act: Callable[[AccessBook, str], object], now_s: int
) -> object:
    """What `act` of the doors in the books `path` and of who signs says.

    NotBooks, NotAllowed, AccessRefused.
    """
    with signing(path, person, now_s) as (store, who):
        return act(store.access, who)
