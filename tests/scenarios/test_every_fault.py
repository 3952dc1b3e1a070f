"""The slice end to end, every fault at once: nothing faked between the card and the ledger."""

import json
import os
import re
import subprocess
import sys

import pytest

from simulator.run import ScenarioError, run_scenario

BUSINESS = ("taps", "approved", "refused", "records", "booked", "on_cards_fen", "booked_fen")
# Seeds that once found something are kept here for ever; the comment says what they found.
SEEDS = (
    11,  # a reader died between OUTCOME and the light: the customer was asked to pay again
    1,  # "LAST PAID" of the customer before was taken for one's own
    2,
    3,
    4,
    5,
)


@pytest.fixture
def every_fault(repo_root):
    return repo_root / "simulator" / "scenarios" / "every_fault.toml"


def business(report):
    return {name: getattr(report, name) for name in BUSINESS}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_and_nothing_comes_twice(every_fault, seed):
    report = run_scenario(every_fault, seed=seed, broker="amqtt")
    print(f"replay: onecard sim run {every_fault.name} --seed {seed}")
    assert report.violations == []
    assert (report.lost, report.duplicated, report.unseen, report.in_flight_fen) == (0, 0, 0, 0)
    assert report.conserved
    assert report.booked == report.approved > 10
    assert report.refused > 0
    assert report.on_cards_fen + report.booked_fen == report.issued_fen


def test_same_seed_same_log_other_seed_other_log(every_fault):
    first = run_scenario(every_fault, seed=21, broker="amqtt")
    again = run_scenario(every_fault, seed=21, broker="amqtt")
    other = run_scenario(every_fault, seed=22, broker="amqtt")
    assert first.transcript_sha256 == again.transcript_sha256 != other.transcript_sha256


def test_same_log_in_a_real_micropython(every_fault, micropython, tmp_path):
    """Every byte on SPI, flash and network is the same, and so is when it was there."""
    logs = {}
    for home in ("cpython", "vm"):
        kept = tmp_path / home
        report = run_scenario(every_fault, seed=11, home=home, broker="amqtt", keep=kept)
        assert report.violations == []
        logs[home] = (kept / "events.log").read_text(encoding="utf-8").splitlines()
    pairs = zip(logs["cpython"], logs["vm"], strict=False)
    differing = [pair for pair in pairs if len(set(pair)) > 1]
    assert differing[:1] == []
    assert len(logs["cpython"]) == len(logs["vm"]) > 1000


def test_same_log_on_mosquitto(every_fault, mosquitto):
    ours = run_scenario(every_fault, seed=11, broker="amqtt")
    theirs = run_scenario(every_fault, seed=11, broker="mosquitto")
    assert theirs.violations == []
    assert theirs.transcript_sha256 == ours.transcript_sha256
    assert business(theirs) == business(ours)


def test_the_lunch_by_the_command_of_the_readme(repo_root):
    """`onecard sim run --json` prints one object, and the lunch holds."""
    command = ["-m", "tools.cli", "sim", "run", "simulator/scenarios/lunch_outage.toml", "--json"]
    done = subprocess.run(
        [sys.executable, *command], cwd=repo_root, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"taps", "approved", "refused", "records", "booked", "lost", "duplicated"} <= set(
        report
    )
    assert (report["lost"], report["duplicated"], report["violations"]) == (0, 0, [])
    assert report["conserved"] is True
    assert sum(report["takings_fen"].values()) == report["booked_fen"] > 0
    assert len(report["transcript_sha256"]) == 64


def test_what_a_run_keeps_can_be_shown(repo_root, every_fault, tmp_path):
    """--keep leaves journals that `onecard journal show --key` verifies, and an event log."""
    kept = tmp_path / "kept"
    report = run_scenario(every_fault, seed=2, broker="amqtt", keep=kept)
    assert len((kept / "events.log").read_text().splitlines()) > 1000
    for name in ("pos-1", "pos-2"):
        command = ["-m", "tools.cli", "journal", "show", str(kept / f"{name}.flash")]
        done = subprocess.run(
            [sys.executable, *command, "--key", str(kept / f"{name}.key")],
            cwd=repo_root,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "intent" in done.stdout.lower()
    assert report.violations == []


def test_a_folder_that_is_there_is_not_written_over(every_fault, tmp_path):
    with pytest.raises(ScenarioError, match="is there already"):
        run_scenario(every_fault, keep=tmp_path)


def test_card_depth_in_a_vm_is_refused(every_fault):
    with pytest.raises(ScenarioError, match="no registers"):
        run_scenario(every_fault, home="vm", depth="card")


def test_the_demo_ends_with_a_table_a_person_understands(repo_root):
    done = subprocess.run(
        [sys.executable, "-m", "tools.cli", "demo"],
        cwd=repo_root,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(repo_root)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "cut: the building's mains",
        "takings of noodles",
        "CARD HAS NO PIN",
        "balance to the",
    ):
        assert words in done.stdout
    cells = {
        name.strip(): count.strip()
        for name, count in re.findall(r"│ ([\w ]+?) +│ +([\d.]+) │", done.stdout)
    }
    assert cells["lost"] == cells["duplicated"] == cells["charged without being told"] == "0"
    assert cells["together"] == cells["issued"]
    for readme in ("README.md", "README.zh-CN.md"):
        text = (repo_root / readme).read_text(encoding="utf-8")
        (shown,) = re.findall(r"^```\n(\d\d:.*?)^```", text, re.MULTILINE | re.DOTALL)
        assert [line for line in shown.splitlines() if line not in done.stdout] == []
