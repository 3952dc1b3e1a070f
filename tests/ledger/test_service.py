"""The service: deliveries in, receipts out, in the one order that loses nothing."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import reasons
from ledger.dialect import StoreUnavailable
from ledger.portions import DELIVERIES_MAX, FEW
from ledger.receipts import public_key
from ledger.service import RETRY_MS, LedgerService
from protocols.wire import cbor, messages, seal, topics
from protocols.wire.errors import BAD_SEAL, WireError
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
from tests.ledger.desk import Desk
from tests.ledger.readers import CANTEEN, Reader, forward, open_ledger

SIGNING_KEY = bytes(range(32))
NOW_S = 1_750_000_000


class FailingStore:
    """A store whose disk is full for the first `failures` attempts."""

    def __init__(self, store, failures):
        self._store = store
        self._failures = failures

    def book(self, deliveries, ahead):
        if self._failures:
            self._failures -= 1
            raise StoreUnavailable("disk full")
        return self._store.book(deliveries, ahead)


def make(*readers, failures=0):
    store, desk = open_ledger(*readers), Desk()
    keeper = FailingStore(store, failures) if failures else store
    return store, desk, LedgerService(keeper, desk, SIGNING_KEY, lambda: NOW_S)


def opened(data):
    """The fields of signed RECEIPTS, as an agent verifies them."""
    payload, signature = seal.sign1_split(data)
    key = Ed25519PublicKey.from_public_bytes(public_key(SIGNING_KEY))
    key.verify(signature, seal.sign1_tbs(payload, messages.RECEIPTS_LABEL))
    return messages.decode_message(payload, (messages.RECEIPTS,))


def receipt_of(reader, sealed):
    """The fields of one receipt, as its device verifies it."""
    key = seal.derive(reader.key, messages.RECEIPT_LABEL)
    return messages.decode_receipt(seal.unseal(key, sealed, messages.RECEIPT_LABEL))


MALFORMED = {
    "noise": b"\xff" * 40,
    "empty": b"",
    "another type": messages.encode_message(messages.STORED, {"device": 1, "upto": 1}),
    "no records": cbor.encode({0: messages.FORWARD, 1: "north", 2: 1, 3: []}),
    "too many records": cbor.encode({0: messages.FORWARD, 1: "north", 2: 1, 3: [b"x"] * 65}),
    "oversized record": cbor.encode({0: messages.FORWARD, 1: "north", 2: 1, 3: [bytes(257)]}),
    "oversized": b"\x00" * 20_000,
    "another site": forward("south", 1, [b"x"]),
    "non-canonical": b"\xa4\x00\x18\x05" + forward("north", 1, [b"x"])[3:],
    "truncated": forward("north", 1, [b"x" * 100])[:-1],
    "trailing": forward("north", 1, [b"x"]) + b"\0",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_delivery_is_counted_acknowledged_and_ignored(name):
    reader = Reader(1001)
    store, desk, service = make(reader)
    message = desk.deliver("north", MALFORMED[name])
    service.step(0)
    assert service.counters["malformed"] == 1
    assert desk.log[1:] == [("ack", message.mid)]
    assert store.summary()["records"] == 0
    reader.spend()
    desk.deliver("north", forward("north", 2, reader.records))
    service.step(1)
    assert store.takings(CANTEEN) == 100


@pytest.mark.parametrize(
    ("topic", "retain"),
    [("onecard/v1/NORTH/agent/records", False), ("onecard/v1/north/agent/records", True)],
)
def test_delivery_on_no_topic_of_ours_or_retained_is_ignored(topic, retain):
    reader = Reader(1001)
    store, desk, service = make(reader)
    reader.boot()
    desk.deliver("", forward("north", 1, reader.records), topic=topic, retain=retain)
    service.step(0)
    assert service.counters["malformed"] == 1
    assert store.summary()["records"] == 0


def test_one_forward_gives_one_receipts_with_each_device_once():
    readers = [Reader(1001), Reader(1002)]
    _store, desk, service = make(*readers)
    for reader in readers:
        reader.spend()
    records = [*readers[0].records, *readers[1].records]
    desk.deliver("north", forward("north", 77, records))
    service.step(0)
    (data,) = desk.receipts("north")
    fields = opened(data)
    assert (fields["number"], fields["refused"]) == (77, [])
    assert [(device, upto) for device, upto, _ in fields["receipts"]] == [(1001, 2), (1002, 2)]
    for reader, (device, upto, sealed) in zip(readers, fields["receipts"], strict=True):
        assert receipt_of(reader, sealed) == {
            "device": device,
            "upto": upto,
            "tag": reader.tag[:8],
            "time_s": NOW_S,
        }


def test_device_that_is_only_spoken_of_gets_no_receipt():
    reader, other = Reader(1001), Reader(1002)
    _store, desk, service = make(reader, other)
    other.outcome((1001, 1))
    desk.deliver("north", forward("north", 1, other.records))
    service.step(0)
    fields = opened(desk.receipts("north")[0])
    assert [receipt[:2] for receipt in fields["receipts"]] == [[1002, 1]]


def test_receipt_of_one_device_is_nothing_to_another():
    reader, other = Reader(1001), Reader(1002)
    _store, desk, service = make(reader, other)
    reader.boot()
    desk.deliver("north", forward("north", 1, reader.records))
    service.step(0)
    sealed = opened(desk.receipts("north")[0])["receipts"][0][2]
    with pytest.raises(WireError) as error:
        receipt_of(other, sealed)
    assert error.value.code == BAD_SEAL


def test_refused_records_are_named_and_the_rest_is_receipted():
    reader, stranger = Reader(1001), Reader(1009)
    _store, desk, service = make(reader)
    reader.spend()
    stranger.boot()
    forged = reader.records[0][:-1] + bytes((reader.records[0][-1] ^ 1,))
    desk.deliver("north", forward("north", 1, [forged, *stranger.records, *reader.records]))
    service.step(0)
    fields = opened(desk.receipts("north")[0])
    assert fields["refused"] == [[1001, 1, BAD_SEAL], [1009, 1, reasons.UNKNOWN_DEVICE]]
    assert [receipt[:2] for receipt in fields["receipts"]] == [[1001, 2]]


def test_nothing_booked_yet_is_a_receipt_for_nothing():
    reader = Reader(1001)
    _store, desk, service = make(reader)
    reader.spend()
    desk.deliver("north", forward("north", 1, reader.records[1:]))
    service.step(0)
    ((_device, upto, sealed),) = opened(desk.receipts("north")[0])["receipts"]
    assert upto == 0
    assert receipt_of(reader, sealed)["tag"] == bytes(8)


def test_redelivery_gets_the_same_receipts_and_books_once():
    reader = Reader(1001)
    store, desk, service = make(reader)
    reader.spend()
    for number in (1, 1, 2):
        desk.deliver("north", forward("north", number, reader.records))
        service.step(0)
    first, again, other = desk.receipts("north")
    assert first == again
    assert opened(other) == opened(first) | {"number": 2}
    assert store.takings(CANTEEN) == 100


def test_commit_then_receipts_then_ack():
    reader = Reader(1001)
    store, desk, service = make(reader)
    service.step(0)
    reader.spend()
    desk.log.clear()
    order = desk.log
    book = store.book
    store.book = lambda *portions: (book(*portions), order.append("committed"))[0]
    messages_in = [
        desk.deliver("north", forward("north", 1, reader.records)),
        desk.deliver("south", forward("south", 9, reader.records)),
    ]
    service.step(0)
    assert order == [
        "committed",  # both in one transaction
        ("publish", topics.agent_receipts("north")),
        ("ack", messages_in[0].mid),
        ("publish", topics.agent_receipts("south")),
        ("ack", messages_in[1].mid),
    ]


def test_no_receipt_and_no_ack_while_the_disk_is_full():
    reader = Reader(1001)
    store, desk, service = make(reader, failures=2)
    reader.spend()
    message = desk.deliver("north", forward("north", 1, reader.records))
    assert service.step(0) == RETRY_MS
    assert service.step(RETRY_MS - 1) == RETRY_MS  # not tried before its time
    assert service.counters["store_unavailable"] == 1
    service.step(RETRY_MS)
    assert ("ack", message.mid) not in desk.log
    assert desk.receipts("north") == []
    service.step(2 * RETRY_MS)
    assert len(desk.receipts("north")) == 1
    assert store.takings(CANTEEN) == 100


def test_connection_lost_before_the_receipt_is_answered_at_the_next_delivery():
    reader = Reader(1001)
    store, desk, service = make(reader)
    reader.spend()
    desk.deliver("north", forward("north", 1, reader.records))
    desk.connected = False
    service.step(0)
    assert service.counters["receipts"] == 0
    assert store.takings(CANTEEN) == 100
    desk.connected = True
    desk.deliver("north", forward("north", 1, reader.records))
    service.step(1)
    assert len(desk.receipts("north")) == 1


def test_no_more_is_taken_than_two_commits_can_carry():
    reader = Reader(1001)
    reader.boot()
    store, desk, service = make(reader)
    for number in range(2 * DELIVERIES_MAX + 5):
        desk.deliver("north", forward("north", number, reader.records))
    assert service.step(7) == 7  # call again at once
    assert len(desk.inbox) == 5
    assert len(desk.receipts("north")) == FEW  # the next ones are being read
    while service.step(7) == 7:
        pass
    numbers = [opened(data)["number"] for data in desk.receipts("north")]
    assert numbers == list(range(2 * DELIVERIES_MAX + 5))
    store.close()  # and the process that reads ahead


def test_no_more_is_taken_while_the_disk_refuses():
    reader = Reader(1001)
    reader.boot()
    _store, desk, service = make(reader, failures=99)
    for number in range(3 * DELIVERIES_MAX):
        desk.deliver("north", forward("north", number, reader.records))
    for turn in range(50):
        service.step(turn * RETRY_MS)
        assert len(service._waiting) <= 2 * DELIVERIES_MAX
    assert service.counters["store_unavailable"] == 50
    assert len(desk.inbox) == DELIVERIES_MAX  # the port's bound does the rest


def test_status_is_retained_once_in_each_session():
    _store, desk, service = make()
    status = (topics.LEDGER_STATUS, STATUS_ONLINE, True)
    service.step(0)
    service.step(1)
    assert desk.sent == [status]
    desk.sessions += 1
    service.step(2)
    assert desk.sent == [status, status]


def test_whoever_is_there_contradicts_that_nobody_is():
    """The will of another ledger on this broker, or of an own connection that died unnoticed."""
    _store, desk, service = make()
    status = (topics.LEDGER_STATUS, STATUS_ONLINE, True)
    service.step(0)
    for payload, count in ((STATUS_ONLINE, 1), (STATUS_OFFLINE, 2), (b"?", 2), (b"", 2)):
        owed = desk.deliver("north", payload, topic=topics.LEDGER_STATUS)
        service.step(1)
        assert desk.sent == [status] * count
        assert desk.log[-1] == ("ack", owed.mid)
    assert service.counters["malformed"] == 0


def test_it_is_contradicted_later_where_it_cannot_be_now():
    _store, desk, service = make()
    service.step(0)
    publish, desk.publish = desk.publish, lambda *_, **__: 0
    desk.deliver("north", STATUS_OFFLINE, topic=topics.LEDGER_STATUS)
    service.step(1)
    desk.publish = publish
    service.step(2)
    service.step(3)
    assert desk.sent == [(topics.LEDGER_STATUS, STATUS_ONLINE, True)] * 2
