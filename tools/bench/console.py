"""How long each page of the console takes, on large books and on small ones.

Both are books of console_campus.py: with `cards` cards and `records` records, and with a
twentieth of the cards and a fiftieth of the records, and as many readers and doors. Each page is
asked over HTTP by somebody who has logged in (console_visits.py). `ours` is the middle time on
the large books, `other` on the small ones: the ratio says what growing costs, and should be flat
but for pages about a day, a week or a period, whose days have more people in them. In the name
stand the time of 95 in 100, what of it was CPU of the console, and how large the answer was.

`onecard bench console --cards 100000 --records 10000000` makes the books, which takes long;
`--database` takes those that are there already, a file or postgresql://, as large ones.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ledger.dialect import POSTGRESQL
from ledger.store import LedgerStore
from tools.bench.console_campus import Campus
from tools.bench.console_visits import Console, Timed, visits
from tools.bench.ledger_rate import database_server

CARDS, RECORDS = 5_000, 200_000
FEWER_CARDS, FEWER_RECORDS = 20, 50
CARDS_MIN, RECORDS_MIN = 100, 2_000  # of the small books


def rows(
    cards: int = CARDS, records: int = RECORDS, database: str = ""
) -> Iterator[dict[str, object]]:
    """For each database and page: the middle time, beside that on small books."""
    small = max(cards // FEWER_CARDS, CARDS_MIN), max(records // FEWER_RECORDS, RECORDS_MIN)
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        database_server(folder) as server,
    ):
        here = Path(folder)
        if not database.startswith(POSTGRESQL):
            large_file, small_file = database or str(here / "large.sqlite"), here / "small.sqlite"
            if not database:
                make(large_file, cards, records)
            make(str(small_file), *small)
            yield from _rows("SQLite", here, large_file, str(small_file), (cards, records), small)
        if server is not None and (not database or database.startswith(POSTGRESQL)):
            server.run("CREATE DATABASE small")
            server.run("CREATE DATABASE large")
            if not database:
                make(server.url("large"), cards, records)
            make(server.url("small"), *small)
            places = database or server.url("large"), server.url("small")
            yield from _rows("PostgreSQL", here, *places, (cards, records), small)


def make(place: str, cards: int, records: int) -> None:
    """Books at `place`, which has none, whose last day is yesterday."""
    store = LedgerStore.open(place)

    def say(text: str) -> None:
        print(f"console: {place}: {text}", file=sys.stderr)

    try:
        _hurry(store, place)
        Campus(store, cards, records, int(time.time()), say).fill()
        if place.startswith(POSTGRESQL):
            # As its own daemon would have by then: without it a new database knows no table.
            store.database.rows("ANALYZE")
    finally:
        store.close()


def _hurry(store: LedgerStore, place: str) -> None:
    """These books are made anew if the power goes: nothing waits for the disk."""
    is_server = place.startswith(POSTGRESQL)
    quick = "SET synchronous_commit = off" if is_server else "PRAGMA synchronous = OFF"
    store.database.rows(quick)


def measured(folder: Path, place: str) -> list[Timed]:
    """Every page on the books at `place`, by a console of its own."""
    store = LedgerStore.open(place)
    try:
        todo = list(visits(store))
    finally:
        store.close()
    console = Console(folder, place)
    try:
        for login in sorted({one.login for one in todo}):
            console.log_in(login)
        return [console.timed(one) for one in todo]
    finally:
        console.close()


def _rows(
    name: str,
    folder: Path,
    large: str,
    small: str,
    size: tuple[int, int],
    small_size: tuple[int, int],
) -> Iterator[dict[str, object]]:
    before = {one.visit.name: one for one in measured(folder, small)}
    against = f"{small_size[0]:,} cards, {small_size[1]:,} records"
    for one in measured(folder, large):
        known = before[one.visit.name]
        about = f"95 %: {one.late_ms:.1f} ms, CPU here {one.cpu_ms:.1f} ms, {one.size:,} bytes"
        yield {
            "name": f"{name}, {size[0]:,} cards, {size[1]:,} records: {one.visit.name} ({about})",
            "ours": round(one.median_ms, 1),
            "other": round(known.median_ms, 1),
            "against": against,
            "unit": "ms",
        }
