"""A thousand readers on one agent.

Broker (Mosquitto) and agent are the processes one would install; each reader is a connection with
the reader's own MQTT client and delivery, no firmware around them. All of them have records at the
same moment, which is worse than a day can be. Beside them in the same run: as many records from
twenty readers. Afterwards the agent's file has to hold every record, byte for byte. What a reader
does that floods: agent_flood.py.

Readers, broker and agent share the processors here: rates are lower than the agent's own.
"""

import socket
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.mqtt import MqttPort
from simulator.broker import Broker, find_mosquitto
from tools import child
from tools.bench import raw_mqtt
from tools.bench.agent_ledger import NotBooked, Site, Stopwatch
from tools.bench.load_reader import LoadReader, play
from tools.bench.prepared import Campus, Device
from tools.identity.broker import CONFIGURATION, Listener, write

READERS, FEW = 1_000, 20
SPENDS_EACH = 10
BAR_CPU_S = 0.05  # per 1,000 records
TIMEOUT_S = 120.0
_LOOK_S = 0.02
_KEPT = ("per_listener", "listener", "max_", "queue_", "persist", "set_tcp", "sys_", "log_")


@dataclass(frozen=True)
class Load:
    """What an agent took: its rate, CPU per 1,000 records and memory."""

    per_s: float
    cpu_s: float
    idle_mb: float
    peak_mb: float


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
            self.process = child.start([program, "-c", str(self._conf)], stderr=log)
        port = MqttPort(self.host, self.port, "bench-probe", subscriptions=[])
        raw_mqtt.connect(port)
        port.close()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def through(folder: Path, broker: Broker, campus: Campus) -> Load:
    """All records of `campus` to an agent's disk; NotBooked if one of them is not there."""
    site = Site(folder, broker, campus)
    with ExitStack() as stack:
        agent = stack.enter_context(site.agent())
        idle_mb = _memory_mb(agent.pid, "VmRSS")
        readers = [stack.enter_context(connected(device, broker)) for device in campus.devices]
        play(readers, lambda: all(reader.stored for reader in readers), TIMEOUT_S)
        watch = Stopwatch(agent=agent)
        deliver(readers, TIMEOUT_S)
        run = watch.run(campus.records)
        peak_mb = _memory_mb(agent.pid, "VmHWM")
    must_hold(folder / "data" / "agent.sqlite", campus.devices)
    return Load(run.per_s, run.cpu_s["agent"], idle_mb, peak_mb)


@contextmanager
def connected(device: Device, broker: Broker) -> Iterator[LoadReader]:
    """One reader, until the end of the block."""
    reader = LoadReader(device, broker.host, broker.port)
    try:
        yield reader
    finally:
        reader.close()


def deliver(readers: list[LoadReader], timeout_s: float) -> list[float]:
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

    play(readers, is_done, timeout_s)
    return list(done_s.values())


def must_hold(path: Path, devices: list[Device], heads: dict[int, int] | None = None) -> None:
    """NotBooked unless the agent's file has every record of `devices`, as it was sent.

    `heads`: of each device only so many were sent.
    """
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        for device in devices:
            query = "SELECT seq, sealed FROM record WHERE device = ? ORDER BY seq"
            kept = database.execute(query, (device.device,)).fetchall()
            sent = device.records if heads is None else device.records[: heads[device.device]]
            if kept != list(enumerate(sent, 1)):
                raise NotBooked(f"of {device.device} {len(kept)} of {len(sent)}")
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
    """Rate, CPU and memory with many readers beside few."""
    if not find_mosquitto():
        print("agent_readers: mosquitto is not installed, no rows", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        return rows_in(Path(folder), readers, few, spends_each)


def rows_in(folder: Path, readers: int, few: int, spends_each: int) -> list[dict[str, object]]:
    """The same; what the agents leave is in `folder`: few, many."""
    with ExitStack() as stack:
        broker = Limited(folder)
        broker.start()
        stack.callback(broker.stop)
        spends = readers * spends_each
        by_few = through(folder / "few", broker, Campus.busy(few, spends // few))
        by_many = through(folder / "many", broker, Campus.busy(readers, spends_each))
    name, beside = f"{readers} readers", f"{few} readers, as many records"
    table = (
        (name, by_many.per_s, by_few.per_s, beside, "records/s"),
        (name, by_many.cpu_s, BAR_CPU_S, "bar", "agent's CPU s per 1,000 records"),
        (name, by_many.cpu_s, by_few.cpu_s, beside, "agent's CPU s per 1,000 records"),
        (name, by_many.peak_mb, by_few.peak_mb, beside, "MB of the agent at most"),
        (name, by_many.peak_mb, by_many.idle_mb, "the same agent without readers", "MB"),
    )
    return [
        dict(zip(("name", "ours", "other", "against", "unit"), (row[0], round(row[1], 4),
             round(row[2], 4), *row[3:]), strict=True))
        for row in table
    ]  # fmt: skip
