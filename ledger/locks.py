"""Locks on batteries: what their records say of cells and bolt, for who has to go there (R23.3b).

A lock has no network: what stands here is what a warden's handheld, or somebody's card, has
brought along last. Its DOOR records have the states of rules/lock.py, and as `cause` the grade of
its cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger import reasons
from ledger.dialect import Dialect
from ledger.retirement import IN_USE
from protocols.rules import cells, lock
from protocols.wire import messages, seal

GRADES = {cells.GOOD: "good", cells.LOW: "low", cells.EMPTY: "empty"}
_JAMMED = lock.STATES_AT + lock.STATES.index(lock.JAMMED)
_WEAKER, _TAMPER = lock.number("weaker"), lock.number("tamper")
_DEVICES = f"SELECT d.device, d.site FROM device d WHERE {IN_USE} ORDER BY d.device"
_NEWEST = "SELECT sealed FROM record WHERE device = ? AND kind = ? ORDER BY seq DESC LIMIT 1"
_LAST = "SELECT sealed FROM record WHERE device = ? ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class LockNews:
    """What is known of one lock.

    `grade`: of its cells, and what they read (mV); None where it has not said. `heard_s`: the
    latest second at which its newest record can have been written, `map_made_s` when its card map
    was the newest; 0: nobody knows.
    """

    device: int
    site: str
    grade: int
    battery_mv: int | None
    is_jammed: bool
    heard_s: int
    map_made_s: int


def news(database: Dialect) -> list[LockNews]:
    """All locks that have been heard of, the worst cells first, then who was silent longest."""
    found = []
    for device, site in database.rows(_DEVICES):
        said = _newest(database, device, messages.DOOR)
        if said is None or said["state"] < lock.STATES_AT:
            continue
        look = _newest(database, device, messages.INSPECTION)
        power = _newest(database, device, messages.POWER)
        reads = max((each for each in (look, power) if each), key=_seq, default=None)
        last = _fields(database.rows(_LAST, (device,))) or said
        found.append(
            LockNews(
                device,
                site,
                said["cause"],
                reads["battery_mv"] if reads else None,
                said["state"] == _JAMMED,
                last["latest_s"],
                (look or {}).get("map_made_s", 0),
            )
        )
    return sorted(found, key=lambda each: (-each.is_jammed, -each.grade, each.heard_s))


def case_of(fields: Mapping[str, Any]) -> int | None:
    """The reason of the case that a DOOR record of a lock opens; None for any other one."""
    if fields["state"] < lock.STATES_AT:
        return None
    if fields["event"] == _WEAKER:
        is_empty = fields["cause"] >= cells.EMPTY
        return reasons.LOCK_CELLS_EMPTY if is_empty else reasons.LOCK_CELLS_LOW
    if fields["event"] == _TAMPER:
        return reasons.LOCK_CASE_OPENED
    return reasons.LOCK_JAMMED if fields["state"] == _JAMMED else None


def _seq(fields: Mapping[str, Any]) -> int:
    return fields["seq"]


def _newest(database: Dialect, device: int, kind: int) -> dict[str, Any] | None:
    return _fields(database.rows(_NEWEST, (device, kind)))


def _fields(rows: Any) -> dict[str, Any] | None:
    for (sealed,) in rows:
        return messages.decode_record(seal.payload_of(bytes(sealed)))
    return None
