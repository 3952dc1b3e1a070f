"""What a reader's own records say of an outage, against the regulation's articles 23 and 24.

Rules of this file. Pure: records in, checks out. A record was written in an interval, and every
figure is the shortest time that fits the intervals, so nobody is told of more than was proven.
What nobody tried is not passed, and a reader that had its mains or network all the while proves
nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from protocols.rules import door, reasons
from protocols.wire import messages

POWER, NETWORK = "power", "network"
# Kinds of reader, by what the books know of them.
COUNTER, DOOR, LOCK, PUNCHES = "pos", "door", "lock", "attendance"
PASSED, FAILED = "passed", "failed"
SHORT = "short"  # it went on as long as that was, and two hours it was not
NOT_TRIED, NOT_CUT = "not tried", "not cut"
UNSEEN = "unseen"  # it was without power itself, and nobody saw what the door did
SILENT = "silent"  # it has said nothing from behind the outage yet
BATTERY_S = 2 * 3600  # R23.1: about two hours
# How far behind the end a reader's next word has to be: until then a door may lock again.
BEHIND_S = 30
_DARK, _LOCKING = door.STATES.index(door.DARK), [door.STATES.index(one) for one in door.LOCKING]

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """When the outage was, UTC seconds; from the first switch to the last."""

    from_s: int
    to_s: int

    def may_hold(self, record: Record) -> bool:
        """Whether it may have been written in the outage."""
        return record["latest_s"] >= self.from_s and record["earliest_s"] <= self.to_s

    def holds(self, record: Record) -> bool:
        """Whether it surely was."""
        return self.from_s <= record["earliest_s"] and record["latest_s"] <= self.to_s


@dataclass(frozen=True, slots=True)
class Check:
    """A rule at a reader. `figures`: what was measured, by name, units last."""

    rule: str
    verdict: str
    figures: dict[str, int] = field(default_factory=dict)


def has_told(records: Sequence[Record], window: Window) -> bool:
    """Whether the reader has said something from behind the outage: nothing before is missing."""
    return any(is_behind(record, window) for record in records)


def is_behind(record: Record, window: Window) -> bool:
    """Whether it was surely written after the outage, and long enough after it."""
    return record["earliest_s"] >= window.to_s + BEHIND_S


def checks(kind: str, device_kind: str, records: Sequence[Record], window: Window) -> list[Check]:
    """Each rule of this outage for such a reader. `records`: in its own order."""
    judges = _JUDGES.get((kind, device_kind), {})
    if not has_told(records, window):
        return [Check(rule, SILENT) for rule in judges]
    return [Check(rule, *judge(records, window)) for rule, judge in judges.items()]


def as_values(check: Check) -> dict[str, Any]:
    """A check as plain values."""
    return asdict(check)


Judged = tuple[str, dict[str, int]]


def _battery(records: Sequence[Record], window: Window) -> Judged:
    """R23.1a: how long the POS went on, from its word that the mains were gone."""
    begun, ended = _span(records, window)
    if begun is None:
        return (FAILED, {"on_battery_s": 0}) if _died(records, window) else (NOT_CUT, {})
    last = ended or records[-1]
    held_s = max(last["earliest_s"] - begun["latest_s"], 0)
    figures = {"on_battery_s": held_s, "battery_mv": begun["battery_mv"]}
    if held_s >= BATTERY_S:
        return PASSED, figures
    came_back = ended is not None and ended["kind"] == messages.POWER
    return (SHORT if came_back else FAILED), figures


def _span(records: Sequence[Record], window: Window) -> tuple[Record | None, Record | None]:
    """The record that the mains were gone, and what ended that.

    The mains, the last word before it stopped, or a refusal because its battery was empty.
    """
    begun, before = None, None
    for record in records:
        if begun is None:
            is_gone = record["kind"] == messages.POWER and record["source"] == messages.BATTERY
            begun = record if is_gone and window.may_hold(record) else None
        elif record["kind"] == messages.BOOT and record["cause"] != messages.NO_BOOT:
            return begun, before
        elif _ends_battery(record):
            return begun, record
        before = record
    return begun, None


def _ends_battery(record: Record) -> bool:
    """Whether the mains are back, or the battery is empty."""
    if record["kind"] == messages.POWER:
        return record["source"] == messages.MAINS
    return record["kind"] == messages.REFUSAL and record["reason"] == reasons.BATTERY_EMPTY


def _died(records: Sequence[Record], window: Window) -> bool:
    """Whether it booted between what it said before the outage and what it says behind that.

    By its own order: a board whose clock has stopped does not know when it booted.
    """
    within = False
    for before, record in zip([None, *records], records, strict=False):
        if before is not None and before["latest_s"] < window.from_s:
            within = True
        if before is not None and before["earliest_s"] >= window.to_s:
            return False
        if within and record["kind"] == messages.BOOT and record["cause"] != messages.NO_BOOT:
            return True
    return False


def _paid(flag: int) -> Callable[[Sequence[Record], Window], Judged]:
    """R23.1b, R24.1: cards paid, by the word of each spend that it was on battery, or offline."""

    def judge(records: Sequence[Record], window: Window) -> Judged:
        spends = list(_spends(records, window))
        without = [spend for spend in spends if spend["flags"] & flag]
        figures = {"spends": len(without)}
        if without:
            return PASSED, figures
        return (NOT_CUT if spends else NOT_TRIED), figures

    return judge


def _spends(records: Sequence[Record], window: Window) -> Iterator[Record]:
    """The INTENTs of spends in the outage that were committed."""
    done = {
        record["intent_seq"]
        for record in records
        if record["kind"] == messages.OUTCOME and record["result"] == messages.COMMITTED
    }
    for record in records:
        is_spend = record["kind"] == messages.INTENT and record["amount_fen"]
        if is_spend and record["seq"] in done and window.holds(record):
            yield record


def _released(records: Sequence[Record], window: Window) -> Judged:
    """R23.2: the magnet let go, until it was locked again; and nothing held it without mains."""
    told = [record for record in records if record["kind"] == messages.DOOR]
    held = [
        record
        for record in told
        if window.may_hold(record)
        and record["state"] in _LOCKING
        and not record["levels"] & door.MAINS
    ]
    if held:
        return FAILED, {"held_without_mains": len(held)}
    begun = next(
        (one for one in told if one["state"] == _DARK and window.may_hold(one)),
        None,
    )
    if begun is None:
        return (UNSEEN if _died(records, window) else NOT_CUT), {}
    behind = [one for one in records if one["seq"] > begun["seq"]]
    ends = (one for one in behind if one["kind"] == messages.DOOR and one["state"] != _DARK)
    end = next(ends, None)
    locked = any(one["kind"] == messages.DOOR and one["state"] == _LOCKING[0] for one in behind)
    open_s = max((end or records[-1])["earliest_s"] - begun["latest_s"], 0)
    return (PASSED if end and locked else FAILED), {"released_s": open_s}


def _opened(records: Sequence[Record], window: Window) -> Judged:
    """R23.3a, R24.2, R24.3: cards opened it in the outage, and cells refused none."""
    entries = [
        record
        for record in records
        if record["kind"] == messages.ENTRY and record["card_no"] and window.holds(record)
    ]
    opened = sum(record["reason"] == reasons.APPROVED for record in entries)
    empty = sum(record["reason"] == reasons.BATTERY_EMPTY for record in entries)
    figures = {"opened": opened, "refused_empty": empty}
    if empty:
        return FAILED, figures
    return (PASSED if opened else NOT_TRIED), figures


def _punched(records: Sequence[Record], window: Window) -> Judged:
    """R24: an attendance machine kept what was punched."""
    count = sum(one["kind"] == messages.PUNCH and window.holds(one) for one in records)
    return (PASSED if count else NOT_TRIED), {"punches": count}


_JUDGES: dict[tuple[str, str], dict[str, Callable[[Sequence[Record], Window], Judged]]] = {
    (POWER, COUNTER): {"R23.1a": _battery, "R23.1b": _paid(messages.FLAG_BATTERY)},
    (POWER, DOOR): {"R23.2": _released},
    (POWER, LOCK): {"R23.3a": _opened},
    (NETWORK, COUNTER): {"R24.1": _paid(messages.FLAG_OFFLINE)},
    (NETWORK, DOOR): {"R24.2": _opened},
    (NETWORK, LOCK): {"R24.3": _opened},
    (NETWORK, PUNCHES): {"R24.x": _punched},
}


def verdict_of(found: Sequence[Check]) -> str:
    """Of all checks: "failed" if one did, "passed" if all did, else "partly"."""
    verdicts = {check.verdict for check in found}
    if FAILED in verdicts:
        return "failed"
    return "passed" if verdicts == {PASSED} else "partly"
