"""The configuration that onecard ships for a node of NATS, on a real one: who gets in, and what
they may say and hear. Its rights are those of the written protocol, or this fails.
"""

import os
import shutil
import signal
import subprocess
import time

import pytest
from typer.testing import CliRunner

from adapters.mqtt import MqttPort
from ledger.service import HEARD, WILL
from protocols.wire import topics
from simulator.broker import find_nats
from tests.adapters.test_mqtt import pump
from tests.identity.realm import AGENT, HOST, READER, SITE, Realm, free_port
from tests.identity.test_rights import written
from tools.cli import app
from tools.identity.broker import BrokerError
from tools.identity.cluster import CONFIGURATION, Node, agent_rights, ledger_rights, write

OTHER_SITE = "canteen-2"
OTHER = OTHER_SITE + "/agent"
RECORDS = topics.agent_records(SITE)


@pytest.fixture(scope="module")
def realm(tmp_path_factory):
    realm = Realm(tmp_path_factory.mktemp("realm"))
    for name in (AGENT, OTHER, "ledger", READER):
        realm.issue(name)
    return realm


class Server:
    """A node of its own with our configuration."""

    def __init__(self, program, realm):
        self.realm, self.port, self.folder = realm, free_port(), realm.folder / "node"
        shutil.copy(realm.ca / "ca.pem", realm.broker_tls / "ca.pem")
        self.let_in(SITE, OTHER_SITE)
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-c", self.folder / CONFIGURATION], stderr=log
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def let_in(self, *sites):
        node = Node("one", HOST, self.port, self.realm.broker_tls, self.folder / "disk")
        write(self.folder, node, sites)

    def reload(self, *sites):
        """With these sites and no others, as an operator does it."""
        self.let_in(*sites)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(b"Reloaded server configuration")

    def wait_for(self, said):
        deadline_s = time.monotonic() + 20
        while said not in (self.folder / "log").read_bytes():
            assert self.process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.02)


@pytest.fixture(scope="module")
def node(realm):
    program = find_nats()
    if program is None:
        pytest.skip("needs nats-server (Debian package)")
    with Server(program, realm) as server:
        server.wait_for(b"Server is ready")
        yield server


@pytest.fixture
def ports(node, realm):
    """Makes the port of who has this name; it is connected, or says why not."""
    opened = []

    def make(name, subscriptions=(), identity=None, **options):
        secure = (identity or realm.identities[name]).context
        port = MqttPort(
            HOST,
            node.port,
            f"{name}-{len(opened)}",
            subscriptions=list(subscriptions),
            secure=secure,
            subscription_qos=0,
            **options,
        )
        opened.append(port)
        pump([port], lambda: port.connected or port.last_error, 20)
        return port

    yield make
    for port in opened:
        port.close()


def _heard(port, others, until_payload):
    """What comes to `port` until the payload that ends it, but what was kept from before."""
    found = []

    def is_over():
        while (message := port.take()) is not None:
            if not message.retain:
                found.append((message.topic, message.payload))
        return any(payload == until_payload for _topic, payload in found)

    pump([port, *others], is_over)
    return [each for each in found if each[1] != until_payload]


def test_each_says_and_hears_what_is_theirs(ports):
    ledger = ports("ledger", HEARD, will=WILL)
    speaks, hears = agent_rights(SITE)
    agent = ports(AGENT, hears)
    assert ledger.connected and agent.connected
    for topic in speaks:
        agent.publish(topic, b"said")
    speaks.remove(topics.LEDGER_PROBE)  # heard by nobody
    agent.publish(RECORDS, b"end")
    assert sorted(_heard(ledger, [agent], b"end")) == sorted((topic, b"said") for topic in speaks)
    answers = [topic for topic in hears if topic != topics.LEDGER_STATUS]
    for topic in answers:
        ledger.publish(topic, b"answered")
    ledger.publish(topics.LEDGER_PROBE, b"")
    ledger.publish(topics.LEDGER_STATUS, b"end", retain=True)
    expected = sorted((topic, b"answered") for topic in answers)
    assert sorted(_heard(agent, [ledger], b"end")) == expected
    pump([ledger], lambda: ledger.unacked == 0)


def test_nobody_says_anything_in_anothers_name(ports):
    ledger, stranger = ports("ledger", HEARD), ports(OTHER)
    for topic in (RECORDS, topics.LEDGER_STATUS, topics.relay_up(SITE)):
        stranger.publish(topic, b"forged", retain=topic == topics.LEDGER_STATUS)
    # Nor with the last word: the will of one that hangs up without a word.
    dying = ports(OTHER, will=WILL)
    dying._stream._socket.close()
    dying._drop()
    stranger.publish(topics.agent_records(OTHER_SITE), b"end")
    heard = _heard(ledger, [stranger], b"end")
    assert [each for each in heard if each[1] in (b"forged", WILL[1])] == []


def test_an_agent_that_may_not_probe_yet_goes_on(ports):
    """A node's file is of before agents probed: what it refuses, it acknowledges all the same."""
    agent = ports(AGENT)
    agent.publish("onecard/v1/ledger/denied", b"")
    pump([agent], lambda: agent.unacked == 0, 20)
    agent.publish(RECORDS, b"end")
    pump([agent], lambda: agent.unacked == 0, 20)
    assert (agent.sessions, agent.last_error) == (1, "")


@pytest.mark.parametrize(
    "heard", [topics.agent_receipts(SITE), topics.records_filter(), "#", "onecard/v1/+/agent/+"]
)
def test_nobody_listens_to_anothers_topics(ports, heard):
    spy = ports(OTHER, [heard])
    assert "refused a subscription" in spy.last_error and spy.sessions == 0


def test_who_is_not_in_the_list_does_not_get_in(ports, realm):
    for name in (READER, "canteen-9/agent"):
        identity = realm.by_hand(name)
        assert "Not authorized" in ports(name, identity=identity).last_error


def test_a_new_list_ends_the_session_of_who_is_not_in_it_and_nobody_elses(ports, node, realm):
    agent, other, ledger = ports(AGENT), ports(OTHER), ports("ledger", HEARD)
    realm.issue("canteen-3/agent")
    node.reload(SITE, "canteen-3")
    pump([agent, other, ledger], lambda: not other.connected)
    assert ports("canteen-3/agent").connected
    agent.publish(RECORDS, b"end")
    assert _heard(ledger, [agent], b"end") == []
    assert (agent.sessions, ledger.sessions) == (1, 1)
    pump([other], lambda: "Not authorized" in other.last_error)


def test_the_rights_are_those_of_the_written_protocol():
    said = {(party, access, topic) for at, party, access, topic in written() if at == "centre"}
    (site,) = {topic.split("/")[2] for _who, _how, topic in said} - {"ledger"}  # the room's own
    granted = {}
    granted["agent"], granted["ledger"] = agent_rights(site), ledger_rights()
    for party, rights in granted.items():
        for access, allowed in zip(("write", "read"), rights, strict=True):
            mine = {topic for who, how, topic in said if (who, how) == (party, access)}
            assert all(any(topics.matches(one, topic) for one in allowed) for topic in mine)
            assert all(any(topics.matches(one, topic) for topic in mine) for one in allowed)


def test_a_node_among_others_has_their_word_and_nobody_else_reads_it(realm, tmp_path):
    secret = tmp_path / "word"
    secret.write_text("0123456789abcdef" * 2 + "\n")
    secret.chmod(0o600)
    command = f"broker cluster --out {tmp_path} --tls {realm.broker_tls} --node one --site {SITE}"
    command += f" --secret {secret} --store {tmp_path / 'disk'}"
    for port in (7001, 7002, 7003):
        command += f" --route 127.0.0.1:{port}"
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    written = tmp_path / CONFIGURATION
    assert written.stat().st_mode & 0o777 == 0o600
    assert '"nats://node:0123456789abcdef' in written.read_text()
    program = find_nats()
    if program is None:
        pytest.skip("needs nats-server (Debian package)")
    subprocess.run([program, "-t", "-c", written], check=True, capture_output=True)


WRONG = {
    "sites are": {"sites": ["a", "a"]},
    "each once": {"sites": []},
    "A\\*": {"sites": ["A*"]},
    "an IP address": {"address": "broker"},
    "a plain name": {"name": 'a"b'},
    "cannot read such a path": {"store": 'x"'},
    "a word in common": {"routes": [(HOST, 1)]},
    "32 letters": {"routes": [(HOST, 1)], "secret": "short"},
}


@pytest.mark.parametrize("says", WRONG)
def test_what_makes_no_node_is_refused(tmp_path, says):
    fields = {"name": "one", "address": HOST, "store": "disk", "sites": [SITE]} | WRONG[says]
    sites = fields.pop("sites")
    if "secret" in fields:
        (tmp_path / "word").write_text(fields["secret"])
        os.chmod(tmp_path / "word", 0o600)
        fields["secret"] = tmp_path / "word"
    fields["store"] = tmp_path / fields["store"]
    with pytest.raises(BrokerError, match=says):
        write(tmp_path, Node(port=1, tls=tmp_path, **fields), sites)
    assert not (tmp_path / CONFIGURATION).exists()
