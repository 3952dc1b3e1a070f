"""A reader gets another key while its records are on their way: all are booked, and none twice."""

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sqlite import open_database
from ledger import reasons
from ledger.dialect import SqliteDialect
from ledger.invariants import check
from ledger.receipts import Signer
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore, RegistryError
from protocols.wire import messages, seal
from protocols.wire.errors import BAD_SEAL, WireError
from tests.ledger.readers import CANTEEN, Reader, open_ledger


def thief_of(reader, key):
    """Whoever stole `key` and goes on from where the reader is."""
    thief = reader.fork()
    thief.key = key
    return thief


# --- what must be refused -------------------------------------------------------------------


@pytest.mark.parametrize("first", ["thief", "reader"])
def test_a_stolen_key_is_worthless_once_a_record_under_the_next_is_booked(first):
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    stolen = reader.key
    store.rotate_device_key(1001, reader.rotate())
    reader.boot()
    store.book([reader.records])
    thief = thief_of(reader, stolen)
    thief.spend(counter=2, amount_fen=9_000)
    reader.spend(counter=2, last=(1001, 1))
    news = [thief.records[3:], reader.records[3:]]
    answers = store.book(news if first == "thief" else news[::-1])
    assert (1001, 4, BAD_SEAL) in answers[0].refused + answers[1].refused
    assert store.takings(CANTEEN) == 200
    assert store.summary()["parked"] == 0
    assert check(store) == []


def test_a_stolen_key_cannot_fill_a_gap_either():
    reader = Reader(1001)
    stolen = reader.key
    reader.rotate()
    store = open_ledger(reader)
    reader.boot()
    thief = thief_of(reader, stolen)
    thief.spend(amount_fen=9_000)
    store.book([thief.records[1:]])  # ahead of the reader: they wait
    assert store.summary()["parked"] == 2
    store.book([reader.records])
    assert store.summary() | {"parked": 1, "rejected": 1, "booked": 0} == store.summary()
    reader.spend()
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == 3
    assert store.summary() | {"parked": 0, "rejected": 2} == store.summary()
    assert store.takings(CANTEEN) == 100
    assert check(store) == []


def test_a_stolen_key_on_old_numbers_is_evidence_and_never_money():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.boot()
    thief = thief_of(reader, reader.key)
    store.rotate_device_key(1001, reader.rotate())
    reader.boot()
    store.book([reader.records])
    thief.spend(amount_fen=9_000)
    (answer,) = store.book([thief.records])
    assert answer.refused == [(1001, 2, reasons.FORK), (1001, 3, reasons.FORK)]
    reader.boot()
    (answer,) = store.book([reader.records])
    assert (answer.heads[0].seq, answer.refused) == (3, [])
    assert store.takings(CANTEEN) == 0
    assert check(store) == []


def test_no_key_comes_back():
    reader = Reader(1001)
    store = open_ledger(reader)
    old = reader.key
    store.rotate_device_key(1001, reader.rotate())
    reader.boot()
    store.book([reader.records])
    before = store.dump()
    with pytest.raises(RegistryError):
        store.rotate_device_key(1001, old)
    store.register_device(1001, old, CANTEEN)  # the register file of before: nothing new in it
    store.rotate_device_key(1001, reader.key)  # again: nothing
    assert store.dump() == before
    thief = thief_of(reader, old)
    thief.boot()
    (answer,) = store.book([thief.records])
    assert answer.refused == [(1001, 2, BAD_SEAL)]


def test_a_key_of_another_device_is_no_key_of_this_one():
    reader, other = Reader(1001), Reader(1002)
    other.rotate()
    store = open_ledger(reader, other)
    thief = thief_of(reader, other.key)
    thief.boot()
    (answer,) = store.book([thief.records])
    assert answer.refused == [(1001, 1, BAD_SEAL)]


# --- in every order of events ---------------------------------------------------------------


def test_a_reader_that_is_late_goes_on_under_its_old_key():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    store.rotate_device_key(1001, hashlib.sha256(reader.key).digest())
    store.book([reader.records])
    reader.spend(counter=2, last=(1001, 1))
    reader.rotate()
    reader.spend(counter=3, last=(1001, 3))
    (answer,) = store.book([reader.records])
    assert (answer.heads[0].seq, answer.refused) == (6, [])
    assert store.takings(CANTEEN) == 300
    assert check(store) == []


def test_a_ledger_that_is_late_refuses_and_then_books():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    reader.rotate()
    reader.spend(counter=2, last=(1001, 1))
    (answer,) = store.book([reader.records])
    assert (answer.heads[0].seq, answer.refused) == (2, [(1001, 3, BAD_SEAL)])
    (answer,) = store.book([reader.records])  # asked again: the same
    assert (answer.heads[0].seq, answer.refused) == (2, [(1001, 3, BAD_SEAL)])
    store.rotate_device_key(1001, reader.key)
    (answer,) = store.book([[reader.records[2]]])  # what waited behind it comes along
    assert (answer.heads[0].seq, answer.refused) == (4, [])
    assert store.takings(CANTEEN) == 200
    assert check(store) == []


def test_a_reader_may_skip_a_key():
    reader = Reader(1001)
    reader.boot()
    reader.rotate()
    skipped = reader.key
    reader.rotate()
    reader.boot()
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.heads() == {1001: 2}
    thief = thief_of(reader, skipped)
    thief.boot()
    (answer,) = store.book([thief.records])
    assert answer.refused == [(1001, 3, BAD_SEAL)]


def test_a_receipt_is_sealed_under_the_key_of_its_record():
    reader = Reader(1001)
    old = reader.key
    reader.spend()
    reader.rotate()
    reader.spend(counter=2, last=(1001, 1))
    store = open_ledger(reader)
    signer = Signer(bytes(32))
    for records, key, stranger in (
        (reader.records[:2], old, reader.key),
        (reader.records[2:], reader.key, old),
        (reader.records[:2], reader.key, old),  # again: the head is the newer one by now
    ):
        (answer,) = store.book([records])
        sealed = signer.device_receipt(answer.heads[0], 7)
        body = seal.unseal(seal.derive(key, messages.RECEIPT_LABEL), sealed, b"receipt")
        upto = messages.decode_receipt(body)["upto"]
        assert messages.decode_receipt(body)["tag"] == seal.tag_of(reader.records[upto - 1])[:8]
        with pytest.raises(WireError):
            seal.unseal(seal.derive(stranger, messages.RECEIPT_LABEL), sealed, b"receipt")


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 2**32))
def test_whenever_the_ledger_learns_of_a_key_the_books_end_the_same(spends, seed):
    """Rotations at any time between deliveries in any order; refused ones come again."""
    reader = Reader(1001)
    for count in spends:
        for _ in range(count):
            reader.spend(counter=reader.seq)
        reader.rotate()
        reader.boot()
    expected = open_ledger(reader)
    expected.book([reader.records])
    rng = random.Random(seed)
    late = Reader(1001)
    store = open_ledger(late)
    keys = reader.keys[1:]
    queue = reader.records * 2
    rng.shuffle(queue)
    while queue or keys:
        if keys and rng.random() < 0.3:
            store.rotate_device_key(1001, keys.pop(0))
        store.book([queue[: rng.choice((1, 3, 8))]])
        del queue[: rng.choice((1, 3, 8))]
        assert check(store) == [], f"seed {seed}"
    store.book([reader.records])
    assert _without_rejected(store) == _without_rejected(expected), f"seed {seed}"


def _without_rejected(store):
    """The books but for the log of what was refused, which is a matter of time."""
    return [line for line in store.dump().splitlines() if not line.startswith(b"rejected")]


def test_a_twin_with_the_old_key_is_seen():
    reader = Reader(1001)
    reader.boot()
    twin = reader.fork()
    twin.boot()
    twin.spend(amount_fen=300)
    reader.rotate()
    reader.spend()
    store = open_ledger(reader)
    store.book([reader.records])
    store.book([twin.records])
    reader.boot()
    store.book([reader.records])
    assert [case for case in store.cases() if case[0] == reasons.FORK] == [
        (reasons.FORK, 1001, seq) for seq in (2, 3, 4)
    ]
    assert store.takings(CANTEEN) == 100
    assert check(store) == []


# --- older books ------------------------------------------------------------------------------


def test_books_from_before_there_were_keys_to_follow_go_on(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    reader = Reader(1001)
    reader.boot()
    old = open_database(path, MIGRATIONS[:1])
    old.execute(
        "INSERT INTO device (device, device_key, merchant_no, site, head_seq, head_tag)"
        " VALUES (1001, ?, ?, 'campus', 1, ?)",
        (reader.key, CANTEEN, reader.tag),
    )
    digest = hashlib.sha256(reader.records[0]).digest()
    old.execute("INSERT INTO record VALUES (1001, 1, 1, ?, ?)", (digest, reader.records[0]))
    old.close()
    store = LedgerStore(SqliteDialect.open(path))
    assert check(store) == []
    store.register_merchant(CANTEEN)
    store.register_device(1001, reader.key, CANTEEN)
    store.rotate_device_key(1001, reader.rotate())
    reader.spend()
    (answer,) = store.book([reader.records])
    assert (answer.heads[0].seq, answer.heads[0].key) == (3, reader.key)
    assert check(store) == []
