"""The rooms of a building: who lives behind which lock, and what happens there on a day.

Residents come from the house door, whose agent has put letters on their cards; some have two
rooms, one of the staff may enter more than a card carries letters for. Strangers try, a card is
held there too shortly, the warden comes with his key, and every fourth day with the handheld.
"""

from __future__ import annotations

import random
from functools import partial

from protocols.rules import access, lock
from protocols.wire import messages
from simulator.residence import rights as orders
from simulator.residence.building import DAY_US, SECOND_US, Building
from simulator.residence.handheld import Handheld
from simulator.residence.people import People
from simulator.residence.room_lock import RoomLock
from simulator.residence.room_rights import RoomRights
from simulator.residence.room_visit import (
    HASTY_US,
    HOLD_US,
    TAP_US,
    RoomVisit,
    expect_in_a_while,
)
from simulator.residence.visit import Person

_HOUR_US = 3600 * SECOND_US
_WALK_US = 30 * SECOND_US
_SHORT_US, _PRESS_US, _KEY_US = 400_000, 1_200_000, 2 * SECOND_US
_OUT_US = 12 * SECOND_US
_WRONG_EVERY_US = 5 * SECOND_US
_LOCKED_OUT_US = 100 * SECOND_US
_HOLD_AT_DOOR_US = 1_200_000  # who carries letters holds his card until the beep
_FIRST_ROUND_US, _ROUND_US, _ROUND_DAYS = 20 * 60 * SECOND_US, 10 * _HOUR_US, 4
_HOURS = {orders.RESIDENT: orders.ALWAYS, orders.NIGHTLY: orders.CURFEW}
_CARDS_MAX = 8  # of one lock: more do not fit into a letter whose numbers lie apart
_STAFF_ROOMS = 5
INSIDE, KEY = ({"event": lock.number(name)} for name in ("inside", "key"))


class Rooms:
    """Plans the days of all rooms and plays them. `people` are those of the building's doors."""

    def __init__(self, building: Building, people: People) -> None:
        self.building, self.people, self.seen = building, people, people.seen
        self.rights = RoomRights(people.rights)
        self.handheld = Handheld(building, self.rights, self.seen.expect)
        building.handheld = self.handheld
        self._draw = building.draw("rooms")
        self.rooms_of: dict[int, list[RoomLock]] = {}  # card_no -> where its holder goes
        self._move_in()
        people.hold_us = _HOLD_AT_DOOR_US
        people.on_home, people.on_leave = self._come_home, self._leave_home

    def _move_in(self) -> None:
        rooms, groups = self.building.rooms, {}
        for number, person in enumerate(self.people.residents):
            where = {number % len(rooms)}
            if number % 3 == 0:
                where.add((number + 1) % len(rooms))
            if person.digits:
                where = set(range(min(_STAFF_ROOMS, len(rooms))))
            for place in sorted(where):
                group = orders.RESIDENT if person.card.card_no % 3 else orders.NIGHTLY
                groups.setdefault(place, {})[person.card.card_no] = group
            self.rooms_of[person.card.card_no] = [rooms[place] for place in sorted(where)]
        for place, room in enumerate(rooms):
            cards = dict(list(groups.get(place, {}).items())[:_CARDS_MAX])
            self.people.rights.set_up(room, cards, None, _HOURS)

    # -- a day ----------------------------------------------------------------------------------

    def plan_day(self, day: int) -> None:
        """What happens at the rooms on this day of the run, from midnight on."""
        draw = self.building.draw("rooms of the day", day)
        for room in self.building.rooms:
            for share, act in (
                (0.25, self._knock),
                (0.1, self._copy),
                (0.05, self._try_five),
                (0.1, self._open_by_key),
            ):
                if draw.random() < share:
                    self._at(day, draw.uniform(6.0, 24.0), partial(act, room))
        for _ in range(1 + len(self.building.rooms) // 4):
            self._at(day, draw.uniform(0.0, 24.0), partial(self._order, draw))
        if day == 0:
            self.building.world.at(_FIRST_ROUND_US, self.go_round)
        elif day % _ROUND_DAYS == 0:
            self.building.world.at(day * DAY_US + _ROUND_US, self.go_round)

    def _at(self, day: int, hour: float, act: partial[None]) -> None:
        self.building.world.at(day * DAY_US + int(hour * _HOUR_US), act)

    def go_round(self) -> None:
        """The warden visits every lock with the handheld."""
        self.handheld.go_round(self.building.rooms)

    def _order(self, draw: random.Random) -> None:
        """The warden grants somebody a room, or takes it from him."""
        room, person = draw.choice(self.building.rooms), draw.choice(self.people.residents)
        card_no = person.card.card_no
        cards = {no: group for no, group in self._groups(room).items() if group}
        if card_no in cards or len(cards) >= _CARDS_MAX:
            card_no, group = draw.choice([card_no] if card_no in cards else sorted(cards)), 0
        else:
            group = draw.choice((orders.RESIDENT, orders.NIGHTLY))
        self.people.rights.grant(room, card_no, group)
        if group and room not in self.rooms_of[card_no]:
            self.rooms_of[card_no].append(room)
        self.building.done["order about a lock"] += 1

    def _groups(self, room: RoomLock) -> dict[int, int]:
        return self.people.rights.newest(room).groups

    # -- through locks --------------------------------------------------------------------------

    def _come_home(self, person: Person, at_us: int) -> None:
        rooms = self.rooms_of[person.card.card_no]
        if rooms and not self.building.is_healing:
            room = self._draw.choice(rooms)
            self.building.world.at(at_us + _WALK_US, partial(self._enter, room, person))

    def _enter(self, room: RoomLock, person: Person) -> None:
        hold_us = HASTY_US if self._draw.randrange(12) == 0 else HOLD_US
        self.enter(room, person, hold_us)

    def enter(
        self, room: RoomLock, person: Person, hold_us: int = HOLD_US, start_us: int | None = None
    ) -> None:
        """Somebody holds a card to the lock of a room, if he is not elsewhere just now."""
        now_us = self.building.world.now_us
        if start_us is None:
            start_us = max(now_us, room.free_us)
            room.free_us = start_us + TAP_US
            if person.busy_us > start_us:
                return
        person.busy_us = start_us + TAP_US
        RoomVisit(self.seen, self.rights, room, person, hold_us).play(start_us)

    def _leave_home(self, person: Person) -> None:
        rooms = self.rooms_of[person.card.card_no]
        if rooms and self._draw.randrange(2):
            self.leave(self._draw.choice(rooms))

    def leave(self, room: RoomLock) -> None:
        """Somebody presses the inner handle: by hand he is out.

        The lock writes it down if that has lasted until it was awake.
        """
        is_short = self._draw.randrange(2)
        hold_us = _SHORT_US if is_short else _PRESS_US
        self._touch(room, lock.INSIDE, hold_us, None if is_short else INSIDE)

    def _open_by_key(self, room: RoomLock) -> None:
        self.turn_key(room)

    def turn_key(self, room: RoomLock) -> None:
        """The warden opens with his key, which nothing electrical can prevent."""
        self._touch(room, lock.KEY, _KEY_US, KEY)

    def _touch(self, room: RoomLock, bit: int, hold_us: int, said: dict[str, int] | None) -> None:
        start_us = max(self.building.world.now_us, room.free_us)
        room.free_us = start_us + _OUT_US

        def touch() -> None:
            self.building.done["by hand at a lock"] += 1
            room.press(bit, start_us, hold_us)
            if said is not None:
                expect_in_a_while(self.seen, room, messages.DOOR, said, start_us)

        room.reader.at(start_us, touch)

    # -- what some people do --------------------------------------------------------------------

    def _knock(self, room: RoomLock) -> None:
        self.enter(room, self._draw.choice(self.people.strangers[:-1]))

    def _copy(self, room: RoomLock) -> None:
        self.enter(room, self.people.strangers[-1])

    def _try_five(self, room: RoomLock) -> None:
        self.try_five(room)

    def try_five(self, room: RoomLock) -> None:
        """Five wrong cards in a row: it takes none for 90 s, and somebody has to come."""
        start_us = max(self.building.world.now_us, room.free_us)
        person = next(one for one in self.people.strangers if not one.holder.card_no)
        is_calm = room.is_well() and not self.seen.has_refused(room, 1)
        if not is_calm or person.busy_us > start_us:
            return
        room.free_us = start_us + 6 * _WRONG_EVERY_US + _LOCKED_OUT_US
        for number in range(access.TRIES_MAX):
            self.enter(room, person, start_us=start_us + number * _WRONG_EVERY_US)
        last_us = start_us + (access.TRIES_MAX - 1) * _WRONG_EVERY_US
        said = {"reason": access.LOCKED_OUT, "card_no": 0}

        def watch() -> None:
            expect_in_a_while(self.seen, room, messages.ENTRY, said, last_us)

        room.reader.at(last_us, watch)
