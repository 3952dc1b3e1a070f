"""The people of a building: out in the morning, in at noon, in at night, and what some of them do.

Whoever presses the button inside gets out, always. What is seen at a door by who stands before it
is judged in visit.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from protocols.rules import access, door
from protocols.wire import messages
from simulator.cardbox import Chip, HeldCard, make_cards
from simulator.cards.bad_cards import clone
from simulator.cards.mifare_classic import MifareClassic
from simulator.residence import rights as orders
from simulator.residence.building import DAY_US, SECOND_US, Building
from simulator.residence.doorway import DoorHardware, Doorway
from simulator.residence.rights import Holder, Rights, day_of
from simulator.residence.visit import ANSWER_US, DURESS, PIN, Calm, Person, Seen, Visit
from simulator.scenario import CardBatch

_HOUR_US = 3600 * SECOND_US
_PUSH_US = 1_600_000
_SHUT_US = 2 * SECOND_US
_TAP_US = 12 * SECOND_US  # until the next one may come
_KEY_US, _TYPING_US = 150_000, SECOND_US
_PRESS_US, _OUT_US = 300_000, SECOND_US
_HELD_PRESS_US = 600_000  # who holds the button pushes meanwhile
_WALK_US = 45 * SECOND_US
_QUIET_US = 60 * SECOND_US  # before what needs a door that is locked
_PIN_WAIT_US = 17 * SECOND_US
_HELD_US = 60 * SECOND_US
_WRONG_EVERY_US = 3 * SECOND_US
_LOCKED_OUT_US = 100 * SECOND_US
_FIRST_NO = 40_001


class People:
    """Plans days and plays them; `seen` is what they have seen."""

    def __init__(self, building: Building, rights: Rights) -> None:
        self.building = building
        self.rights = rights
        self.seen = Seen(building, rights)
        self._draw = building.draw("people")
        self.hold_us = 700_000  # for how long a card is held to a door
        # Called with somebody who goes on to his room, and when; and who comes from there.
        self.on_home: Callable[[Person, int], None] = lambda _person, _at_us: None
        self.on_leave: Callable[[Person], None] = lambda _person: None
        self.residents: list[Person] = []
        self.strangers: list[Person] = []
        self._issue()
        for number, each in enumerate(building.doors):
            groups = self._groups(number)
            rights.set_up(each, groups, orders.MORNING if number == 0 else ())
            rights.set_pin(each, orders.WITH_PIN, PIN if number else b"")

    # -- who there is ---------------------------------------------------------------------------

    def _issue(self) -> None:
        doors = len(self.building.doors)
        today = day_of(self.building)
        batches = (
            ("classic", 2 * doors, "ours", "classic", (-300, 700)),
            ("desfire", 2 * doors, "ours", "desfire", (-300, 700)),
            ("leaves", 1, "ours", "classic", (-300, 3)),
            ("comes", 1, "ours", "desfire", (5, 700)),
            ("worker", 1, "ours", "classic", (-300, 700)),
            ("staff", 2, "ours", "desfire", (-300, 700)),
            ("stranger", 2, "ours", "classic", (-300, 700)),
            ("foreign", 2, "foreign", "classic", (-300, 700)),
        )
        first_no = _FIRST_NO
        for name, count, make, chip, days in batches:
            batch = CardBatch(
                name, 2, make, count, first_no, (100, 200), chip=chip, valid_days=days
            )
            made = make_cards(batch, self.building.keys, self._draw, today)
            if make == "ours":
                known = ((card.card_no, card.issued_fen or 0) for card in made)
                self.building.books.issue_cards(known)
            for index, card in enumerate(made):
                self._add(name, index, card, (today + days[0], today + days[1]))
            first_no += count
        original = self.residents[0]
        assert isinstance(original.card.chip, MifareClassic)
        copy = clone(original.card.chip, random.Random(self._draw.randbytes(8)))
        held = HeldCard("clone", original.card.card_no, copy, None)
        self.strangers.append(Person(held, original.holder, 0))

    def _add(self, name: str, index: int, card: HeldCard, days: tuple[int, int]) -> None:
        number = 0 if name == "foreign" else card.card_no
        person = Person(card, Holder(number, *days), index % len(self.building.doors))
        if name == "staff":
            person.digits = PIN
        is_known = name not in ("stranger", "foreign")
        (self.residents if is_known else self.strangers).append(person)

    def _groups(self, number: int) -> dict[int, int]:
        """Who enters at a door: the house door is everybody's, a floor its people's."""
        found = {}
        for person in self.residents:
            name = person.card.name.partition("-")[0]
            if name == "worker":
                found[person.card.card_no] = orders.WORKER
            elif name == "staff":
                found[person.card.card_no] = orders.WITH_PIN
            elif number == 0:
                is_late = person.card.card_no % 2
                found[person.card.card_no] = orders.RESIDENT if is_late else orders.NIGHTLY
            elif person.floor == number:
                found[person.card.card_no] = orders.RESIDENT
        return found

    # -- a day ----------------------------------------------------------------------------------

    def plan_day(self, day: int) -> None:
        """What everybody means to do on this day of the run, from midnight on."""
        draw = self.building.draw("day", day)
        for person in self.residents:
            self._at(day, draw.uniform(6.5, 8.8), partial(self._go_out, person))
            if draw.random() < 0.6:
                self._at(day, draw.uniform(11.5, 12.7), partial(self._go_in, person))
                self._at(day, draw.uniform(13.0, 14.0), partial(self._go_out, person))
            self._at(day, draw.uniform(17.5, 22.8), partial(self._go_in, person))
            if draw.random() < 0.15:
                self._at(day, draw.uniform(0.0, 5.4), partial(self._go_in, person))
        for each in self.building.doors:
            for act in (self._knock, self._copy, self._wrong_pin):
                if draw.random() < 0.5:
                    self._at(day, draw.uniform(0, 24), partial(act, each, draw))
            for act, share in (
                (self._hold_open, 0.5),
                (self.force, 0.4),
                (self.try_five, 0.25),
                (self.duress, 0.3),
            ):
                if draw.random() < share:
                    self._at(day, draw.uniform(0, 23), partial(act, each))
        for _ in range(2 + len(self.building.doors) // 2):
            self._at(day, draw.uniform(0, 24), partial(self._order, draw))

    def _at(self, day: int, hour: float, act: Callable[[], None]) -> None:
        time_us = day * DAY_US + int(hour * _HOUR_US) + self._draw.randrange(1000)
        self.building.world.at(time_us, act)

    def _order(self, draw: random.Random) -> None:
        """The warden changes something."""
        each, person = draw.choice(self.building.doors), draw.choice(self.residents)
        card_no, kind = person.card.card_no, draw.randrange(4)
        if kind < 2:
            now_in = self.rights.newest(each).groups.get(card_no, 0)
            group = 0 if now_in else draw.choice((orders.RESIDENT, orders.NIGHTLY))
            self.rights.grant(each, card_no, group)
        elif kind == 2:
            verbs = {"active": draw.choice(("lose", "suspend")), "lost": "unlose"}
            verb = verbs.get(self.rights.status(card_no), "resume")
            self.rights.set_status(verb, card_no)
        else:
            self.rights.open_to_all(each, draw.choice((orders.MORNING, ())))
        self.building.done["order"] += 1

    # -- through doors --------------------------------------------------------------------------

    def _go_in(self, person: Person) -> None:
        if self.building.is_healing or person.busy_us > self.building.world.now_us:
            return
        house, floor = self.building.doors[0], self.building.doors[person.floor]
        start_us = self.tap(house, person)
        if person.floor:
            person.busy_us = start_us + _WALK_US
            self.building.world.at(person.busy_us, partial(self.tap, floor, person))
        self.on_home(person, person.busy_us)

    def _go_out(self, person: Person) -> None:
        if self.building.is_healing:
            return
        self.on_leave(person)
        self.leave(self.building.doors[person.floor])
        if person.floor:
            self.building.later(_WALK_US, partial(self.leave, self.building.doors[0]))

    def _reserve(self, each: Doorway, duration_us: int, quiet_us: int = 0) -> int:
        """When one may stand before a door, and does so for a while."""
        start_us = max(self.building.world.now_us, each.free_us) + quiet_us
        each.free_us = start_us + duration_us
        return start_us

    def leave(self, each: Doorway) -> None:
        """Somebody inside presses the button and pushes: the door opens, whatever has failed."""
        start_us = self._reserve(each, 4 * SECOND_US)
        reader = each.reader
        reader.at(start_us, partial(each.lock.press, True))
        reader.at(start_us + _PRESS_US, partial(each.lock.press, False))

        def push() -> None:
            self.building.done["exit"] += 1
            if each.lock.push():
                self._shut(each, _SHUT_US)
            else:
                self._hold_and_push(each)

        reader.at(start_us + _OUT_US, push)

    def _hold_and_push(self, each: Doorway) -> None:
        """Behind a relay that is welded the coil has no current for as long as he presses."""
        at, now_us = each.reader.at, each.hardware.clock.now_us
        each.lock.press(True)

        def push() -> None:
            self.building.done["exit with the button held"] += 1
            if each.lock.relay_is == "welded" and each.lock.push():
                self._shut(each, _SHUT_US)
            else:
                self.building.report(f"{each.name}: somebody inside could not leave")

        at(now_us + _HELD_PRESS_US, push)
        at(now_us + _HELD_PRESS_US + 1, partial(each.lock.press, False))

    def _shut(self, each: Doorway, after_us: int) -> None:
        each.reader.at(each.hardware.clock.now_us + after_us, each.lock.shut)

    def tap(
        self,
        each: Doorway,
        person: Person,
        digits: bytes | None = None,
        held_us: int = _SHUT_US,
        start_us: int | None = None,
    ) -> int:
        """Somebody holds a card to a door, types what is asked for, and pushes; when (us)."""
        if start_us is None:
            start_us = self._reserve(each, _TAP_US + (_PIN_WAIT_US if person.digits else 0))
        typed = person.digits if digits is None else digits
        chip, hardware, at = person.card.chip, each.hardware, each.reader.at
        person.busy_us = max(person.busy_us, start_us + _TAP_US)
        visit = Visit(self.seen, each, person, typed, start_us)
        at(start_us, visit.begin)
        at(start_us, partial(_put, hardware, chip))
        at(start_us + self.hold_us, partial(_take, hardware, chip))
        asked_us = start_us
        for number, digit in enumerate(typed):
            asked_us = start_us + _TYPING_US + number * _KEY_US
            at(asked_us, partial(_type, hardware, digit))

        def push() -> None:
            if each.lock.push():
                self._shut(each, held_us)

        at(asked_us + _PUSH_US, push)
        at(asked_us + ANSWER_US, partial(visit.end, asked_us))
        return start_us

    # -- what some people do --------------------------------------------------------------------

    def _knock(self, each: Doorway, draw: random.Random) -> None:
        """Somebody who has no business here, or whose card is nobody's."""
        self.tap(each, draw.choice(self.strangers[:-1]))

    def _copy(self, each: Doorway, _draw: random.Random) -> None:
        """A copy of a resident's Classic: a door cannot tell, and treats it as the card it is."""
        self.tap(each, self.strangers[-1])

    def _wrong_pin(self, each: Doorway, draw: random.Random) -> None:
        staff = [person for person in self.residents if person.digits]
        self.tap(each, draw.choice(staff), b"314159")

    def duress(self, each: Doorway) -> None:
        """Somebody is forced to open, and says so with his last digit."""
        staff = [person for person in self.residents if person.digits]
        self.tap(each, self._draw.choice(staff), DURESS)

    def _hold_open(self, each: Doorway) -> None:
        self.hold_open(each, self._draw.choice(self.residents))

    def hold_open(self, each: Doorway, person: Person) -> None:
        """Somebody puts a chair into the door."""
        start_us = self._reserve(each, _HELD_US + 20 * SECOND_US, _QUIET_US)
        if person.busy_us > self.building.world.now_us:
            return
        self.tap(each, person, held_us=_HELD_US, start_us=start_us)
        watch = Calm(self.seen, each)
        each.reader.at(start_us - 1, watch.begin)
        left_open = {"event": door.number("left-open")}
        opened_us = start_us + _PUSH_US + SECOND_US
        end = partial(watch.end, messages.DOOR, left_open, opened_us, is_open=True)
        each.reader.at(start_us + _HELD_US, end)

    def force(self, each: Doorway) -> None:
        """Somebody breaks it open."""
        start_us = self._reserve(each, 20 * SECOND_US, _QUIET_US)
        watch = Calm(self.seen, each)
        forced = {"event": door.number("opened"), "state": door.STATES.index(door.FORCED)}

        def force() -> None:
            watch.begin()
            if watch.is_calm:
                each.lock.force()
                self._shut(each, 8 * SECOND_US)

        each.reader.at(start_us, force)
        end = partial(watch.end, messages.DOOR, forced, start_us)
        each.reader.at(start_us + 4 * SECOND_US, end)

    def try_five(self, each: Doorway) -> None:
        """Five wrong cards in a row: somebody has to come, and nobody is taken for 90 s."""
        start_us = self._reserve(each, 20 * SECOND_US + _LOCKED_OUT_US, _QUIET_US)
        person = next(one for one in self.strangers if not one.holder.card_no)
        if person.busy_us > self.building.world.now_us or self.seen.has_refused(each, 1):
            return
        watch = Calm(self.seen, each)
        each.reader.at(start_us - 1, watch.begin)
        for number in range(access.TRIES_MAX):
            self.tap(each, person, start_us=start_us + number * _WRONG_EVERY_US)
        locked_out = {"reason": access.LOCKED_OUT, "card_no": 0}
        last_us = start_us + (access.TRIES_MAX - 1) * _WRONG_EVERY_US
        end = partial(watch.end, messages.ENTRY, locked_out, last_us)
        each.reader.at(last_us + 4 * SECOND_US, end)


def _put(hardware: DoorHardware, chip: Chip) -> None:
    if not chip.in_field:
        hardware.put_card(chip)


def _take(hardware: DoorHardware, chip: Chip) -> None:
    if chip in hardware.field.cards:
        hardware.take_card(chip)


def _type(hardware: DoorHardware, digit: int) -> None:
    hardware.keys += bytes((digit,))
