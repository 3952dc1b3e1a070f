"""Locks of rooms in a residence: a slice of what `onecard sim residence --locks` plays."""

import pytest

from protocols.rules import lock
from protocols.wire import messages
from simulator.residence.building import SECOND_US
from simulator.residence.place import Written
from simulator.residence.play import built, open_up, units
from simulator.residence.room_drill import room_drill
from simulator.residence.room_faults import FAULTS
from simulator.residence.room_judge import by_their_lives
from tests.residence.planted_rooms import PLANTED
from tests.torture.faithful import FaithfulPatch

DRILL_SEED = 1


def test_a_drill_is_clean_the_same_each_time_and_strikes_every_fault():
    first, again = room_drill(DRILL_SEED), room_drill(DRILL_SEED)
    assert first == again
    result = first[0]
    assert result.violations == []
    print(result.done, result.faults_fired)
    assert result.done["right at a lock"] > 15 and result.done["refused for empty cells"]
    assert result.done["visit of the handheld"] == 9 and result.done["case"] >= 4
    assert len(result.faults_fired) >= len(FAULTS) - 1  # an old letter comes back another day
    assert all(weight > 0 for weight, _ in FAULTS.values())


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug):
    with FaithfulPatch.context() as patch:
        PLANTED[bug](patch)
        result, _ = room_drill(DRILL_SEED)
    print(result.violations)
    assert result.violations


def test_locks_are_shared_out_over_the_buildings_and_named_in_the_replay():
    found = list(units(1, 200, 14, locks=503))
    assert sum(unit.own_locks for unit in found) == 503 and len(found) == 20
    assert "--locks 503" in found[3].replay and "--locks" not in next(units(1, 9, 1)).replay


def test_dead_cells_leave_a_lock_dead_until_there_are_others():
    with built(5, 1, locks=1) as building:
        open_up(building)
        building.run_until(20 * SECOND_US)
        (room,) = building.rooms
        room.hardware.pack.replace(0)
        room.press(lock.TOUCHED, building.world.now_us, SECOND_US)
        building.run_until(3600 * SECOND_US)
        assert not room.is_well() and 5 < len(room.boots) < 25
        room.swap(SECOND_US)
        building.run_until(3700 * SECOND_US)
        assert room.reader.is_on and room.is_well() and room.is_at_rest()


def test_whoever_dies_in_its_boot_is_well_behind_the_next():
    """A cut that was due before the power went strikes in the boot: one fault, not two."""
    with built(5, 1, locks=1) as building:
        open_up(building)
        building.run_until(20 * SECOND_US)
        for place in (*building.doors, *building.rooms):
            place.reader.switch_off()
            place.hardware.flash.cut_after(0)
        building.run_until(400 * SECOND_US)
        for place in (*building.doors, *building.rooms):
            assert len(place.boots) == 3 and place.is_well(), place.name


def test_a_record_that_is_first_seen_in_the_next_life_explains_nothing_there():
    """Cut behind its last byte: the next boot programs it once more, and only then it is seen."""
    door, boot = {"kind": messages.DOOR, "boot_id": 1}, {"kind": messages.BOOT, "boot_id": 2}
    late, first = Written(9_000_000, 1, b"1", door), Written(9_002_000, 2, b"2", boot)
    own = Written(9_002_500, 3, b"3", {"kind": messages.DOOR, "boot_id": 2})
    assert list(by_their_lives([late, first, own])) == [first, own]
    early = Written(8_000_000, 1, b"1", door)
    assert list(by_their_lives([early, first, own])) == [early, first, own]
