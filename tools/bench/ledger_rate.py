"""Records that the ledger books per second, beside pgbench on the same PostgreSQL server.

The records are genuine: sealed, chained, made ahead by the readers' own code; cards wander between
readers, and one record in twenty is delivered twice. LedgerStore books them in the portions of the
ledger's service, verifies each seal, and commits durably. On SQLite there is one ledger; on
PostgreSQL as many as WORKERS says, each for readers of its own. Each has the process that reads
ahead. pgbench runs TPC-B with 16
clients on the same server in the same run. Afterwards the books are held against what was made: a
rate with a record lost would be no rate.

A rate hangs on what else the machine does; what a record costs in processor time does so far less,
and it says what two cores could do at best. So that is told too, of the ledger, of the process
that reads ahead and of the server with all of its processes, beside a transaction of pgbench with
its clients. `python -m tools.bench.ledger_rate [SPENDS]`.
"""

import contextlib
import multiprocessing
import os
import platform
import random
import re
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from ledger.dialect import StoreUnavailable
from ledger.invariants import check
from ledger.portions import DELIVERIES_MAX, Portions
from ledger.read_ahead import Delivery
from ledger.store import LedgerStore
from protocols.wire import messages
from simulator.chains import Card, Reader
from tools import child
from tools.postgres_server import Server, programs

SEED = 1
# So many that the start, in which nobody has read ahead yet, is a small part.
READERS, CARDS, SPENDS = 200, 10_000, 120_000
WORKERS = (1, 2, 4)
ROUNDS = 3  # of each and of pgbench; the rate of the middle one counts
MERCHANT_NO, SITE, OPENING_FEN = 71, "bench", 1_000_000
PGBENCH_CLIENTS, PGBENCH_SCALE, PGBENCH_S = 16, 10, 10
_FIRST_DEVICE, _FIRST_CARD, _START_S = 1001, 20_001, 1_790_000_000
_TAPS_AT_ONCE = 4  # that a reader brings in one BATCH
_TRIES_MAX = 20
_REPEATED = 20  # one delivery of so many comes twice
# What one would give a server of this size; fsync and full_page_writes are on, or it is refused.
_SETTINGS = ("shared_buffers=512MB", "max_wal_size=2GB", "jit=off")


class NotBooked(Exception):
    """What came out at the end is not what went in."""


@dataclass(frozen=True)
class Work:
    """Readers, cards, and their records in order of delivery, for each of some workers."""

    readers: list[Reader]
    cards: list[Card]
    spends: int
    portions: list[list[list[bytes]]]

    @classmethod
    def drawn(cls, seed: int, spends: int, workers: int) -> "Work":
        """The same for the same seed; READERS and CARDS, or fewer for few spends."""
        rng = random.Random(seed)
        readers = [Reader(_FIRST_DEVICE + i, MERCHANT_NO) for i in range(min(READERS, spends))]
        cards = [Card(_FIRST_CARD + i, OPENING_FEN) for i in range(min(CARDS, spends))]
        queues: list[list[bytes]] = [[] for _ in range(workers)]
        made = 0
        while made < spends:
            index = rng.randrange(len(readers))
            batch = []
            for _ in range(min(_TAPS_AT_ONCE, spends - made)):
                card, amount_fen = rng.choice(cards), rng.randrange(100, 2_000)
                batch += readers[index].spend(card, amount_fen, _START_S + made)
                made += 1
            again = 2 if rng.randrange(_REPEATED) == 0 else 1
            queues[index % workers] += batch * again
        return cls(readers, cards, spends, [_deliveries(queue) for queue in queues])

    @property
    def records(self) -> int:
        """How many different ones there are: INTENT and OUTCOME of each spend."""
        return 2 * self.spends

    def register(self, place: str) -> None:
        """Make the merchant, the readers and the cards known to the books at `place`."""
        store = LedgerStore.open(place)
        store.register_merchant(MERCHANT_NO, "bench")
        store.register_devices((r.device, r.key, MERCHANT_NO, SITE) for r in self.readers)
        store.issue_cards((card.card_no, OPENING_FEN) for card in self.cards)
        store.close()

    def judge(self, place: str) -> None:
        """NotBooked unless every card's balance is right, and all that must always hold does."""
        store = LedgerStore.open(place)
        try:
            summary, violations = store.summary(), check(store)
            found = summary["records"], summary["booked"], summary["suspense"], violations
            if found != (self.records, self.spends, 0, []):
                raise NotBooked(f"{self.records} records, {self.spends} spends: {found}")
            balances = store.balances()
        finally:
            store.close()
        wrong = [c.card_no for c in self.cards if balances["holder", c.card_no] != c.balance_fen]
        if wrong:
            raise NotBooked(f"the balance of {len(wrong)} cards is wrong, card {wrong[0]} first")


def _deliveries(queue: list[bytes]) -> list[list[bytes]]:
    size = messages.FORWARD_RECORDS_MAX
    return [queue[at : at + size] for at in range(0, len(queue), size)]


@dataclass(frozen=True, slots=True)
class Cost:
    """How many in a second, and CPU us for each: of clients, their own children, the server."""

    rate: float
    client_us: float
    reading_us: float = 0.0
    server_us: float = 0.0

    @property
    def us(self) -> float:
        return self.client_us + self.reading_us + self.server_us

    @classmethod
    def middle(cls, costs: Sequence["Cost"]) -> "Cost":
        """Of each figure the middle one."""
        columns = zip(*map(astuple, costs), strict=True)
        return cls(*map(statistics.median, columns))


def book(place: str, deliveries: list[list[bytes]]) -> None:
    """Book as the service does that finds more waiting than it takes at once."""
    store, portions, at = LedgerStore.open(place), Portions(), 0
    while at < len(deliveries):
        waiting = deliveries[at : at + 2 * DELIVERIES_MAX]
        portion, ahead = portions.split(waiting, _now_ms())
        _book(store, portion, ahead)
        portions.ended(_now_ms())
        at += len(portion)
    store.close()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def _book(store: LedgerStore, portion: Sequence[Delivery], ahead: Sequence[Delivery]) -> None:
    """As the service does: who waits too long for the writers before it comes again."""
    for _ in range(_TRIES_MAX - 1):
        with contextlib.suppress(StoreUnavailable):
            store.book(portion, ahead)
            return
    store.book(portion, ahead)


def measure(place: str, work: Work, server: Server | None = None) -> Cost:
    """Of a record, from the first delivery to the last commit; `server`: where `place` is."""
    work.register(place)
    # fork: the records are there already and need not be sent.
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()
    workers = [context.Process(target=_worker, args=(place, part, told)) for part in work.portions]
    start_s, start_server_s = time.monotonic(), _cpu_of_server_s(server)
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took_s, server_s = time.monotonic() - start_s, _cpu_of_server_s(server) - start_server_s
    if any(worker.exitcode for worker in workers):
        raise NotBooked("a ledger has ended before its records did")
    spent_s = [told.get() for _ in workers]
    work.judge(place)
    each_us = 1e6 / work.records
    own_us, reading_us = (sum(column) * each_us for column in zip(*spent_s, strict=True))
    return Cost(work.records / took_s, own_us, reading_us, server_s * each_us)


def _worker(place: str, deliveries: list[list[bytes]], told: Any) -> None:
    child.end_with(os.getppid())
    start_s = time.process_time()
    book(place, deliveries)
    told.put((time.process_time() - start_s, _cpu_of_children_s()))


def _cpu_of_children_s() -> float:
    """Of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of_server_s(server: Server | None) -> float:
    """Of all of its processes, those that have ended too; it writes and vacuums for all."""
    if server is None:
        return 0.0
    ticks = 0
    # The server last: what has ended since we asked which there are is in its own figure by then.
    for pid in reversed(server.processes()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
            # Behind the name: the state is field 3, and these are 14 to 17 of proc(5).
            ticks += sum(map(int, text.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def pgbench(server: Server, seconds: int) -> Cost:
    """Of a transaction of TPC-B, with PGBENCH_CLIENTS clients."""
    server.run("CREATE DATABASE tpcb")
    there = ("-h", str(server.folder), "-U", "postgres")
    server.call("pgbench", *there, "-i", "-q", "-s", str(PGBENCH_SCALE), "tpcb")
    load = ("-c", str(PGBENCH_CLIENTS), "-j", "2", "-T", str(seconds))
    start_s, start_server_s = _cpu_of_children_s(), _cpu_of_server_s(server)
    said = server.call("pgbench", *there, *load, "tpcb")
    clients_s, server_s = _cpu_of_children_s() - start_s, _cpu_of_server_s(server) - start_server_s
    server.run("DROP DATABASE tpcb")
    tps = re.search(r"^tps = ([0-9.]+)", said, re.MULTILINE)
    done = re.search(r"actually processed: ([0-9]+)", said)
    if tps is None or done is None:
        raise NotBooked(f"pgbench says: {said}")
    each_us = 1e6 / int(done[1])
    return Cost(float(tps[1]), clients_s * each_us, 0.0, server_s * each_us)


@contextlib.contextmanager
def database_server(folder: str) -> Iterator[Server | None]:
    """A server in a folder that user postgres may see; None where none is installed."""
    found = programs()
    if found is None:
        print("postgresql is not installed: no rows for it", file=sys.stderr)
        yield None
        return
    Path(folder).chmod(0o711)
    server = Server(found, folder, _SETTINGS)
    try:
        yield server
    finally:
        server.close()


def rows(spends: int = SPENDS, seconds: int = PGBENCH_S) -> Iterator[dict[str, object]]:
    """Each database and number of workers beside pgbench; ratio is ours in multiples of it."""
    print(f"ledger_rate: {_machine()}", file=sys.stderr)
    works = {workers: Work.drawn(SEED, spends, workers) for workers in WORKERS}
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        database_server(folder) as server,
    ):
        tpcb: list[Cost] = []
        figures: dict[str, list[Cost]] = defaultdict(list)
        for number in range(ROUNDS):
            # In turn, so that what else the machine does meets them all.
            path = str(Path(folder) / f"ledger-{number}.sqlite")
            figures["SQLite, 1 ledger"].append(measure(path, works[1]))
            if server is None:
                continue
            tpcb.append(pgbench(server, seconds))
            for workers, work in works.items():
                figures[f"PostgreSQL, {workers} ledger(s)"].append(
                    _on(server, f"books_{workers}_{number}", work)
                )
        for name, found in figures.items():
            yield from _rows(name, Cost.middle(found), Cost.middle(tpcb) if tpcb else None)


def _on(server: Server, name: str, work: Work) -> Cost:
    server.run(f"CREATE DATABASE {name}")
    cost = measure(server.url(name), work, server)
    server.run(f"DROP DATABASE {name}")
    return cost


def _rows(name: str, cost: Cost, tpcb: Cost | None) -> Iterator[dict[str, object]]:
    """The rate, and the processor time of one: of that, less is better."""
    parts = f"{cost.client_us:.1f} ledger, {cost.reading_us:.1f} reading ahead"
    if cost.server_us:
        parts += f", {cost.server_us:.1f} server"
    against = f"pgbench TPC-B, {PGBENCH_CLIENTS} clients, same server"
    yield {
        "name": f"records booked, seals verified: {name}",
        "ours": round(cost.rate),
        "other": None if tpcb is None else round(tpcb.rate),
        "against": against,
        "unit": "per second",
    }
    yield {
        "name": f"CPU of a record: {name} ({parts})",
        "ours": round(cost.us, 1),
        "other": None if tpcb is None else round(tpcb.us, 1),
        "against": f"a transaction of {against}",
        "unit": "us",
    }


def _machine() -> str:
    """What the figures hang on."""
    cores = f"{multiprocessing.cpu_count()} cores at a load of {os.getloadavg()[0]:.0f}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{cores}, {platform.platform()}, {python}, SQLite {sqlite3.sqlite_version}"


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else SPENDS):
        print(f"{row['name']}: {row['ours']:,}; {row['against']}: {row['other']}", row["unit"])
