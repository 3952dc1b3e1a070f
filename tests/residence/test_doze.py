"""A door that dozes writes the same records at the same times as one that runs every step."""

from functools import partial

import pytest

from simulator.cardbox import make_cards
from simulator.chips.door_lock import DoorLock
from simulator.residence.building import SECOND_US, SITE
from simulator.residence.doze import STEP_MS
from simulator.residence.drill import drill
from simulator.residence.play import built
from simulator.residence.rights import WARDEN, day_of
from simulator.scenario import CardBatch

SEED = 5
PIN = b"271828"
EVERY_US = (3 * SECOND_US, 110 * SECOND_US)
# Begins before the doors stand open to everybody, and ends behind that.
BEGINS_S, FREE = 3300, [(127, 60, 72)]
MINUTES = 27


def go_by(building, door, cards, draw, time_us):
    """One thing that happens at a door."""
    at, lock = door.reader.at, door.lock
    kind, card = draw.randrange(10), draw.choice(cards).chip
    if kind < 4:
        shut_us = draw.choice((4, 40)) * SECOND_US
        at(time_us, partial(lambda: card.in_field or door.hardware.put_card(card)))
        at(time_us + 700_001, lambda: card in door.hardware.field.cards and take(door, card))
        for number, digit in enumerate(PIN):
            at(time_us + SECOND_US + number * 150_000, partial(press, door, digit))
        at(time_us + 2_600_000, lock.push)
        at(time_us + shut_us, lock.shut)
    elif kind == 4:
        at(time_us, partial(lock.press, True))
        at(time_us + 300_000, partial(lock.press, False))
    elif kind == 5:
        at(time_us, partial(lock.mains, False))
        at(time_us + draw.randrange(90) * SECOND_US + 7, partial(lock.mains, True))
    elif kind == 6:
        at(time_us, partial(lock.fire, True))
        at(time_us + 9 * SECOND_US, partial(lock.fire, False))
        for after_us, is_turned in ((12 * SECOND_US, True), (13 * SECOND_US, False)):
            at(time_us + after_us, partial(setattr, lock, "key_is_turned", is_turned))
    elif kind == 7:
        building.world.at(time_us, door.reader.rouse)
        building.world.at(time_us, door.cable.cut)
        building.world.at(time_us + 50 * SECOND_US, door.cable.plug)
    elif kind == 8:
        grant = building.books.access.grant
        building.world.at(time_us, partial(grant, door.device, 101, 1, 2, WARDEN, 9))
    else:
        building.world.at(time_us, door.reader.switch_off)


def take(door, card):
    door.hardware.take_card(card)


def press(door, digit):
    door.hardware.keys += bytes((digit,))


def played(seed, doors, minutes, *, dozes):
    """(records and their times, spans without current, the ledger's rows, steps) of a run."""
    with built(seed, doors, BEGINS_S, dozes=dozes) as building:
        draw, today = building.draw("doze"), day_of(building)
        cards = [
            *make_cards(CardBatch("a", 2, "ours", 3, 101, (0, 1)), building.keys, draw, today),
            *make_cards(
                CardBatch("b", 2, "ours", 2, 201, (0, 1), chip="desfire"),
                building.keys,
                draw,
                today,
            ),
        ]
        building.books.issue_cards((card.card_no, card.issued_fen) for card in cards)
        book = building.books.access
        book.appoint("appoint", SITE, "dorm", WARDEN, 1)
        for door in building.doors:
            book.grant(door.device, 101, 2, 1, WARDEN, 2)
            book.set_hours(door.device, 2, [(127, 0, 1440)], WARDEN, 2)
            book.set_pin(door.device, 2, PIN, WARDEN, 2)
            book.grant(door.device, 201, 1, 2, WARDEN, 2)
            book.set_hours(door.device, 0, FREE, WARDEN, 2)
            building.switch_on(door)
        for door in building.doors:
            time_us = 20 * SECOND_US
            while time_us < minutes * 60 * SECOND_US:
                time_us += draw.randrange(*EVERY_US)
                go_by(building, door, cards, draw, time_us)
        building.run_until(minutes * 60 * SECOND_US)
        sql = "SELECT device, seq, sealed FROM record ORDER BY device, seq"
        assert building.violations == []
        return (
            [[(one.time_us, one.sealed) for one in door.written] for door in building.doors],
            [door.lock.unlocked for door in building.doors],
            list(building.books.database.rows(sql)),
            sum(door.reader.steps for door in building.doors),
        )


def compare(seed, doors, minutes):
    dozing, stepped = (played(seed, doors, minutes, dozes=dozes) for dozes in (True, False))
    for one, other in zip(dozing[:3], stepped[:3], strict=True):
        assert one == other
    print("seed", seed, "records", [len(one) for one in dozing[0]], "steps", dozing[3], stepped[3])
    assert dozing[3] * 5 < stepped[3], "or nothing was skipped"
    assert min(len(one) for one in dozing[0]) > minutes


def test_both_ways_write_the_same_bytes_at_the_same_times():
    compare(SEED, 2, MINUTES)


@pytest.mark.soak
def test_hours_of_three_doors_and_a_whole_drill_are_the_same_both_ways():
    for seed in range(3):
        compare(seed, 3, 180)
        dozing, stepped = drill(seed), drill(seed, dozes=False)
        assert dozing == stepped


def dozing(building):
    """A door that is locked and dozes, and a moment at which it would have been stepped."""
    (door,) = building.doors
    building.switch_on(door)
    building.run_until(40 * SECOND_US)
    reader = door.reader
    assert reader.is_dozing and door.lock.is_powered()
    steps = (reader._due_us - reader._first_us) // (STEP_MS * 1000)
    assert steps * STEP_MS > 2000, "long enough for a relay to fall"
    return door, reader._first_us + (steps - 1) * STEP_MS * 1000


@pytest.mark.parametrize("after_us", [-1, 0, 1])
def test_what_happens_at_the_very_moment_of_a_step_finds_the_trains_that_have_gone_on(after_us):
    """It came before they were made good, and the coil seemed to have let go since the first."""
    with built(SEED, 1) as building:
        door, step_us = dozing(building)
        seen, spans = [], len(door.lock.unlocked)
        door.reader.at(step_us + after_us, lambda: seen.append(door.lock.is_powered()))
        building.run_until(step_us + 10 * SECOND_US)
        assert seen == [True] and len(door.lock.unlocked) == spans


def test_power_that_goes_at_the_very_moment_of_a_step_ends_a_doze():
    with built(SEED, 1) as building:
        door, step_us = dozing(building)
        door.reader.cut_power_at(step_us)
        building.run_until(step_us + SECOND_US)
        door.hardware.clock.advance_to(building.world.now_us)
        assert not door.reader.is_on and not door.lock.is_powered()


class Clock:
    now_us = 0


def held(steps_us):
    """A lock whose reader steps at these times, and begins a train where none is under way."""
    clock = Clock()
    lock = DoorLock(clock)
    for step_us in steps_us:
        clock.now_us = step_us
        if not lock.is_sending():
            lock.train()
    return clock, lock


@pytest.mark.parametrize("shift_us", [0, 7_000, 12_500, 43_000, 49_999])
@pytest.mark.parametrize("steps", [2, 3, 4, 31])
def test_trains_that_went_on_are_those_of_every_step(shift_us, steps):
    """A step that something had woken moves those behind it, but not the train under way."""
    pulled_us = range(0, 250_000, 50_000)
    awake_us = [*pulled_us, 200_000 + shift_us]
    grid_us = [awake_us[-1] + 50_000 * number for number in range(1, steps)]
    clock, stepped = held([*awake_us, *grid_us])
    dozing_clock, dozing = held(awake_us)
    train_us = dozing.train_us()
    next_us = next(us for us in [*grid_us, grid_us[-1] + 50_000] if us >= train_us + 87_500)
    dozing_clock.now_us = grid_us[-1]
    dozing.went_on(train_us, next_us)
    if not dozing.is_sending():
        dozing.train()
    for each in (clock, dozing_clock):
        each.now_us += 1_000_000
    assert not stepped.is_powered() and not dozing.is_powered()
    assert stepped.unlocked == dozing.unlocked and len(dozing.unlocked) == 2
