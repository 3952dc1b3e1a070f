"""A residence in small: a slice of what `onecard sim residence` plays for a fortnight."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from simulator.residence.building import FIRST_DEVICE
from simulator.residence.doorway import HeardMaps
from simulator.residence.drill import drill
from simulator.residence.faults import FAULTS
from simulator.residence.play import BuildingUnit, play, units
from simulator.residence.rights import CURFEW, MORNING, holds
from simulator.torture.result import Result
from simulator.torture.runner import Total
from tests.residence.planted import PLANTED
from tests.torture.faithful import FaithfulPatch
from tools.cli import app
from tools.residence import Options, to_json, to_text

SEED, DRILL_SEED = 2, 1
MONDAY_S = 4 * 86_400  # 1970-01-05


def test_two_doors_and_a_day_with_many_faults():
    unit = BuildingUnit(SEED, 0, doors=2, days=1, rate=8000)
    print(unit.replay)
    result, _ = play(unit)
    assert result.violations == []
    print(result.done, result.faults_fired)
    assert result.done["right"] > 20 and result.done["unlocking"] > 50
    assert result.done["alarm"] and sum(result.faults_fired.values()) >= 8


def test_a_drill_is_clean_and_the_same_each_time():
    first, again = drill(DRILL_SEED), drill(DRILL_SEED)
    assert first == again
    result = first[0]
    assert result.violations == []
    assert result.done["alarm"] == 4 and result.done["case"] >= 4


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug):
    with FaithfulPatch.context() as patch:
        PLANTED[bug](patch)
        result, _ = drill(DRILL_SEED)
    print(result.violations)
    assert result.violations


def test_a_residence_is_split_into_buildings_and_each_is_played_alone():
    found = list(units(1, 203, 14))
    assert sum(unit.own_doors for unit in found) == 203
    assert max(unit.own_doors for unit in found) <= 10
    assert len({unit.replay for unit in found}) == len(found) == 21
    assert "--building 20" in found[-1].replay and "--seed 1 " in found[-1].replay


def test_the_second_opinion_on_schedules():
    assert holds(MORNING, MONDAY_S + 7 * 3600) and not holds(MORNING, MONDAY_S + 8 * 3600)
    assert not holds(MORNING, MONDAY_S - 86_400 + 7 * 3600), "a Sunday"
    assert not holds(CURFEW, MONDAY_S + 23 * 3600) and holds(CURFEW, MONDAY_S + 23 * 3600 - 1)


def test_nonsense_on_the_wire_is_no_map():
    heard = HeardMaps(bytes(32))
    assert [heard.hear(data) for data in (b"", b"\x00", bytes(200))] == [0, 0, 0]
    assert FIRST_DEVICE > 0 and all(weight > 0 for weight, _ in FAULTS.values())


def test_what_is_printed_is_what_was_found():
    """A violation is printed with what replays it, to people and to machines."""
    unit = BuildingUnit(7, 1, doors=12, days=3)
    text = f"{unit.replay}: door-1 is locked, and it is on fire"
    found = Result(events=9, violations=[text], done={"tap": 8}, faults_fired={"hang": 1})
    total = Total(units=1, result=found, failed=[unit])
    options = Options(doors=12, days=3, seed=7, building=1)
    shown = to_text(options, total)
    assert f"replay with: {unit.replay}" in shown and "1 violations" in shown
    figures = json.loads(to_json(options, total))
    assert (figures["doors"], figures["door_days"]) == (6, 18)
    assert figures["violations"] == [text] and figures["done"] == {"tap": 8}
    assert shlex.split(unit.replay)[1:] == [
        *("sim", "residence", "--seed", "7", "--doors", "12", "--days", "3", "--building", "1")
    ]


def test_the_command_refuses_a_building_that_is_not_there():
    words = ["sim", "residence", "--doors", "1", "--days", "1", "--jobs", "1", "--building"]
    refused = CliRunner().invoke(app, [*words, "7"])
    assert refused.exit_code == 2 and "there are 1" in refused.output
