"""Locks of rooms in a residence: a slice of what `onecard sim residence --locks` plays."""

from simulator.residence.building import SECOND_US
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
