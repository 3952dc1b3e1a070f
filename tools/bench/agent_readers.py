"""A thousand readers on one agent, and one of them that floods it.

Broker (Mosquitto) and agent are the processes one would install; each reader is a connection with
the reader's own MQTT client and delivery, no firmware around them. All of them have records at the
same moment, which is worse than a day can be. Beside them in the same run: as many records from
twenty readers. Then once more, while one reader says the same over and over as fast as it can.
Afterwards the agent's file has to hold every record, byte for byte.

Readers, broker and agent share the processors here: rates are lower than the agent's own.
"""

import select
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.mqtt import MqttPort
from protocols.wire import topics
from simulator.broker import Broker, find_mosquitto
from tools.bench import raw_mqtt
from tools.bench.agent_ledger import NotBooked, Site, Stopwatch
from tools.bench.load_reader import LoadReader, batch_of, play
from tools.bench.prepared import SITE, Campus, Device
from tools.identity.broker import CONFIGURATION, Listener, write
from tools.rooms import ROOT

READERS, FEW = 1_000, 20
SPENDS_EACH = 10
BAR_CPU_S = 0.05  # per 1,000 records
FLOOD_WINDOW = 100
TIMEOUT_S = 120.0
_FLOOD_S = 2.0  # it floods alone before the others begin
_LOOK_S = 0.02
_KEPT = ("per_listener", "listener", "max_", "queue_", "persist", "set_tcp", "sys_", "log_")


@dataclass(frozen=True)
class Load:
    """What an agent took: its rate, CPU per 1,000 records, memory, and when readers were done."""

    per_s: float
    cpu_s: float
    idle_mb: float
    peak_mb: float
    p50_s: float
    p99_s: float


class Limited(Broker):
    """Mosquitto with the limits of the one we ship, and without its TLS: see tools/identity."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            super().__init__("mosquitto", directory, probe.getsockname()[1])
        write(directory / "conf", Listener(self.port, self.host, directory, "stderr"), "")
        shipped = (directory / "conf" / CONFIGURATION).read_text().splitlines()
        lines = [line for line in shipped if line.startswith(_KEPT)]
        self._conf = directory / "limits.conf"
        self._conf.write_text("\n".join([*lines, "allow_anonymous true\n"]))

    def start(self) -> None:
        program = find_mosquitto()
        assert program is not None
        with self.log.open("ab") as log:
            self._program = subprocess.Popen([program, "-c", str(self._conf)], stderr=log)
        port = MqttPort(self.host, self.port, "bench-probe", subscriptions=[])
        raw_mqtt.connect(port)
        port.close()

    def stop(self) -> None:
        self._program.terminate()
        self._program.wait()


def through(folder: Path, broker: Broker, campus: Campus, *, flood: bool = False) -> Load:
    """All records of `campus` to an agent's disk; NotBooked if one of them is not there."""
    site = Site(folder, broker, campus)
    with ExitStack() as stack:
        agent = stack.enter_context(site.agent())
        idle_mb = _memory_mb(agent.pid, "VmRSS")
        readers = [
            stack.enter_context(_connected(device, broker))
            for device in campus.devices[: -1 if flood else None]
        ]
        play(readers, lambda: all(reader.stored for reader in readers), TIMEOUT_S)
        if flood:
            stack.enter_context(flooded(broker, campus.devices[-1]))
            time.sleep(_FLOOD_S)
        watch = Stopwatch(agent=agent)
        done_s = sorted(_deliver(readers))
        run = watch.run(sum(reader.delivery.head for reader in readers))
        peak_mb = _memory_mb(agent.pid, "VmHWM")
    _must_hold(folder / "data" / "agent.sqlite", campus.devices[: len(readers)])
    p50_s, p99_s = done_s[len(done_s) // 2], done_s[len(done_s) * 99 // 100]
    return Load(run.per_s, run.cpu_s["agent"], idle_mb, peak_mb, p50_s, p99_s)


@contextmanager
def flooded(broker: Broker, device: Device) -> Iterator[None]:
    """`device` says the same BATCH again and again, as fast as its broker takes it."""
    command = [sys.executable, "-m", "tools.bench.agent_readers", broker.host, str(broker.port)]
    with subprocess.Popen(
        [*command, str(device.device), batch_of(device, 0)[0].hex()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()  # it has begun
        try:
            yield
        finally:
            process.stdin.close()
            sent = int(process.stdout.readline() or 0)
            if not sent:
                raise NotBooked("the reader that should flood said nothing")


@contextmanager
def _connected(device: Device, broker: Broker) -> Iterator[LoadReader]:
    reader = LoadReader(device, broker.host, broker.port)
    try:
        yield reader
    finally:
        reader.close()


def _deliver(readers: list[LoadReader]) -> list[float]:
    """Let all of them send what they have; after how many seconds each was done."""
    start_s = time.monotonic()
    done_s: dict[int, float] = {}
    waiting = set(range(len(readers)))
    for reader in readers:
        reader.go()

    looked_s = 0.0

    def is_done() -> bool:
        nonlocal looked_s
        now_s = time.monotonic() - start_s
        if now_s - looked_s >= _LOOK_S:  # to ask a thousand each time would be the longest part
            looked_s = now_s
            for index in [index for index in waiting if readers[index].stored]:
                waiting.discard(index)
                done_s[index] = now_s
        return not waiting

    play(readers, is_done, TIMEOUT_S)
    return list(done_s.values())


def _must_hold(path: Path, devices: list[Device]) -> None:
    """NotBooked unless the agent's file has every record of `devices`, as it was sent."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        for device in devices:
            query = "SELECT seq, sealed FROM record WHERE device = ? ORDER BY seq"
            kept = database.execute(query, (device.device,)).fetchall()
            if kept != list(enumerate(device.records, 1)):
                raise NotBooked(f"of {device.device} {len(kept)} of {len(device.records)}")
    database.close()


def _memory_mb(pid: int, name: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name)) / 1024
    )


# ---------------------------------------------------------------- rows


def rows(
    readers: int = READERS, few: int = FEW, spends_each: int = SPENDS_EACH
) -> list[dict[str, object]]:
    """Rate, CPU and memory with many readers beside few, and with a flood beside none."""
    if not find_mosquitto():
        print("agent_readers: mosquitto is not installed, no rows", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        return rows_in(Path(folder), readers, few, spends_each)


def rows_in(folder: Path, readers: int, few: int, spends_each: int) -> list[dict[str, object]]:
    """The same; what the agents leave is in `folder`: few, many, flood."""
    with ExitStack() as stack:
        broker = Limited(folder)
        broker.start()
        stack.callback(broker.stop)
        spends = readers * spends_each
        by_few = through(folder / "few", broker, Campus.busy(few, spends // few))
        by_many = through(folder / "many", broker, Campus.busy(readers, spends_each))
        crowd = Campus.busy(readers + 1, spends_each)
        in_flood = through(folder / "flood", broker, crowd, flood=True)
    name, beside = f"{readers} readers", f"{few} readers, as many records"
    alone = f"{readers} readers without it"
    table = (
        (name, by_many.per_s, by_few.per_s, beside, "records/s"),
        (name, by_many.cpu_s, BAR_CPU_S, "bar", "agent's CPU s per 1,000 records"),
        (name, by_many.cpu_s, by_few.cpu_s, beside, "agent's CPU s per 1,000 records"),
        (name, by_many.peak_mb, by_few.peak_mb, beside, "MB of the agent at most"),
        (name, by_many.peak_mb, by_many.idle_mb, "the same agent without readers", "MB"),
        ("beside one that floods", in_flood.p50_s, by_many.p50_s, alone, "s to deliver, median"),
        ("beside one that floods", in_flood.p99_s, by_many.p99_s, alone, "s to deliver, 99 %"),
        ("beside one that floods", in_flood.peak_mb, by_many.peak_mb, alone, "MB of the agent"),
    )
    return [
        dict(zip(("name", "ours", "other", "against", "unit"), (row[0], round(row[1], 4),
             round(row[2], 4), *row[3:]), strict=True))
        for row in table
    ]  # fmt: skip


# ---------------------------------------------------------------- the other process


def _flood(host: str, port: int, device: int, payload: bytes) -> None:
    """Say `payload` for `device` until the standard input ends; print how often."""
    publisher = MqttPort(host, port, "bench-flood", subscriptions=[])
    raw_mqtt.connect(publisher)
    print("begun", flush=True)
    sent = 0
    ear = select.poll()
    ear.register(sys.stdin, select.POLLIN | select.POLLHUP)
    while not ear.poll(0):
        publisher.hold()
        while publisher.unacked < FLOOD_WINDOW and publisher.connected:
            sent += publisher.publish(topics.up(SITE, device), payload) > 0
        publisher.release()
        raw_mqtt.step(publisher)
    publisher.close()
    print(sent, flush=True)


if __name__ == "__main__":
    _flood(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), bytes.fromhex(sys.argv[4]))
