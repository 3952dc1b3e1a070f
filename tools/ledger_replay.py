"""`onecard ledger replay`: book every sealed record anew, and compare. For reading only."""

import tempfile
from contextlib import closing
from pathlib import Path

from ledger.replay import Difference, replay
from ledger.store import LedgerStore
from tools.ledger_forks import opened

_TOLD_MAX = 20


def run(path: Path, seed: int) -> tuple[list[Difference], int]:
    """What differs, and how many records were booked anew. NotBooks, StoreUnavailable."""
    with (
        opened(path) as store,
        tempfile.TemporaryDirectory() as folder,
        closing(LedgerStore.open(str(Path(folder) / "replay.sqlite"))) as empty,
    ):
        found = list(replay(store.database, empty, seed))
        return found, empty.summary()["records"]


def to_text(found: list[Difference], records: int, seed: int) -> str:
    """The first differences, a line each."""
    lines = [
        f"{'only replayed' if one.is_replayed else 'only in books'}: {one.table} {_row(one)}"
        for one in found[:_TOLD_MAX]
    ]
    what = f"{len(found)} rows differ" if found else "the same books"
    return "\n".join([*lines, f"{records} records booked anew, seed {seed}: {what}"])


def _row(one: Difference) -> str:
    return " ".join(
        value.hex()[:16] if isinstance(value, bytes) else str(value) for value in one.row
    )
