"""The bridge to Home Assistant on real brokers: what a spy hears there, and nothing else ever."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from adapters.mqtt import MqttPort
from edge_agent.home_assistant import (
    EXPIRE_S,
    READER_SENSORS,
    STATE_MS,
    UNACKED_MAX,
    HomeAssistant,
)
from edge_agent.view import view
from protocols.wire import messages
from simulator.broker import BrokerError, start_broker
from tests.adapters.test_mqtt import pump
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, batch
from tests.edge_agent.ports import FakePort
from tests.edge_agent.test_view import INSPECTED, UTC_S, _record

A, B = 1001, 1002
END = "late/end"  # of what stands at the broker
ROOT = f"homeassistant/sensor/onecard_{SITE}_"
SENSORS = "|".join(READER_SENSORS)
ALLOWED = re.compile(
    rf"{ROOT}(?:agent/(?:link_(?:readers|upstream|line\d+)|disk)/config"
    rf"|[1-9]\d*/(?:{SENSORS})/config|(?:agent|[1-9]\d*)/state)"
)


def _view(building, **links):
    return view(
        site=SITE,
        utc_s=UTC_S,
        links={"readers": (True, ""), "upstream": (False, "refused: secret"), **links},
        space=building.agent.space,
        hours_left=None,
        counters=building.agent.status(),
        readers=building.agent.readers(),
        enrolment=None,
        certificates=[],
    )


@pytest.fixture
def building(tmp_path):
    """A building with one reader that has said all it can say, persons' cards among it."""
    building = Building(tmp_path, Ledger([A]), [A])
    sealed = [
        _record(messages.INSPECTION, 1, **INSPECTED),
        _record(messages.BOOT, 2, cause=1, firmware=17),
        _record(messages.REFUSAL, 3, card_no=40_001, amount_fen=31_415, reason=211),
    ]
    building.readers[A].journal += sealed
    building.upstream.down()
    building.say(A, building.readers[A].hello())
    building.say(A, batch(A, sealed))
    building.step()
    return building


@pytest.fixture(scope="module", params=["amqtt", "mosquitto"])
def broker(request, tmp_path_factory):
    try:
        broker = start_broker(request.param, tmp_path_factory.mktemp(request.param))
    except BrokerError as error:
        pytest.skip(f"needs {request.param}: {error}")
    with broker:
        yield broker


def _port(broker, name, *subscriptions):
    return MqttPort(broker.host, broker.port, name, subscriptions=subscriptions)


def _heard(port):
    heard = []
    while (message := port.take()) is not None:
        port.ack(message)
        heard.append(message)
    return heard


class _Ears:
    """A spy on everything, and on what stands at the broker for whoever comes later."""

    def __init__(self, broker):
        self.port = _port(broker, "spy", "#")
        self.messages = []
        pump([self.port], lambda: self.port.connected)

    def step(self, now_ms):
        due_ms = self.port.step(now_ms)
        self.messages += [message for message in _heard(self.port) if message.topic != END]
        return due_ms

    def __getattr__(self, name):
        return getattr(self.port, name)


class _Stepped:
    """The bridge as `pump` steps ports, at the real time."""

    def __init__(self, bridge, port):
        self.bridge, self.port = bridge, port

    def step(self, now_ms):
        return self.bridge.step(now_ms)

    def __getattr__(self, name):
        return getattr(self.port, name)


def _retained(broker):
    """Topic -> what a client that comes now is told, before its own first word comes back."""
    late, found = _port(broker, "late", "homeassistant/#", END), {}

    def is_told():
        found.update({message.topic: message.payload for message in _heard(late)})
        return END in found

    pump([late], lambda: late.connected)
    late.publish(END, b"")
    pump([late], is_told)
    late.close()
    del found[END]
    return found


def test_what_it_says_on_a_real_broker_and_how_all_of_it_goes_away(broker, building):
    ears, port = _Ears(broker), _port(broker, "bridge")
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(_view(building))
    own = [f"{ROOT}{A}/{field}/config" for field in READER_SENSORS]
    own += [f"{ROOT}agent/{field}/config" for field in ("link_readers", "link_upstream", "disk")]
    own += [f"{ROOT}{A}/state", f"{ROOT}agent/state"]
    stepped = [_Stepped(bridge, port), ears]
    pump(stepped, lambda: len(ears.messages) >= len(own) and not port.unacked)
    port.close()
    assert sorted(message.topic for message in ears.messages) == sorted(own)
    said = {message.topic: json.loads(message.payload) for message in ears.messages}
    assert said[f"{ROOT}{A}/state"] == {
        "battery": 3_900,
        "backlog": 3,
        "last_seen": "2023-11-14T22:13:20+00:00",
        "firmware": 17,
    }
    assert said[f"{ROOT}agent/state"] == {"link_readers": "up", "link_upstream": "down", "disk": 0}
    assert set(_retained(broker)) == {topic for topic in own if topic.endswith("/config")}
    text = b"".join(message.payload for message in ears.messages)
    for private in (b"40001", b"31415", b"secret", b"command_topic"):
        assert private not in text

    ears.messages.clear()
    port = _port(broker, "bridge")
    bridge = HomeAssistant(SITE, "homeassistant", port, is_on=False)
    bridge.show(_view(building))
    pump([_Stepped(bridge, port), ears], lambda: len(ears.messages) >= 7 and not port.unacked)
    assert all(not message.payload for message in ears.messages)
    assert all(ALLOWED.fullmatch(message.topic) for message in ears.messages)
    assert _retained(broker) == {}
    port.close()
    ears.port.close()


# --- rules that need no broker ----------------------------------------------------------------


@pytest.fixture
def port():
    port = FakePort()
    port.retained = {}
    port.limit = None

    def publish(topic, payload, *, retain=False):
        if not port.connected or (port.limit is not None and len(port.published) >= port.limit):
            return 0
        port.published.append((topic, payload))
        if retain:
            port.retained[topic] = payload
        return 1

    port.publish = publish
    port.up()
    return port


def test_every_sensor_is_diagnostic_and_can_be_told_nothing(port, building):
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(_view(building, line1=(True, ""), home_assistant=(True, "")))
    bridge.step(0)
    configs = [json.loads(payload) for payload in port.retained.values()]
    assert len(configs) == 8
    for topic, payload in port.sent():
        assert ALLOWED.fullmatch(topic), topic
        if topic.endswith("/config"):
            config = json.loads(payload)
            assert config["entity_category"] == "diagnostic"
            assert config["expire_after"] == EXPIRE_S > 2 * STATE_MS // 1_000
            assert config["unique_id"] in topic.replace("/", "_")
            assert not [key for key in config if "command" in key]
    assert len({config["unique_id"] for config in configs}) == len(configs)


def test_states_are_said_twice_a_minute_and_configurations_once_a_session(port, building):
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(_view(building))
    bridge.step(0)
    assert len(port.sent()) == 9
    for now_ms in range(1_000, STATE_MS, 1_000):
        bridge.show(_view(building))
        bridge.step(now_ms)
    assert port.sent() == []
    bridge.step(STATE_MS)
    assert [topic.rpartition("/")[2] for topic, _payload in port.sent()] == ["state", "state"]
    port.down()
    bridge.step(STATE_MS + 1)
    port.up()
    bridge.step(STATE_MS + 2)
    assert len(port.sent()) == 9


def test_a_sensor_comes_when_its_reader_says_so_for_the_first_time(port, building):
    building.say(B, _hello(B))
    building.step()
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(_view(building))
    bridge.step(0)
    found = [topic for topic, _payload in port.sent() if topic.startswith(f"{ROOT}{B}/")]
    assert sorted(topic.split("/")[3] for topic in found) == ["backlog", "last_seen", "state"]


def _hello(device):
    fields = {"device": device, "boot_id": 7, "receipted": 0, "head": 0}
    return messages.encode_message(messages.HELLO, fields)


def test_a_slow_broker_gets_all_of_it_in_the_end_and_the_newest_state(port, building):
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(_view(building))
    said = []
    port.limit = 2
    for now_ms in range(0, 4 * STATE_MS, STATE_MS):
        bridge.step(now_ms)
        said += port.sent()
    assert len({topic for topic, _payload in said}) >= 7
    port.limit = None
    bridge.step(4 * STATE_MS)
    said += port.sent()
    assert len({topic for topic, _payload in said}) == 9
    assert len(said) <= 9 + 2 * 5


def test_a_thousand_readers_are_said_a_little_at_a_time(port, building):
    shown = _view(building)
    (one,) = shown["readers"]
    shown["readers"] = [{**one, "device": device} for device in range(1, 1_001)]
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.show(shown)
    bridge.step(0)
    assert len(port.sent()) == UNACKED_MAX
    for _step in range(100):
        bridge.step(1)
    assert len(port.retained) == 4 * 1_000 + 3


def test_whatever_a_broker_sends_is_acknowledged_and_forgotten(port, building):
    message = port.deliver("homeassistant/lock/onecard/set", b"UNLOCK")
    bridge = HomeAssistant(SITE, "homeassistant", port)
    bridge.step(0)
    assert port.acked == [message] and port.sent() == []


# --- the daemon ------------------------------------------------------------------------------


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def mosquitto(tmp_path):
    """Mosquitto as Home Assistant's own is: with names and passwords; its log says who asks."""
    if not shutil.which("mosquitto") or not shutil.which("mosquitto_passwd"):
        pytest.skip("needs mosquitto (Debian package)")
    passwords = tmp_path / "passwords"
    for flags, user in ((["-c"], "onecard"), ([], "spy")):
        words = ["mosquitto_passwd", *flags, "-b", str(passwords), user, f"word of {user}"]
        subprocess.run(words, check=True, capture_output=True)
    passwords.chmod(0o644)
    number = _free_port()
    (tmp_path / "mosquitto.conf").write_text(
        f"listener {number} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
        f"user {getpass.getuser()}\npersistence false\nlog_dest stderr\n"
        "log_type subscribe\nlog_type notice\nlog_type error\n"
    )
    with (tmp_path / "mosquitto.log").open("wb") as log:
        process = subprocess.Popen(
            ["mosquitto", "-c", str(tmp_path / "mosquitto.conf")], stderr=log, stdout=log
        )
    yield number, tmp_path / "mosquitto.log"
    process.kill()
    process.wait()


def test_the_daemon_only_publishes_these_and_never_subscribes(mosquitto, tmp_path, repo_root):
    number, log = mosquitto
    (tmp_path / "ledger.pub").write_text(Ledger().public_key.hex())
    (tmp_path / "ha.password").write_text("word of onecard\n")
    (tmp_path / "ha.password").chmod(0o600)
    closed = 'host = "127.0.0.1"\nport = 1\n'
    (tmp_path / "agent.toml").write_text(
        f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
        f"[readers]\n{closed}[upstream]\n{closed}"
        f'[home_assistant]\nhost = "127.0.0.1"\nport = {number}\nuser = "onecard"\n'
        'password_file = "ha.password"\n'
    )
    spy = MqttPort("127.0.0.1", number, "spy", subscriptions=["#"], login=("spy", "word of spy"))
    pump([spy], lambda: spy.connected)
    agent = subprocess.Popen(
        [sys.executable, "-m", "edge_agent.daemon", str(tmp_path / "agent.toml")],
        stderr=subprocess.DEVNULL,
        cwd=repo_root,
        env={**os.environ, "PYTHONPATH": str(repo_root)},
    )
    heard = []

    def has_heard():
        heard.extend(_heard(spy))
        return len(heard) >= 4

    try:
        pump([spy], has_heard, timeout_s=30)
    finally:
        agent.kill()
        agent.wait()
        spy.close()
    assert sorted(message.topic for message in heard) == sorted(
        [f"{ROOT}agent/{end}" for end in ("link_readers/config", "link_upstream/config")]
        + [f"{ROOT}agent/disk/config", f"{ROOT}agent/state"]
    )
    text = log.read_text()
    assert "as onecard-agent-north-home" in text
    assert re.findall(r"^\d+: (\S+) 1 #$", text, re.MULTILINE) == ["spy"]
    assert "onecard-agent-north-home 1 " not in text and "onecard-agent-north-home 0 " not in text
