"""A reader that floods its agent, and what the others beside it notice.

Broker (Mosquitto with the limits that we ship) and agent are the processes one would install. Two
loads of a thousand readers:
    lunch   LUNCH_PER_S spends a second in all, at random readers; how long each takes to be stored
    full    all of them have records at the same moment; after how long each has told the last
and four neighbours, who begin with them: none; one that sends what an ESP32 can over Wi-Fi,
LINE_BYTES_PER_S; one that fills a cable, PORT_BYTES_PER_S; one on this machine that sends what the
broker takes. Lunch outlasts the time for
which a flooder is not listened to (edge_agent/hearing.py), so it is heard and refused twice.
Afterwards the agent's file has to hold every record, byte for byte.

Readers, broker, agent and flooder share the processors here.
"""

import itertools
import random
import select
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocols.wire import topics
from simulator.broker import find_mosquitto
from tools.bench.agent_ledger import NotBooked, Site, Stopwatch
from tools.bench.agent_readers import Limited, connected, deliver, must_hold
from tools.bench.flooder import Flood, flooded
from tools.bench.load_reader import LoadReader, TooSlow, batch_of, play
from tools.bench.prepared import SITE, Campus, Device

READERS = 1_000
# A campus of 60,000 at noon: 30,000 eat within two hours, four a second; ten times that.
LUNCH_PER_S = 40
LUNCH_S = 70
SPENDS_EACH = 10  # at full load
BAR = 2.0  # of the 99 % at lunch, beside any flood
# TCP of an ESP32 with default settings, in a shielded box: 44.2 Mbit/s (ESP-IDF, "Wi-Fi Driver").
LINE_BYTES_PER_S = 44_200_000 // 8
PORT_BYTES_PER_S = 100_000_000 // 8  # whatever hangs on the cable of a reader
TIMEOUT_S = 120.0
SEED = 7
_TICK_S = 0.25
NOBODY = "nobody"
FLOODS = {
    NOBODY: None,
    "a reader's line": LINE_BYTES_PER_S,
    "a 100 Mbit/s port": PORT_BYTES_PER_S,
    "a fast machine": 0,
}


@dataclass(frozen=True)
class Took:
    """How long the others took (s, sorted), and what the flood cost whom."""

    each_s: list[float]
    flood: Flood
    agent_cpu_s: float
    broker_cpu_s: float

    def at(self, percent: int) -> float:
        """The time within which so many percent were done."""
        return self.each_s[min(len(self.each_s) * percent // 100, len(self.each_s) - 1)]


Load = Callable[[list[LoadReader]], list[float]]


def beside(
    folder: Path, broker: Limited, campus: Campus, load: Load, bytes_per_s: int | None
) -> Took:
    """`load` played by all devices but the last, which floods; NotBooked if a record is lost."""
    site = Site(folder, broker, campus)
    *others, flooder = campus.devices
    with ExitStack() as stack:
        agent = stack.enter_context(site.agent())
        readers = [stack.enter_context(connected(device, broker)) for device in others]
        play(readers, lambda: all(reader.stored for reader in readers), TIMEOUT_S)
        watch = Stopwatch(agent=agent, broker=broker.process)
        with _flood(broker, flooder, bytes_per_s) as flood:
            each_s = sorted(load(readers))
            cpu_s = watch.run(1_000).cpu_s  # of 1,000, so it is the sum
        heads = {reader.device: reader.delivery.head for reader in readers}
    must_hold(folder / "data" / "agent.sqlite", others, heads)
    if bytes_per_s is not None and not flood.messages:
        raise NotBooked("the reader that should flood said nothing")
    return Took(each_s, flood, cpu_s["agent"], cpu_s["broker"])


@contextmanager
def _flood(broker: Limited, device: Device, bytes_per_s: int | None) -> Iterator[Flood]:
    if bytes_per_s is None:
        yield Flood()
        return
    topic, payload = topics.up(SITE, device.device), batch_of(device, 0)[0]
    with flooded(broker.host, broker.port, topic, payload, bytes_per_s) as flood:
        yield flood


class Lunch:
    """`per_s` spends a second for `duration_s`, each at some reader: the same ones every time."""

    def __init__(self, per_s: float, duration_s: float) -> None:
        self._per_s = per_s
        self._duration_s = duration_s

    def __call__(self, readers: list[LoadReader]) -> list[float]:
        """Of each spend the time until its reader was told that it is stored (s)."""
        coming = self._spends(readers)
        by_descriptor = {reader.socket.fileno(): reader for reader in readers}
        poller = select.poll()
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        took_s: list[float] = []
        under_way: dict[LoadReader, list[float]] = {}
        start_s = time.monotonic()
        tick_s = 0.0
        while coming or under_way:
            now_s = time.monotonic() - start_s
            while coming and coming[-1][0] <= now_s:
                at_s, index = coming.pop()
                under_way.setdefault(readers[index], []).append(at_s)
                readers[index].go(2)  # its INTENT and OUTCOME
            wait_s = min(coming[-1][0] - now_s if coming else _TICK_S, _TICK_S)
            ready = [by_descriptor[each] for each, _ in poller.poll(max(wait_s, 0) * 1_000)]
            if now_s - tick_s >= _TICK_S:
                tick_s = now_s
                ready += under_way  # their time-outs
            for reader in ready:
                reader.step()
                if reader in under_way and reader.stored:
                    stored_s = time.monotonic() - start_s
                    took_s += [stored_s - at_s for at_s in under_way.pop(reader)]
            if now_s > self._duration_s + TIMEOUT_S:
                raise TooSlow(f"{len(under_way)} readers wait")
        return took_s

    def _spends(self, readers: list[LoadReader]) -> list[tuple[float, int]]:
        """(when in s, at which reader), the last one first; as long as there are any."""
        chance = random.Random(SEED)
        gaps = (chance.expovariate(self._per_s) for _ in itertools.count())
        times = itertools.takewhile(lambda at: at < self._duration_s, itertools.accumulate(gaps))
        left = [i for i, reader in enumerate(readers) for _ in range(reader.untold // 2)]
        chance.shuffle(left)
        return list(zip(times, left, strict=False))[::-1]


def full(readers: list[LoadReader]) -> list[float]:
    """All of them have all of theirs now; of each reader the time until all was stored (s)."""
    return deliver(readers, TIMEOUT_S)


# ---------------------------------------------------------------- rows


def rows(
    readers: int = READERS,
    spends_each: int = SPENDS_EACH,
    per_s: float = LUNCH_PER_S,
    lunch_s: float = LUNCH_S,
) -> list[dict[str, object]]:
    """Both loads beside each of FLOODS, against the same load without one."""
    if not find_mosquitto():
        print("agent_flood: mosquitto is not installed, no rows", file=sys.stderr)
        return []
    campus = Campus.busy(readers + 1, spends_each)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onecard-bench-")))
        broker = Limited(folder)
        broker.start()
        stack.callback(broker.stop)
        loads = {"lunch": Lunch(per_s, lunch_s), "full": full}
        took = {
            (name, flood): beside(folder / f"{name}-{number}", broker, campus, load, bytes_per_s)
            for name, load in loads.items()
            for number, (flood, bytes_per_s) in enumerate(FLOODS.items())
        }
    floods = [flood for flood in FLOODS if flood != NOBODY]
    return [row for name in loads for flood in floods for row in _rows(took, name, flood)]


def _rows(took: dict[tuple[str, str], Took], load: str, flood: str) -> Iterator[dict[str, object]]:
    alone, beside_it = took[load, NOBODY], took[load, flood]
    name, against = f"{load}, flood of {flood}", f"{load} without it"
    for unit, ours, other in (
        ("s to be stored, median", beside_it.at(50), alone.at(50)),
        ("s to be stored, 99 %", beside_it.at(99), alone.at(99)),
        ("s to be stored, the slowest", beside_it.each_s[-1], alone.each_s[-1]),
        ("s of the agent's CPU", beside_it.agent_cpu_s, alone.agent_cpu_s),
        ("s of the broker's CPU", beside_it.broker_cpu_s, alone.broker_cpu_s),
    ):
        yield _row(name, ours, other, against, unit)
    said = beside_it.flood
    yield _row(name, said.messages, len(beside_it.each_s), "what is told beside it", "messages")
    yield _row(name, said.cpu_s, beside_it.broker_cpu_s, "broker's", "s of the flooder's CPU")
    if load == "lunch":
        yield _row(name, beside_it.at(99) / alone.at(99), BAR, "bar", "times the 99 % without it")


def _row(name: str, ours: float, other: float, against: str, unit: str) -> dict[str, object]:
    figures = {"ours": round(ours, 6), "other": round(other, 6)}
    return {"name": name, **figures, "against": against, "unit": unit}
