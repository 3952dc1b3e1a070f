"""How long others wait while a period is closed, and what it takes to check all of the books.

The books of tools/bench/ledger_growth, on both databases. A period with nearly all of their sales
is closed and approved: `ours` is how long the turn to write was held meanwhile, `other` how long
it took as a whole. Then every rule of ledger/invariants.py is looked at, beside booking it all.
`onecard bench ledger_period --records 1000000`.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ledger.invariants import check
from ledger.periods import STEPS
from ledger.store import LedgerStore
from tools.bench.ledger_growth import RECORDS, Growth
from tools.bench.ledger_rate import NotBooked, database_server

_LATER_S = 86_400
# Up to here every reader has been heard: its newest record is of then or later.
_HEARD = """
SELECT MIN(newest_s) FROM (SELECT MAX(earliest_s) AS newest_s FROM intent GROUP BY device) r"""
_NEWEST = "SELECT MAX(latest_s) FROM intent"


class _Turns:
    """Counts how long transactions of `database` keep everybody else from writing."""

    def __init__(self, begin: Callable[[], AbstractContextManager[None]]) -> None:
        self._begin = begin
        self.held_s = 0.0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        begun_s = 0.0
        try:
            with self._begin():
                begun_s = time.monotonic()
                yield
        finally:
            self.held_s += time.monotonic() - begun_s if begun_s else 0.0


def rows(records: int = RECORDS) -> Iterator[dict[str, object]]:
    """For each database: closing, approving, checking."""
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        database_server(folder) as server,
    ):
        yield from measure("SQLite", str(Path(folder) / "ledger.sqlite"), records)
        if server is not None:
            server.run("CREATE DATABASE books")
            yield from measure("PostgreSQL", server.url("books"), records)


def measure(name: str, place: str, records: int) -> Iterator[dict[str, object]]:
    """NotBooked unless the books are right, before and behind."""
    store = LedgerStore.open(place)
    try:
        growth = Growth(store)
        growth.register()
        begun_s = time.monotonic()
        growth.grow(records)
        booked_s = time.monotonic() - begun_s
        growth.judge()
        title = f"{name}, {records:,} records"
        yield from _settled(store, title)
        begun_s = time.monotonic()
        if check(store):
            raise NotBooked(f"{title}: {check(store)}")
        took_s = time.monotonic() - begun_s
        yield _row(f"{title}: check every rule", took_s, booked_s, "making and booking them")
    finally:
        store.close()


def _settled(store: LedgerStore, title: str) -> Iterator[dict[str, object]]:
    ((until_s,),) = store.database.rows(_HEARD)
    ((newest_s,),) = store.database.rows(_NEWEST)
    turns = _Turns(store.database.transaction)
    store.database.transaction = turns.transaction  # type: ignore[method-assign]
    begun_s = time.monotonic()
    period = store.periods.close("bench", until_s, "closer", newest_s + _LATER_S)
    took_s, lines = time.monotonic() - begun_s, sum(due.count for due in store.periods.due(1))
    yield _row(f"{title}: others wait, closing {lines:,} lines", turns.held_s, took_s, "closing")
    turns.held_s, begun_s = 0.0, time.monotonic()
    for step in STEPS:
        store.periods.approve(1, step, period.sha256.hex(), f"of-{step}", newest_s + _LATER_S)
    took_s = time.monotonic() - begun_s
    yield _row(f"{title}: others wait, approving it", turns.held_s, took_s, "four approvals")


def _row(name: str, ours_s: float, other_s: float, against: str) -> dict[str, object]:
    return {
        "name": name,
        "ours": ours_s * 1000,
        "other": other_s * 1000,
        "against": against,
        "unit": "ms",
    }
