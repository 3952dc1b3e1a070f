"""What must hold of the locks of rooms when a residence has healed; beside judge.py, see there.

Records are those that flash has taken. A lock that knows the time knows it, one that does not says
so: the true time is always inside. What calls somebody is a case, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger import reasons as cases
from protocols.rules import cells, lock
from protocols.wire import messages
from simulator.residence.building import Building
from simulator.residence.place import Place, Written
from simulator.residence.room_lock import RoomLock
from simulator.residence.visit import Seen

_SLACK_MS = 1_000
_JAMMED = lock.STATES_AT + lock.STATES.index(lock.JAMMED)
_OF_CELLS = {cells.LOW: cases.LOCK_CELLS_LOW, cells.EMPTY: cases.LOCK_CELLS_EMPTY}


def judge_room(building: Building, room: RoomLock, booked: list[Written], seen: Seen) -> None:
    """Report whatever one lock has done that it must not."""
    must_be_then(building, room)
    for written in room.written:
        fields = written.fields
        if fields["kind"] == messages.ENTRY and fields["card_no"]:
            if written.sealed not in seen.answered:
                building.report(f"{room.name}: record {written.seq} is of a card not there")
        elif fields["kind"] == messages.FAULT:
            building.done["fault told by a lock"] += 1
    bolt = room.hardware.bolt
    if bolt.direction or bolt.bolt:
        building.report(f"{room.name} does not lock")
    building.done["record of a lock"] += len(booked)


def must_be_then(building: Building, place: Place) -> None:
    """The interval of each record contains the true time."""
    for written in place.written:
        fields = written.fields
        true_ms = building.world.start_utc_s * 1000 + written.time_us // 1000
        early_ms, late_ms = fields["earliest_s"] * 1000, fields["latest_s"] * 1000
        if not early_ms - _SLACK_MS <= true_ms <= late_ms + _SLACK_MS:
            off_s = (true_ms - (early_ms if true_ms < early_ms else late_ms)) / 1000
            where = f"{place.name}: record {written.seq}"
            building.report(f"{where} is {off_s:.1f} s off its interval")


def case_of(fields: Mapping[str, Any]) -> int | None:
    """The case that somebody has to see for a record of a lock."""
    if fields["kind"] != messages.DOOR or fields["state"] < lock.STATES_AT:
        return None
    if fields["event"] == lock.number("weaker"):
        return _OF_CELLS[fields["cause"]]
    if fields["event"] == lock.number("tamper"):
        return cases.LOCK_CASE_OPENED
    return cases.LOCK_JAMMED if fields["state"] == _JAMMED else None
