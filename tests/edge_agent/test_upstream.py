"""The ledger's side: forged, late, repeated and impossible answers; outages; windows; refusals."""

import hashlib
import tracemalloc
from contextlib import ExitStack
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.mqtt import ACK_TIMEOUT_MS, PROBE_MS
from edge_agent.config import Broker
from edge_agent.daemon import _port
from edge_agent.outbox import ANSWER_MS, PAUSE_MS_MAX, WINDOW
from edge_agent.receipts import EVERY_MS
from protocols.wire import errors, messages, seal, topics
from tests.adapters.test_mqtt import CONNACK, Peer, _step_until
from tests.edge_agent.building import Building
from tests.edge_agent.peers import Ledger, Reader, key_of, numbers_of, power_record

A, B, C = 1001, 1002, 1003


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A, B])


def _fill(building, device, count):
    reader = building.readers[device]
    reader.write(count)
    building.put(device, reader.journal[-count:])
    building.port.sent()
    return reader


def test_an_agent_leaves_a_node_of_a_cluster_that_acknowledges_nothing():
    """It is cut off from its others: what it takes, no ledger hears. One broker is not probed."""
    nodes = [Peer(), Peer()]
    ids = []
    for fallbacks in ((), (nodes[1].address,), (nodes[1].address,)):
        with ExitStack() as stack:
            port = _port(Broker(*nodes[0].address, fallbacks=fallbacks), "north/agent", [], stack)
            port.step(0)
            nodes[0].accept(CONNACK)
            _step_until(port, 0, lambda port=port: port.connected)
            ids.append(port._client_id)
            port.step(PROBE_MS)
            assert port.unacked == len(fallbacks)
            port.step(PROBE_MS + ACK_TIMEOUT_MS + 1)
            assert port.address == nodes[len(fallbacks)].address
    said = nodes[0].connection.recv(300)
    assert topics.LEDGER_PROBE.encode() in said and ids[2].encode() in said
    # There the broker holds nobody to an id: each process draws one that nobody else can say.
    assert ids[0] == "north/agent" and len({*ids}) == 3
    assert all(one.startswith("north/agent-") and len(one) == 28 for one in ids[1:])
    for node in nodes:
        node.close()


# --- answers that must not count -----------------------------------------------------------


def _forged(building, payload):
    stranger = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"stranger").digest())
    return building.ledger.receipts(1, [building.ledger.receipt(A, 8)], signer=stranger)


def _other_purpose(building, payload):
    fields = {"number": 1, "receipts": [building.ledger.receipt(A, 8)], "refused": []}
    body = messages.encode_message(messages.RECEIPTS, fields)
    signature = building.ledger._key.sign(seal.sign1_tbs(body, b"something else"))
    return seal.sign1_pack(body, signature)


def _flipped(building, payload):
    data = bytearray(building.ledger.answer(payload))
    data[40] ^= 1
    return bytes(data)


def _signed_but_not_receipts(building, payload):
    tbs = seal.sign1_tbs(payload, messages.RECEIPTS_LABEL)
    return seal.sign1_pack(payload, building.ledger._key.sign(tbs))


FORGED = {
    "a stranger's key": (_forged, errors.BAD_SIGNATURE),
    "signed for another purpose": (_other_purpose, errors.BAD_SIGNATURE),
    "one bit turned": (_flipped, errors.BAD_SIGNATURE),
    "not signed": (lambda b, p: p, errors.MALFORMED_SEAL),
    "empty": (lambda b, p: b"", errors.MALFORMED_SEAL),
    "truncated": (lambda b, p: b.ledger.answer(p)[:-1], errors.MALFORMED_SEAL),
    "our own FORWARD, signed": (_signed_but_not_receipts, errors.UNEXPECTED_TYPE),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_answer_frees_nothing(building, name):
    _fill(building, A, 8)
    (payload,) = building.forwarded()
    make, code = FORGED[name]
    building.answer(make(building, payload))
    building.step()
    assert building.agent.counters[f"bad_receipts_{code}"] == 1
    assert building.store.mark(A).receipted == 0
    assert building.port.sent() == []
    assert len(building.upstream.acked) == 1
    building.step(ANSWER_MS)
    assert numbers_of(building.forwarded()[0])[-1] == (A, 8)


def test_an_answer_on_another_topic_does_not_count(building):
    _fill(building, A, 8)
    (payload,) = building.forwarded()
    building.upstream.deliver(topics.agent_receipts("south"), building.ledger.answer(payload))
    building.step()
    assert building.store.mark(A).receipted == 0
    assert building.agent.counters[f"bad_receipts_{errors.BAD_TOPIC}"] == 1


# --- answers in any order --------------------------------------------------------------------


def test_late_repeated_and_reordered_receipts_only_ever_move_forward(building):
    _fill(building, A, 32)
    building.forwarded()
    for payload_upto in (8, 24, 16, 24, 8):
        building.ledger.booked[A] = building.readers[A].journal[: payload_upto + 1]
        receipt = building.ledger.receipt(A, payload_upto)
        building.answer(building.ledger.receipts(99, [receipt]))
        building.step(EVERY_MS)
    assert building.store.mark(A).receipted == 24
    receipts = [said["sealed"] for said in building.answers(A) if said["type"] == messages.RECEIPT]
    assert len(receipts) == 2  # 8 and 24; the others were no news
    building.store.flush()
    assert [seq for seq, _sealed in building.store.records_after(A, 0, 99)] == [*range(25, 33)]


def test_a_receipt_beyond_what_we_have_is_believed_because_it_is_signed(building):
    # The reader was on another gateway meanwhile: the ledger knows more of it than we do.
    reader = _fill(building, A, 8)
    reader.write(92)
    building.ledger.booked[A] = reader.journal
    building.answer(building.ledger.receipts(99, [building.ledger.receipt(A, 100)]))
    building.step()
    building.step(600)
    assert building.store.mark(A).receipted == 100
    assert building.store.count() == 0
    reader.write(8)
    building.put(A, reader.journal[101:])
    assert building.stored(A) == [108]


def test_receipts_of_devices_we_never_saw_are_ignored(building):
    building.answer(building.ledger.receipts(99, [building.ledger.receipt(C, 5)]))
    building.step()
    assert building.store.devices() == []
    assert building.port.sent() == []


# --- refusals ----------------------------------------------------------------------------------


def test_what_is_refused_leaves_the_queue_but_not_the_disk(building):
    stray = Reader(C)  # the ledger does not know it
    stray.write(8)
    building.readers[C] = stray
    building.put(C, stray.journal[1:])
    _fill(building, A, 8)
    building.settle()
    assert building.ledger.head(A) == 8
    assert building.agent.counters["refused_301"] == 8
    assert building.store.count() == 8  # A's, not yet freed
    assert building.store.first_refused(C, 0) == 1
    for _ in range(10):
        building.step(PAUSE_MS_MAX)
    assert building.forwarded() == []


def test_a_device_that_gets_known_later_is_booked_when_it_connects_again(building):
    stray = Reader(C)
    stray.write(40)
    building.readers[C] = stray
    building.put(C, stray.journal[1:])
    building.settle()
    assert building.agent.counters["refused_301"] == 40
    building.crash()
    building.start()
    building.ledger.devices.add(C)
    building.play()
    assert building.ledger.head(C) == 40
    assert building.store.first_refused(C, 0) is None


def test_a_forged_record_that_came_first_gives_way_to_the_true_one(building):
    reader = building.readers[A]
    reader.write(16)
    forged = power_record(A, 5, seal.CHAIN_START, key=key_of(B))
    building.put(A, [*reader.journal[1:5], forged])
    building.put(A, reader.journal[1:])
    assert building.agent.counters["records_in_conflict"] == 1
    assert building.store.records_after(A, 4, 1) == [(5, forged)]  # the first is not overwritten
    for _ in range(4):
        building.settle()
        building.step(PAUSE_MS_MAX)
    building.settle()
    assert building.ledger.head(A) == 16
    assert building.store.mark(A).receipted == 16
    assert building.agent.counters[f"refused_{errors.BAD_SEAL}"] == 1


def test_a_forged_record_refused_before_the_true_one_came_gives_way_too(building):
    reader = building.readers[A]
    reader.write(16)
    building.put(A, [*reader.journal[1:5], power_record(A, 5, seal.CHAIN_START, key=key_of(B))])
    building.settle()
    building.put(A, reader.journal[1:])
    building.settle()
    assert building.ledger.head(A) == 16


def test_a_record_that_stays_bad_wedges_neither_its_agent_nor_other_readers(building):
    reader = building.readers[A]
    reader.write(16)
    reader.journal[5] = power_record(A, 5, seal.CHAIN_START, key=key_of(B))
    building.put(A, reader.journal[1:])
    _fill(building, B, 64)
    for _ in range(20):
        building.settle()
        building.step(1_000)
    count = sum(building.ledger.received.values())
    assert building.ledger.head(B) == 64
    assert building.ledger.head(A) == 4
    assert building.store.mark(A).receipted == 4
    assert count < 64 + 16 * 6  # asked again now and then, not in a storm


# --- windows and outages -------------------------------------------------------------------


def test_the_window_is_never_exceeded_and_order_is_kept_per_device(building):
    _fill(building, A, 1_000)
    _fill(building, B, 600)
    seen, under_way = [], []
    for _ in range(100):
        building.step()
        under_way += building.forwarded()
        assert len(under_way) <= WINDOW
        assert building.agent.status()["forwards_under_way"] == len(under_way)
        for payload in under_way:
            assert len(payload) <= messages.FORWARD_BYTES_MAX
            assert len(numbers_of(payload)) <= messages.FORWARD_RECORDS_MAX
        if not under_way:
            break
        payload = under_way.pop(0)
        seen += numbers_of(payload)
        building.answer(building.ledger.answer(payload))
    assert [seq for device, seq in seen if device == A] == [*range(1, 1_001)]
    assert [seq for device, seq in seen if device == B] == [*range(1, 601)]


def test_small_backlogs_of_many_devices_share_a_forward(tmp_path):
    devices = range(2_000, 2_010)
    building = Building(tmp_path, Ledger(devices), devices)
    for device in devices:
        building.readers[device].write(4)
        building.say(device, building.readers[device].batch())
    building.step()
    (payload,) = building.forwarded()
    assert len(numbers_of(payload)) == 40


def test_upstream_away_for_long_then_back_everything_once_and_memory_flat(building):
    building.upstream.down()
    reader = building.readers[A]
    for turn in range(30):
        reader.write(40)
        building.put(A, reader.journal[-40:])
        building.port.sent()
        building.port.acked.clear()
        building.port.events.clear()
        building.step(60_000)
        if turn == 9:
            tracemalloc.start()
            building.agent.step(building.now_ms)
            before = tracemalloc.get_traced_memory()[0]
            held = sum(map(len, reader.journal))
        if turn == 29:
            grown = tracemalloc.get_traced_memory()[0] - before
            grown -= sum(map(len, reader.journal)) - held  # the test's own journal
            tracemalloc.stop()
    assert grown < 100_000  # 800 records and 20 hours
    assert building.upstream.sent() == []
    building.upstream.up()
    building.settle()
    assert building.ledger.head(A) == 1_200
    assert set(building.ledger.received.values()) == {1}
    building.step(1_000)
    for _ in range(8):
        building.step(600)
    assert building.store.count() == 0


def test_a_silent_ledger_gets_one_message_at_a_time_with_growing_pauses(building):
    _fill(building, A, 1_000)
    assert len(building.forwarded()) == WINDOW
    times = []
    for _ in range(120):
        building.step(1_000)
        said = building.forwarded()
        assert len(said) <= 1
        if said:
            assert numbers_of(said[0])[0] == (A, 1)
            times.append(building.now_ms)
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert times[0] == 1_000 + ANSWER_MS
    assert gaps == [10_000, 20_000, PAUSE_MS_MAX, PAUSE_MS_MAX]
    # It says that it is back: no need to wait for the end of the pause.
    building.upstream.deliver(topics.LEDGER_STATUS, b"whatever it says")
    building.step(1_000)
    building.step(ANSWER_MS)
    for payload in building.forwarded():
        building.answer(building.ledger.answer(payload))
    building.settle()
    assert building.ledger.head(A) == 1_000


def test_a_lost_forward_is_noticed_by_the_next_answer(building):
    _fill(building, A, 512)
    _lost, *rest = building.forwarded()
    for payload in rest:
        building.answer(building.ledger.answer(payload))
    building.settle()
    assert building.ledger.head(A) == 512
    assert building.store.mark(A).receipted == 512


def test_lost_answers_cost_repeats_but_nothing_else(building):
    _fill(building, A, 512)
    payloads = building.forwarded()
    answers = [building.ledger.answer(payload) for payload in payloads]
    building.answer(answers[-1])
    building.settle()
    assert building.store.mark(A).receipted == 512
    assert building.ledger.head(A) == 512
    assert set(building.ledger.received.values()) == {1}  # receipts are cumulative


def test_a_new_upstream_session_begins_after_the_last_booked_record(building):
    _fill(building, A, 512)
    payloads = building.forwarded()
    building.answer(building.ledger.answer(payloads[0]))
    building.step()
    building.forwarded()
    building.upstream.down()
    building.step()
    building.upstream.up()
    building.step()
    assert numbers_of(building.forwarded()[0])[0] == (A, 65)


def test_a_port_that_takes_nothing_is_asked_again_later(building):
    building.upstream.refuses_publish = True
    _fill(building, A, 8)
    due_ms = building.step()
    assert building.now_ms < due_ms <= building.now_ms + 1_000
    building.upstream.refuses_publish = False
    building.step(1_000)
    building.settle()
    assert building.ledger.head(A) == 8
