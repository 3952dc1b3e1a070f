"""Somebody at the lock of a room, and what he sees: judged as soon as it is over.

He touches the handle, holds his card there, and presses the handle down two seconds later. Whoever
may enter, by all that can have reached the lock, is in; who may not by any of it stays out; each
of them is written down once. Only cells that are really low keep out who may enter, and only
where it was said before that they are.
"""

from __future__ import annotations

from functools import partial

from protocols.rules import access, cells, lock, reasons
from protocols.wire import messages
from simulator.residence.building import SECOND_US
from simulator.residence.heard import Known, letters_to
from simulator.residence.place import Written
from simulator.residence.room_lock import RoomLock
from simulator.residence.room_rights import RoomRights
from simulator.residence.visit import Person, Seen

_TOUCH_US = 300_000
_CARD_US = 400_000  # from the touch to the card: it boots meanwhile
HOLD_US, HASTY_US = 1_200_000, 450_000
_PULL_US = _CARD_US + 2 * SECOND_US  # GB 50396: two seconds from the card
_END_US = 3 * SECOND_US
TAP_US = 15 * SECOND_US  # until the next one may come
_DOUBT_S = 90
_WIDTH_S_MAX = 60  # of a lock that knows the time
_WEAKER = lock.number("weaker")
# Under the motor, by physics: who opened with less has been told that the cells are low.
_LOW_MV = cells.LOADED_MV_MIN + cells.LOADED_LOW_MARGIN_MV - 100


class RoomVisit:
    """One person with a card at a lock; `hold_us`: for how long he has patience."""

    def __init__(
        self, seen: Seen, rights: RoomRights, room: RoomLock, person: Person, hold_us: int
    ) -> None:
        self._seen, self._rights, self._room, self._person = seen, rights, room, person
        self._hold_us = hold_us
        self._start_us = self._boots = 0
        self._is_fair = self._is_strong = self._is_open = False
        self._letters: list[Known] = []

    def play(self, start_us: int) -> None:
        """Let it happen from `start_us` on."""
        room, chip, self._start_us = self._room, self._person.card.chip, start_us
        at, hardware = room.reader.at, room.hardware
        at(start_us, self._begin)
        room.press(lock.TOUCHED, start_us, _TOUCH_US)

        def put() -> None:
            if chip.in_field:
                self._is_fair = False
            else:
                hardware.put_card(chip)

        def take() -> None:
            if chip in hardware.field.cards:
                hardware.take_card(chip)

        at(start_us + _CARD_US, put)
        at(start_us + _CARD_US + self._hold_us, take)
        at(start_us + _PULL_US, self._pull)
        at(start_us + _END_US, self._end)

    def _begin(self) -> None:
        room = self._room
        self._is_fair = (
            room.is_well() and room.is_at_rest() and not self._seen.has_refused(room, 5)
        )
        self._is_strong = room.is_strong()
        self._boots = len(room.boots)
        if self._person.holder.card_no:
            self._letters = letters_to(room.device, room.key, self._person.card.chip)

    def _pull(self) -> None:
        self._is_open = self._room.hardware.bolt.pull()

    def _outcomes(self, doubt_s: int | None) -> set[bool]:
        room, holder = self._room, self._person.holder
        return self._rights.outcomes(room.device, room.heard, holder, doubt_s, self._letters)

    def _end(self) -> None:
        """What has come of it, and whether that is right."""
        room, done = self._room, self._seen.building.done
        done["tap at a lock"] += 1
        until_us = self._start_us + _END_US
        mine = [
            entry
            for entry in room.entries(self._start_us, until_us)
            if entry.fields["reason"] != access.LOCKED_OUT
        ]
        self._seen.answered |= {entry.sealed for entry in mine}
        opened = [entry for entry in mine if entry.fields["reason"] == reasons.APPROVED]
        for entry in opened:
            self._must_be_right(entry)
        if not opened:
            room.refused_us.append(self._start_us)
        if self._is_open and not opened and self._is_fair:
            self._report("it opened, and nobody was let in")
        is_same = room.is_well() and self._boots == len(room.boots)
        self._is_fair = self._is_fair and is_same
        if self._is_fair and self._hold_us >= HOLD_US:
            self._must_be_served(mine, opened)
        self._hear()
        self._must_be_warned(mine)

    def _hear(self) -> None:
        """What the lock may have taken off the card, and what it must have."""
        heard = self._room.heard
        for letter in self._letters:
            heard.may(letter)
        if self._is_fair and self._hold_us >= HOLD_US:
            for letter in self._letters:
                heard.surely(letter.to_s)

    def _must_be_right(self, entry: Written) -> None:
        """Who was let in had a right to it by something that can have reached the lock."""
        fields, holder = entry.fields, self._person.holder
        if fields["card_no"] != holder.card_no or not holder.card_no:
            self._report(f"card {fields['card_no']} let in, {holder.card_no} was there")
            return
        width_s = fields["latest_s"] - fields["earliest_s"]
        if True not in self._outcomes(None if width_s > _WIDTH_S_MAX else _DOUBT_S):
            self._report("was let in without a right")

    def _must_be_served(self, mine: list[Written], opened: list[Written]) -> None:
        """A lock in order takes whom it must, leaves out whom it must, and writes him down."""
        room = self._room
        if len(mine) != 1:
            self._report(f"{len(mine)} records of one card")
            return
        (fields,) = (entry.fields for entry in mine)
        if room.is_time_known and fields["latest_s"] - fields["earliest_s"] > _WIDTH_S_MAX:
            self._report("it has known the time, and does not know it any more")
        found = self._outcomes(_DOUBT_S if room.is_time_known else None)
        if fields["reason"] == reasons.BATTERY_EMPTY:
            if self._is_strong:
                self._report(f"refused for its cells, which give {room.least_mv} mV")
            return
        if found == {True}:
            self._seen.building.done["right at a lock"] += 1
            if not opened or not self._is_open:
                self._report(f"has a right and was not let in: {fields['reason']}")
        elif found == {False} and opened:
            self._report("has no right and was let in")

    def _must_be_warned(self, mine: list[Written]) -> None:
        """Low cells are told before empty ones keep somebody out (R23.3b)."""
        room = self._room
        told = [
            each.fields["cause"]
            for each in room.records(messages.DOOR, room.swapped_us, room.world.now_us)
            if each.fields["event"] == _WEAKER
        ]
        if any(entry.fields["reason"] == reasons.BATTERY_EMPTY for entry in mine):
            self._seen.building.done["refused for empty cells"] += 1
            if not told:
                self._report("refused for its cells, and nobody was told that they are empty")
            elif room.is_low_due and told[0] != cells.LOW:
                self._report("its cells were never said to be low")
        elif self._is_fair and self._is_open and not self._is_strong:
            room.is_low_due = room.is_low_due or room.look_at_cells() < _LOW_MV
            if room.is_low_due and not told:
                self._report("its cells are low, and nobody was told")

    def _report(self, what: str) -> None:
        who = f"{self._room.name}: {self._person.card.name} at {self._start_us / 1e6:.3f}"
        self._seen.building.report(f"{who}: {what}")


def expect_in_a_while(
    seen: Seen, room: RoomLock, kind: int, fields: dict[str, int], from_us: int
) -> None:
    """A lock in order must write that down, within three seconds from `from_us` on."""
    is_fair = room.is_well() and room.reader.is_on
    boots = len(room.boots)

    def look(to_us: int) -> None:
        if is_fair and room.is_well() and boots == len(room.boots):
            seen.expect(room, kind, fields, from_us, to_us)

    room.reader.at(from_us + _END_US, partial(look, from_us + _END_US))
