"""The warden's list: `onecard ledger locks DATABASE`. May run beside the ledger."""

from datetime import UTC, datetime
from pathlib import Path

from ledger.letters import fits
from ledger.lock_mail import LockState
from ledger.locks import GRADES, LockNews, news
from ledger.store import LedgerStore
from protocols.rules import cells
from tools.ledger_forks import opened

NOTHING_TO_DO, SOMETHING_TO_DO = 0, 1
_TIME_UNKNOWN_S = 0xFFFFFFFF
_DAY_S = 86400


def show(path: Path, now_s: int) -> tuple[int, str]:
    """Whether somebody has to go to a lock, and a line for each. NotBooks for another file."""
    with opened(path) as store:
        found = news(store.database)
        by_card = {state.device: state for state in store.lock_mail.states()}
        mail = {device: _mail(store, state) for device, state in by_card.items()}
    lines = [_line(each, now_s) + mail.pop(each.device, "") for each in found]
    lines += [
        f"lock {device}, {by_card[device].site}: never heard of{mail[device]}" for device in mail
    ]
    lines = lines or ["no lock has been heard of"]
    is_due = any(each.grade != cells.GOOD or each.is_jammed for each in found)
    return (SOMETHING_TO_DO if is_due else NOTHING_TO_DO), "\n".join(lines)


def _mail(store: LedgerStore, state: LockState) -> str:
    """What of the books a lock has not confirmed on a card, and what no card can bring it."""
    parts = []
    if state.epoch and not state.is_confirmed:
        held = f"holds {state.held_epoch}" if state.held_epoch else "says nothing of any"
        parts.append(f"GRANTS OF EPOCH {state.epoch} NOT CONFIRMED ({held})")
    if not fits(store.access, state.device):
        parts.append("its access map is too large for a card")
    return "".join(f", {part}" for part in parts)


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
