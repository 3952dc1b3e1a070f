"""systemd is told the truth: ready, alive while records get on; and the unit is tight."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.notify import READY, Notify
from edge_agent.progress import STUCK_MS, Progress
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger

A = 1001
UNIT = Path(__file__).parents[2] / "edge_agent" / "packaging" / "onecard-agent.service"


@pytest.fixture
def systemd(tmp_path):
    """The end of the socket that systemd holds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as port:
        port.bind(str(tmp_path / "notify"))
        port.settimeout(20)
        yield port


def _heard(port):
    port.setblocking(False)
    said = []
    while True:
        try:
            said.append(port.recv(4096).decode())
        except BlockingIOError:
            return said


def test_nobody_is_told_anything_where_nobody_listens(tmp_path):
    Notify({}).say(READY)
    notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1000000"})
    notify.say(READY)
    assert notify.alive(0) == 500
    assert Notify({}).alive(0) is None


def test_the_watchdog_is_fed_twice_in_its_time_and_a_status_is_said_once(systemd, tmp_path):
    notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"})
    due_ms = [notify.alive(now_ms) for now_ms in (0, 10, 29_999, 30_000, 30_001)]
    assert due_ms == [30_000, 30_000, 30_000, 60_000, 60_000]
    for words in ("all is well", "all is well", "not so well"):
        notify.status(words)
    said = ["WATCHDOG=1", "WATCHDOG=1", "STATUS=all is well", "STATUS=not so well"]
    assert _heard(systemd) == said


def test_the_watchdog_of_another_process_is_not_fed():
    assert Notify({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}).alive(0) is None


def test_stuck_is_work_that_does_not_move():
    progress = Progress()
    moved = 0
    for now_ms in range(0, 4 * STUCK_MS, 1_000):
        moved += now_ms % 60_000 == 0
        assert not progress.is_stuck(True, moved, now_ms)
    for now_ms in range(4 * STUCK_MS, 8 * STUCK_MS, 1_000):
        assert not progress.is_stuck(False, moved, now_ms)
    start_ms = 8 * STUCK_MS
    found = [progress.is_stuck(True, moved, start_ms + s * 1_000) for s in range(200)]
    assert found.index(True) * 1_000 == STUCK_MS


def test_others_that_are_slow_or_silent_are_no_reason_to_begin_anew(tmp_path):
    building = Building(tmp_path, Ledger([A]), [A])
    building.readers[A].write(80)
    building.put(A, building.readers[A].journal[1:])
    for state in (lambda: None, building.upstream.down):  # a silent ledger, then no link
        state()
        for _ in range(100):
            building.step(5_000)
            assert not building.agent.is_stuck(building.now_ms)
    building.upstream.up()
    building.upstream.refuses_publish = True  # a line that is jammed
    for _ in range(100):
        building.step(5_000)
        assert not building.agent.is_stuck(building.now_ms)


def test_a_fault_of_ours_that_leaves_work_lying_is_noticed(tmp_path):
    building = Building(tmp_path, Ledger([A]), [A])
    building.readers[A].write(80)
    building.agent._upstream_side.forward = lambda now_ms: None  # the planted fault
    building.put(A, building.readers[A].journal[1:])
    found = []
    for _ in range(100):
        building.step(5_000)
        found.append(building.agent.is_stuck(building.now_ms))
    assert not any(found[: STUCK_MS // 5_000 - 1]) and all(found[STUCK_MS // 5_000 + 1 :])


def test_the_daemon_says_ready_what_is_down_and_stopping(systemd, tmp_path, repo_root):
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    broker = 'host = "127.0.0.1"\nport = 1\n'
    (tmp_path / "agent.toml").write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{broker}[upstream]\n{broker}"
    )
    told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "400000"}
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_agent.daemon", str(tmp_path / "agent.toml")],
        cwd=repo_root,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(repo_root), **told},
    )
    try:
        said = [systemd.recv(4096).decode()]
        while said.count("WATCHDOG=1") < 3:
            said.append(systemd.recv(4096).decode())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        said += _heard(systemd)
    finally:
        process.kill()
        process.wait()
    assert said[0] == "READY=1"
    assert "STATUS=no link to readers, no link to upstream" in said
    assert said[-1] == "STOPPING=1"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_tight_and_every_key_in_it_is_known():
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--json=short", UNIT],
        capture_output=True,
        text=True,
    )
    open_ends = [row["name"] for row in json.loads(done.stdout) if not row["set"]]
    assert done.returncode == 0, open_ends
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", UNIT], capture_output=True, text=True
    )
    complaints = done.stderr.splitlines()
    # The program is not installed where this test runs.
    assert [line for line in complaints if "is not executable" not in line] == []
