"""The warden's list: `onecard ledger locks DATABASE`. May run beside the ledger."""

from datetime import UTC, datetime
from pathlib import Path

from ledger.locks import GRADES, LockNews, news
from protocols.rules import cells
from tools.ledger_forks import opened

NOTHING_TO_DO, SOMETHING_TO_DO = 0, 1
_TIME_UNKNOWN_S = 0xFFFFFFFF
_DAY_S = 86400


def show(path: Path, now_s: int) -> tuple[int, str]:
    """Whether somebody has to go to a lock, and a line for each. NotBooks for another file."""
    with opened(path) as store:
        found = news(store.database)
    lines = [_line(each, now_s) for each in found] or ["no lock has been heard of"]
    is_due = any(each.grade != cells.GOOD or each.is_jammed for each in found)
    return (SOMETHING_TO_DO if is_due else NOTHING_TO_DO), "\n".join(lines)


def _line(lock: LockNews, now_s: int) -> str:
    reads = "" if lock.battery_mv is None else f" ({lock.battery_mv / 1000:.2f} V)"
    parts = [
        f"lock {lock.device}, {lock.site}: cells {GRADES.get(lock.grade, '?')}{reads}",
        "THE BOLT IS JAMMED" if lock.is_jammed else "",
        f"last heard {_time(lock.heard_s)}",
        f"card map {_age(lock.map_made_s, now_s)}",
    ]
    return ", ".join(part for part in parts if part)


def _time(time_s: int) -> str:
    if not 0 < time_s < _TIME_UNKNOWN_S:
        return "at a time it did not know"
    return datetime.fromtimestamp(time_s, UTC).isoformat().replace("+00:00", "Z")


def _age(made_s: int, now_s: int) -> str:
    return f"{max(now_s - made_s, 0) // _DAY_S} days old" if made_s else "none"
