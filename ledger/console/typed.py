"""What was typed into a form or stands in a path, as numbers, days and money. Raises Refused."""

from datetime import UTC, date, datetime, timedelta

from ledger.console.asked import Asked, Refused
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from protocols.rules.money import parse_yuan

DAY_S = 86_400
NUMBER_MAX = 0xFFFFFFFF
_EPOCH = date(1970, 1, 1)
_DAY_MAX = NUMBER_MAX // DAY_S - 1


def in_path(asked: Asked, name: str) -> int:
    """The number that stands in the path under this name; there is no such page without."""
    found = whole(asked.path[name])
    if found is None:
        raise Refused(NOTHING_HERE)
    return found


def in_query(asked: Asked, name: str, default: int = 0) -> int:
    """The number that stands in the query; what is none is as if nobody had said one."""
    found = whole(asked.query.get(name, ""))
    return default if found is None else found


def number(asked: Asked, name: str) -> int:
    """A whole number of a form."""
    found = whole(text(asked, name))
    if found is None:
        raise Refused(BAD_FIELDS, name)
    return found


def text(asked: Asked, name: str) -> str:
    """What stands in a field, without what stands around it; "": nothing, or no such field."""
    return asked.fields.get(name, "").strip()


def fen(asked: Asked, name: str) -> int:
    """Yuan of a form, such as 12.50."""
    found = parse_yuan(text(asked, name))
    if found is None:
        raise Refused(BAD_FIELDS, name)
    return found


def whole(said: str) -> int | None:
    """The number that these digits are; None: none, or none that the books have."""
    is_number = said.isascii() and said.isdigit() and len(said) <= 10
    return int(said) if is_number and int(said) <= NUMBER_MAX else None


def record(said: str, between: str, name: str) -> tuple[int, int]:
    """(reader, number of its record) of a field `name`, such as 1001/7 with "/" between."""
    parts = [whole(part) for part in said.split(between)]
    if len(parts) != 2 or parts[0] is None or parts[1] is None:
        raise Refused(BAD_FIELDS, name)
    return parts[0], parts[1]


def day(said: str) -> int | None:
    """The day of 2026-11-27, since 1970; None: it is none of ours."""
    try:
        found = (date.fromisoformat(said) - _EPOCH).days
    except ValueError:
        return None
    return found if 0 < found < _DAY_MAX and len(said) == len("2026-11-27") else None


def day_in_query(asked: Asked) -> int:
    """The day that the query asks for; today where it says none."""
    found = day(asked.query.get("day", ""))
    return asked.today() if found is None else found


def begins_s(asked: Asked, of_day: int) -> int:
    """When a day begins at the school (UTC)."""
    return max(0, of_day * DAY_S - asked.settings.school_offset_s)


def clock(asked: Asked, time_s: int) -> str:
    """Such as 2026-11-27 11:35:07, where the school is; "": nobody knew the time."""
    if not 0 < time_s < NUMBER_MAX:
        return ""
    local = datetime.fromtimestamp(time_s + asked.settings.school_offset_s, UTC)
    return local.strftime("%Y-%m-%d %H:%M:%S")


def date_of(number_of_day: int) -> str:
    """A day since 1970 as 2026-11-27."""
    return (_EPOCH + timedelta(days=number_of_day)).isoformat()
