"""Records per second and CPU through agent and ledger, beside the raw rate of the same broker.

Broker, agent and ledger are the processes one would install, with durable stores on a scratch
directory; all legs go through the one broker. Readers are real connections that keep one BATCH
outstanding each. Per broker: the raw QoS 1 rate at three payload sizes, then
    agent    readers -> broker -> agent's disk -> STORED, no ledger there
    ledger   FORWARD by a plain client -> books -> signed RECEIPTS, eight outstanding
    both     readers -> agent -> ledger -> agent -> readers, until the last RECEIPT
What the ledger has booked is checked afterwards: a rate with a lost record would be no rate.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.mqtt import MqttPort
from edge_agent.outbox import WINDOW
from ledger.invariants import check
from ledger.receipts import public_key
from ledger.store import LedgerStore
from protocols.wire import messages, seal, topics
from protocols.wire.ledger_status import STATUS_ONLINE
from simulator.broker import Broker, find_mosquitto, start_broker
from tools import child
from tools.bench import raw_mqtt
from tools.bench.load_reader import LoadReader, batch_of, play
from tools.bench.prepared import SITE, Campus
from tools.bench.raw_mqtt import Raw
from tools.rooms import ROOT

DEVICES, SPENDS_EACH = 20, 200
RAW_S = 1.2
RAW_BYTES, RAW_WINDOW = 200, 20
TIMEOUT_S = 30.0
_SIGNING_KEY = bytes(range(32))
AGENT = "import sys; from edge_agent.daemon import run; run(sys.argv[1])"
_LEDGER = "import sys; from ledger.daemon import run; run(sys.argv[1])"


class NotBooked(Exception):
    """What came out at the end is not what went in."""


@dataclass(frozen=True)
class Run:
    """One measurement: records per second, and CPU seconds per 1,000 records by process."""

    per_s: float
    cpu_s: dict[str, float]


class Stopwatch:
    """Real time, and the CPU time of other processes, from here on."""

    def __init__(self, **processes: subprocess.Popen) -> None:
        self._processes = processes
        self._start_s = time.monotonic()
        self._cpu_s = {name: _cpu_s(process.pid) for name, process in processes.items()}

    def run(self, records: int) -> Run:
        """What was measured, if `records` went through in the meantime."""
        took_s = time.monotonic() - self._start_s
        cpu_s = {
            name: (_cpu_s(process.pid) - self._cpu_s[name]) / records * 1000
            for name, process in self._processes.items()
        }
        return Run(records / took_s, cpu_s)


def _cpu_s(pid: int) -> float:
    """CPU seconds of another process: Linux's clock id for it, as clock_getcpuclockid makes it."""
    return time.clock_gettime(~pid << 3 | 2)


class Site:
    """A scratch directory with the configurations of one agent and one ledger on `broker`.

    `upstream_port`: the agent reaches the ledger's broker through that. `readers_port`: the
    readers' broker is another one, on this machine too.
    """

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        campus: Campus,
        upstream_port: int = 0,
        readers_port: int = 0,
    ) -> None:
        folder.mkdir()
        self.books = folder / "books" / "ledger.sqlite"
        self._folder = folder
        self._broker = broker.host, broker.port
        there = f'host = "{broker.host}"\nport = {broker.port}\n'
        (folder / "signing.key").write_text(_SIGNING_KEY.hex())
        (folder / "signing.key").chmod(0o600)
        (folder / "ledger.pub").write_text(public_key(_SIGNING_KEY).hex())
        (folder / "agent.toml").write_text(
            f'site = "{SITE}"\ndata = "data"\nledger_public_key = "ledger.pub"\n'
            f'[readers]\nhost = "{broker.host}"\nport = {readers_port or broker.port}\n'
            f"[upstream]\n"
            f'host = "{broker.host}"\nport = {upstream_port or broker.port}\n'
        )
        (folder / "ledger.toml").write_text(
            f'data_dir = "books"\nsigning_key_file = "signing.key"\n[broker]\n{there}'
        )
        self.books.parent.mkdir()
        campus.register(self.books)

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen]:
        """The agent's daemon, connected to both sides."""
        with self._process(AGENT, "agent.toml") as process:
            self._await("agent.toml", lambda log: _links(log) == {"readers", "upstream"})
            yield process

    @contextmanager
    def ledger(self) -> Iterator[subprocess.Popen]:
        """The ledger's daemon, subscribed."""
        port = MqttPort(*self._broker, "bench-watch", subscriptions=[topics.LEDGER_STATUS])
        with self._process(_LEDGER, "ledger.toml") as process:
            try:
                raw_mqtt.connect(port)
                self._await("ledger.toml", lambda _log: _is_online(port))
            finally:
                port.close()
            yield process

    @contextmanager
    def _process(self, code: str, config: str) -> Iterator[subprocess.Popen]:
        with (self._folder / f"{config}.log").open("wb") as log:
            process = child.start(
                [sys.executable, "-c", code, str(self._folder / config)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait()

    def _await(self, config: str, is_ready: Callable[[str], bool]) -> None:
        log = self._folder / f"{config}.log"
        until_s = time.monotonic() + TIMEOUT_S
        while not is_ready(log.read_text()):
            if time.monotonic() > until_s:
                raise NotBooked(f"{config} is not ready: {log.read_text()[-500:]}")
            time.sleep(0.02)

    def judge(self, campus: Campus) -> None:
        """NotBooked unless every spend is in the books, once, and they balance."""
        store = LedgerStore.open(str(self.books))
        try:
            summary, violations = store.summary(), check(store)
        finally:
            store.close()
        found = summary["records"], summary["booked"], summary["suspense"], violations
        if found != (campus.records, campus.spends, 0, []):
            raise NotBooked(f"{campus.records} records, {campus.spends} spends: {found}")


def _links(log: str) -> set[str]:
    """The links that the agent says are up."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {line["link"] for line in lines if line["event"] == "connected"}


def _is_online(port: MqttPort) -> bool:
    """Whether the ledger has said so since we looked last."""
    raw_mqtt.step(port)
    said = None
    while (message := port.take()) is not None:
        port.ack(message)
        said = message.payload
    return said == STATUS_ONLINE


# ---------------------------------------------------------------- the three ways


def through_agent(site: Site, broker: Broker, campus: Campus) -> Run:
    """Readers to the agent's disk."""
    with site.agent() as agent, _readers(broker, campus) as readers:
        watch = Stopwatch(agent=agent)
        _deliver(readers, lambda reader: reader.stored)
        return watch.run(campus.records)


def through_ledger(site: Site, broker: Broker, campus: Campus) -> Run:
    """FORWARDs to the books and RECEIPTS back."""
    forwards = campus.forwards()
    receipts = topics.agent_receipts(SITE)
    port = MqttPort(broker.host, broker.port, "bench-agent", subscriptions=[receipts])
    with site.ledger() as ledger:
        try:
            raw_mqtt.connect(port)
            watch = Stopwatch(ledger=ledger)
            _forward_all(port, forwards)
            run = watch.run(campus.records)
        finally:
            port.close()
    site.judge(campus)
    return run


def through_both(site: Site, broker: Broker, campus: Campus) -> Run:
    """From the readers' journals to the receipts that free them."""
    with (
        site.ledger() as ledger,
        site.agent() as agent,
        _readers(broker, campus) as readers,
    ):
        watch = Stopwatch(agent=agent, ledger=ledger)
        _deliver(readers, lambda reader: reader.receipted)
        run = watch.run(campus.records)
    site.judge(campus)
    return run


@contextmanager
def _readers(broker: Broker, campus: Campus) -> Iterator[list[LoadReader]]:
    """All readers, connected and answered, with nothing sent yet."""
    with ExitStack() as stack:
        readers: list[LoadReader] = []
        for device in campus.devices:
            reader = LoadReader(device, broker.host, broker.port)
            stack.callback(reader.close)
            readers.append(reader)
            # One after the other: amqtt 0.12 drops a client that connects while another subscribes
            # ("dictionary changed size during iteration").
            play([reader], lambda: readers[-1].stored, TIMEOUT_S)
        yield readers


def _deliver(readers: list[LoadReader], is_done: Callable[[LoadReader], bool]) -> None:
    for reader in readers:
        reader.go()
    play(readers, lambda: all(is_done(reader) for reader in readers), TIMEOUT_S)


def _forward_all(port: MqttPort, forwards: list[bytes]) -> None:
    """As the agent does: a window of WINDOW unanswered; each answer makes room."""
    waiting: set[int] = set()
    at = 0
    until_s = time.monotonic() + TIMEOUT_S
    while waiting or at < len(forwards):
        port.hold()
        while len(waiting) < WINDOW and at < len(forwards):
            port.publish(topics.agent_records(SITE), forwards[at])
            waiting.add(at)
            at += 1
        port.release()
        raw_mqtt.step(port)
        while (message := port.take()) is not None:
            if message.topic == topics.agent_receipts(SITE):
                payload, _signature = seal.sign1_split(message.payload)
                answer = messages.decode_message(payload, (messages.RECEIPTS,))
                waiting.discard(answer["number"])
            port.ack(message)
        if time.monotonic() > until_s:
            raise NotBooked(f"{len(waiting)} FORWARDs without an answer")


# ---------------------------------------------------------------- rows


def rows(
    devices: int = DEVICES,
    spends_each: int = SPENDS_EACH,
    raw_s: float = RAW_S,
    kinds: tuple[str, ...] | None = None,
) -> list[dict[str, object]]:
    """All measurements, for amqtt and, where it is installed, Mosquitto."""
    if kinds is None:
        kinds = ("amqtt", "mosquitto") if find_mosquitto() else ("amqtt",)
        if len(kinds) == 1:
            print("agent_ledger: mosquitto is not installed, no rows for it", file=sys.stderr)
    campus = Campus.busy(devices, spends_each)
    table: list[dict[str, object]] = []
    for kind in kinds:
        with (
            tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
            start_broker(kind, folder) as broker,
        ):
            table += _rows_of(broker, campus, Path(folder), raw_s)
    return table


def _rows_of(
    broker: Broker, campus: Campus, folder: Path, raw_s: float
) -> Iterator[dict[str, object]]:
    batch, in_batch = batch_of(campus.devices[0], 0)
    forward = campus.forwards()[0]
    in_forward = min(messages.FORWARD_RECORDS_MAX, campus.records)

    def raw(payload_bytes: int, window: int) -> Raw:
        return raw_mqtt.measure(broker.host, broker.port, payload_bytes, window, raw_s)

    single = raw(RAW_BYTES, RAW_WINDOW)
    sized = {
        "batch": (raw(len(batch), len(campus.devices)), len(batch), in_batch),
        "forward": (raw(len(forward), WINDOW), len(forward), in_forward),
    }
    for name, way, size in (
        ("agent", through_agent, "batch"),
        ("ledger", through_ledger, "forward"),
        ("both", through_both, "batch"),
    ):
        run = way(Site(folder / name, broker, campus), broker, campus)
        yield from _ratios(f"{name}, {broker.kind}", run, single, *sized[size])


def _ratios(
    name: str, run: Run, single: Raw, sized: Raw, payload_bytes: int, in_payload: int
) -> Iterator[dict[str, object]]:
    """The rate beside raw messages of one record and of as many as ours carry; then the CPU."""
    yield {
        "name": name,
        "ours": round(run.per_s),
        "other": round(single.per_s),
        "against": f"raw QoS 1, {RAW_BYTES} B each, window {RAW_WINDOW}",
        "unit": "records/s",
    }
    yield {
        "name": name,
        "ours": round(run.per_s),
        "other": round(sized.per_s * in_payload),
        "against": f"raw QoS 1, {in_payload} records in {payload_bytes} B, as ours",
        "unit": "records/s",
    }
    for process, cpu_s in run.cpu_s.items():
        yield {
            "name": f"{name}: CPU of the {process}",
            "ours": round(cpu_s, 4),
            "other": round(single.cpu_s, 4),
            "against": f"paho subscriber, {RAW_BYTES} B each",
            "unit": "s per 1,000 records",
        }


if __name__ == "__main__":
    print(json.dumps(rows(), indent=2))
