"""The card centre's broker as a cluster of three nodes of NATS: what the port's tests of single
brokers ask, and a lunch with real agents and a real ledger in which nodes are killed.

Agent and ledger know of it by their setting `fallbacks` and nothing else.
"""

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from adapters.mqtt import MqttPort
from ledger.invariants import check
from ledger.receipts import public_key
from ledger.store import LedgerStore
from protocols.wire import topics
from simulator.broker import BrokerError, start_broker
from simulator.broker_cluster import Cluster
from tests.adapters.test_mqtt import (  # noqa: F401 - they are collected here, with this broker
    ports,
    test_birth_will_and_goodbye,
    test_hold_and_release_keep_order_over_publish_and_ack,
    test_messages_arrive_in_order_once_and_unacked_goes_to_zero,
    test_what_is_as_large_as_it_may_be_arrives_whole,
    test_what_is_listened_to_changes_without_a_gap,
)
from tests.integration.test_daemons import (
    AMOUNT_FEN,
    CARD,
    MERCHANT,
    RESEND_S,
    SIGNING_KEY,
    SPENDS,
    Journal,
)

SITES = {"canteen-1": (1001, 1002), "canteen-2": (1003, 1004)}
PAUSE_S = 0.15  # between two spends of one till
LEDGERS_NODE = 0


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The cluster. The tests of this file use it in turn; the last one kills its nodes."""
    try:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    except BrokerError as error:
        pytest.skip(f"needs nats-server (Debian package): {error}")
    with cluster:
        cluster.wait()
        yield cluster


@pytest.fixture(params=[0, pytest.param(1, marks=pytest.mark.soak)])
def subscription_qos(request):
    """0, as this cluster is used; with 1 it does the same, slowly, while nobody dies."""
    return request.param


class Till(Journal):
    """A reader that sells while the lunch lasts: one spend every PAUSE_S.

    However slow the machine is, it has not sold all before the last act: at most `ahead` records
    more than are booked.
    """

    def __init__(self, site, device):
        super().__init__(device)
        self.site = site
        self.later, self.records = self.records, []
        self.sold_s, self.ahead = 0.0, 40

    def sell(self, now_s):
        is_ahead = len(self.records) >= self.receipted + self.ahead
        if self.later and not is_ahead and now_s - self.sold_s >= PAUSE_S:
            self.records += [self.later.pop(0), self.later.pop(0)]
            self.sold_s = now_s


class Lunch:
    """Two canteens, each with its agent; one ledger; the cluster between them."""

    def __init__(self, folder, repo_root, cluster):
        self.folder, self.repo_root, self.cluster = folder, repo_root, cluster
        self.building = start_broker("auto", folder)
        self.tills = [Till(site, device) for site, devices in SITES.items() for device in devices]
        self._write_configs()
        down = [topics.down(till.site, till.device) for till in self.tills]
        host, number = self.building.host, self.building.port
        self.port = MqttPort(host, number, "tills", subscriptions=down)
        self.processes = {}

    def _write_configs(self):
        folder = self.folder
        (folder / "signing.key").write_text(SIGNING_KEY.hex())
        (folder / "signing.key").chmod(0o600)
        (folder / "ledger.pub").write_text(public_key(SIGNING_KEY).hex())
        lines = [f"[[merchant]]\nmerchant_no = {MERCHANT}"]
        for till in self.tills:
            lines.append(
                f'[[device]]\ndevice = {till.device}\nkey = "{till.key.hex()}"\n'
                f'merchant_no = {MERCHANT}\nsite = "{till.site}"\n'
                f"[[card]]\ncard_no = {CARD + till.device}\nbalance_fen = {AMOUNT_FEN * SPENDS}"
            )
        (folder / "register.toml").write_text("\n".join(lines))
        (folder / "register.toml").chmod(0o600)
        (folder / "ledger.toml").write_text(
            'data_dir = "ledger"\nsigning_key_file = "signing.key"\n'
            f'register_file = "register.toml"\n[broker]\n{self._dialled(LEDGERS_NODE)}'
        )
        for at, site in enumerate(SITES, LEDGERS_NODE):
            (folder / f"{site}.toml").write_text(
                f'site = "{site}"\ndata = "{site}"\nledger_public_key = "ledger.pub"\n'
                f'[readers]\nhost = "127.0.0.1"\nport = {self.building.port}\n'
                f"[upstream]\n{self._dialled(at)}"
            )

    def _dialled(self, first):
        """The lines of a broker's section: node `first`, then the others."""
        (host, port), *others = self.cluster.addresses[first:] + self.cluster.addresses[:first]
        fallbacks = ", ".join(f'"{name}:{number}"' for name, number in others)
        return f'host = "{host}"\nport = {port}\nfallbacks = [{fallbacks}]\nsubscription_qos = 0\n'

    def start(self):
        for name in ("ledger", *SITES):
            kind = "ledger" if name == "ledger" else "agent"
            command = [sys.executable, "-m", "tools.cli", kind, "run"]
            with open(self.folder / f"{name}.log", "ab") as log:
                self.processes[name] = subprocess.Popen(
                    [*command, str(self.folder / f"{name}.toml")],
                    cwd=self.repo_root,
                    env={**os.environ, "PYTHONPATH": str(self.repo_root)},
                    stderr=log,
                )

    def log(self, name):
        return (self.folder / f"{name}.log").read_text()

    def marks(self):
        """How long each log is by now."""
        return {name: len(self.log(name)) for name in self.processes}

    def play(self, until, what, timeout_s=60.0):
        """Sell, send and hear until `until()`; prints how long that has taken."""
        began_s = time.monotonic()
        while not until():
            now_s = time.monotonic()
            assert now_s - began_s < timeout_s, (what, [self.log(name) for name in self.processes])
            self.port.step(int(now_s * 1000))
            by_device = {till.device: till for till in self.tills}
            while (message := self.port.take()) is not None:
                by_device[int(message.topic.split("/")[3])].hear(message.payload)
                self.port.ack(message)
            for till in self.tills:
                till.sell(now_s)
                self._send(till, now_s)
            descriptor = self.port.fileno()
            select.select([descriptor] if descriptor is not None else [], [], [], 0.01)
        print(f"{time.monotonic() - began_s:5.1f} s: {what}; {self.receipted()} booked")

    def _send(self, till, now_s):
        if till.receipted == len(till.records) or now_s - till.said_s < RESEND_S:
            return
        if self.port.connected:
            topic = topics.up(till.site, till.device)
            if till.said_s or till.cursor == len(till.records):
                self.port.publish(topic, till.hello())
            if till.cursor < len(till.records):
                self.port.publish(topic, till.batch())
            till.said_s = now_s

    def receipted(self):
        return sum(till.receipted for till in self.tills)

    def stored(self):
        """Records that an agent says it has on its disk, and the ledger has not booked."""
        return sum(till.cursor - till.receipted for till in self.tills)

    def more(self, count):
        """Whether so many more are booked than now, each till's share."""
        marks = [till.receipted + count // len(self.tills) for till in self.tills]
        return lambda: all(
            till.receipted >= mark for till, mark in zip(self.tills, marks, strict=True)
        )

    def end(self):
        """SIGTERM to all; each ends in good order."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        assert [process.wait(60) for process in self.processes.values()] == [0, 0, 0]

    def close(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.port.close()
        self.building.stop()


@pytest.fixture
def lunch(tmp_path, repo_root, broker):
    lunch = Lunch(tmp_path, repo_root, broker)
    yield lunch
    lunch.close()


def test_a_lunch_in_which_nodes_die_is_booked_once_to_the_fen(lunch, broker):
    lunch.start()
    lunch.play(lunch.more(40), "all nodes are there")
    assert all('"node": "127.0.0.1:' in lunch.log(site) for site in SITES)
    broker.keep_disk(LEDGERS_NODE)
    lunch.play(lunch.more(40), "and on")
    broker.nodes[LEDGERS_NODE].kill()
    lunch.play(lunch.more(80), "the node of the ledger and of an agent has been killed")
    said = lunch.marks()
    broker.nodes[1].kill()
    lunch.play(
        lambda: all("disconnected" in lunch.log(site)[said[site] :] for site in SITES),
        "so has a second one: there is no majority, and the agents say that they are cut off",
    )
    for till in lunch.tills:
        till.ahead = 2 * SPENDS
    kept = lunch.stored()
    # The last receipts were on their way to readers by then.
    lunch.play(lambda: lunch.stored() > kept + 40, "they go on to keep what readers tell")
    booked = lunch.receipted()
    lunch.play(lambda: lunch.stored() > kept + 120, "and on")
    assert lunch.receipted() == booked
    broker.bring_old_disk(LEDGERS_NODE)
    broker.launch()
    total = len(lunch.tills) * 2 * SPENDS
    lunch.play(lambda: lunch.receipted() == total, "both are back, one with an old disk")
    lunch.end()
    _judge(lunch)


def _judge(lunch):
    books = LedgerStore.open(str(lunch.folder / "ledger" / "ledger.sqlite"))
    summary = books.summary()
    spends = len(lunch.tills) * SPENDS
    assert (summary["records"], summary["booked"]) == (2 * spends, spends)
    assert books.takings(MERCHANT) == spends * AMOUNT_FEN
    assert [books.holder_balance(CARD + till.device) for till in lunch.tills] == [0] * 4
    assert [summary[name] for name in ("pending", "unknown", "suspense", "rejected")] == [0] * 4
    assert check(books) == []
    books.close()
