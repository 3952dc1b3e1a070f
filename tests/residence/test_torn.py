"""A record that the power has cut, and a later boot finds whole, is of the moment of the cut.

Each boot programs the newest entry once more, with the same bytes; where it had come on flash
whole before the firmware was told, that is when anybody sees it for the first time.
"""

from collections.abc import Callable

import pytest

from protocols.rules import reasons
from protocols.wire import messages, seal
from simulator.chips.nor_flash import PowerCut
from simulator.residence import faults
from simulator.residence.building import SECOND_US, Building
from simulator.residence.judge import judge
from simulator.residence.people import People
from simulator.residence.place import Place
from simulator.residence.play import built, open_up
from simulator.residence.rights import Rights
from simulator.residence.rooms import Rooms

SEED = 5
BEGINS_S = 10 * 3600
TAP_US = 500 * SECOND_US


def cut_behind_the_entry(each: Place, times: int) -> None:
    """So many programs of an ENTRY end whole, and with the power; the firmware never hears."""
    flash = each.hardware.flash
    program, left = flash.program, [times]

    def program_and_die(addr: int, data: bytes) -> None:
        program(addr, data)
        at = bytes(data).find(b"\xd1\x84")
        if at < 0 or not left[0]:
            return
        if messages.decode_record(seal.payload_of(bytes(data)[at:]))["kind"] == messages.ENTRY:
            left[0] -= 1
            flash.cut()
            raise PowerCut("behind the last byte")

    flash.program = program_and_die


def violations_of(times: int, choose: Callable[[Building], Place]) -> tuple[list[str], list[int]]:
    """What the judge says of one visit in which the power goes; when its ENTRY was written."""
    with built(SEED, 1, BEGINS_S, locks=1) as building:
        people = People(building, Rights(building))
        rooms, person = Rooms(building, people), people.residents[0]
        open_up(building)
        rooms.go_round()
        building.run_until(TAP_US - 100 * SECOND_US)
        people.tap(building.doors[0], person)  # letters for the room come onto the card
        each = choose(building)
        building.run_until(TAP_US)
        before = len(each.entries(0, TAP_US))
        cut_behind_the_entry(each, times)
        if each in building.rooms:
            rooms.enter(building.rooms[0], person)
        else:
            people.tap(building.doors[0], person)
        building.run_until(TAP_US + 900 * SECOND_US)
        rooms.go_round()
        building.run_until(TAP_US + 1100 * SECOND_US)
        assert building.violations == []
        judge(building, people.seen)
        new = each.entries(0, building.world.now_us)[before:]
        assert [one.fields["reason"] for one in new] == [reasons.APPROVED]
        return building.violations, [one.time_us for one in new]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("kind", ["door", "lock"])
def test_an_entry_that_a_later_boot_finds_is_of_the_visit_it_was_cut_in(kind, times):
    found, times_us = violations_of(
        times, lambda building: (building.doors if kind == "door" else building.rooms)[0]
    )
    assert found == []
    (time_us,) = times_us
    assert TAP_US < time_us < TAP_US + 3 * SECOND_US


@pytest.mark.parametrize("kind", ["door", "lock"])
def test_an_entry_of_nobody_is_found_whatever_was_cut_before(kind):
    """The firmware writes one beside, of a card that nobody has held there."""
    with built(SEED, 1, BEGINS_S, locks=1) as building:
        people = People(building, Rights(building))
        rooms = Rooms(building, people)
        open_up(building)
        rooms.go_round()
        building.run_until(TAP_US)
        each = (building.doors if kind == "door" else building.rooms)[0]
        if kind == "lock":
            rooms.leave(building.rooms[0])
            building.run_until(TAP_US + SECOND_US)
        device = each.reader.home._device
        device._record(messages.ENTRY, device._board.ticks_ms(), card_no=40001, reason=0)
        each.reader.switch_off()
        building.run_until(TAP_US + 900 * SECOND_US)
        rooms.go_round()
        building.run_until(TAP_US + 1100 * SECOND_US)
        judge(building, people.seen)
        assert len(building.violations) == 1 and "not there" in building.violations[0]


def test_a_record_that_nobody_wrote_is_found_in_the_books():
    with built(SEED, 1, BEGINS_S) as building:
        people = People(building, Rights(building))
        open_up(building)
        building.run_until(TAP_US)
        (each,) = building.doors
        lost = each.written.pop()
        judge(building, people.seen)
        text = f"door-1: record {lost.seq} is booked and was never written"
        assert any(text in found for found in building.violations)


def test_a_door_that_hangs_and_dies_in_its_boot_is_well_behind_the_next():
    """Two deaths, one fault: or the checkers would look away from that door for ever."""
    with built(SEED, 1, BEGINS_S) as building:
        open_up(building)
        building.run_until(60 * SECOND_US)
        (each,) = building.doors
        faults.hang(building, building.draw("hang"))
        each.hardware.flash.cut_after(0)  # it strikes in the boot behind the watchdog
        building.run_until(1500 * SECOND_US)
        assert len(each.boots) == 3 and each.is_well() and each.ill == 0
