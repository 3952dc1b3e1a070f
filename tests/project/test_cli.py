"""The surface of the onecard command: help, usage errors, exit codes, and what reaches the rooms.

What the commands run is tested in its own room; here a stand-in module receives the arguments.
"""

import json
import subprocess
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from tests.project.test_docs import program
from tools import bench, bench_report, cli_panels
from tools.cli import app

COMMANDS = {
    "demo": "--seed",
    "sim run": "--depth",
    "sim torture": "--exhaustive",
    "sim residence": "--building",
    "sim city": "--district",
    "agent run": "CONFIG",
    "ledger run": "CONFIG",
    "ledger forks": "DATABASE",
    "ledger proofs": "--keys",
    "ledger topup": "--order",
    "ledger card close": "--evidence",
    "ledger temporary hand-out": "--application",
    "ledger batch dry-run": "--kind",
    "ledger refunds sign": "--total",
    "ledger payments release": "--newest",
    "ledger subsidy sign": "--total",
    "ledger phone": "CONFIG",
    "ledger codes": "--older-s",
    "ledger settle": "--as",
    "ledger serve": "CONFIG",
    "ledger token": "--scope",
    "journal pull": "--rom",
    "journal show": "FILE",
    "journal verify": "--kit",
    "journal trace": "--books",
    "ca issue": "--broker",
    "broker config": "--centre",
    "bench": "--json",
}


def onecard(*words):
    """Run the command in this process; wide, so that help is not wrapped."""
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200", "NO_COLOR": "1"})


@pytest.fixture
def stand_in(monkeypatch):
    """Put a module of the given names in the place of a real one."""

    def place(name, **names):
        module = ModuleType(name)
        module.__dict__.update(names)
        monkeypatch.setitem(sys.modules, name, module)

    return place


class Wrong(Exception):
    """What the stand-ins raise for bad input."""


class Report:
    """The report of a run that ended with the given exit code."""

    def __init__(self, exit_code):
        self.exit_code = exit_code

    def to_json(self):
        return '{"taps": 1}'

    def __rich__(self):
        return "one tap"


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "lunch.toml"
    path.touch()
    return str(path)


@pytest.mark.parametrize(("command", "text"), COMMANDS.items())
def test_help(command, text):
    done = onecard(*command.split(), "--help")
    assert done.exit_code == 0
    assert text in done.output


def test_help_lists_every_command():
    output = onecard("--help").output
    assert all(command.split()[0] in output for command in COMMANDS)


def test_version():
    assert onecard("--version").output.startswith("onecard 0.")


def test_help_imports_nothing_heavy():
    heavy = "{'simulator', 'ledger', 'edge_agent', 'amqtt', 'paho', 'cryptography', 'asyncio'}"
    code = f"import sys, tools.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "words",
    [
        "nonsense",
        "sim nonsense",
        "sim run",
        "sim run missing.toml",
        "sim run . --json",
        "sim run FILE --home moon",
        "sim run FILE --depth deep",
        "sim run FILE --seed -1",
        "sim run FILE --seed one",
        "sim run FILE --nonsense",
        "agent run",
        "agent run missing.toml",
        "ledger run missing.toml",
        "ledger serve missing.toml",
        "ledger token Nobody --scope topups",
        "ledger token ecode --scope everything",
        "ledger token ecode",
        "ledger forks missing.sqlite",
        "ledger topup missing.sqlite --card 1 --fen 1 --order A",
        "ledger card lose missing.sqlite --card 1",
        "journal show missing.bin",
        "demo --home moon",
        "bench no_such_benchmark",
    ],
)
def test_wrong_usage_exits_2(words, scenario):
    done = onecard(*words.replace("FILE", scenario).split())
    assert done.exit_code == 2
    assert done.stderr


@pytest.mark.parametrize("exit_code", [0, 1, 42])
def test_sim_run_passes_the_exit_code_on(stand_in, scenario, exit_code):
    seen = []

    def run_scenario(path, seed, home, depth, broker, progress, keep):
        seen.append((str(path), seed, home, depth, broker))
        if progress:
            progress("half way")
        return Report(exit_code)

    stand_in("simulator.run", run_scenario=run_scenario, ScenarioError=Wrong)
    done = onecard("sim", "run", scenario, "--seed", "7", "--home", "vm", "--depth", "card")
    assert done.exit_code == exit_code
    assert done.stdout == "one tap\n"
    assert done.stderr == "half way\n"
    assert seen == [(scenario, 7, "vm", "card", "auto")]


def test_sim_run_json_prints_one_object_and_nothing_else(stand_in, scenario):
    def run_scenario(path, seed, home, depth, broker, progress, keep):
        assert progress is None
        return Report(0)

    stand_in("simulator.run", run_scenario=run_scenario, ScenarioError=Wrong)
    done = onecard("sim", "run", scenario, "--json")
    assert json.loads(done.output) == {"taps": 1}


def test_bad_scenario_exits_2_and_says_why(stand_in, scenario):
    def run_scenario(*arguments):
        raise Wrong("lunch.toml:3: unknown verb 'unplig', did you mean 'unplug'?")

    stand_in("simulator.run", run_scenario=run_scenario, ScenarioError=Wrong)
    done = onecard("sim", "run", scenario)
    assert done.exit_code == 2
    assert "lunch.toml:3: unknown verb" in done.stderr


@pytest.mark.parametrize("room", ["edge_agent", "ledger"])
def test_bad_config_exits_2_and_says_why(stand_in, scenario, room):
    def run(path):
        raise Wrong(f"{path}: no key 'site'")

    stand_in(f"{room}.daemon", run=run, REFUSALS=(Wrong,))
    done = onecard({"edge_agent": "agent"}.get(room, room), "run", scenario)
    assert done.exit_code == 2
    assert "no key 'site'" in done.stderr


def test_demo_passes_the_exit_code_on(stand_in):
    seen = []

    def main(seed, home, broker):
        seen.append((seed, home, broker))
        return 42

    stand_in("simulator.demo", main=main)
    assert onecard("demo", "--broker", "mosquitto").exit_code == 42
    assert seen == [(None, "cpython", "mosquitto")]


@pytest.mark.parametrize("exit_code", [0, 1])
def test_journal_show_passes_the_exit_code_on(stand_in, scenario, exit_code):
    stand_in("tools.journal.show", show=lambda path, keys, masks: exit_code)
    assert onecard("journal", "show", scenario).exit_code == exit_code


ROW = {"name": "select", "ours": 20, "other": 63, "against": "mfrc522", "unit": "SPI transactions"}


@pytest.fixture
def benchmarks(tmp_path, monkeypatch):
    """A folder of benchmarks: one good, one without rows(), one with a bad row."""
    (tmp_path / "good_rows.py").write_text(f"def rows():\n    yield {ROW!r}\n")
    (tmp_path / "no_rows.py").write_text("")
    monkeypatch.setattr(bench, "__path__", [str(tmp_path)])
    yield tmp_path
    for name in ("good_rows", "no_rows", "bad_rows"):
        sys.modules.pop(f"tools.bench.{name}", None)


def test_bench_prints_rows_as_json(benchmarks):
    done = onecard("bench", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [ROW | {"ratio": 0.317}]
    assert list(json.loads(done.stdout)[0]) == list(bench_report.COLUMNS)


def test_bench_prints_a_table(benchmarks):
    done = onecard("bench", "good_rows")
    assert "0.317" in done.stdout
    assert "mfrc522" in done.stdout
    assert "measuring good_rows" in done.stderr


def test_unknown_bench_names_those_there_are(benchmarks):
    done = onecard("bench", "good")
    assert done.exit_code == 2
    assert "there are: good_rows" in done.stderr


def test_row_without_a_key_names_its_benchmark(benchmarks):
    (benchmarks / "bad_rows.py").write_text("def rows():\n    yield {'name': 'x'}\n")
    with pytest.raises(bench_report.BadRow, match=r"bad_rows.py: row without ours, other"):
        bench_report.rows(["bad_rows"])


@pytest.mark.parametrize(
    ("ours", "other", "ratio"), [(1, 4, 0.25), (0, 4, 0.0), (3, 0, None), (3, None, None)]
)
def test_ratio(ours, other, ratio):
    assert bench_report.complete("x", ROW | {"ours": ours, "other": other})["ratio"] == ratio


@pytest.mark.parametrize(
    ("words", "panels"),
    [
        ((), cli_panels.ONECARD),
        (("ledger",), cli_panels.LEDGER),
        (("sim",), cli_panels.SIM),
    ],
)
def test_help_has_each_command_in_a_panel(words, panels):
    """A new command gets a panel in tools/cli_panels.py; none is named that is not there."""
    node = program()
    for word in words:
        node = node.commands[word]
    named = [name for names in panels.values() for name in names]
    assert len(named) == len(set(named)) and set(named) == set(node.commands)
    shown = onecard(*words, "--help").output
    assert [shown.index(f"─ {panel} ─") for panel in panels] == sorted(
        shown.index(f"─ {panel} ─") for panel in panels
    )
    assert "─ Commands ─" not in shown
