"""Reissue, claim and late records, stopped at any statement and done again from the start."""

import os
import signal
import subprocess
import sys

from adapters.sqlite import open_database
from ledger.dialect import SqliteDialect
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from tests.ledger.crashes import stop_anywhere
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader
from tests.ledger.replaced import (
    AFTER,
    BEFORE,
    DUE_S,
    HOUR_S,
    LOST_S,
    NEW_CARD,
    held,
    lose,
    replace,
    replaced,
)


def a_reader():
    """Late, of the old card: after the report, a cancelled sale, before it, and a load."""
    reader = Reader(1001)
    reader.spend(amount_fen=100, **AFTER)
    sale = reader.spend(amount_fen=200, counter=2, **BEFORE)
    reader.cancel(sale, amount_fen=200)
    reader.spend(amount_fen=300, counter=4, **BEFORE)
    reader.outcome(reader.credit(counter=7, number=1, amount_fen=500, last=(1, 1)))
    return reader


def prepare(store, reader):
    store.register_merchant(CANTEEN)
    store.register_device(reader.device, reader.key, CANTEEN)
    store.issue_cards([(CARD, OPENING_FEN), (NEW_CARD, 0)])
    for order in (1, 2):
        store.top_ups.top_up(CARD, 500, f"order-{order}")
    store.top_ups.note_try(1, 7, 1001)


def live(store, reader):
    """Everything that becomes of the card, step by step; each may have been done before."""
    if store.reissues.successor(CARD) is None:
        lose(store)
    store.book([reader.records[:2]])
    replace(store)
    store.carry_overs.claim(NEW_CARD, LOST_S + HOUR_S)
    store.carry_overs.sweep(DUE_S)
    for count in (4, 5, len(reader.records)):
        store.book([reader.records[:count]])
        store.carry_overs.claim(NEW_CARD, DUE_S)


def test_stopped_at_any_statement_then_run_again():
    reader = a_reader()
    store = LedgerStore(SqliteDialect(open_database(":memory:", MIGRATIONS)))
    prepare(store, reader)
    stop_anywhere(store, lambda books: live(books, reader), least=150, check_each=1)
    assert held(store) == (0, 0, OPENING_FEN + 2 * 500, -100, -300)


_KILLED_AS_IT_GOES_ON = """
import os, signal, sys
from ledger import carry_over
from ledger.store import LedgerStore
from tests.ledger.replaced import DUE_S, NEW_CARD

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "inside":
    carry_over.post_authorized = killed
store = LedgerStore.open(sys.argv[1])
store.carry_overs.claim(NEW_CARD, DUE_S)
killed()
"""


def test_killed_in_the_middle_and_behind_it(tmp_path, repo_root):
    path = str(tmp_path / "ledger.sqlite")
    replaced(path=path).close()
    for where, waits_fen in (("inside", 0), ("behind", OPENING_FEN), ("behind", OPENING_FEN)):
        child = subprocess.run(
            [sys.executable, "-c", _KILLED_AS_IT_GOES_ON, path, where],
            env=os.environ | {"PYTHONPATH": str(repo_root)},
            timeout=60,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
        store = LedgerStore.open(path)
        assert held(store) == (OPENING_FEN - waits_fen, 0, waits_fen, 0, 0), where
        store.close()
