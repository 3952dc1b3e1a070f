"""The daemon as a process: what it refuses, what it says, how it stops."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from edge_agent.store import Store
from tests.edge_agent.peers import SITE, Ledger


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def config(tmp_path):
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    path = tmp_path / "agent.toml"
    broker = f'host = "127.0.0.1"\nport = {_free_port()}\n'
    path.write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{broker}[upstream]\n{broker}"
    )
    return path


@pytest.fixture
def start(config, repo_root):
    started = []

    def make():
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_agent.daemon", str(config)],
            stderr=subprocess.PIPE,
            text=True,
            cwd=repo_root,
            env={**os.environ, "PYTHONPATH": str(repo_root)},
        )
        started.append(process)
        return process

    yield make
    for process in started:
        process.kill()
        process.communicate()


def _wait_for(process, event):
    for text in process.stderr:
        line = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"ended with {process.wait()} before {event}")


def test_a_wrong_configuration_ends_with_2_and_says_what_is_wrong(config, start):
    config.write_text(config.read_text().replace("[upstream]", "[downstream]"))
    process = start()
    line = _wait_for(process, "refused")
    assert "downstream: unknown" in line["problem"]
    assert process.wait() == 2


def test_a_second_agent_refuses_and_names_the_first(start):
    first = start()
    _wait_for(first, "started")
    second = start()
    line = _wait_for(second, "refused")
    assert f"another agent (process {first.pid})" in line["problem"]
    assert second.wait() == 1
    assert first.poll() is None


@pytest.mark.parametrize("name", ["agent.sqlite", "cards.sqlite"])
def test_a_damaged_file_is_put_aside_and_the_agent_begins_anew(start, tmp_path, name):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_bytes(b"no database" * 500)
    process = start()
    damaged = _wait_for(process, "damaged")
    assert name in damaged["problem"]
    _wait_for(process, "started")
    with open(damaged["kept_as"], "rb") as kept:
        assert kept.read() == b"no database" * 500


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_when_told_though_no_broker_is_there(start, tmp_path, number):
    process = start()
    _wait_for(process, "started")
    time.sleep(0.2)
    begun_s = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == 0
    assert time.monotonic() - begun_s < 5
    assert Store(str(tmp_path / "data" / "agent.sqlite")).count() == 0
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_after_sigkill_the_next_one_starts(start):
    first = start()
    _wait_for(first, "started")
    first.kill()
    first.wait()
    _wait_for(start(), "started")


def test_the_wait_for_a_broker_costs_no_processor_time(start):
    process = start()
    _wait_for(process, "started")
    time.sleep(0.3)

    def cpu_ticks():
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = cpu_ticks()
    time.sleep(2)
    assert cpu_ticks() - before < 20  # of 200


def test_of_a_cluster_it_says_which_node_is_of_no_use(config, start):
    with config.open("a") as file:
        file.write(f'fallbacks = ["127.0.0.1:{_free_port()}"]\n')
    process, named = start(), set()
    while len(named) < 2:
        line = _wait_for(process, "no_link")
        if line["link"] == "upstream":
            named.add(line["problem"])
    assert all(text.startswith("127.0.0.1:") and "ECONNREFUSED" in text for text in named)
