"""What an agent has lost, of records that it had said were stored, behind each fault there is.

Agent, ledger and broker are the processes one would install, readers real connections with the
reader's own delivery, and the agent's line upwards goes through a relay that can be away, or dark:
up as far as TCP can tell, but nothing passes. A power cut is a SIGKILL after which the agent's
files are what it had flushed, and some of the rest (simulator/power_cut.py; needs strace).

Lost is a record that a reader was told is stored, and that the agent's file does not have behind
the fault. At the end the books must have every record once. What peers lose was measured once, by
the same faults on the same kind of machine with records of their own; it is not measured here.
"""

import os
import random
import selectors
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.broker import Broker, find_mosquitto, start_broker
from simulator.power_cut import Disk, NoStrace, traced, wait_for_end
from tools import child
from tools.bench.agent_ledger import AGENT, Site
from tools.bench.load_reader import LoadReader, play
from tools.bench.prepared import Campus
from tools.rooms import ROOT

DEVICES, SPENDS_EACH = 20, 100
KILLS = 5
AWAY_S, DARK_S = 15.0, 20.0
SEED = 1
TIMEOUT_S = 180.0


class Line:
    """A TCP relay to a broker, in a thread: `away`, nobody listens; `dark`, nothing passes."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.away = self.dark = self._over = False
        self._other: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while not self._over:
                if self.away and self._other:
                    self._part(selector)
                if self.dark:
                    time.sleep(0.01)
                    continue
                for key, _events in selector.select(0.01):
                    self._serve(selector, key.fileobj)
            self._part(selector)
        self._server.close()

    def _serve(self, selector: selectors.BaseSelector, ready: object) -> None:
        if ready is self._server:
            near, _ = self._server.accept()
            if self.away:
                near.close()
                return
            far = socket.create_connection(self._target)
            for one, other in ((near, far), (far, near)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._other[one] = other
                selector.register(one, selectors.EVENT_READ)
        elif isinstance(ready, socket.socket) and ready in self._other:
            try:
                data = ready.recv(1 << 16)
                self._other[ready].sendall(data)
            except OSError:
                data = b""
            if not data:
                self._part(selector)  # the agent has one connection through here

    def _part(self, selector: selectors.BaseSelector) -> None:
        for end in self._other:
            selector.unregister(end)
            end.close()
        self._other.clear()


class Building:
    """One campus through one agent, which is killed and started as a fault wants it."""

    def __init__(self, folder: Path, broker: Broker, campus: Campus, line: Line) -> None:
        self.site = Site(folder, broker, campus, upstream_port=line.port)
        self.line = line
        self.lost = 0
        self._campus = campus
        self._folder = folder
        self._data = folder / "data"
        self._data.mkdir(mode=0o700)
        self._agent: subprocess.Popen[bytes] | None = None
        self._disk: Disk | None = None
        self.readers: list[LoadReader] = []

    def start(self, *, on_trace: bool = False) -> None:
        """The agent's daemon; with `on_trace`, what it does to its files is written down."""
        command = [sys.executable, "-c", AGENT, str(self._folder / "agent.toml")]
        self._disk = None
        if on_trace:
            self._disk = Disk(self._data)
            command = traced(command, self._folder / "trace")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with (self._folder / "agent.log").open("ab") as log:
            self._agent = child.start(command, env=environment, stderr=log)

    def kill(self, luck: random.Random | None = None) -> None:
        """SIGKILL; on a traced agent with what a power cut leaves. Counts what is lost by it."""
        assert self._agent is not None
        promised = {reader.device: reader.delivery.stored for reader in self.readers}
        self._agent.kill()
        self._agent.wait()
        if self._disk is not None:
            trace = self._folder / "trace"
            wait_for_end(trace, self._agent.pid)
            for _call in self._disk.play(trace):
                pass
            self._disk.bring_back(luck)
            trace.unlink()
        self._count(promised)

    def play(self, share: float) -> None:
        """Until the readers have heard that this share of all records is stored."""
        wanted = share * self._campus.records
        play(
            self.readers,
            lambda: sum(reader.delivery.stored for reader in self.readers) >= wanted,
            TIMEOUT_S,
        )

    def wait(self, time_s: float) -> None:
        """Let the readers go on for a while."""
        end_s = time.monotonic() + time_s
        play(self.readers, lambda: time.monotonic() >= end_s, time_s + TIMEOUT_S)

    def finish(self) -> None:
        """Until every reader has its receipt; the books must have all of it once."""
        play(self.readers, lambda: all(one.receipted for one in self.readers), TIMEOUT_S)
        self.kill()
        self.site.judge(self._campus)

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()

    def _count(self, promised: dict[int, int]) -> None:
        held = _held(self._data / "agent.sqlite")
        for device in self._campus.devices:
            wanted = enumerate(device.records[: promised[device.device]], 1)
            self.lost += sum(held.get((device.device, seq)) != sealed for seq, sealed in wanted)


def _held(path: Path) -> dict[tuple[int, int], bytes]:
    """The records in an agent's file; none where it is not there or not one any more."""
    database = sqlite3.connect(path)
    try:
        rows = database.execute("SELECT device, seq, sealed FROM record").fetchall()
    except sqlite3.DatabaseError:
        return {}
    finally:
        database.close()
    return {(device, seq): sealed for device, seq, sealed in rows}


# ---------------------------------------------------------------- the faults


def kill(building: Building, size: "Size") -> None:
    """Killed in full flow, again and again."""
    for number in range(1, size.kills + 1):
        building.play(number / (size.kills + 1))
        building.kill()
        building.start()


def upstream_away(building: Building, size: "Size") -> None:
    """The centre refuses connections for a while."""
    building.play(0.2)
    building.line.away = True
    building.wait(size.away_s)
    building.line.away = False


def dark(building: Building, size: "Size") -> None:
    """Nothing passes for a while, and no reset says so."""
    building.play(0.2)
    building.line.dark = True
    building.wait(size.dark_s)
    building.line.dark = False


def killed_in_the_dark(building: Building, size: "Size") -> None:
    """The same, and the agent is killed meanwhile."""
    building.play(0.2)
    building.line.dark = True
    building.wait(size.dark_s / 2)
    building.kill()
    building.start()
    building.wait(size.dark_s / 2)
    building.line.dark = False


def power_cut(building: Building, size: "Size") -> None:
    """Whatever had not been flushed is gone, or half of it."""
    for number in range(1, size.kills + 1):
        building.play(number / (size.kills + 1))
        building.kill(random.Random(SEED + number) if number % 2 else None)
        building.start(on_trace=True)


@dataclass(frozen=True)
class Size:
    """How large a run is."""

    devices: int = DEVICES
    spends_each: int = SPENDS_EACH
    kills: int = KILLS
    away_s: float = AWAY_S
    dark_s: float = DARK_S


@dataclass(frozen=True)
class Fault:
    """A fault, and what somebody else's gateway loses by it: (records lost, who, of how many)."""

    name: str
    act: Callable[[Building, Size], None]
    peer: tuple[int, str, int]


_GATEWAY, _BRIDGE = "ThingsBoard gateway 3.8.5, SQLite storage", "Mosquitto bridge"
FAULTS = (
    Fault("kill -9", kill, (91, _GATEWAY, 10_000)),
    Fault("centre away", upstream_away, (7_149, _BRIDGE + ", default queue", 14_000)),
    Fault("line dark without a reset", dark, (2_060, _GATEWAY, 11_500)),
    Fault(
        "killed in the dark", killed_in_the_dark, (843, "Mosquitto bridge, autosave 1 s", 11_500)
    ),
    Fault("power cut", power_cut, (5_600, _GATEWAY, 26_000)),
)


def lost_by(fault: Fault, folder: Path, broker: Broker, size: Size) -> int:
    """Records that were lost though their readers had heard that they are stored."""
    campus = Campus.busy(size.devices, size.spends_each)
    with ExitStack() as stack:
        line = Line(broker.host, broker.port)
        stack.callback(line.close)
        building = Building(folder, broker, campus, line)
        stack.callback(building.stop)
        stack.enter_context(building.site.ledger())
        building.start(on_trace=fault.act is power_cut)
        building.readers = list(stack.enter_context(_readers(broker, campus)))
        fault.act(building, size)
        building.finish()
    return building.lost


@contextmanager
def _readers(broker: Broker, campus: Campus) -> Iterator[list[LoadReader]]:
    with ExitStack() as stack:
        readers = []
        for device in campus.devices:
            reader = LoadReader(device, broker.host, broker.port)
            stack.callback(reader.close)
            reader.go()
            readers.append(reader)
        yield readers


def rows(size: Size = Size()) -> list[dict[str, object]]:
    """Records lost by each fault, beside what a peer was seen to lose by the same."""
    kind = "mosquitto" if find_mosquitto() else "amqtt"
    table: list[dict[str, object]] = []
    for fault in FAULTS:
        with (
            tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
            start_broker(kind, folder) as broker,
        ):
            try:
                lost = lost_by(fault, Path(folder) / "site", broker, size)
            except NoStrace as error:
                print(f"agent_faults: no row for {fault.name}: {error}", file=sys.stderr)
                continue
        peer_lost, peer, of = fault.peer
        records = 2 * size.devices * size.spends_each
        table.append(
            {
                "name": fault.name,
                "ours": lost,
                "other": peer_lost,
                "against": f"{peer}, of about {of:,}, measured before",
                "unit": f"records lost, ours of {records:,}",
            }
        )
    return table
