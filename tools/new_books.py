"""New books for a simulated campus: where somebody wants them, or a file that goes away again."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.store import LedgerStore


class NotEmpty(Exception):
    """The books are somebody's: a campus begins with empty ones."""


@contextmanager
def new_books(place: str | None) -> Iterator[LedgerStore]:
    """The books at `place`, a file or postgresql://...; None: a file that goes away again.

    Raises NotEmpty, and what LedgerStore.open raises.
    """
    if place is None:
        with (
            tempfile.TemporaryDirectory(prefix="onecard-campus-") as folder,
            new_books(str(Path(folder) / "ledger.sqlite")) as store,
        ):
            yield store
        return
    store = LedgerStore.open(place)
    try:
        if store.heads():
            raise NotEmpty(f"{place}: there are readers in these books already")
        yield store
    finally:
        store.close()
