"""The brokers of the simulator: clear errors, the same port after a restart, nothing left over."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from simulator import broker as brokers
from simulator.broker import Broker, BrokerError, start_broker


@pytest.fixture(params=brokers.KINDS)
def kind(request):
    """Each kind that is installed."""
    if request.param == "mosquitto":
        request.getfixturevalue("mosquitto")
    elif request.param == "nats":
        if brokers.find_nats() is None:
            pytest.skip("needs nats-server (Debian package)")
    else:
        pytest.importorskip("amqtt")
    return request.param


def answers(port):
    return brokers._answers("127.0.0.1", port)


def test_unknown_kind_is_named_with_what_there_is(tmp_path):
    with pytest.raises(BrokerError, match=r"'rabbit'.*amqtt, mosquitto, nats or auto"):
        start_broker("rabbit", tmp_path)


def test_a_broker_that_is_not_installed_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(brokers, "find_mosquitto", lambda: None)
    with pytest.raises(BrokerError, match="apt-get install mosquitto"):
        start_broker("mosquitto", tmp_path)
    monkeypatch.setattr(brokers, "find_nats", lambda: None)
    with pytest.raises(BrokerError, match="apt-get install nats-server"):
        start_broker("nats", tmp_path)
    monkeypatch.setattr(brokers.importlib.util, "find_spec", lambda name: None)
    for kind in ("amqtt", "auto"):
        with pytest.raises(BrokerError, match="pip install amqtt"):
            start_broker(kind, tmp_path)


def test_auto_takes_what_there_is(tmp_path, monkeypatch):
    pytest.importorskip("amqtt")
    monkeypatch.setattr(brokers, "find_mosquitto", lambda: None)
    with start_broker("auto", tmp_path) as broker:
        assert broker.kind == "amqtt"


def test_a_port_that_is_taken_is_an_error(kind, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        broker = Broker(kind, tmp_path, taken.getsockname()[1])
        with pytest.raises(BrokerError, match="in use"):
            broker.start()
        assert not broker.running


def test_another_broker_on_the_port_is_not_taken_for_ours(kind, tmp_path):
    with start_broker(kind, tmp_path) as first:
        with pytest.raises(BrokerError, match="in use"):
            Broker(kind, tmp_path, first.port).start()
        assert first.running


def test_start_kill_restart_stop(kind, tmp_path):
    broker = start_broker(kind, tmp_path)
    port = broker.port
    assert answers(port)
    broker.kill()
    assert not broker.running
    assert not answers(port)
    broker.restart()
    assert answers(port)
    assert broker.port == port
    broker.stop()
    broker.stop()
    broker.kill()
    assert not answers(port)


def test_it_dies_with_its_parent(kind, tmp_path, repo_root):
    program = (
        "import sys\nfrom simulator.broker import start_broker\n"
        f"broker = start_broker({kind!r}, {str(tmp_path)!r})\n"
        "print(broker.port, flush=True)\nsys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=repo_root,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    port = int(parent.stdout.readline())
    assert answers(port)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline_s = time.monotonic() + 20
    while answers(port):
        assert time.monotonic() < deadline_s, "the broker has outlived its parent"
        time.sleep(0.05)
