"""A relay that is welded: who is inside gets out while he presses, and the books say why."""

from functools import partial

from simulator.residence.building import SECOND_US
from simulator.residence.judge import judge
from simulator.residence.people import People
from simulator.residence.play import built, open_up
from simulator.residence.rights import Rights

BEGINS_S = 10 * 3600


def test_behind_a_welded_relay_a_button_that_is_held_lets_him_out_and_nothing_else_is_excused():
    with built(3, 1, BEGINS_S) as building:
        people, (each,) = People(building, Rights(building)), building.doors
        open_up(building)
        weld, mend = (partial(setattr, each.lock, "relay_is", how) for how in ("welded", ""))
        each.reader.at(60 * SECOND_US, weld)
        building.world.at(70 * SECOND_US, partial(people.leave, each))
        each.reader.at(200 * SECOND_US, each.lock.is_powered)
        each.reader.at(200 * SECOND_US + 1, mend)
        building.run_until(400 * SECOND_US)
        assert building.violations == [] and building.done["exit with the button held"] == 1
        judge(building, people.seen)
        assert [text for text in building.violations if "let go" in text] == []
        building.violations.clear()
        each.lock.is_powered = each.lock.is_bonded = lambda: True
        people.leave(each)
        building.run_until(420 * SECOND_US)
        assert len(building.violations) == 1 and "could not leave" in building.violations[0]
