"""Locks of rooms in a residence: a slice of what `onecard sim residence --locks` plays."""

import pytest

from ledger.store import LedgerStore
from protocols.rules import lock
from simulator.residence.building import SECOND_US
from simulator.residence.people import People
from simulator.residence.play import built, open_up, units
from simulator.residence.rights import Rights
from simulator.residence.room_drill import room_drill
from simulator.residence.room_faults import FAULTS
from simulator.residence.room_healing import last_visits
from simulator.residence.rooms import Rooms
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


def test_what_a_lock_writes_behind_the_last_visit_is_fetched_by_another():
    """As an inspection is that its timer wakes it for once a day."""
    with built(5, 1, locks=2) as building:
        rooms = Rooms(building, People(building, Rights(building)))
        open_up(building)
        go_round, rounds = rooms.handheld.go_round, []

        def go_and_turn(which):
            if not rounds:  # while he is at the second, somebody turns the key of the first
                building.later(75 * SECOND_US, lambda: rooms.turn_key(building.rooms[0]))
            rounds.append([room.name for room in which])
            go_round(which)

        building.run_until(500 * SECOND_US)
        rooms.handheld.go_round = go_and_turn
        last_visits(rooms)
        assert building.violations == [] and rounds == [["room-1", "room-2"], ["room-1"]]


def test_records_that_no_visit_fetches_are_found(monkeypatch):
    heads = LedgerStore.heads
    with built(5, 1, locks=2) as building:
        rooms = Rooms(building, People(building, Rights(building)))
        open_up(building)
        room = building.rooms[1]
        building.run_until(500 * SECOND_US)
        monkeypatch.setattr(LedgerStore, "heads", lambda self: {**heads(self), room.device: 1})
        last_visits(rooms)
        assert any(text.startswith("not drained: room-2") for text in _texts(building))
        assert not any("room-1" in text for text in _texts(building))


def _texts(building):
    return [text.partition(" ")[2] for text in building.violations]
