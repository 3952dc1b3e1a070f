"""Somebody at a door, and what he sees: judged as soon as it is over, against orders alone.

Whoever holds a card to a door in order that may let him in is in within two seconds; a card opens
only where and when it was ordered so; what somebody has to come for is written down for the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.rules import access, reasons
from protocols.wire import messages
from simulator.cardbox import HeldCard
from simulator.residence import rights as orders
from simulator.residence.building import SECOND_US, Building
from simulator.residence.doorway import Doorway
from simulator.residence.place import Place, Written
from simulator.residence.rights import Holder, Rights

ANSWER_US = 2 * SECOND_US  # GB 50396: from a card to a door that is open
PIN = b"271828"
DURESS = b"271829"
_DOUBT_S = 180
_DAY_S = 86_400
_REFUSALS_US = 420 * SECOND_US
_KNOWN_S = 300  # the widest interval of a clock that is known
_OPENS = (reasons.APPROVED, access.DURESS)


@dataclass
class Person:
    """Somebody with a card, who lives behind `floor`; `digits` are typed where asked."""

    card: HeldCard
    holder: Holder
    floor: int
    digits: bytes = b""
    busy_us: int = 0


@dataclass(frozen=True)
class Expected:
    """What must be in the books: a record like this at that time, and the case it makes."""

    door: Place
    from_us: int
    to_us: int
    kind: int
    fields: dict[str, int]


class Seen:
    """What people have seen. `expected` is for the judge, `answered` are ENTRYs with a tap."""

    def __init__(self, building: Building, rights: Rights) -> None:
        self.building = building
        self.rights = rights
        self.expected: list[Expected] = []
        self.answered: set[bytes] = set()

    def has_refused(self, each: Place, count: int) -> bool:
        """Whether so many have been refused lately: five in a row, and it takes nobody."""
        since_us = self.building.world.now_us - _REFUSALS_US
        return sum(time_us > since_us for time_us in each.refused_us[-10:]) >= count

    def expect(
        self, each: Place, kind: int, fields: dict[str, int], from_us: int, to_us: int
    ) -> None:
        """That must be in the books in the end."""
        self.expected.append(Expected(each, from_us, to_us, kind, fields))


class Calm:
    """Whether a door that was locked and in order stayed in order."""

    def __init__(self, seen: Seen, each: Doorway) -> None:
        self._seen, self._door = seen, each
        self.is_calm = False
        self._boots = 0

    def begin(self) -> None:
        each = self._door
        spans = each.lock.unlocked
        is_locked = each.lock.is_powered() and len(spans[-1]) > 1
        now_us = each.hardware.clock.now_us
        has_been = is_locked and now_us - spans[-1][1] > 3 * SECOND_US
        is_shut = not each.lock.is_open and not each.lock.case_is_open
        self.is_calm = each.is_well() and has_been and is_shut and each.is_sure_of_time()
        self._boots = len(each.boots)

    def end(
        self, kind: int, fields: dict[str, int], from_us: int, *, is_open: bool = False
    ) -> None:
        each = self._door
        if is_open and not each.lock.is_open:
            return  # nobody had come in
        if self.is_calm and each.is_well() and self._boots == len(each.boots):
            until_us = each.hardware.clock.now_us
            if not self._is_near_morning(from_us):
                self._seen.expect(each, kind, fields, from_us, until_us)
                self._seen.building.done["alarm"] += 1

    def _is_near_morning(self, time_us: int) -> bool:
        local_s = self._seen.building.local_s(time_us)
        moments = (local_s - 2 * _DOUBT_S, local_s + 2 * _DOUBT_S)
        return any(orders.holds(orders.MORNING, moment_s) for moment_s in moments)


class Visit:
    """One person with a card at a door, judged as soon as it is over."""

    def __init__(
        self, seen: Seen, each: Doorway, person: Person, typed: bytes, start_us: int
    ) -> None:
        self._seen, self._door, self._person = seen, each, person
        self._typed, self._start_us = typed, start_us
        self._is_fair = False
        self._boots = 0

    def begin(self) -> None:
        each = self._door
        self._is_fair = each.is_well() and not self._seen.has_refused(each, 5)
        self._is_fair = self._is_fair and not each.hardware.field.cards
        self._boots = len(each.boots)

    def end(self, asked_us: int) -> None:
        """What has come of it, and whether that is right."""
        each = self._door
        self._seen.building.done["tap"] += 1
        until_us = asked_us + ANSWER_US
        mine = [
            entry
            for entry in each.entries(self._start_us, until_us)
            if entry.fields["reason"] != access.LOCKED_OUT
            and entry.sealed not in self._seen.answered
        ]
        self._seen.answered |= {entry.sealed for entry in mine}
        opened = [entry for entry in mine if entry.fields["reason"] in _OPENS]
        for entry in opened:
            self._must_be_right(entry, until_us)
        if not opened:
            each.refused_us.append(self._start_us)
        self._is_fair = self._is_fair and each.is_well() and self._boots == len(each.boots)
        if self._is_fair:
            self._must_be_served(mine, opened, asked_us, until_us)

    def _outcomes(self, until_us: int, doubt_s: int) -> set[tuple[bool, bytes]]:
        rights, holder = self._seen.rights, self._person.holder
        return rights.outcomes(self._door, holder, self._start_us, until_us, doubt_s)

    def _must_be_right(self, entry: Written, until_us: int) -> None:
        """Who was let in had a right to it by something that the door may have known."""
        each, fields, holder = self._door, entry.fields, self._person.holder
        where = f"{each.name} record {entry.seq}: card {fields['card_no']}"
        if fields["card_no"] != holder.card_no or not holder.card_no:
            self._seen.building.report(f"{where} let in, {holder.card_no} was there")
            return
        doubt_s = 0 if each.fooled_us < each.boots[-1] else _DAY_S
        found = self._outcomes(until_us, doubt_s)
        width_s = fields["latest_s"] - fields["earliest_s"]
        if doubt_s or width_s > _KNOWN_S:  # nobody is locked out by a clock that is not known
            wide = Holder(holder.card_no, 0, 1 << 20)
            rights = self._seen.rights
            found |= rights.outcomes(each, wide, self._start_us, until_us, doubt_s)
        pins = {pin for may, pin in found if may}
        if not pins:
            self._seen.building.report(f"{where} was let in without a right")
        elif not any(_fits(pin, self._typed, fields["reason"]) for pin in pins):
            self._seen.building.report(f"{where} was let in without its PIN")

    def _must_be_served(
        self, mine: list[Written], opened: list[Written], asked_us: int, until_us: int
    ) -> None:
        """A door in order takes whom it must, in two seconds, and writes down everybody."""
        each, building = self._door, self._seen.building
        who = f"{each.name}: {self._person.card.name} at {self._start_us / 1e6:.3f}"
        pins = {pin for _, pin in self._outcomes(until_us, _DOUBT_S)}
        waits = bool(pins - {b""}) and not self._typed
        if len(mine) != 1 and not waits:
            building.report(f"{who}: {len(mine)} records of one card")
        if not each.is_sure_of_time():
            return
        found = self._outcomes(until_us, _DOUBT_S)
        if len(found) != 1:
            return
        ((may, pin),) = found
        if not may or not any(_fits(pin, self._typed, reason) for reason in _OPENS):
            return
        building.done["right"] += 1
        if not opened or not each.was_released(asked_us, until_us):
            building.report(f"{who}: has a right and was not let in")
        is_forced = bool(pin) and self._typed == DURESS
        if is_forced and opened:
            said = {"reason": access.DURESS, "card_no": self._person.holder.card_no}
            self._seen.expect(each, messages.ENTRY, said, self._start_us, until_us)
            building.done["alarm"] += 1


def _fits(pin: bytes, typed: bytes, reason: int) -> bool:
    """Whether who typed that gives the PIN, or says that he is being forced."""
    if not pin:
        return reason == reasons.APPROVED
    return typed == (DURESS if reason == access.DURESS else pin)
