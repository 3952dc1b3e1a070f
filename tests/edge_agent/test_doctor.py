"""The doctor: each thing that can be wrong with a box is named, with what to do."""

import os
import sqlite3
import subprocess
import sys
import time

import pytest

from edge_agent import decisions
from edge_agent.config import load
from edge_agent.disk import put_aside
from edge_agent.doctor import GOOD, WORTH_A_LOOK, WRONG, examine
from edge_agent.inventory import Inventory
from edge_agent.store import Store
from simulator.broker import start_broker
from tests.edge_agent.peers import SITE, Ledger

A = 1001


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = start_broker("amqtt", tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def box(tmp_path, broker):
    """A box as it should be, but that no agent runs on it."""
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    there = f'host = "127.0.0.1"\nport = {broker.port}\n'
    (tmp_path / "agent.toml").write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{there}[upstream]\n{there}[store]\nbudget_mb = 1\n"
    )
    (tmp_path / "data").mkdir(mode=0o700)
    store = Store(str(tmp_path / "data" / "agent.sqlite"))
    store.put_many([(A, seq, b"%d" % seq) for seq in range(1, 9)])
    store.close()
    Inventory(str(tmp_path / "data" / "inventory.json"), lambda: 1).close()
    return tmp_path


def found(box):
    return {finding.about: finding for finding in examine(load(str(box / "agent.toml")))}


def test_a_box_in_order(box):
    findings = found(box)
    assert {about for about, one in findings.items() if one.level == WRONG} == {"agent"}
    assert findings["agent"].action == "systemctl start onecard-agent"
    assert "8 of 1 readers wait" in findings["records"].text
    for about in ("data folder", "disk", "agent.sqlite", "readers' broker", "upstream"):
        assert findings[about].level == GOOD, findings[about]


def test_every_finding_that_is_not_good_says_what_to_do(box):
    (box / "data").chmod(0o755)
    (box / "data" / "agent.sqlite").write_bytes(b"no database" * 999)
    (box / "data" / "inventory.json").write_text("{")
    put = box / "data" / "cards.sqlite"
    put.write_bytes(b"neither")
    put_aside(str(put), 1_700_000_000)
    config = (box / "agent.toml").read_text()
    lines = '[[lines]]\nurl = "/dev/not-there"\nreaders = [5]\n[view]\nport = 1\n'
    there = config.index("[upstream]")
    broken = config[:there] + '[upstream]\nhost = "127.0.0.1"\nport = 1\n' + lines
    (box / "agent.toml").write_text(broken)
    findings = found(box)
    bad = {about: one for about, one in findings.items() if one.level != GOOD}
    expected = {"data folder", "agent.sqlite", "inventory", "damaged files", "agent"}
    assert expected | {"serial line", "page", "upstream", "disk"} >= bad.keys() >= expected
    assert all(one.action for one in bad.values())
    assert findings["serial line"].text == "/dev/not-there is not there"
    assert "port 1 through" in findings["upstream"].action


def test_a_file_of_a_newer_program_is_no_damage(box):
    with sqlite3.connect(box / "data" / "agent.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    finding = found(box)["agent.sqlite"]
    assert (finding.level, finding.action) == (WRONG, "install the newer program again")


def test_refused_records_are_named(box):
    store = Store(str(box / "data" / "agent.sqlite"))
    store.apply_refused([(A, 1, 301)])
    store.close()
    assert found(box)["refused records"].level == WORTH_A_LOOK


def test_who_waits_to_be_admitted_is_worth_a_look(box):
    with open(box / "agent.toml", "a", encoding="utf-8") as file:
        file.write("[enrolment]\nrequired = true\n")
    path = box / "data" / decisions.NAME
    assert "enrolment" not in found(box)
    decisions.Decisions(path).create()
    decisions.Decisions(path).append({"act": decisions.KNOWN, "device": A})
    assert found(box)["enrolment"].level == GOOD
    path.write_bytes(path.read_bytes() + b"{\n")
    inventory = Inventory(str(box / "data" / "inventory.json"), lambda: 1)
    inventory.note_waiting([{"device": 1009, "link": "network", "first_s": 0}], 0)
    inventory.close()
    findings = found(box)
    assert findings["enrolment"].level == WORTH_A_LOOK
    assert findings["enrolment"].text == "1 readers are admitted, 1 wait"
    assert findings["enrolment's file"].level == WORTH_A_LOOK
    path.chmod(0o640)
    assert found(box)["enrolment"].level == WRONG


def test_before_the_first_start_there_is_little_to_see(box):
    for file in (box / "data").iterdir():
        file.unlink()
    (box / "data").rmdir()
    findings = found(box)
    assert "start the agent once" in findings["data folder"].action
    assert "agent.sqlite" not in findings


def test_beside_a_running_agent_it_only_looks(box, repo_root):
    command = [sys.executable, "-m", "tools.cli", "agent"]
    config = str(box / "agent.toml")
    environment = {**os.environ, "PYTHONPATH": str(repo_root)}
    agent = subprocess.Popen(
        [*command, "run", config], cwd=repo_root, stderr=subprocess.PIPE, env=environment
    )
    try:
        assert agent.stderr is not None
        for line in agent.stderr:
            if b'"started"' in line:
                break
        time.sleep(0.2)
        done = subprocess.run(
            [*command, "doctor", config],
            cwd=repo_root,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert f"good   agent: runs as process {agent.pid}" in done.stdout
        assert done.returncode == 0, done.stdout
        assert agent.poll() is None
    finally:
        agent.kill()
        agent.communicate()
