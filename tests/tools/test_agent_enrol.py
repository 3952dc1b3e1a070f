"""`onecard agent enrol`: beside the real agent as a process, and its refusals without one."""

import json
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from adapters.mqtt import MqttPort
from edge_agent import decisions
from edge_agent.inventory import AtomicJsonStorage
from protocols.wire import messages, topics
from simulator.broker import start_broker
from tests.adapters.test_mqtt import pump
from tests.edge_agent.peers import SITE, Ledger, Reader
from tools import agent_enrol
from tools.cli import app

A = 1001
BROKER = 'host = "127.0.0.1"\nport = 1\n'  # nobody listens there


@pytest.fixture
def config(tmp_path):
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    path = tmp_path / "agent.toml"
    path.write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{BROKER}[upstream]\n{BROKER}[enrolment]\nrequired = true\n"
    )
    return path


@pytest.fixture
def begun(config, tmp_path):
    """A list that an agent has begun, and one reader that waits on two links."""
    (tmp_path / "data").mkdir()
    decisions.Decisions(tmp_path / "data" / decisions.NAME).create()
    links = ("network", "/dev/ttyUSB0")
    waiting = {n: {"device": A, "link": link, "first_s": 0} for n, link in enumerate(links, 1)}
    AtomicJsonStorage(str(tmp_path / "data" / "inventory.json")).write({"waiting": waiting})
    return config


def enrol(verb, config, *words, by="wang"):
    by_words = [] if verb == "list" else ["--by", by]
    words = ["agent", "enrol", verb, str(config), *by_words, *map(str, words)]
    return CliRunner().invoke(app, words)


def _wait_for(process, event):
    for text in process.stderr:
        line = json.loads(text)
        if line["event"] == event:
            return line
    raise AssertionError(f"ended with {process.wait()} before {event}")


def _started(config, repo_root):
    agent = subprocess.Popen(
        [sys.executable, "-m", "edge_agent.daemon", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=repo_root,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
    )
    _wait_for(agent, "started")
    return agent


def test_a_running_agent_does_what_is_decided_and_a_killed_one_has_closed(config, repo_root):
    agent = _started(config, repo_root)
    try:
        done = enrol("open", config, "--minutes", 5)
        assert (done.exit_code, done.output) == (0, "new readers are taken for 5 minutes\n")
        assert _wait_for(agent, "window_opened")["minutes"] == 5
        assert "the window is open until 20" in enrol("list", config).output
        agent.send_signal(signal.SIGKILL)
        agent.communicate()
        agent = _started(config, repo_root)
        assert enrol("list", config).output == "the window is closed\n"
        done = enrol("approve", config, "--device", A, "--link", "network")
        assert (done.exit_code, done.output) == (0, f"reader {A} on network: approved\n")
        assert _wait_for(agent, "reader_approved")["device"] == A
        assert enrol("close", config).exit_code == 0
    finally:
        agent.kill()
        agent.communicate()


def test_a_reader_on_a_real_broker_is_heard_once_it_is_approved(config, tmp_path, repo_root):
    with start_broker("amqtt", tmp_path) as broker:
        there = f'host = "127.0.0.1"\nport = {broker.port}\n'
        config.write_text(config.read_text().replace(BROKER, there, 1))
        agent = _started(config, repo_root)
        down = topics.down(SITE, A)
        reader = MqttPort(broker.host, broker.port, "reader", subscriptions=[down])
        heard = []

        def say_hello():
            reader.publish(topics.up(SITE, A), Reader(A).hello())

        def has_answer():
            message = reader.take()
            if message is not None:
                reader.ack(message)
                heard.append(messages.decode_message(message.payload, (messages.STORED,)))
            return bool(heard)

        try:
            _wait_for(agent, "connected")
            pump([reader], lambda: reader.connected)
            say_hello()
            pump([reader], lambda: not reader.unacked)
            assert _wait_for(agent, "quarantined")["device"] == A
            assert not has_answer()
            enrol("approve", config, "--device", A, "--link", "network")
            assert _wait_for(agent, "reader_approved")["link"] == "network"
            say_hello()
            pump([reader], has_answer)
            assert heard == [{"type": messages.STORED, "device": A, "upto": 0}]
        finally:
            reader.close()
            agent.kill()
            agent.communicate()


def test_a_window_that_nobody_answers_for_is_an_error(begun, monkeypatch):
    monkeypatch.setattr(agent_enrol, "ANSWER_S", 0.2)
    done = enrol("open", begun)
    assert done.exit_code == 1 and "no agent has answered" in done.output


def test_who_waits_on_two_links_is_named_with_one(begun):
    listed = enrol("list", begun)
    assert listed.exit_code == 1
    assert f"reader {A} on network: NOT ADMITTED, since 1970-01-01T00:00:00Z" in listed.output
    refused = enrol("approve", begun, "--device", A)
    assert refused.exit_code == 2 and "on network and /dev/ttyUSB0" in refused.output
    assert enrol("approve", begun, "--device", A, "--link", "/dev/ttyUSB0").exit_code == 0
    denied = enrol("deny", begun, "--device", A, "--link", "network")
    assert denied.output == f"reader {A} on network: denied\n"
    shown = enrol("list", begun).output
    assert f"reader {A} on /dev/ttyUSB0: approved" in shown and "on network: denied" in shown


def test_one_that_hangs_somewhere_is_denied_there(begun):
    assert enrol("approve", begun, "--device", 7, "--link", "network").exit_code == 0
    assert enrol("deny", begun, "--device", 7).output == "reader 7 on network: denied\n"
    refused = enrol("deny", begun, "--device", 8)
    assert refused.exit_code == 2 and "reader 8 waits nowhere" in refused.output


@pytest.mark.parametrize(
    ("by", "words", "why"),
    [
        ("Wang Fang", (), "one word of a-z"),
        ("", (), "one word of a-z"),
        ("wang", ("--link", "a\nb"), "'network' or the url"),
    ],
)
def test_what_is_no_name_is_refused_and_nothing_written(begun, tmp_path, by, words, why):
    refused = enrol("deny", begun, "--device", A, *(words or ("--link", "network")), by=by)
    assert refused.exit_code == 2 and why in refused.output
    assert (tmp_path / "data" / decisions.NAME).read_bytes() == b""


def test_without_a_list_it_says_why(config):
    refused = enrol("list", config)
    assert refused.exit_code == 2 and "no agent has begun a list" in refused.output
    config.write_text(config.read_text().replace("true", "false"))
    refused = enrol("open", config)
    assert refused.exit_code == 2 and "all are taken" in refused.output


def test_an_inventory_that_cannot_be_read_is_named(begun, tmp_path):
    (tmp_path / "data" / "inventory.json").write_text("[]")
    refused = enrol("list", begun)
    assert refused.exit_code == 2 and "who waits cannot be read" in refused.output
