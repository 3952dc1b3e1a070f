"""Records that must not be booked: refused with a number, and nothing wedged by them."""

import hashlib

import pytest

from ledger import booking, reasons
from ledger.evidence import State
from ledger.invariants import check
from protocols.wire import cbor, messages, seal
from protocols.wire.errors import BAD_FIELD, BAD_SEAL, MALFORMED_SEAL, NON_CANONICAL, TOO_LONG
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, open_ledger


def test_forged_seal_is_rejected_and_does_not_advance():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    forged = bytearray(reader.records[0])
    forged[-1] ^= 1
    (answer,) = store.book([[bytes(forged)]])
    assert answer.refused == [(1001, 1, BAD_SEAL)]
    assert answer.heads[0].seq == 0
    store.book([reader.records])
    assert store.takings(CANTEEN) == 100
    assert check(store) == []


def test_record_sealed_with_another_devices_key_is_rejected():
    reader, thief = Reader(1001), Reader(1001)
    thief.key = bytes(32)
    store = open_ledger(reader)
    thief.spend(amount_fen=9000)
    (answer,) = store.book([thief.records])
    # The second hangs on the first: it waits, and is tried when the true first is there.
    assert answer.refused == [(1001, 1, BAD_SEAL)]
    assert store.summary()["parked"] == 1
    reader.spend()
    store.book([reader.records])
    assert store.summary() | {"rejected": 2, "parked": 0} == store.summary()
    assert store.takings(CANTEEN) == 100


def test_forgery_does_not_take_the_place_of_the_true_record_ahead_of_a_gap():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    reader.spend(counter=2, last=(1001, 1))
    forged = bytearray(reader.records[3])
    forged[-1] ^= 1
    store.book([[bytes(forged)]])
    store.book([[reader.records[3]], reader.records[:3]])
    assert store.summary()["booked"] == 2
    assert store.summary()["rejected"] == 1
    assert check(store) == []


@pytest.mark.parametrize("at_once", [False, True])
def test_forgeries_cannot_fill_the_parking_for_ever(at_once):
    reader = Reader(1001)
    store = open_ledger(reader)
    for _ in range(20):
        reader.boot()
    forged = [reader.records[5][:-2] + bytes((i, i)) for i in range(20)]
    if at_once:
        store.book([forged])
    else:
        for sealed in forged:
            store.book([[sealed]])
    assert store.summary()["parked"] == booking.PARKED_RIVALS_MAX
    store.book([reader.records])
    assert store.summary()["records"] == 20
    assert store.summary()["parked"] == 0


def test_too_far_ahead_is_dropped_without_a_receipt_and_taken_later():
    reader = Reader(1001)
    store = open_ledger(reader)
    for _ in range(booking.PARKED_AHEAD_MAX + 2):
        reader.boot()
    (answer,) = store.book([[reader.records[-1]]])
    assert (answer.heads[0].seq, answer.refused) == (0, [])
    assert store.summary()["parked"] == 0
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == len(reader.records)


def test_unknown_device_is_refused_by_number():
    reader, stranger = Reader(1001), Reader(1002)
    store = open_ledger(reader)
    stranger.spend()
    (answer,) = store.book([stranger.records])
    assert answer.heads == []
    assert answer.refused == [(1002, 1, reasons.UNKNOWN_DEVICE), (1002, 2, reasons.UNKNOWN_DEVICE)]
    store.register_device(1002, stranger.key, CANTEEN)
    store.book([stranger.records])
    assert store.takings(CANTEEN) == 100


def test_record_that_does_not_say_whose_it_is_is_refused():
    reader = Reader(1001)
    store = open_ledger(reader)
    values = cbor.decode(reader.payload(messages.BOOT, cause=1, firmware=1))
    for changed in ({1: 0}, {2: 0}, {1: True}, {1: 1 << 32}, {1: b"1001"}, {2: None}):
        sealed = seal.seal(reader.key, cbor.encode(values | changed), seal.CHAIN_START)
        (answer,) = store.book([[sealed]])
        assert answer.refused == [(0, 0, BAD_FIELD)], changed
    assert store.summary()["records"] == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("truncated", MALFORMED_SEAL),
        ("empty", MALFORMED_SEAL),
        ("noise", MALFORMED_SEAL),
        ("trailing", MALFORMED_SEAL),
        ("oversized", TOO_LONG),
    ],
)
def test_malformed_bytes_are_refused_with_a_number(name, code):
    reader = Reader(1001)
    store = open_ledger(reader)
    good = reader.boot()
    bad = {
        "truncated": good[:-1],
        "empty": b"",
        "noise": hashlib.sha256(good).digest() * 4,
        "trailing": good + b"\0",
        "oversized": good + bytes(messages.RECORD_BYTES_MAX),
    }[name]
    (answer,) = store.book([[bad, good]])
    assert answer.refused == [(0, 0, code)]
    assert answer.heads[0].seq == 1


def test_every_truncation_of_a_record_is_refused():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    cuts = [reader.records[0][:length] for length in range(len(reader.records[0]))]
    (answer,) = store.book([cuts])
    assert len(answer.refused) == len(cuts)
    assert store.summary()["records"] == 0


def test_non_canonical_payload_without_the_key_is_refused():
    reader = Reader(1001)
    store = open_ledger(reader)
    payload = reader.payload(messages.BOOT, cause=1, firmware=1)
    # kind 1 written as 0x18 0x01: the same value, another encoding.
    longer = payload[:2] + b"\x18" + payload[2:]
    (answer,) = store.book([[seal.seal(bytes(32), longer, seal.CHAIN_START)]])
    assert answer.refused == [(0, 0, NON_CANONICAL)]


def test_genuine_but_unreadable_record_opens_a_case_and_does_not_wedge_its_reader():
    reader = Reader(1001)
    store = open_ledger(reader)
    values = cbor.decode(reader.payload(messages.BOOT, cause=1, firmware=1))
    reader.write_payload(cbor.encode(values | {0: 77, 19: 5}))  # a kind of the future
    reader.spend()
    (answer,) = store.book([reader.records])
    assert (answer.heads[0].seq, answer.refused) == (3, [])
    assert store.cases() == [(reasons.UNREADABLE, 1001, 1)]
    assert store.takings(CANTEEN) == 100
    assert check(store) == []


def test_outcome_of_no_known_result_is_unreadable():
    reader = Reader(1001)
    store = open_ledger(reader)
    intent = reader.intent()
    twin = reader.fork()
    twin.outcome(intent)
    values = cbor.decode(seal.payload_of(twin.records[-1]))
    reader.write_payload(cbor.encode(values | {10: 0}))
    store.book([reader.records])
    assert store.cases() == [(reasons.UNREADABLE, 1001, 2)]
    assert store.state(*intent) is State.PENDING


def test_replayed_record_is_receipted_again_and_booked_once():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    first = store.book([reader.records])
    for _ in range(3):
        assert store.book([reader.records]) == first
    assert store.summary()["duplicates"] == 6
    assert store.takings(CANTEEN) == 100
    assert store.holder_balance(CARD) == OPENING_FEN - 100


def test_deliveries_of_what_is_there_already_are_counted():
    reader = Reader(1001)
    store = open_ledger(reader)
    for _ in range(4):
        reader.boot()
    first, second, third, fourth = reader.records
    forged = second[:-1] + bytes((second[-1] ^ 1,))
    for records, duplicates in (
        ([third, third], 1),  # parked, and again
        ([third], 2),
        ([fourth, first, third], 3),  # the gap is still there
        ([forged, third], 4),  # and not closed by anything
        ([second, third, fourth], 6),  # closed: both were waiting already
        ([first, first], 8),
    ):
        store.book([records])
        assert store.summary()["duplicates"] == duplicates
    assert store.summary() | {"records": 4, "parked": 0} == store.summary()


def test_reordered_records_wait_for_their_gap():
    reader = Reader(1001)
    store = open_ledger(reader)
    for counter in range(1, 6):
        reader.spend(counter=counter, last=(1001, 2 * counter - 3) if counter > 1 else (0, 0))
    (answer,) = store.book([reader.records[1:]])
    assert (answer.heads[0].seq, answer.refused) == (0, [])
    assert store.summary()["parked"] == 9
    (answer,) = store.book([reader.records[:1]])
    assert answer.heads[0].seq == 10
    assert store.summary()["parked"] == 0
    assert store.takings(CANTEEN) == 500
    assert check(store) == []


def test_broken_chain_is_rejected_and_goes_no_further():
    """A record cut out of the middle: what follows does not fit, whatever it is numbered."""
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    hidden = reader.fork()
    hidden.spend(counter=2)  # the merchant would like to forget this one ...
    reader.tag = hidden.tag  # ... and numbers on as if it had never been
    reader.spend(counter=3)
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == 2
    assert answer.refused == [(1001, 3, BAD_SEAL)]
    assert store.summary()["parked"] == 1
    assert check(store) == []


def test_fork_is_a_case_and_the_original_stands():
    reader = Reader(1001)
    reader.boot()
    twin = reader.fork()
    reader.spend(amount_fen=100)
    twin.spend(amount_fen=9000)
    twin.spend(amount_fen=9000, counter=2)
    store = open_ledger(reader)
    store.book([reader.records])
    (answer,) = store.book([twin.records])
    # Also where the twin has run ahead; what is further ahead waits until its turn comes.
    assert answer.refused == [(1001, seq, reasons.FORK) for seq in (2, 3, 4)]
    assert answer.heads[0].seq == 3
    assert answer.heads[0].tag == reader.tag
    assert store.cases() == [(reasons.FORK, 1001, seq) for seq in (2, 3, 4)]
    assert store.takings(CANTEEN) == 100
    reader.spend(counter=2, amount_fen=50)
    (answer,) = store.book([reader.records])
    assert store.cases() == [(reasons.FORK, 1001, seq) for seq in (2, 3, 4, 5)]
    assert answer.heads[0].seq == 5
    assert store.takings(CANTEEN) == 150
    assert check(store) == []


def test_same_fork_again_is_the_same_case():
    reader = Reader(1001)
    twin = reader.fork()
    reader.boot()
    twin.intent()
    store = open_ledger(reader)
    for _ in range(3):
        store.book([reader.records, twin.records])
    assert store.cases() == [(reasons.FORK, 1001, 1)]


def test_forged_fork_is_only_a_forgery():
    reader = Reader(1001)
    store = open_ledger(reader)
    reader.spend()
    store.book([reader.records])
    twin = Reader(1001)
    twin.key = bytes(32)
    twin.boot()
    (answer,) = store.book([twin.records])
    assert answer.refused == [(1001, 1, BAD_SEAL)]
    assert store.cases() == []
