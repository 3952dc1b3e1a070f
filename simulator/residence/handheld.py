"""The warden's handheld: he goes from lock to lock with the line of the building's agent.

Plugged in for most of a minute, a lock in order has told all that it has written, and heard what
the agent knows: that is looked at before it is unplugged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from protocols.rules import lock
from protocols.wire import messages
from simulator.residence.building import SECOND_US, Building
from simulator.residence.place import Linked
from simulator.residence.room_lock import RoomLock
from simulator.residence.room_rights import RoomRights

_VISIT_US = 45 * SECOND_US
_WALK_US = 5 * SECOND_US
_STEADY_US = 20 * SECOND_US  # for so long before a visit nothing may have been cut
VISITED = {"event": lock.number("visited")}


class Handheld(Linked):
    """One notebook; `expect(room, kind, fields, from_us, to_us)` is told what must be booked."""

    def __init__(
        self,
        building: Building,
        rights: RoomRights,
        expect: Callable[[RoomLock, int, dict[str, int], int, int], None],
    ) -> None:
        self._building, self._rights, self._expect = building, rights, expect
        self.world = building.world
        self.is_out = False

    def go_round(self, rooms: Iterable[RoomLock]) -> None:
        """Visit each of them, one after the other; nothing while he is under way already."""
        if not self.is_out:
            self.is_out = True
            self._building.agent.take_line(True)
            self._next(iter(list(rooms)))

    def _next(self, rooms: Iterable[RoomLock]) -> None:
        room = next(iter(rooms), None)
        if room is None:
            self.is_out = False
            self._building.agent.take_line(False)
            return
        start_us = max(self.world.now_us, room.free_us)
        room.free_us = start_us + _VISIT_US + _WALK_US
        self.world.at(start_us, partial(self._plug, room, rooms))

    def _plug(self, room: RoomLock, rooms: Iterable[RoomLock]) -> None:
        self.look_at_link()
        is_fair, boots = room.is_well() and room.is_at_rest(), len(room.boots)
        room.look_at_cells()
        self._set(room, True)
        end = partial(self._end, room, is_fair, boots, self.known_us)
        room.reader.at(self.world.now_us + _VISIT_US, end)
        self._building.later(_VISIT_US + _WALK_US, partial(self._next, rooms))

    def _set(self, room: RoomLock, is_plugged: bool) -> None:
        assert room.hardware.line is not None
        room.hardware.line.is_cut = not is_plugged
        room.set_input(lock.LINE, is_plugged, self.world.now_us)

    def _end(self, room: RoomLock, is_fair: bool, boots: int, known_us: int) -> None:
        building, now_us = self._building, self.world.now_us
        is_fair = is_fair and room.is_well() and boots == len(room.boots)
        is_linked = not self.cut and now_us - self.linked_us > _VISIT_US + _STEADY_US
        is_sure = is_fair and is_linked and building.agent.is_up
        self._rights.handheld_was_there(room.device, room.heard, known_us, is_sure)
        building.done["visit of the handheld"] += 1
        if is_fair:
            from_us = now_us - _VISIT_US
            self._expect(room, messages.DOOR, VISITED, from_us, from_us + 3 * SECOND_US)
        if is_sure:
            room.is_time_known = room.hardware.has_clock_chip
            newest = room.written[-1].seq
            booked = building.books.heads().get(room.device, 0)
            if booked < newest:
                text = f"{booked} of {newest} records are booked behind a visit of the handheld"
                building.report(f"{room.name}: {text}")
        self._set(room, False)
