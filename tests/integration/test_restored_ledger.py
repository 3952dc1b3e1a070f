"""The ledger comes back from yesterday's backup: the agent has what it lost, real books say so."""

import sqlite3

import pytest

from ledger.invariants import check
from tests.integration.test_key_rotation import DRAIN_S, Canteen

DAY_MS = 86_400_000


@pytest.fixture
def canteen(tmp_path):
    canteen = Canteen(tmp_path)
    canteen.campus.agent.kill()
    canteen.campus.agent.keep_ms = DAY_MS
    canteen.campus.agent.start()
    canteen.wait(20)
    yield canteen
    canteen.campus.close()


def _backed_up(path, copy):
    with sqlite3.connect(path) as database:
        database.execute("VACUUM INTO ?", (str(copy),))


def _restore(canteen, copy):
    ledger = canteen.campus.ledger
    ledger.kill()
    ledger.path = canteen.campus.watch.ledger = copy
    ledger.start()


@pytest.mark.parametrize("is_agent_new", [False, True])
def test_what_was_booked_after_the_backup_is_booked_again(canteen, tmp_path, is_agent_new):
    canteen.eat(2)
    canteen.wait(DRAIN_S)
    _backed_up(canteen.campus.ledger.path, tmp_path / "backup.sqlite")
    canteen.eat(3)
    canteen.wait(DRAIN_S)
    head = canteen.booked()
    assert canteen.receipted() == head  # the reader has freed all of it
    _restore(canteen, tmp_path / "backup.sqlite")
    assert canteen.booked() < head
    if is_agent_new:
        canteen.campus.agent.kill()
        canteen.campus.agent.start()  # the same disk: it still has what is booked
    canteen.eat(1)
    canteen.wait(DRAIN_S)
    assert canteen.campus.agent.service.counters["unbooked"] >= 1
    books = canteen.campus.ledger.store
    assert canteen.receipted() == canteen.head() == canteen.booked()
    assert len(list(books.booked_ids())) == 6
    assert list(books.cases()) == []
    assert check(books) == []
    assert canteen.campus.watch.violations == []
