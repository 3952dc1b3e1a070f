"""The records alone make the same books again; where the books were changed, that row is named."""

from contextlib import closing

import pytest

from ledger.replay import replay
from ledger.store import LedgerStore, RegistryError
from protocols.wire.messages import UNKNOWN
from tests.ledger.readers import Reader, lost, open_ledger
from tests.ledger.tampering import tamper
from tests.ledger.test_carry_over_any_order import Life
from tests.ledger.test_constraints import filled
from tests.tools.test_ledger_quiescence import books as ledger_folder
from tests.tools.test_ledger_quiescence import onecard

__all__ = ["ledger_folder"]


def again(store, seed=1):
    with closing(LedgerStore.open(":memory:")) as empty:
        return list(replay(store.database, empty, seed))


@pytest.mark.parametrize("seed", range(2))
def test_books_with_something_of_everything(seed):
    assert again(filled(), seed) == []


def test_twins_lost_records_and_new_keys():
    reader, other = Reader(1001), Reader(1002)
    reader.spend()
    twin = reader.fork()
    reader.rotate()
    reader.intent(counter=2, last=(1001, 1))
    reader.outcome((1001, 3), UNKNOWN)
    reader.boot()
    twin.spend(counter=2, last=(1001, 1))
    other.spend(card_no=99)
    other.boot()
    other.boot()
    store = open_ledger(reader, other)
    store.book([reader.records, twin.records])
    gone = lost(other.key, 1002, 3, other.records[3])
    store.book([[*other.records[:2], gone, other.records[3]]])
    store.book([other.records[2:3]])
    assert store.summary()["suspense"] >= 4
    for seed in range(3):
        assert again(store, seed) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_life_with_losses_loads_and_carry_overs(seed):
    print("seed", seed)
    life = Life(seed)
    for _ in range(60):
        life.go_on()
    assert again(life.store, seed) == []


CHANGED = {
    "record": "UPDATE record SET key_no = 1 WHERE device = 1001 AND seq = 1",
    "intent": "UPDATE intent SET state = 2 WHERE device = 1001 AND seq = 1",
    "transfer": "UPDATE transfer SET amount_fen = 1 WHERE device = 1001 AND seq = 1 AND kind = 1",
    "transfer's accounts": "UPDATE transfer SET debit_account = 4294967304"
    " WHERE device = 1001 AND seq = 1 AND kind = 1",
    "punch": "DELETE FROM punch",
    "cancel": "DELETE FROM cancel",
    "tamper": "UPDATE tamper SET state = 3",
    "aggregate_sale": "UPDATE aggregate_sale SET amount_fen = 7",
    "device": "UPDATE device SET is_forked = 1 WHERE device = 1004",
    "suspense_case": "DELETE FROM suspense_case WHERE reason = 381",
}


@pytest.mark.parametrize("table", CHANGED)
def test_a_change_in_the_books_is_named(table):
    store = filled()
    tamper(store, [CHANGED[table]])
    assert table in {one.table for one in again(store)}


def test_it_takes_empty_books():
    store = filled()
    with closing(LedgerStore.open(":memory:")) as other:
        other.register_merchant(12, "Somebody else")
        with pytest.raises(RegistryError):
            list(replay(store.database, other, 1))


def test_the_command(ledger_folder):
    code, said = onecard("replay", ledger_folder)
    assert code == 0 and "3 records booked anew, seed 1: the same books" in said, said
