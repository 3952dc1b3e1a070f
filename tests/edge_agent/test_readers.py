"""What readers (or others) say: the wrong is counted and forgotten, the right is on the disk."""

import sqlite3

import pytest

from adapters.mqtt import PAYLOAD_BYTES_MAX
from edge_agent import store as store_module
from edge_agent.readers import RETRY_MS
from edge_agent.upstream import ANSWERS_PER_STEP_MAX
from protocols.wire import cbor, errors, messages, seal, topics
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger, Reader, batch, key_of, power_record

A, B = 1001, 1002
SECONDS_MAX = 0xFFFFFFFF


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A, B])


def _genuine(building):
    building.readers[A].write(8)
    return building.readers[A].batch()


def _noncanonical(building):
    # The map head 0xA3 said in two bytes: the same value, another encoding.
    payload = _genuine(building)
    return b"\xb8\x03" + payload[1:]


def _zero_seq(building):
    return batch(A, [seal.seal(key_of(A), cbor.encode({0: 5, 1: A, 2: 0}), seal.CHAIN_START)])


BAD = {
    "empty": (lambda b: b"", errors.TRUNCATED),
    "truncated": (lambda b: _genuine(b)[:-1], errors.TRUNCATED),
    "trailing": (lambda b: _genuine(b) + b"\x00", errors.TRAILING),
    "oversized": (lambda b: bytes(messages.BATCH_BYTES_MAX + 1), errors.TOO_LONG),
    "as large as a port lets through": (lambda b: bytes(PAYLOAD_BYTES_MAX), errors.TOO_LONG),
    "not canonical": (_noncanonical, errors.NON_CANONICAL),
    "not a map": (lambda b: cbor.encode([2, A]), errors.NOT_A_MAP),
    "our own answer": (
        lambda b: messages.encode_message(messages.STORED, {"device": A, "upto": 5}),
        errors.UNEXPECTED_TYPE,
    ),
    "of another device": (
        lambda b: batch(B, [power_record(B, 1, seal.CHAIN_START)]),
        errors.BAD_FIELD,
    ),
    "with a record of another device": (
        lambda b: batch(
            A, [power_record(A, 1, seal.CHAIN_START), power_record(B, 1, seal.CHAIN_START)]
        ),
        errors.BAD_FIELD,
    ),
    "a record that is not sealed": (lambda b: batch(A, [b"\xa0"]), errors.MALFORMED_SEAL),
    "a seal around nothing": (
        lambda b: batch(A, [seal.seal(key_of(A), b"", bytes(32))]),
        errors.TRUNCATED,
    ),
    "a record that says not whose it is": (
        lambda b: batch(A, [seal.seal(key_of(A), cbor.encode({0: 99}), bytes(32))]),
        errors.TRUNCATED,
    ),
    "a record that says something else first": (
        lambda b: batch(A, [seal.seal(key_of(A), cbor.encode({0: 5, 2: 1, 3: 1}), bytes(32))]),
        errors.MISSING_FIELD,
    ),
    "a record with a number too wide": (
        lambda b: batch(
            A, [seal.seal(key_of(A), cbor.encode({0: 5, 1: 1 << 32, 2: 1}), bytes(32))]
        ),
        errors.BAD_FIELD,
    ),
    "a record number not canonical": (
        lambda b: batch(A, [seal.seal(key_of(A), b"\xa3\x18\x00\x05", bytes(32))]),
        errors.NON_CANONICAL,
    ),
    "a record that is a list": (
        lambda b: batch(A, [seal.seal(key_of(A), cbor.encode([5, A, 1]), bytes(32))]),
        errors.NOT_A_MAP,
    ),
    "a record number zero": (_zero_seq, errors.BAD_FIELD),
    "nine records": (
        lambda b: cbor.encode({0: 2, 1: A, 2: [b"x"] * 9}),
        errors.BAD_FIELD,
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_counted_acknowledged_and_not_stored(building, name):
    make, code = BAD[name]
    message = building.say(A, make(building))
    building.step()
    assert building.agent.counters == {f"bad_up_{code}": 1}
    assert building.port.acked == [message]
    assert building.store.count() == 0
    assert building.port.sent() == []
    assert building.upstream.sent() == []


@pytest.mark.parametrize(
    "topic",
    [
        f"onecard/v1/south/{A}/up",
        f"onecard/v1/{SITE}/{A}/down",
        f"onecard/v1/{SITE}/0{A}/up",
        f"onecard/v1/{SITE}/agent/up",
        f"onecard/v1/{SITE}/{1 << 32}/up",
        "onecard/v1/ledger/status",
        "",
    ],
)
def test_a_foreign_topic_is_refused(building, topic):
    building.port.deliver(topic, _genuine(building))
    building.step()
    assert building.agent.counters == {f"bad_up_{errors.BAD_TOPIC}": 1}
    assert building.store.count() == 0


def test_a_retained_batch_is_dropped(building):
    building.say(A, _genuine(building), retain=True)
    building.step()
    assert building.store.count() == 0
    assert building.agent.counters == {f"bad_up_{errors.UNSUPPORTED}": 1}


@pytest.mark.parametrize(
    "interval_s", [(0, 0), (0, SECONDS_MAX), (SECONDS_MAX, SECONDS_MAX), (5, 6)]
)
def test_a_reader_with_a_broken_clock_is_served_as_any_and_people_are_told(building, interval_s):
    """Nothing here is decided by a time that a reader has said."""
    building.readers[A] = Reader(A, interval_s)
    for reader in building.readers.values():
        reader.write(20)
    building.play()
    assert building.ledger.booked[A] == building.readers[A].journal
    assert building.ledger.booked[B] == building.readers[B].journal
    ahead = {each["device"]: each["clock_ahead_s"] for each in building.agent.readers()}
    assert ahead[A] == max(interval_s[0] - building.inventory.utc_s(), 0)
    assert 0 <= ahead[B] < 60


def test_one_bad_message_does_not_hurt_its_neighbours(building):
    good = _genuine(building)
    building.say(A, good[:-3])
    building.say(A, good)
    building.say(B, good)
    building.step()
    assert building.store.count() == 8
    assert building.stored(A) == [8]
    assert building.stored(B) == []


def test_a_disk_that_is_full_stops_every_acknowledgement_until_it_is_not(building):
    reader = building.readers[A]
    reader.write(168)
    building.store._db.execute("PRAGMA max_page_count = 1")  # no page more than there are now
    for first in range(1, 160, 8):
        building.say(A, reader.batch(first))
    due_ms = building.step()
    assert building.now_ms < due_ms <= building.now_ms + RETRY_MS
    for _ in range(3):
        building.step(RETRY_MS)
    assert building.agent.counters["store_unavailable"] == 4
    assert building.port.acked == []
    assert building.port.sent() == []
    late = building.say(A, reader.batch(161))
    building.step()
    assert building.port.take() is late  # not even taken: memory must not grow
    building.store._db.execute("PRAGMA max_page_count = 1000000")
    building.step(RETRY_MS)
    assert building.stored(A) == [160]
    assert len(building.port.acked) == 20
    assert building.store.count() == 160


def test_an_io_error_at_commit_keeps_nothing_and_says_nothing(building, monkeypatch):
    class FailingOnce:
        def __init__(self, database):
            self.database, self.failures = database, 1

        def __getattr__(self, name):
            return getattr(self.database, name)

        def execute(self, sql, *values):
            if sql == "COMMIT" and self.failures:
                self.failures -= 1
                raise sqlite3.OperationalError("disk I/O error")
            return self.database.execute(sql, *values)

    monkeypatch.setattr(building.store, "_db", FailingOnce(building.store._db))
    building.say(A, _genuine(building))
    building.step()
    assert building.store.count() == 0
    assert building.port.acked == []
    building.step(RETRY_MS)
    assert building.store.count() == 8
    assert building.stored(A) == [8]


def test_invented_devices_do_not_keep_true_ones_out(building, monkeypatch):
    monkeypatch.setattr(store_module, "DEVICES_MAX", 2)
    for device in (A, B, 7, 8, 9):
        building.say(device, batch(device, [power_record(device, 1, seal.CHAIN_START)]))
    building.step()
    assert building.store.devices() == [A, B]
    assert building.stored(A) == [1]
    assert building.agent.counters["too_many_devices"] == 3
    assert len(building.port.acked) == 5


def test_order_is_commit_then_stored_then_forward_then_ack(building, monkeypatch):
    events = []
    put_many = building.store.put_many

    def put(records):
        done = put_many(records)
        events.append("commit")
        return done

    monkeypatch.setattr(building.store, "put_many", put)
    building.port.events = building.upstream.events = events
    building.say(A, _genuine(building))
    building.step()
    up, down = topics.up(SITE, A), topics.down(SITE, A)
    forward = topics.agent_records(SITE)
    assert events == ["commit", ("publish", down), ("publish", forward), ("ack", up)]


def test_all_that_arrived_is_one_commit_and_one_stored_per_device(building):
    for device in (A, B):
        building.readers[device].write(24)
        for first in (1, 9, 17):
            building.say(device, building.readers[device].batch(first))
    building.step()
    assert building.agent.counters["commits"] == 1
    assert building.stored(A) == [24]
    assert building.stored(B) == [24]


def test_replayed_and_reordered_batches_change_nothing(building):
    reader = building.readers[A]
    reader.write(32)
    for first in (1, 17, 25, 9, 9, 1, 17, 25):
        building.say(A, reader.batch(first))
        building.step()
    assert building.store.count() == 32
    assert building.store.records_after(A, 0, 100) == [
        (seq, reader.journal[seq]) for seq in range(1, 33)
    ]
    assert building.agent.counters["records_stored"] == 32
    assert building.agent.counters["records_repeated"] == 16
    assert building.agent.counters["records_beyond_gap"] == 16
    assert building.agent.counters["batches_after_gap"] == 2
    building.settle()
    assert building.ledger.head(A) == 32


def test_a_record_whose_number_was_changed_on_the_way_does_not_stay_for_ever(building):
    # No receipt will ever reach such a number, so nothing would ever free its row.
    reader = building.readers[A]
    reader.write(16)
    changed = power_record(A, 620_960_362, seal.CHAIN_START, key=key_of(B))
    building.say(A, batch(A, [*reader.journal[1:4], changed, *reader.journal[5:9]]))
    building.step()
    assert building.stored(A) == [3]
    assert building.store.count() == 3
    building.play()
    building.step(600)
    assert building.ledger.head(A) == 16
    assert building.store.count() == 0


def test_a_gap_is_answered_with_silence_and_never_forwarded(building):
    reader = building.readers[A]
    reader.write(24)
    building.say(A, reader.batch(17))
    building.step()
    assert building.stored(A) == []
    assert building.forwarded() == []
    assert building.port.acked
    # The silence makes it say HELLO: its journal begins at 1, so that is where it goes on.
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [0]
    building.say(A, reader.batch(1))
    building.say(A, reader.batch(9))
    building.step()
    building.say(A, reader.batch(17))
    building.step()
    assert building.stored(A)[-1] == 24


def test_hello_after_a_restart_continues_where_the_disk_is(building):
    reader = building.readers[A]
    reader.write(40)
    for first in (1, 9, 17):
        building.say(A, reader.batch(first))
    building.step()
    building.crash()
    building.start()
    building.say(A, reader.hello())
    building.step()
    assert building.stored(A) == [24]


def test_restart_between_commit_and_stored_loses_and_repeats_nothing(building):
    reader = building.readers[A]
    reader.write(8)
    records = [(A, seq, reader.journal[seq]) for seq in range(1, 9)]
    building.store.put_many(records)  # the commit, and then the power went
    building.crash()
    building.start()
    assert sorted(building.ledger.received) == []
    building.settle()  # forwarded without the reader's help
    building.say(A, reader.batch(1))  # it never heard STORED, so it says it again
    building.step()
    assert building.stored(A) == [8]
    building.settle()
    assert building.store.records_after(A, 0, 9) == []
    assert set(building.ledger.received.values()) == {1}


def test_a_device_that_claims_the_future_harms_only_itself_and_recovers(building):
    reader = building.readers[A]
    reader.write(16)
    building.say(A, reader.batch(1))
    building.step()
    lie = {"device": A, "boot_id": 7, "receipted": 0xFFFFFFFF, "head": 0xFFFFFFFF}
    building.say(A, messages.encode_message(messages.HELLO, lie))
    building.step()
    assert building.store.mark(A).receipted == 0
    assert building.store.count() == 8
    building.say(A, reader.hello())
    building.say(A, reader.batch(9))
    building.step()
    building.settle()
    assert building.ledger.head(A) == 16
    assert building.store.mark(A).receipted == 16


@pytest.mark.parametrize("restarted", [False, True])
def test_hello_of_a_reader_that_missed_its_receipt_gets_it_again(building, restarted):
    reader = building.readers[A]
    reader.write(8)
    building.say(A, reader.batch(1))
    building.step()
    building.settle()
    building.port.sent()  # STORED and RECEIPT, both lost on the way
    if restarted:
        building.store.flush()
        building.crash()
        building.start()
    building.say(A, reader.hello())
    building.step()
    for _topic, payload in building.port.sent():
        reader.hear(payload)
    assert (reader.cursor, reader.receipted) == (8, 8)


def test_hello_goes_into_the_inventory(building):
    building.readers[A].write(3)
    building.say(A, building.readers[A].hello())
    building.step()
    (document,) = building.inventory.readers()
    assert document == {
        "device": A,
        "first_seen_s": 1_700_000_000,
        "last_seen_s": 1_700_000_000,
        "boot_id": 7,
        "head": 3,
        "receipted": 0,
    }


def test_a_reader_whose_journal_went_back_is_counted(building):
    building.readers[A].write(8)
    building.put(A, building.readers[A].journal[1:])
    building.settle()
    building.readers[A].journal = building.readers[A].journal[:3]
    building.say(A, building.readers[A].hello())
    building.step()
    assert building.agent.counters["readers_behind_ledger"] == 1


def test_what_one_step_has_no_room_for_is_taken_at_once(tmp_path):
    """A thousand readers that all speak and wait: nothing else arrives that would wake the agent.
    It slept for five seconds over what it had read already.
    """
    devices = range(1001, 1401)
    building = Building(tmp_path, Ledger(devices), devices)
    for device, reader in building.readers.items():
        reader.write(8)
        building.say(device, reader.batch())
    steps = 0
    while building.step() == building.now_ms:
        steps += 1
        assert steps < 20
    assert steps >= 3  # 128 of them fit into a commit
    assert all(building.store.mark(device).stored == 8 for device in devices)


def test_answers_that_one_step_has_no_room_for_are_taken_at_once(building):
    for _ in range(3 * ANSWERS_PER_STEP_MAX):
        building.answer(b"nothing of ours")
    steps = 0
    while building.step() == building.now_ms:
        steps += 1
        assert steps < 20
    assert steps >= 3 and building.upstream.take() is None
