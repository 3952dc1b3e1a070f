"""What a record costs in the card centre's broker: a cluster of three nodes beside one Mosquitto.

FORWARDs as agents send them (QoS 1, each of as many records as one holds) go from clients on all
of the nodes to one that hears them as the ledger does, with the ports and settings of both.
Processor time is that of all of the broker's processes. Then agents connect, each with its
filters, all at once: how long that takes, and what one costs in memory. Clients and broker share
the cores.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.mqtt import MqttPort
from edge_agent.outbox import WINDOW
from edge_agent.service import upstream_subscriptions
from protocols.wire import messages, topics
from simulator.broker import Broker, find_mosquitto, find_nats, start_broker
from simulator.broker_cluster import Cluster
from tools.bench.prepared import SITE, Campus

FORWARDS, SENDERS, AGENTS = 1_000, 8, 300
_TIMEOUT_S = 60.0
_PAUSE_S = 0.001


class NotCarried(Exception):
    """Not everything that was sent has arrived, or somebody cannot connect."""


@dataclass(frozen=True)
class Carried:
    """Of a record: us of CPU in the broker, and how many in a second. Of an agent's connection:
    KiB in the broker; and ms until the last of all agents had its filters."""

    record_us: float
    records_per_s: float
    connection_kib: float
    connected_ms: float


def measure(broker: Broker | Cluster, forwards: int, agents: int) -> Carried:
    """NotCarried unless each FORWARD arrives."""
    qos = 0 if isinstance(broker, Cluster) else 1  # each as it is used
    payload = Campus.busy(8, messages.FORWARD_RECORDS_MAX).forwards()[0]
    pids = broker_pids(broker)
    before_us, start_s = _cpu_us(pids), time.monotonic()
    _carry(broker, payload, forwards, qos)
    records = forwards * messages.FORWARD_RECORDS_MAX
    rate, record_us = records / (time.monotonic() - start_s), (_cpu_us(pids) - before_us) / records
    before_kib, start_s = _rss_kib(pids), time.monotonic()
    ports = [_agent(broker, number, qos) for number in range(agents)]
    try:
        _step_until(ports, lambda: all(port.connected for port in ports))
        connected_ms = (time.monotonic() - start_s) * 1000
        return Carried(record_us, rate, (_rss_kib(pids) - before_kib) / agents, connected_ms)
    finally:
        for port in ports:
            port.close()


def _agent(broker: Broker | Cluster, number: int, qos: int) -> MqttPort:
    at = number % len(broker.addresses)
    first, *others = broker.addresses[at:] + broker.addresses[:at]
    heard = upstream_subscriptions(f"site-{number}", with_cards=True)
    name = f"bench-agent-{number}"
    return MqttPort(*first, name, subscriptions=heard, fallbacks=others, subscription_qos=qos)


def _carry(broker: Broker | Cluster, payload: bytes, forwards: int, qos: int) -> None:
    heard = [topics.records_filter()]
    ledger = MqttPort(
        *broker.addresses[-1], "bench-ledger", subscriptions=heard, subscription_qos=qos
    )
    agents = [
        MqttPort(
            *broker.addresses[number % len(broker.addresses)], f"bench-{number}", subscriptions=[]
        )
        for number in range(SENDERS)
    ]
    counts = {"sent": 0, "heard": 0}

    def is_done() -> bool:
        while (message := ledger.take()) is not None:
            counts["heard"] += message.payload == payload
            ledger.ack(message)
        # As agents do, whose windows the ledger's receipts open.
        for agent in agents:
            room = WINDOW * SENDERS + counts["heard"] - counts["sent"]
            for _ in range(min(room, WINDOW, forwards - counts["sent"])):
                counts["sent"] += agent.publish(topics.agent_records(SITE), payload) > 0
        return counts["heard"] >= forwards and not any(agent.unacked for agent in agents)

    ports = [ledger, *agents]
    try:
        _step_until(ports, lambda: all(port.connected for port in ports))
        _step_until(ports, is_done)
    finally:
        for port in ports:
            port.close()


def _step_until(ports: Sequence[MqttPort], is_done: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _TIMEOUT_S
    while not is_done():
        for port in ports:
            port.step(time.monotonic_ns() // 1_000_000)
        if time.monotonic() > until_s:
            raise NotCarried([port.last_error for port in ports if not port.connected])
        time.sleep(_PAUSE_S)


def broker_pids(broker: Broker | Cluster) -> list[int]:
    """Of the brokers themselves, each of which its watcher has started."""
    watchers = [node.pid for node in getattr(broker, "nodes", [broker])]
    children = [
        Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii") for pid in watchers
    ]
    return [int(pid) for text in children for pid in text.split()]


def _cpu_us(pids: Sequence[int]) -> float:
    """Of all of their threads: fields 14 and 15 of proc(5), behind the name."""
    ticks = 0
    for pid in pids:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK") * 1e6


def _rss_kib(pids: Sequence[int]) -> float:
    pages = [
        int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in pids
    ]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1024


def rows(forwards: int = FORWARDS, agents: int = AGENTS) -> Iterator[dict[str, object]]:
    """The cluster beside Mosquitto; of CPU, memory and time less is better."""
    for name, found in (("nats-server", find_nats()), ("mosquitto", find_mosquitto())):
        if found is None:
            print(f"broker_cluster: {name} is not installed, no rows", file=sys.stderr)
            return
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        with start_broker("mosquitto", folder) as broker:
            one = measure(broker, forwards, agents)
        with Cluster(Path(folder) / "cluster") as cluster:
            cluster.wait()
            three = measure(cluster, forwards, agents)
    for name, unit, ours, other in (
        ("CPU of a record in all three nodes", "us", three.record_us, one.record_us),
        ("records carried", "per second", three.records_per_s, one.records_per_s),
        ("memory of an agent's connection", "KiB", three.connection_kib, one.connection_kib),
        (f"until {agents} agents are connected", "ms", three.connected_ms, one.connected_ms),
    ):
        yield {
            "name": f"{name}, {messages.FORWARD_RECORDS_MAX} records a FORWARD",
            "ours": round(ours, 2),
            "other": round(other, 2),
            "against": "one Mosquitto, in memory",
            "unit": unit,
        }
