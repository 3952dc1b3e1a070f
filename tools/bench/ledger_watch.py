"""What the standing detector costs beside booking, and whether long histories make it dearer.

The taps of tools/bench/ledger_splits, booked as they come; after each delivery the detector looks
at what is new. As a program: `python -m tools.bench.ledger_watch [PURCHASES]` with so many honest
purchases per merchant.
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ledger.store import LedgerStore
from ledger.watch import Watch
from tools.bench.ledger_splits import CHEATS, HONEST, SEED, Market


@dataclass(slots=True)
class _Watched:
    """Books that are looked at after each delivery, and the CPU of both."""

    store: LedgerStore
    watch: Watch
    book_s: float = 0.0
    look_s: list[float] = field(default_factory=list)  # of each delivery
    records: list[int] = field(default_factory=list)

    def book(self, deliveries: Sequence[Sequence[bytes]]) -> None:
        """As LedgerStore.book."""
        start_s = time.process_time()
        self.store.book(deliveries)
        booked_s = time.process_time()
        before = self.watch.counters["records"]
        while self.watch.look():
            pass
        self.book_s += booked_s - start_s
        self.look_s.append(time.process_time() - booked_s)
        self.records.append(self.watch.counters["records"] - before)


def measure(seed: int, honest: int, cheats: int) -> _Watched:
    """Book a market and look at all of it on the way; ValueError if anything is found or left."""
    market = Market.drawn(seed, honest, cheats)
    with tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder:
        store = LedgerStore.open(str(Path(folder) / "ledger.sqlite"))
        try:
            watched = _Watched(store, Watch(store, lambda: 0, {}))
            market.book(store, watched.book)
            counters = watched.watch.counters
            if counters["findings"] or counters["records"] != 2 * len(market.taps):
                raise ValueError(f"{counters} of {len(market.taps)} honest taps")
        finally:
            store.close()
    return watched


def rows(
    seed: int = SEED, honest: int = HONEST, cheats: int = CHEATS
) -> Iterator[dict[str, object]]:
    """CPU per record beside booking's, and of the last quarter beside that of the first."""
    watched = measure(seed, honest, cheats)
    total, quarter = sum(watched.records), max(1, len(watched.records) // 4)
    yield {
        "name": f"detector, {total} records",
        "ours": sum(watched.look_s) * 1e6 / total,
        "other": watched.book_s * 1e6 / total,
        "against": "booking them",
        "unit": "us of CPU per record",
    }
    yield {
        "name": "detector, the last quarter of them",
        "ours": sum(watched.look_s[-quarter:]) * 1e6 / sum(watched.records[-quarter:]),
        "other": sum(watched.look_s[:quarter]) * 1e6 / sum(watched.records[:quarter]),
        "against": "the first quarter, where cards have no history",
        "unit": "us of CPU per record",
    }


if __name__ == "__main__":
    purchases = int(sys.argv[1]) if len(sys.argv) > 1 else HONEST
    for row in rows(SEED, purchases, purchases // 20):
        print(f"{row['name']}: {row['ours']:.1f}, {row['against']}: {row['other']:.1f}", end=" ")
        print(row["unit"])
