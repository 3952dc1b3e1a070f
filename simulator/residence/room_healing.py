"""How the locks of rooms come to rest: new cells, two rounds of the handheld, a last visit."""

from __future__ import annotations

from protocols.rules import cells
from simulator.checkers import journal_of
from simulator.residence.building import SECOND_US
from simulator.residence.room_lock import STRONG_MV, RoomLock
from simulator.residence.room_visit import TAP_US
from simulator.residence.rooms import Rooms

_STEP_US = 30 * SECOND_US
_ROUND_US_MAX = 4 * 3600 * SECOND_US
_SWAP_US = 60 * SECOND_US
# A lock looks at itself once a day and writes that down, for some just behind the warden's visit:
# he goes there again, and by chance to another one after that.
_AGAIN = 3
_QUIET_US = 500 * SECOND_US  # until agent and handheld surely know the newest of everything


def heal_rooms(rooms: Rooms) -> None:
    """New cells where they are needed, and all of it goes round by the handheld."""
    building = rooms.building
    for room in building.rooms:
        if not room.reader.is_on or room.least_mv < STRONG_MV:
            room.swap(_SWAP_US)
    building.run_until(building.world.now_us + _QUIET_US)
    _go_round(rooms)


def last_visits(rooms: Rooms) -> None:
    """With everything in order everybody tries his rooms once more, and strangers every one."""
    building = rooms.building
    for person in rooms.people.residents:
        for room in rooms.rooms_of[person.card.card_no]:
            rooms.enter(room, person)
            building.run_until(building.world.now_us + TAP_US)
    stranger = rooms.people.strangers[0]
    for room in building.rooms:
        rooms.enter(room, stranger)
        building.run_until(building.world.now_us + TAP_US)
        rooms.leave(room)
        building.run_until(building.world.now_us + TAP_US)
    building.run_until(building.world.now_us + _QUIET_US)
    _go_round(rooms)
    for _ in range(_AGAIN):
        behind = [room for room in building.rooms if _waiting(rooms, room)]
        if behind:
            _go_round(rooms, behind)
    for room in building.rooms:
        for text in _owed(rooms, room):
            building.report(f"not drained: {text}")


def _go_round(rooms: Rooms, only: list[RoomLock] | None = None) -> None:
    building = rooms.building
    end_us = building.world.now_us + _ROUND_US_MAX
    while rooms.handheld.is_out and building.world.now_us < end_us:
        building.run_until(building.world.now_us + _STEP_US)
    rooms.handheld.go_round(only or building.rooms)
    while rooms.handheld.is_out and building.world.now_us < end_us:
        building.run_until(building.world.now_us + _STEP_US)
    if rooms.handheld.is_out:
        building.report("the warden's round does not end")
    building.run_until(building.world.now_us + 2 * _STEP_US)


def _waiting(rooms: Rooms, room: RoomLock) -> str:
    """What a lock has written and nobody has fetched, in words."""
    head = journal_of(room.hardware.flash).head_seq
    booked = rooms.building.books.heads().get(room.device, 0)
    return f"has written {head}, booked is {booked}" if booked != head else ""


def _owed(rooms: Rooms, room: RoomLock) -> list[str]:
    """What is not as it should be behind the last round."""
    owed = []
    if waiting := _waiting(rooms, room):
        owed.append(f"{room.name} {waiting}")
    if room.ill:
        owed.append(f"{room.name} is not mended: {room.ill} faults")
    if not room.is_time_known:
        owed.append(f"{room.name} does not know the time")
    if not room.is_at_rest():
        owed.append(f"{room.name} is not locked")
    if room.is_strong() and _grade(room) != cells.GOOD:
        owed.append(f"{room.name} calls new cells {_grade(room)}")
    return owed


def _grade(room: RoomLock) -> int:
    return room.hardware.nvs["cells"][0] if "cells" in room.hardware.nvs else cells.GOOD
