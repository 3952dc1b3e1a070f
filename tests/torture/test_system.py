"""The whole system under torture: a slice of what `onecard sim torture` plays for hours."""

from pathlib import Path

import pytest

from simulator.torture import runner
from simulator.torture.faults import MARKS
from simulator.torture.result import Result
from simulator.torture.system import HIGH, LOW, SystemUnit, play, run_unit

SEEDS_FILE = Path(__file__).with_name("seeds.txt")
# A run of 10,000 is a command. The last two bring what is rare: a torn DESFire commit, and another
# card than the one that a reader waits for.
SLICE = (*range(14), 30, 199)


def test_the_same_seed_gives_the_same_event_log():
    unit = SystemUnit(3)
    first, second = play(unit), play(unit)
    assert first == second
    assert play(SystemUnit(4))[1] != first[1]


@pytest.mark.parametrize("intensity", [HIGH, LOW])
def test_nothing_is_lost_and_nothing_twice(intensity):
    units = [SystemUnit(seed, intensity) for seed in SLICE]
    total = runner.run(units, run_unit, jobs=1)
    assert total.result.violations == []
    assert total.result.unresolved == 0
    if intensity == HIGH:
        assert [mark for mark in MARKS if not total.result.faults_fired.get(mark)] == []


@pytest.mark.parametrize("unit", runner.remembered(SEEDS_FILE), ids=lambda unit: unit.replay)
def test_what_once_failed_fails_no_more(unit):
    assert run_unit(unit).violations == []


# -- the runner -----------------------------------------------------------------------------------


def _odd_fails(unit: SystemUnit) -> Result:
    result = Result(events=1)
    if unit.seed == 3:
        raise ValueError("three")
    if unit.seed == 5:
        result.violations.append("five")
    return result


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_a_unit_raises_is_its_violation(jobs):
    total = runner.run([SystemUnit(seed) for seed in range(8)], _odd_fails, jobs=jobs)
    assert sorted(unit.seed for unit in total.failed) == [3, 5]
    assert total.units == 8
    assert total.result.events == 7
    assert any("--seed 3: " in text and "three" in text for text in total.result.violations)


def test_failed_seeds_are_remembered_once(tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_text("# found in September\n7 1000 400  # a receipt too early\n")
    units = [SystemUnit(7), SystemUnit(8, LOW)]
    assert runner.remember(path, units) == 1
    assert runner.remember(path, units) == 0
    assert runner.remembered(path) == units
