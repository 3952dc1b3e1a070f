"""`onecard sim torture`: what it prints, how it exits, and what a failure leaves behind."""

import json

import pytest
from typer.testing import CliRunner

from simulator.torture import runner, system
from simulator.torture.faults import MARKS
from simulator.torture.result import Result
from simulator.torture.system import LOW, SystemUnit
from tools import torture
from tools.cli import app

KEYS = {
    "seeds",
    "events",
    "cut_points",
    "virtual_days",
    "faults_fired",
    "violations",
    "unresolved",
    "seeds_per_second",
    "jobs",
    "real_s",
}


def onecard(*words):
    return CliRunner().invoke(app, ["sim", "torture", "--jobs", "1", *words])


@pytest.fixture
def seeds_file(monkeypatch, tmp_path):
    path = tmp_path / "seeds.txt"
    path.write_text("# none yet\n")
    monkeypatch.setattr(torture, "SEEDS_FILE", path)
    return path


@pytest.fixture
def broken(monkeypatch):
    """A world in which every third seed fails."""

    def run_unit(unit):
        result = Result(events=unit.events)
        if unit.seed % 3 == 2:
            result.violations.append(f"{unit.replay}: a fen is missing")
        return result

    monkeypatch.setattr(system, "run_unit", run_unit)


def test_json_has_every_figure_and_every_kind_of_fault(seeds_file):
    result = onecard("--seeds", "2", "--events", "20", "--json")
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures.keys() == KEYS
    assert (figures["seeds"], figures["events"], figures["unresolved"]) == (2, 40, 0)
    assert figures["violations"] == []
    assert set(MARKS) <= figures["faults_fired"].keys()
    assert seeds_file.read_text() == "# none yet\n"


def test_a_kind_that_never_struck_is_marked(seeds_file):
    assert (
        "0  ledger killed at COMMIT  <- never" in onecard("--events", "1", "--seeds", "1").stdout
    )


@pytest.mark.usefixtures("broken")
def test_a_failure_names_its_replay_and_is_remembered(seeds_file):
    result = onecard("--first", "1", "--seeds", "4", "--intensity", "low")
    assert result.exit_code == 1
    assert "a fen is missing" in result.stdout
    assert "replay with: onecard sim torture --seed 2 --intensity low" in result.stdout
    assert "FAILED: onecard sim torture --seed 2 --intensity low" in result.stderr
    assert runner.remembered(seeds_file) == [SystemUnit(2, LOW)]


@pytest.mark.usefixtures("broken")
def test_one_seed_at_one_intensity(seeds_file):
    assert onecard("--seed", "5", "--intensity", "300").exit_code == 1
    assert runner.remembered(seeds_file) == [SystemUnit(5, 300)]


@pytest.mark.usefixtures("seeds_file")
def test_one_kind_of_fault_alone():
    words = ("--seeds", "3", "--events", "100", "--fault", "rot", "--json")
    by_people = {"card write torn", "card pulled in a dialogue", "DESFire commit torn"}
    by_people |= {"money paid in", "credit on a card", "sale by code", "sale cancelled"}
    by_people |= {"card reported lost", "lost card found", "spend while lost"}
    fired = json.loads(onecard(*words).stdout)["faults_fired"].keys()
    assert fired <= {"bit rot", "radio disturbed", *by_people}


@pytest.mark.usefixtures("broken", "seeds_file")
def test_both_intensities_alternate():
    figures = json.loads(onecard("--seeds", "4", "--intensity", "both", "--json").stdout)
    assert figures["seeds"] == 8
    assert len(figures["violations"]) == 2


@pytest.mark.usefixtures("seeds_file")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--intensity", "loud"], "not a number: loud"),
        (["--seed", "x"], "not a number: x"),
        (["--fault", "locusts"], "no fault 'locusts'; there are: agent disk, "),
        (["--exhaustive", "tap", "--seed", "x"], "names no case"),
        (["--exhaustive", "journal", "--seed", "x"], "names no unit"),
    ],
)
def test_wrong_words(words, said):
    result = onecard(*words)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.usefixtures("seeds_file")
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("journal", "byte.17"),
        ("journal", "bit.record.861.1"),
        ("tap", "start=fresh,rf=30.leaves-during.mixed,stays"),
    ],
)
def test_a_case_by_its_name(kind, name):
    result = onecard("--exhaustive", kind, "--seed", name, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["cut_points"] >= 1
