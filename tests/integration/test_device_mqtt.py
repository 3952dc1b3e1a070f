"""The device's MQTT over real sockets: two interpreters, two brokers, one program."""

import os
import subprocess
import sys
import time

import pytest

from protocols.wire import cbor, messages, mqtt, seal, topics
from simulator import broker as brokers
from tests.integration.device_program import TOPIC, Session
from tests.link.bench import DEVICE, SITE, Source, receipt, stored

RECORDS = 40


@pytest.fixture(params=["amqtt", "mosquitto"])
def broker(request, tmp_path):
    """A running broker of each kind."""
    if request.param == "mosquitto":
        request.getfixturevalue("mosquitto")
    else:
        pytest.importorskip("amqtt")
    with brokers.start_broker(request.param, tmp_path) as running:
        yield running


@pytest.fixture(params=["cpython", "micropython"])
def device(request, repo_root):
    """A function that starts device_program.py on each interpreter."""
    arguments = [sys.executable]
    if request.param == "micropython":
        # To compile what it runs takes more than to run it.
        arguments = [request.getfixturevalue("micropython"), "-X", "heapsize=192k"]
    started = []

    def start(*words):
        process = subprocess.Popen(
            [*arguments, "tests/integration/device_program.py", *map(str, words)],
            cwd=repo_root,
            env={
                **os.environ,
                "PYTHONPATH": str(repo_root),
                "MICROPYPATH": f"{repo_root}:.frozen",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines(process):
    """What the program says, line by line, until it ends."""
    return (line.strip() for line in process.stdout)


def retain(broker, payload):
    """Leave a retained message at the broker; returns once the broker hands it out."""
    session = Session(broker.port, "keeper")
    session.connect()
    session.client.publish(TOPIC, payload, retain=True)
    session.wait(mqtt.PUBACK)
    while True:
        looker = Session(broker.port, "looker")
        looker.connect()
        looker.client.subscribe(TOPIC)
        looker.wait(mqtt.SUBACK)
        looker.client.ping()
        looker.wait(mqtt.PINGRESP)
        time.sleep(0.05)
        looker.step()
        event = looker.take()
        looker.close()
        if event is not None and event[4]:
            session.close()
            return


def test_every_word_of_the_client_and_a_broker_restart(broker, device):
    retain(broker, b"kept")
    process = device("client", broker.port)
    heard = []
    for line in lines(process):
        heard.append(line)
        if line == "restart the broker":
            broker.restart()
    turn = ["puback True", "message live qos 1 retain False", "pong"]
    assert heard == [
        *["connack 0", "suback True 1", "message kept qos 1 retain True", *turn],
        *["restart the broker", "closed"],
        *["connack 0", "suback True 1", *turn, "done"],
    ]
    assert process.wait() == 0


class Agent:
    """Enough of an agent: stores, answers, and books; comes back when its broker does."""

    def __init__(self, broker, source):
        self.broker = broker
        self.source = source
        self.held = []
        self.statuses = []
        self._connect()

    def _connect(self):
        self.session = Session(self.broker.port, "agent")
        self.session.connect()
        for topic in (topics.up_filter(SITE), topics.status(SITE, DEVICE)):
            self.session.client.subscribe(topic)
            self.session.wait(mqtt.SUBACK)

    def step(self):
        try:
            self.session.step()
        except OSError:
            self._connect()
        event = self.session.take()
        while event is not None:
            if event[0] == mqtt.PUBLISH:
                self._hear(event)
            event = self.session.take()

    def _hear(self, event):
        _, topic, payload, _, _, packet_id, _ = event
        if topic == topics.status(SITE, DEVICE):
            self.statuses.append(cbor.decode(payload)[1])
        else:
            fields = messages.decode_message(payload, (messages.HELLO, messages.BATCH))
            for sealed in fields.get("records", ()):
                if seal.tag_of(sealed) == seal.tag_of(self.source.sealed[len(self.held)]):
                    self.held.append(sealed)
            self._say(stored(len(self.held)))
            if fields["type"] == messages.BATCH:
                self._say(receipt(self.source, len(self.held)))
        self.session.client.puback(packet_id)

    def _say(self, payload):
        self.session.client.publish(topics.down(SITE, DEVICE), payload)


def test_the_uplink_delivers_everything_over_a_broker_restart(broker, device):
    source = Source(RECORDS)
    agent = Agent(broker, source)
    process = device("uplink", broker.port, RECORDS)
    restarted = False
    deadline_s = time.monotonic() + 60
    # When the program has ended, its will still has to come: it ends without a word.
    while (process.poll() is None or agent.statuses[-1:] != ["lost"]) and (
        time.monotonic() < deadline_s
    ):
        if len(agent.held) >= RECORDS // 2 and not restarted:
            restarted = True
            broker.restart()
        agent.step()
        time.sleep(0.002)
    heard = list(lines(process))
    assert heard[-1] == f"sessions 2 booked {RECORDS}", heard
    assert agent.held == source.sealed
    assert all(line.endswith("77 True") for line in heard if line.startswith("booked"))
    assert agent.statuses[0] == "online"
    assert agent.statuses[-1] == "lost"


def test_the_will_says_that_a_reader_is_lost(broker):
    topic = topics.status(SITE, DEVICE)
    watcher = Session(broker.port, "watcher")
    watcher.connect()
    watcher.client.subscribe(topic)
    watcher.wait(mqtt.SUBACK)
    reader = Session(broker.port, "reader", topic, b"lost")
    reader.connect()
    reader.client.publish(topic, b"online", retain=True)
    reader.wait(mqtt.PUBACK)
    assert watcher.wait(mqtt.PUBLISH)[2] == b"online"
    reader.close()
    assert watcher.wait(mqtt.PUBLISH)[2] == b"lost"


def test_a_resent_publish_is_acknowledged_again(broker):
    session = Session(broker.port, "resender")
    session.connect()
    packet_id = session.client.publish("onecard/test/dup", b"x")
    assert session.wait(mqtt.PUBACK)[1] == packet_id
    # The same packet once more with DUP, as after a lost PUBACK: a broker must not mind.
    body = mqtt.field("onecard/test/dup") + packet_id.to_bytes(2, "big")
    session.client._append(mqtt.packet(0x32 | mqtt.DUP, body, b"x"))
    session.client.ping()
    session.wait(mqtt.PINGRESP)
    assert session.client.unacked == 0
