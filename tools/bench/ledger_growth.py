"""What booking and asking cost as the tables grow: at 10,000 records, 100,000 and so on.

One database of each kind is filled, in the portions of the ledger's service, with genuine records
of cards that wander between readers and now and then are topped up. The records are made between
the measurements. At each size: the time of booking 1,000 records, taken over the last of those
before it, and what of it was CPU of this process (on SQLite what counts where the machine is
busy); three questions, the middle time of some; holding all of the books against every rule, by
1,000 records; and the room on the disk. `other` is the same at the first size.
`onecard bench ledger_growth --records 1000000`.
"""

import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ledger.invariants import check
from ledger.portions import DELIVERIES_MAX
from ledger.store import LedgerStore
from ledger.takings import taken
from protocols.wire import messages
from simulator.chains import Card, Reader
from tools.bench.ledger_rate import NotBooked, database_server

SEED = 1
RECORDS, FIRST_SIZE = 100_000, 10_000
READERS, CARDS = 200, 30_000
TAPS_A_DAY = 60_000
TAPS_A_LOAD, LOAD_FEN = 200, 10_000
OPENING_FEN = 100_000_000
ASKED = 15
_FIRST_DEVICE, _FIRST_CARD, _FIRST_MERCHANT, _MERCHANTS = 1001, 20_001, 71, 25
_DAY_S, _START_S = 86_400, 1_788_192_000
_PORTION = DELIVERIES_MAX * messages.FORWARD_RECORDS_MAX
_MEASURED = 12 * _PORTION  # so many records before each size, or half of what there is
# As a console asks: the newest of a card's records.
_STATEMENT = """
SELECT counter, merchant_no, amount_fen, state, earliest_s FROM intent
WHERE card_no = ? ORDER BY counter DESC LIMIT 50"""


@dataclass(slots=True)
class Growth:
    """A campus that goes on making records, and the time that booking them took."""

    store: LedgerStore
    rng: random.Random = field(default_factory=lambda: random.Random(SEED))
    records: int = 0
    loads: int = 0
    booked_s: float = 0.0
    booked_cpu_s: float = 0.0
    booked: int = 0
    readers: list[Reader] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)

    def register(self) -> None:
        for merchant_no in range(_FIRST_MERCHANT, _FIRST_MERCHANT + _MERCHANTS):
            self.store.register_merchant(merchant_no)
        self.readers = [
            Reader(_FIRST_DEVICE + i, _FIRST_MERCHANT + i % _MERCHANTS) for i in range(READERS)
        ]
        self.store.register_devices(
            (r.device, r.key, r.merchant_no, "bench") for r in self.readers
        )
        self.cards = [Card(_FIRST_CARD + i, OPENING_FEN) for i in range(CARDS)]
        self.store.issue_cards((card.card_no, OPENING_FEN) for card in self.cards)

    def grow(self, size: int) -> tuple[float, float]:
        """Until there are `size` records; seconds for 1,000 of the last ones, and of CPU."""
        measured = min(_MEASURED, size // 2)
        while self.records < size:
            portion = self._portion(min(_PORTION, size - self.records))
            start_s, start_cpu_s = time.monotonic(), time.process_time()
            self.store.book([portion])
            took_s, cpu_s = time.monotonic() - start_s, time.process_time() - start_cpu_s
            self.records += len(portion)
            if size - self.records < measured:
                self.booked_s += took_s
                self.booked_cpu_s += cpu_s
                self.booked += len(portion)
        each_s = self.booked_s / self.booked * 1000, self.booked_cpu_s / self.booked * 1000
        self.booked_s, self.booked_cpu_s, self.booked = 0.0, 0.0, 0
        return each_s

    def _portion(self, records: int) -> list[bytes]:
        made: list[bytes] = []
        while len(made) < records:
            day, of_day = divmod((self.records + len(made)) // 2, TAPS_A_DAY)
            time_s = _START_S + day * _DAY_S + of_day * _DAY_S // TAPS_A_DAY
            reader, card = self.rng.choice(self.readers), self.rng.choice(self.cards)
            if self.rng.randrange(TAPS_A_LOAD):
                made += reader.spend(card, self.rng.randrange(100, 2_000), time_s)
            else:
                made += self._load(reader, card, time_s)
        return made

    def _load(self, reader: Reader, card: Card, time_s: int) -> list[bytes]:
        self.loads += 1
        number = self.store.top_ups.top_up(card.card_no, LOAD_FEN, f"bench-{self.loads}")
        self.store.top_ups.note_try(number, card.counter, reader.device)
        return reader.load(card, number, LOAD_FEN, time_s)

    def check_s(self) -> float:
        """Seconds for 1,000 records. NotBooked if a rule is broken."""
        start_s = time.monotonic()
        broken = check(self.store)
        if broken:
            raise NotBooked(str(broken[0]))
        return (time.monotonic() - start_s) / self.records * 1000

    def answers_s(self) -> Iterator[tuple[str, float]]:
        """The name of each question and the middle time of its answer."""
        days = max(self.records // 2 // TAPS_A_DAY, 1)
        cards = [self.rng.choice(self.cards).card_no for _ in range(ASKED)]
        day_s = _START_S + self.rng.randrange(days) * _DAY_S
        yield "balance of a holder", self._middle_s(self.store.holder_balance, cards)
        database = self.store.database
        yield (
            "the newest 50 spends of a holder",
            self._middle_s(lambda card_no: list(database.rows(_STATEMENT, (card_no,))), cards),
        )
        yield (
            "what each merchant took in a day",
            self._middle_s(lambda at_s: taken(database, at_s, at_s + _DAY_S), [day_s] * 3),
        )

    def _middle_s(self, ask: Callable[[int], object], about: Sequence[int]) -> float:
        times = []
        for one in about:
            start_s = time.monotonic()
            ask(one)
            times.append(time.monotonic() - start_s)
        return statistics.median(times)

    def judge(self) -> None:
        """NotBooked unless all of it is in the books and each card has what it should have."""
        summary, balances = self.store.summary(), self.store.balances()
        wrong = [c.card_no for c in self.cards if balances["holder", c.card_no] != c.balance_fen]
        found = summary["records"], summary["booked"], summary["suspense"], wrong
        if found != (self.records, self.records // 2 - self.loads, 0, []):
            raise NotBooked(f"{self.records} records: {found}")


def rows(records: int = RECORDS) -> Iterator[dict[str, object]]:
    """For each database and size: booking, questions, room; beside the first size."""
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        database_server(folder) as server,
    ):
        path = Path(folder) / "ledger.sqlite"
        yield from _of("SQLite", str(path), records, lambda: _bytes_of(path))
        path.unlink()
        if server is not None:
            server.run("CREATE DATABASE books")
            yield from _of(
                "PostgreSQL", server.url("books"), records, lambda: server.bytes_of("books")
            )


def _of(
    name: str, place: str, records: int, bytes_of: Callable[[], int]
) -> Iterator[dict[str, object]]:
    store = LedgerStore.open(place)
    try:
        growth = Growth(store)
        growth.register()
        empty_bytes = bytes_of()
        first: dict[str, float] = {}
        size = FIRST_SIZE
        while size <= records:
            each_s, cpu_s = growth.grow(size)
            figures = [("booking 1,000 records", "ms", each_s * 1000)]
            figures.append(("booking 1,000 records, CPU here", "ms", cpu_s * 1000))
            figures += [(what, "ms", took_s * 1000) for what, took_s in growth.answers_s()]
            what = "holding them against every rule, 1,000 records"
            figures.append((what, "ms", growth.check_s() * 1000))
            figures.append(("room", "bytes per record", (bytes_of() - empty_bytes) / size))
            for what, unit, ours in figures:
                yield {
                    "name": f"{name}, {size:,} records: {what}",
                    "ours": ours,
                    "other": first.setdefault(what, ours),
                    "against": f"at {FIRST_SIZE:,} records",
                    "unit": unit,
                }
            size *= 10
        growth.judge()
    finally:
        store.close()


def _bytes_of(path: Path) -> int:
    """The file, with all of its write-ahead log in it."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size
