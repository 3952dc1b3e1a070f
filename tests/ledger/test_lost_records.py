"""A reader calls a record lost: the number is used up, a case tells of it, and no money moves."""

import hashlib
import itertools

import pytest

from ledger import reasons
from ledger.evidence import State
from ledger.invariants import check
from ledger.lost import LostSpend, lost_spends
from protocols.wire.errors import BAD_SEAL
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, lost, open_ledger
from tests.ledger.tampering import tamper

A, B = 1001, 1002


def without(reader, *seqs, key=None):
    """What the reader sends when its records `seqs` are lost."""
    records = list(reader.records)
    for seq in seqs:
        is_next_there = seq < reader.seq and seq + 1 not in seqs
        successor = reader.records[seq] if is_next_there else None
        records[seq - 1] = lost(key or reader.key, reader.device, seq, successor)
    return records


def eaten(spends=3):
    """A reader at which one card has paid so many times 100 fen."""
    reader, last = Reader(A), (0, 0)
    for counter in range(spends):
        before_fen = OPENING_FEN - 100 * counter
        last = reader.spend(counter=counter, last=last, before_fen=before_fen)
    return reader


def booked(reader, records, size=3):
    store = open_ledger(reader)
    for start in range(0, len(records), size):
        store.book([records[start : start + size]])
    assert check(store) == []
    return store


# -- what is no lost record -----------------------------------------------------------------------


def test_without_the_key_nothing_is_lost():
    reader = eaten()
    store = open_ledger(reader)
    (answer,) = store.book([without(reader, 1, key=bytes(32))[:1]])
    assert answer.refused == [(A, 1, BAD_SEAL)] and store.cases() == []
    store.book([reader.records])
    assert store.takings(CANTEEN) == 300 and store.cases() == []


def test_under_a_key_that_was_replaced_nothing_is_lost():
    reader = eaten(1)
    reader.rotate()
    reader.boot()
    store = booked(reader, reader.records)
    stolen = lost(reader.keys[0], A, 4, None)
    (answer,) = store.book([[stolen]])
    assert answer.refused == [(A, 4, BAD_SEAL)] and store.heads()[A] == 3


def test_behind_a_lost_record_only_the_one_it_names_is_taken():
    reader = eaten()
    twin = eaten()
    twin.records, twin.tag = reader.records[:3], reader.records[2][-32:]
    twin.outcome((A, 3))
    twin.boot()
    records = without(reader, 4)
    store = booked(reader, records[:4])
    (answer,) = store.book([twin.records[4:]])
    assert answer.refused == [(A, 5, BAD_SEAL)]
    store.book([records[4:]])
    assert store.heads()[A] == 6 and check(store) == []


def test_what_is_booked_is_not_lost():
    reader = eaten()
    store = booked(reader, reader.records)
    before = store.summary()
    (answer,) = store.book([without(reader, 1, 4)])
    assert answer.refused == [] and answer.heads[0].seq == 6
    assert store.summary() | {"duplicates": before["duplicates"]} == before
    assert store.cases() == []


# -- one case and nothing else --------------------------------------------------------------------


@pytest.mark.parametrize("seqs", [(1,), (2,), (3,), (4,), (3, 4), (2, 3, 4), (1, 2, 3, 4, 5)])
def test_one_case_each_however_often_and_in_what_parcels(seqs):
    reader = eaten()
    records = without(reader, *seqs)
    dumps = set()
    for size in (1, 2, 6):
        store = booked(reader, records, size)
        assert store.cases() == [(reasons.LOST, A, seq) for seq in seqs]
        assert store.heads()[A] == 6
        store.book([records, records[::-1]])
        dumps.add(store.dump())
    for order in itertools.islice(itertools.permutations(records), 0, 720, 71):
        dumps.add(booked(reader, list(order), 1).dump())
    assert len(dumps) == 1


def test_words_that_differ_are_one_case():
    """The next record was lost too by then, and the key was another."""
    reader = eaten()
    store = booked(reader, without(reader, 3)[:3])
    reader.rotate()
    store.rotate_device_key(A, reader.key)
    store.book([without(reader, 3, 4)])
    assert store.heads()[A] == 6
    assert store.cases() == [(reasons.LOST, A, 3), (reasons.LOST, A, 4)]
    assert check(store) == []


def test_a_lost_record_under_the_new_key_leaves_those_under_the_old_one_valid():
    reader = eaten()
    old = list(reader.records)
    reader.rotate()
    reader.boot()
    store = booked(reader, [*without(reader, 2)[:2], *old[2:], reader.records[6]])
    assert store.heads()[A] == 7 and store.takings(CANTEEN) == 300
    assert store.cases() == [(reasons.LOST, A, 2)]


def test_the_last_record_under_the_old_key():
    reader = eaten(2)
    reader.rotate()
    reader.boot()
    reader.boot()
    store = booked(reader, without(reader, 4))
    assert store.heads()[A] == 6 and store.cases() == [(reasons.LOST, A, 4)]


@pytest.mark.parametrize("is_forwarded_alone", [True, False])
def test_the_record_turns_up_after_all(is_forwarded_alone):
    """An agent that was thought dead had it: its bytes are kept for whoever resolves the case."""
    reader = eaten()
    if is_forwarded_alone:
        store = booked(reader, without(reader, 3))
        (answer,) = store.book([[reader.records[2]]])
        assert answer.refused == []
        store.book([[reader.records[2]]])
        assert store.cases() == [(reasons.LOST, A, 3), (reasons.FOUND, A, 3)]
        kept = "SELECT sealed FROM suspense_case WHERE reason = ?"
        assert list(store.database.rows(kept, (reasons.FOUND,))) == [(reader.records[2],)]
        assert store.takings(CANTEEN) == 200
    else:
        store = booked(reader, [*without(reader, 3), reader.records[2]], 7)
        assert store.cases() == [] and store.takings(CANTEEN) == 300
    assert check(store) == []


# -- the money ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seq", [1, 3])
def test_a_lost_intent_posts_nothing_and_the_card_tells_how_much(seq):
    reader = eaten()
    store = booked(reader, without(reader, seq))
    assert store.takings(CANTEEN) == 200
    assert store.state(A, seq) is None
    assert list(lost_spends(store)) == [LostSpend(A, seq, CARD, 100)]


def test_what_the_books_cannot_tell_is_not_guessed():
    reader = eaten(4)
    store = booked(reader, without(reader, 3, 4, 5))
    assert list(lost_spends(store)) == [LostSpend(A, 5, CARD, None)]


def test_a_lost_outcome_is_made_good_by_the_card():
    reader = eaten()
    store = booked(reader, without(reader, 4))
    assert store.state(A, 3) is State.COMMITTED and store.takings(CANTEEN) == 300
    assert list(lost_spends(store)) == []


def test_a_lost_outcome_nobody_tells_of_stays_open():
    reader = eaten()
    reader.boot()
    store = booked(reader, without(reader, 6))
    assert store.state(A, 5) is State.PENDING and store.takings(CANTEEN) == 200


@pytest.mark.parametrize("is_other_first", [True, False])
def test_what_another_reader_says_of_it_is_no_second_case(is_other_first):
    reader, other = eaten(2), Reader(B)
    other.outcome((A, 3))
    other.spend(counter=2, last=(A, 3), before_fen=OPENING_FEN - 200)
    store = open_ledger(reader, other)
    parcels = [other.records, without(reader, 3)]
    for parcel in parcels if is_other_first else parcels[::-1]:
        store.book([parcel])
    assert store.cases() == [(reasons.LOST, A, 3)]
    assert list(lost_spends(store)) == [LostSpend(A, 3, CARD, 100)]
    assert check(store) == []


def test_a_lost_record_that_was_tampered_with_is_seen():
    reader = eaten()
    store = booked(reader, without(reader, 3))
    forged = lost(bytes(32), A, 3, reader.records[3])
    digest = hashlib.sha256(forged).digest()
    tamper(store, [])
    store.database.many(
        "UPDATE record SET sealed = ?, sha256 = ? WHERE seq = 3", [(forged, digest)]
    )
    assert [found.rows for found in check(store)] == [[(A, 3)]]
