"""What goes wrong with the locks of rooms, and with the letters on cards, as a table.

Rules: those of faults.py. A lock that something is wrong with is ill, and nobody expects anything
of it but that it opens from inside, which is no matter of electricity.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from protocols.card import mailbox
from protocols.rules import lock
from simulator.residence.building import SECOND_US
from simulator.residence.heard import contents, lay
from simulator.residence.room_lock import RoomLock
from simulator.residence.rooms import Rooms

_MINUTE_US = 60 * SECOND_US
_HOUR_US = 60 * _MINUTE_US
_SHORT_US = (5 * SECOND_US, 20 * _MINUTE_US)
_SWAP_US = (20 * SECOND_US, 5 * _MINUTE_US)
_LOW_PERCENT, _EMPTY_PERCENT = (16, 44), (3, 9)
_WEARS_US = (6 * _HOUR_US, 40 * _HOUR_US)
_COLD_CELSIUS, _WARM_CELSIUS = (-18, 4), 20
_BLOCKED_AT = (1, 1000)

Act = Callable[[Rooms, random.Random], None]


def _room(rooms: Rooms, draw: random.Random) -> RoomLock:
    return draw.choice(rooms.building.rooms)


def _until(rooms: Rooms, room: RoomLock, duration_us: int, end: Callable[[], Any]) -> None:
    """A lock is ill for a while."""
    room.fall_ill()

    def over() -> None:
        end()
        room.recover()

    rooms.building.until(duration_us, over)


def _now(room: RoomLock, act: Callable[[], Any]) -> None:
    """Something happens to a lock, at its own time."""
    room.reader.at(room.world.now_us, act)


# -- power --------------------------------------------------------------------------------------


def contact(rooms: Rooms, draw: random.Random) -> None:
    """The cells lose contact for a moment, between two steps or in one, soon or at a visit."""
    room = _room(rooms, draw)
    if room.reader.is_on:
        rooms.building.fired["lock: cells lose contact"] += 1
        room.reader.cut_power_at(max(room.world.now_us, room.free_us) + draw.randrange(SECOND_US))


def cut_at_a_visit(rooms: Rooms, draw: random.Random) -> None:
    """Somebody comes, and the cells lose contact at any moment of that."""
    room, person = _room(rooms, draw), draw.choice(rooms.people.residents)
    if room.reader.is_on and rooms.rooms_of[person.card.card_no]:
        room = draw.choice(rooms.rooms_of[person.card.card_no])
        rooms.building.fired["lock: cells lose contact at a visit"] += 1
        room.reader.cut_power_at(
            max(room.world.now_us, room.free_us) + 400_000 + draw.randrange(8 * SECOND_US)
        )
        rooms.enter(room, person)


def flash_cut(rooms: Rooms, draw: random.Random) -> None:
    """The power goes inside one of the next programs or erases of either flash."""
    room = _room(rooms, draw)
    flash = draw.choice((room.hardware.flash, room.hardware.card_flash))
    assert flash is not None
    rooms.building.fired["lock: cut in flash"] += 1
    flash.cut_after(draw.randrange(6))


def slow_flash(rooms: Rooms, draw: random.Random) -> None:
    """The first reads after a power-on answer garbage."""
    _room(rooms, draw).hardware.flash.slow_start_reads = draw.randrange(30)
    rooms.building.fired["lock: slow flash"] += 1


# -- cells --------------------------------------------------------------------------------------


def wear(rooms: Rooms, draw: random.Random) -> None:
    """The cells get low, later empty; somebody swaps them in time, or with his key, too late."""
    room = _room(rooms, draw)
    low, empty = draw.randrange(*_LOW_PERCENT), draw.randrange(*_EMPTY_PERCENT)
    rooms.building.fired["lock: cells get low"] += 1
    _now(room, partial(room.hardware.pack.replace, low))
    room.look_at_cells()
    wears_us, is_late = draw.randrange(*_WEARS_US), draw.randrange(2)
    swapped_us, without_us = room.swapped_us, draw.randrange(*_SWAP_US)

    def run_down() -> None:
        if room.swapped_us == swapped_us:
            rooms.building.fired["lock: cells get empty"] += 1
            _now(room, partial(room.hardware.pack.replace, empty))

    def swap() -> None:
        if room.swapped_us == swapped_us:
            rooms.building.fired["lock: cells swapped"] += 1
            rooms.turn_key(room)
            room.swap(without_us)

    if is_late:
        rooms.building.later(wears_us, run_down)
    rooms.building.until(wears_us + is_late * _WEARS_US[0], swap)


def swap(rooms: Rooms, draw: random.Random) -> None:
    """Somebody swaps cells that are good."""
    rooms.building.fired["lock: cells swapped"] += 1
    _room(rooms, draw).swap(draw.randrange(*_SWAP_US))


def cold(rooms: Rooms, draw: random.Random) -> None:
    """It gets cold there for some hours: cells give less, and the bolt is slow."""
    room, celsius = _room(rooms, draw), draw.randrange(*_COLD_CELSIUS)
    rooms.building.fired["lock: cold"] += 1

    def feel(degrees: int) -> None:
        room.hardware.pack.celsius = room.hardware.clock_chip.celsius = degrees
        room.look_at_cells()

    _now(room, partial(feel, celsius))
    warm = partial(_now, room, partial(feel, _WARM_CELSIUS))
    rooms.building.until(draw.randrange(_HOUR_US, 30 * _HOUR_US), warm)


# -- clock, bolt, contacts ----------------------------------------------------------------------


def clock_stops(rooms: Rooms, draw: random.Random) -> None:
    """The clock chip's own cell was out: it has lost the time, and says so."""
    room = _room(rooms, draw)
    rooms.building.fired["lock: clock chip stopped"] += 1
    room.is_time_known = False
    _now(room, room.hardware.clock_chip.stop)


def clock_gone(rooms: Rooms, draw: random.Random) -> None:
    """The clock chip does not answer for a while: no time, no temperature."""
    room = _room(rooms, draw)
    hardware = room.hardware
    rooms.building.fired["lock: clock chip silent"] += 1
    room.is_time_known = False
    _now(room, partial(setattr, hardware, "has_clock_chip", False))
    back = partial(_now, room, partial(setattr, hardware, "has_clock_chip", True))
    rooms.building.until(draw.randrange(_HOUR_US, 20 * _HOUR_US), back)


def bolt_blocked(rooms: Rooms, draw: random.Random) -> None:
    """The bolt meets something somewhere on its way."""
    room, at = _room(rooms, draw), draw.randrange(*_BLOCKED_AT)
    rooms.building.fired["lock: bolt blocked"] += 1
    bolt = room.hardware.bolt
    _now(room, partial(setattr, bolt, "blocked_at", at))

    def clear() -> None:
        _now(room, partial(setattr, bolt, "blocked_at", None))
        room.press(lock.TOUCHED, room.world.now_us, 300_000)  # whoever cleared it tries the handle

    _until(rooms, room, draw.randrange(*_SHORT_US), clear)


def contact_stuck(rooms: Rooms, draw: random.Random) -> None:
    """An end contact or an input always says the same."""
    room = _room(rooms, draw)
    bit = draw.choice((lock.THROWN, lock.DRAWN, lock.TOUCHED, lock.INSIDE))
    rooms.building.fired["lock: input stuck"] += 1
    _now(room, partial(room.hardware.bolt.stick, bit, draw.randrange(2)))

    def mend() -> None:
        _now(room, room.hardware.bolt.mend)
        room.press(lock.TOUCHED, room.world.now_us, 300_000)

    _until(rooms, room, draw.randrange(*_SHORT_US), mend)


def case_open(rooms: Rooms, draw: random.Random) -> None:
    """Somebody has the case open."""
    room = _room(rooms, draw)
    rooms.building.fired["lock: case open"] += 1
    room.set_input(lock.INTACT, False, room.world.now_us)
    end = partial(room.set_input, lock.INTACT, True)
    _until(rooms, room, draw.randrange(*_SHORT_US), lambda: end(room.world.now_us))


# -- cards --------------------------------------------------------------------------------------


def old_letters(rooms: Rooms, draw: random.Random) -> None:
    """Somebody writes back the mailbox that a card has now, some days later."""
    chip = draw.choice(rooms.people.residents).card.chip
    before = bytes(contents(chip))

    def write_back() -> None:
        if not chip.in_field:
            rooms.building.fired["card: old letters are back"] += 1
            lay(chip, before)

    rooms.building.later(draw.randrange(_HOUR_US, 70 * _HOUR_US), write_back)


def anothers_letters(rooms: Rooms, draw: random.Random) -> None:
    """What stands in one card's mailbox is copied into another's."""
    one, other = (person.card.chip for person in draw.sample(rooms.people.residents, 2))
    if not other.in_field:
        rooms.building.fired["card: letters copied"] += 1
        lay(other, contents(one))


def letters_lost(rooms: Rooms, draw: random.Random) -> None:
    """A card's mailbox is empty, as it was when the card was new."""
    chip = draw.choice(rooms.people.residents).card.chip
    if not chip.in_field:
        rooms.building.fired["card: letters lost"] += 1
        lay(chip, bytes(mailbox.BLOCKS * mailbox.BLOCK_BYTES))


def letters_spoilt(rooms: Rooms, draw: random.Random) -> None:
    """Some bits in a mailbox are wrong."""
    chip = draw.choice(rooms.people.residents).card.chip
    if not chip.in_field:
        rooms.building.fired["card: letters spoilt"] += 1
        data = contents(chip)
        for _ in range(draw.randrange(1, 30)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        lay(chip, data)


# Kind -> (weight, what it does).
FAULTS: dict[str, tuple[int, Act]] = {
    "contact": (4, contact),
    "cut at a visit": (8, cut_at_a_visit),
    "flash cut": (6, flash_cut),
    "slow flash": (2, slow_flash),
    "wear": (6, wear),
    "swap": (2, swap),
    "cold": (4, cold),
    "clock stops": (3, clock_stops),
    "clock gone": (2, clock_gone),
    "bolt blocked": (3, bolt_blocked),
    "contact stuck": (3, contact_stuck),
    "case open": (2, case_open),
    "old letters": (4, old_letters),
    "another's letters": (2, anothers_letters),
    "letters lost": (2, letters_lost),
    "letters spoilt": (2, letters_spoilt),
}
