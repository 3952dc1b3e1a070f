"""The agent over real brokers, killed in mid-stream or cut off: nothing it took is lost."""

import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from adapters.failover import BACKOFF_MS_MAX
from adapters.mqtt import MqttPort
from edge_agent.inventory import Inventory
from edge_agent.service import AgentService, reader_subscriptions, upstream_subscriptions
from edge_agent.store import Store
from protocols.wire import messages, topics
from simulator.broker import BrokerError, start_broker
from tests.edge_agent.peers import SITE, Ledger, Reader

DEVICES = (1001, 1002, 1003)
RESEND_S = 1.0


def _now_ms():
    return time.monotonic_ns() // 1_000_000


class Building:
    """A broker, the agent as a process, and readers and (if wanted) a ledger in this one."""

    def __init__(self, folder, repo_root, broker):
        self.folder = folder
        self.repo_root = repo_root
        self.broker = broker
        self.ledger = Ledger(DEVICES)
        self.readers = {device: Reader(device) for device in DEVICES}
        self.said_s = dict.fromkeys(DEVICES, 0.0)
        self.promised = dict.fromkeys(DEVICES, 0)  # the highest STORED each reader heard
        self.process: subprocess.Popen | None = None
        down = [topics.down(SITE, device) for device in DEVICES]
        self.port = MqttPort(broker.host, broker.port, "readers", subscriptions=down)
        self.ledger_port = MqttPort(
            broker.host, broker.port, "ledger", subscriptions=[topics.records_filter()]
        )
        (folder / "ledger.pub").write_text(self.ledger.public_key.hex())
        there = f'host = "{broker.host}"\nport = {broker.port}\n'
        (folder / "agent.toml").write_text(
            f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
            f"[readers]\n{there}[upstream]\n{there}[store]\nretention_days = 0\n"
        )

    def start_agent(self):
        with open(self.folder / "agent.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge_agent.daemon", str(self.folder / "agent.toml")],
                cwd=self.repo_root,
                env={**os.environ, "PYTHONPATH": str(self.repo_root)},
                stderr=log,
            )

    def kill_agent(self):
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.port.close()
        self.ledger_port.close()

    def said(self):
        """What its log says, if it is a process; else nothing but that it took too long."""
        log = self.folder / "agent.log"
        return log.read_text() if log.exists() else "not in time"

    def run(self, until, *, ledger=True, timeout_s=60.0):
        """Play readers and ledger in real time until `until()`."""
        deadline_s = time.monotonic() + timeout_s
        ports = [self.port, self.ledger_port] if ledger else [self.port]
        while not until():
            now_s = time.monotonic()
            assert now_s < deadline_s, self.said()
            poller = select.poll()
            for port in ports:
                port.step(int(now_s * 1_000))
            self._play_readers(now_s)
            if ledger:
                self._play_ledger()
            for port in ports:
                descriptor = port.fileno()
                if descriptor is not None:
                    events = select.POLLIN | (select.POLLOUT if port.wants_write() else 0)
                    poller.register(descriptor, events)
            poller.poll(20)

    def _play_readers(self, now_s):
        while (message := self.port.take()) is not None:
            device = int(message.topic.split("/")[3])
            reader = self.readers[device]
            cursor = reader.cursor
            reader.hear(message.payload)
            said = messages.decode_message(message.payload, (messages.STORED, messages.RECEIPT))
            if said["type"] == messages.STORED:
                self.promised[device] = max(self.promised[device], said["upto"])
            if reader.cursor > cursor:
                self.said_s[device] = 0.0
            self.port.ack(message)
        for device, reader in self.readers.items():
            if reader.cursor < reader.head and now_s - self.said_s[device] > RESEND_S:
                if self.said_s[device] > 0.0:
                    self.port.publish(topics.up(SITE, device), reader.hello())
                self.port.publish(topics.up(SITE, device), reader.batch())
                self.said_s[device] = now_s

    def _play_ledger(self):
        while (message := self.ledger_port.take()) is not None:
            answer = self.ledger.answer(message.payload)
            self.ledger_port.publish(topics.agent_receipts(SITE), answer)
            self.ledger_port.ack(message)

    def on_disk(self):
        """device -> {seq: sealed} as another program reads it from the agent's file."""
        database = sqlite3.connect(self.folder / "data" / "agent.sqlite")
        found = {device: {} for device in DEVICES}
        for device, seq, sealed in database.execute("SELECT device, seq, sealed FROM record"):
            found[device][seq] = sealed
        database.close()
        return found


@pytest.fixture(params=["amqtt", "mosquitto"])
def building(request, tmp_path, repo_root):
    try:
        broker = start_broker(request.param, tmp_path)
    except BrokerError as error:
        pytest.skip(f"needs {request.param}: {error}")
    with broker:
        building = Building(tmp_path, repo_root, broker)
        yield building
        building.close()


def test_nothing_that_was_said_to_be_stored_is_lost_by_sigkill(building):
    """No ledger: everything the agent ever said STORED for must be in its file."""
    for reader in building.readers.values():
        reader.write(160)
    for mark in (24, 64, 104):
        building.start_agent()
        building.run(lambda mark=mark: min(building.promised.values()) >= mark, ledger=False)
        building.kill_agent()
        kept = building.on_disk()
        for device, reader in building.readers.items():
            for seq in range(1, building.promised[device] + 1):
                assert kept[device].get(seq) == reader.journal[seq], (device, seq)


def test_with_a_ledger_and_kills_everything_is_booked_once_and_the_disk_is_freed(building):
    for reader in building.readers.values():
        reader.write(200)
    for mark in (40, 120):
        building.start_agent()
        building.run(
            lambda mark=mark: min(map(building.ledger.head, DEVICES)) >= mark, timeout_s=90.0
        )
        building.kill_agent()
    building.start_agent()
    building.run(
        lambda: all(reader.receipted == reader.head for reader in building.readers.values()),
        timeout_s=90.0,
    )
    for device, reader in building.readers.items():
        assert building.ledger.booked[device] == reader.journal
    repeats = sum(building.ledger.received.values()) - 600
    print(f"repeated to the ledger after two kills: {repeats} of 600")
    assert building.process is not None
    building.process.send_signal(signal.SIGTERM)
    assert building.process.wait(60) == 0
    assert building.on_disk() == {device: {} for device in DEVICES}


@pytest.mark.parametrize("building", ["mosquitto"], indirect=True)
def test_somebody_who_takes_its_client_id_delays_it_and_no_more(building):
    """On a broker without certificates; with them nobody can (tests/identity)."""
    for reader in building.readers.values():
        reader.write(80)
    building.start_agent()
    for mark in (16, 32, 48):
        building.run(lambda mark=mark: min(building.promised.values()) >= mark, timeout_s=90.0)
        for client_id in (f"onecard-agent-{SITE}", f"onecard-agent-{SITE}-up"):
            thief = MqttPort(
                building.broker.host, building.broker.port, client_id, subscriptions=[]
            )
            building.run(lambda thief=thief: thief.step(_now_ms()) and thief.connected)
            thief.close()
    building.run(
        lambda: all(reader.receipted == reader.head for reader in building.readers.values()),
        timeout_s=90.0,
    )
    for device, reader in building.readers.items():
        assert building.ledger.booked[device] == reader.journal
    log = (building.folder / "agent.log").read_text()
    assert log.count('"disconnected", "link": "readers"') >= 3


class DarkLink:
    """A TCP way to a broker that can go dark: no reset, no answer, bytes pile up at both ends."""

    def __init__(self, broker):
        self.target = (broker.host, broker.port)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.setblocking(False)
        self.host, self.port = self.server.getsockname()
        self.pairs = []
        self.dark = False

    def step(self):
        if self.dark:
            return
        try:
            near, _ = self.server.accept()
        except BlockingIOError:
            pass
        else:
            self.pairs.append((near, socket.create_connection(self.target)))
        for pair in list(self.pairs):
            if not (self._carry(*pair) and self._carry(*reversed(pair))):
                self.pairs.remove(pair)
                for end in pair:
                    end.close()

    @staticmethod
    def _carry(source, sink):
        try:
            data = source.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            sink.sendall(data)
        except OSError:
            return False
        return data != b""

    def close(self):
        for pair in self.pairs:
            for end in pair:
                end.close()
        self.server.close()


class Clock:
    """The agent's: the host's, and in the dark it runs ahead. `speed` may be set at any time."""

    def __init__(self):
        self.speed, self.now_ms, self._read_s = 1, 0.0, time.monotonic()

    def read_ms(self):
        read_s = time.monotonic()
        self.now_ms += (read_s - self._read_s) * 1_000 * self.speed
        self._read_s = read_s
        return int(self.now_ms)


def test_a_link_that_goes_dark_without_a_reset_loses_nothing(building):
    """Both links of the agent are dark for 60 s of its clock; then they are as they were.

    Where something was unanswered that is noticed by its time-out, else by keep-alive.
    """
    links = [DarkLink(building.broker), DarkLink(building.broker)]
    filters = {"agent": reader_subscriptions(SITE), "agent-up": upstream_subscriptions(SITE)}
    readers, upstream = ports = [
        MqttPort(link.host, link.port, name, subscriptions=filters[name], keepalive_s=4)
        for link, name in zip(links, filters, strict=True)
    ]
    store = Store(str(building.folder / "agent.sqlite"))
    inventory = Inventory(str(building.folder / "inventory.json"), lambda: 0)
    key = building.ledger.public_key
    agent = AgentService(SITE, store, inventory, readers, upstream, key)
    clock = Clock()

    def play(until):
        def step():
            for link in links:
                link.step()
            agent.step(clock.read_ms())
            return until()

        building.run(step)

    for reader in building.readers.values():
        reader.write(80)
    play(lambda: min(map(building.ledger.head, DEVICES)) >= 16)
    promised = dict(building.promised)
    for link in links:
        link.dark = True
    dark_ms = clock.read_ms()
    clock.speed = 40
    # Until no dial is under way either, for which the rest of a back-off would come too soon.
    play(
        lambda: (
            clock.now_ms - dark_ms > 60_000
            and not any(port.connected or port.is_opening for port in ports)
        )
    )
    for device in DEVICES:
        held = store.mark(device).stored
        assert held >= promised[device]
    for link in links:
        link.dark = False
    clock.speed = 1
    clock.now_ms += BACKOFF_MS_MAX
    play(lambda: all(r.receipted == r.head for r in building.readers.values()))
    for device, reader in building.readers.items():
        assert building.ledger.booked[device] == reader.journal
    assert agent.counters["records_stored"] == 240
    for thing in (*ports, *links):
        thing.close()
    store.close()
    inventory.close()
