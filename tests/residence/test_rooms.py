"""Locks of rooms in a residence: a slice of what `onecard sim residence --locks` plays."""

from protocols.wire import messages
from simulator.residence.building import SECOND_US
from simulator.residence.judge import _by_their_lives
from simulator.residence.place import Written
from simulator.residence.play import BuildingUnit, built, open_up, play
from simulator.residence.room_faults import FAULTS

SEED = 2


def test_some_locks_and_a_day_with_many_faults():
    unit = BuildingUnit(SEED, 0, doors=1, days=1, rate=8000, locks=6)
    print(unit.replay)
    result, _ = play(unit)
    assert result.violations == []
    print(result.done, result.faults_fired)
    assert result.done["right at a lock"] > 10 and result.done["visit of the handheld"] == 18
    struck = sum(times for kind, times in result.faults_fired.items() if kind.startswith("lock"))
    assert struck >= 5 and all(weight > 0 for weight, _ in FAULTS.values())


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
    assert list(_by_their_lives([late, first, own])) == [first, own]
    early = Written(8_000_000, 1, b"1", door)
    assert list(_by_their_lives([early, first, own])) == [early, first, own]
