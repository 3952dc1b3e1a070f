"""The warden's handheld: he goes from lock to lock with the line of the building's agent.

He sees when a lock answers, and stays for half a minute from then on: so long a lock in order
needs to tell all that it has written, and to hear what the agent knows. That is looked at before
it is unplugged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from protocols.rules import lock
from protocols.wire import messages
from simulator.residence.building import SECOND_US, Building
from simulator.residence.place import Linked
from simulator.residence.room_lock import RoomLock
from simulator.residence.room_rights import RoomRights

_LOOK_US = 10 * SECOND_US  # between two looks at the notebook
_STAY_US, _PATIENCE_US = 30 * SECOND_US, 150 * SECOND_US
_JITTER_US = 8_000  # of a notebook's scheduler
_WALK_US = 5 * SECOND_US
_STEADY_US = 20 * SECOND_US  # for so long before a visit nothing may have been cut
VISITED = {"event": lock.number("visited")}


@dataclass
class _Visit:
    """What is known of a lock as it is plugged in, and when it has answered."""

    is_fair: bool
    boots: int
    known_us: int
    start_us: int
    up_us: int | None = None


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
        self._jitter = building.draw("handheld")
        assert building.agent.line is not None
        self._line = building.agent.line
        self._line.jitter_us = lambda: self._jitter.randrange(_JITTER_US)

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
        room.free_us = start_us + _PATIENCE_US + _WALK_US
        self.world.at(start_us, partial(self._plug, room, rooms))

    def _plug(self, room: RoomLock, rooms: Iterable[RoomLock]) -> None:
        self.look_at_link()
        is_fair, boots = room.is_well() and room.is_at_rest(), len(room.boots)
        room.look_at_cells()
        self._line.events.clear()
        self._set(room, True)
        visit = _Visit(is_fair, boots, self.known_us, self.world.now_us)
        self._look_later(room, rooms, visit)

    def _look_later(self, room: RoomLock, rooms: Iterable[RoomLock], visit: _Visit) -> None:
        at_us = self.world.now_us + _LOOK_US
        room.reader.at(at_us, partial(self._look, room, rooms, visit))

    def _look(self, room: RoomLock, rooms: Iterable[RoomLock], visit: _Visit) -> None:
        """Is it there, and for how long?"""
        now_us = self.world.now_us
        if visit.up_us is None and ("reader_up", room.device) in self._line.events:
            visit.up_us = now_us
        stayed_us = 0 if visit.up_us is None else now_us - visit.up_us
        if stayed_us < _STAY_US and now_us - visit.start_us < _PATIENCE_US:
            self._look_later(room, rooms, visit)
            return
        self._end(room, visit, stayed_us >= _STAY_US)
        self._set(room, False)
        room.free_us = now_us + _WALK_US
        self._building.later(_WALK_US, partial(self._next, rooms))

    def _set(self, room: RoomLock, is_plugged: bool) -> None:
        assert room.hardware.line is not None
        room.hardware.line.is_cut = not is_plugged
        room.set_input(lock.LINE, is_plugged, self.world.now_us)

    def _end(self, room: RoomLock, visit: _Visit, has_stayed: bool) -> None:
        building = self._building
        is_fair = visit.is_fair and room.is_well() and visit.boots == len(room.boots)
        is_linked = not self.cut and self.linked_us < visit.start_us - _STEADY_US
        is_sure = is_fair and is_linked and building.agent.is_up
        if is_sure and not has_stayed:
            building.report(f"{room.name} does not answer the handheld")
            return
        self._rights.handheld_was_there(room.device, room.heard, visit.known_us, is_sure)
        building.done["visit of the handheld"] += 1
        if is_fair:
            from_us = visit.start_us
            self._expect(room, messages.DOOR, VISITED, from_us, from_us + 3 * SECOND_US)
        if is_sure:
            room.is_time_known = room.hardware.has_clock_chip
            newest = room.written[-1].seq
            booked = building.books.heads().get(room.device, 0)
            if booked < newest:
                text = f"{booked} of {newest} records are booked behind a visit of the handheld"
                building.report(f"{room.name}: {text}")
