"""The uplink on the bench: what it refuses, how it survives, and that only receipts free."""

import random

import pytest

from firmware.services.uplink import KEEPALIVE_S, FirstSends, backoff_ms
from protocols.wire import cbor, messages, mqtt, seal, topics
from protocols.wire.mqtt_client import WINDOW_MAX
from tests.link.bench import DEVICE, KEY, SITE, Bench, Source, receipt, stored

ANSWERS = ("retained", "foreign", "malformed", "forged", "mismatched", "repeated", "refused")


def flipped(message):
    """A RECEIPT whose seal has one bit turned over."""
    return message[:-1] + bytes((message[-1] ^ 1,))


# --- answers that free nothing -----------------------------------------------------------------

FALSE_RECEIPTS = {
    "another key": (lambda source: receipt(source, 2, key=bytes(32)), "forged"),
    "one bit turned": (lambda source: flipped(receipt(source, 2)), "forged"),
    "sealed for another device": (lambda source: receipt(source, 2, device=1002), "foreign"),
    "sent to another device": (lambda source: receipt(source, 2, envelope=1002), "foreign"),
    "another record": (lambda source: receipt(source, 2, tag=bytes(8)), "mismatched"),
    "another sequence": (
        lambda source: receipt(source, 2, tag=seal.tag_of(source.sealed[2])[:8]),
        "mismatched",
    ),
    "beyond our head": (lambda source: receipt(source, 9, tag=bytes(8)), "refused"),
    "nothing at all": (lambda source: receipt(source, 0, tag=bytes(8)), "repeated"),
    "not a message": (lambda source: b"open sesame", "malformed"),
    "empty": (lambda source: b"", "malformed"),
    "one byte too many": (lambda source: receipt(source, 2) + b"\x00", "malformed"),
    "another type": (
        lambda source: messages.encode_message(
            messages.HELLO, {"device": DEVICE, "boot_id": 1, "receipted": 0, "head": 3}
        ),
        "malformed",
    ),
    "STORED beyond our head": (lambda source: stored(4), "refused"),
    "STORED of another device": (lambda source: stored(3, device=1002), "foreign"),
    "a seal that is none": (
        lambda source: messages.encode_message(
            messages.RECEIPT, {"device": DEVICE, "sealed": b"\xd1\x84"}
        ),
        "forged",
    ),
    "a sealed body that is none": (
        lambda source: messages.encode_message(
            messages.RECEIPT,
            {
                "device": DEVICE,
                "sealed": seal.seal(seal.derive(KEY, b"receipt"), b"\x00", b"receipt"),
            },
        ),
        "malformed",
    ),
    "a record's seal instead of a receipt's": (
        lambda source: messages.encode_message(
            messages.RECEIPT,
            {
                "device": DEVICE,
                "sealed": seal.seal(
                    KEY, messages.encode_receipt(DEVICE, 2, bytes(8), 7), b"receipt"
                ),
            },
        ),
        "forged",
    ),
}


@pytest.mark.parametrize("name", FALSE_RECEIPTS)
def test_a_false_answer_is_counted_acknowledged_and_frees_nothing(name):
    make, counter = FALSE_RECEIPTS[name]
    bench = Bench(3).settle()
    bench.say(make(bench.source))
    bench.settle()
    assert {name: n for name, n in bench.counters.items() if name in ANSWERS} == {counter: 1}
    assert bench.receipts == []
    assert bench.broker.events[-1] == (mqtt.PUBACK, bench.broker.packet_id)
    assert bench.uplink.online
    # And the true one still does its work.
    bench.say(receipt(bench.source, 2))
    bench.settle()
    assert [upto for upto, *_ in bench.receipts] == [2]


@pytest.mark.parametrize("make", [lambda source: receipt(source, 2), lambda source: stored(3)])
def test_what_is_retained_is_dropped(make):
    bench = Bench(3).settle()
    bench.say(make(bench.source), retain=True)
    bench.settle()
    assert bench.counters["retained"] == 1
    assert bench.receipts == []
    assert bench.broker.events[-1][0] == mqtt.PUBACK


def test_another_topic_is_foreign():
    bench = Bench(3).settle()
    bench.say(receipt(bench.source, 2), topic=topics.down(SITE, 1002))
    bench.settle()
    assert bench.counters["foreign"] == 1
    assert bench.receipts == []


def test_a_receipt_that_comes_twice_counts_once():
    bench = Bench(3).settle()
    for _ in range(2):
        bench.say(receipt(bench.source, 2))
    bench.say(receipt(bench.source, 1))
    bench.settle()
    assert [upto for upto, *_ in bench.receipts] == [2]
    assert bench.counters["repeated"] == 2


def test_puback_frees_nothing():
    bench = Bench(20)
    bench.run(50_000)
    assert len(bench.held) == 20
    assert bench.receipts == []


# --- connections that fail ---------------------------------------------------------------------


def test_no_route_refused_and_silent_hosts_are_tried_again_ever_more_slowly():
    for fault in ("no_route", "refuses", "answers"):
        bench = Bench(1)
        setattr(bench.net, fault, fault != "answers")
        bench.run(600_000)
        assert not bench.uplink.online
        assert 15 <= len(bench.net.wires) <= 40
        assert bench.counters == {"lost": len(bench.net.wires)}
        assert bench.uplink.last_error
        setattr(bench.net, fault, fault == "answers")
        bench.run(bench.now_ms + 40_000)
        assert bench.uplink.online
        assert len(bench.held) == 1


def test_a_link_that_is_down_is_not_dialled():
    bench = Bench(1)
    bench.net.up = False
    bench.run(100_000)
    assert bench.net.wires == []
    assert bench.counters == {}
    bench.net.up = True
    bench.run(102_000)
    assert bench.uplink.online


@pytest.mark.parametrize(("answer", "value"), [("connack", b"\x05"), ("suback", b"\x80")])
def test_a_broker_that_refuses_us(answer, value):
    bench = Bench(1)
    bench.prepare = lambda broker: setattr(broker, answer, value)
    bench.run(100_000)
    assert 5 <= len(bench.net.wires) <= 12
    assert str(mqtt.CONNECTION_REFUSED) in bench.uplink.last_error
    assert bench.counters == {"lost": len(bench.net.wires)}
    assert not bench.uplink.online


@pytest.mark.parametrize("answer", ["connack", "suback", "pubacks", "pongs"])
def test_a_broker_that_does_not_answer_is_left(answer):
    bench = Bench(1)
    bench.prepare = lambda broker: setattr(broker, answer, b"")
    bench.run(100_000)
    assert len(bench.net.wires) > 1
    assert bench.net.wires[0].closed
    assert str(mqtt.CONNECTION_DEAD) in bench.uplink.last_error


@pytest.mark.parametrize(
    "data", [b"\xf0\x00", b"\x34\x05\x00\x01a\x00\x01", b"\x30\xff\xff\xff\x7f"]
)
def test_a_broker_that_speaks_nonsense_is_left_at_once(data):
    bench = Bench(1).settle()
    bench.broker.wire.to_device += data
    bench.settle()
    assert bench.net.wires[0].closed
    assert bench.uplink.stream is None
    bench.run(3_000)
    assert bench.uplink.online


def test_good_answers_before_nonsense_in_the_same_bytes_are_followed():
    bench = Bench(3).settle()
    bench.say(receipt(bench.source, 2))
    bench.broker.wire.to_device += b"\xf0\x00"
    bench.settle()
    assert [upto for upto, *_ in bench.receipts] == [2]
    assert bench.net.wires[0].closed


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_lost_connection_is_made_again_and_the_rest_is_sent(how):
    bench = Bench(3).settle()
    assert bench.uplink.online
    setattr(bench.broker.wire, how, True)
    bench.settle()
    assert not bench.uplink.online
    bench.source.grow(20)
    bench.run(10_000)
    assert bench.uplink.online
    assert bench.held == bench.source.sealed
    assert bench.counters["lost"] == 1
    assert bench.counters["sessions"] == 2


def test_half_a_packet_does_not_leak_into_the_next_connection():
    bench = Bench(3).settle()
    bench.net.send_max = 0
    bench.source.grow(1)
    bench.step()
    assert bench.uplink.wants_write
    bench.broker.wire.reset = True
    bench.net.send_max = 1 << 20
    bench.run(5_000)
    assert bench.brokers[1].events[0][0] == mqtt.CONNECT
    assert bench.counters == {"sessions": 2, "lost": 1}
    assert bench.held == bench.source.sealed


def test_the_first_loss_after_a_good_session_is_repaired_soon():
    bench = Bench(1)
    bench.net.no_route = True
    bench.run(200_000)
    bench.net.no_route = False
    bench.run(240_000)
    assert bench.uplink.online
    bench.broker.wire.closed = True
    bench.settle()
    bench.run(bench.now_ms + 2_000)
    assert bench.uplink.online


def test_an_agent_faster_than_its_brokers_pubacks_is_not_a_fault():
    bench = Bench(1)
    bench.prepare = lambda broker: setattr(broker, "pubacks", False)
    bench.settle()
    for _ in range(30):
        bench.source.grow(1)
        bench.run(bench.now_ms + 100)
    assert bench.counters == {"sessions": 1}
    assert len(bench.batches) < 10
    bench.prepare = lambda broker: None
    bench.run(60_000)  # the connection without PUBACKs is given up, and the next one delivers
    assert bench.held == bench.source.sealed


def test_an_agent_that_is_away_is_asked_and_then_served():
    bench = Bench(3)
    bench.agent = False
    bench.run(100_000)
    assert [at_ms for at_ms, _ in bench.hellos][:4] == [0, 5_000, 15_000, 35_000]
    assert not bench.uplink.online
    assert bench.batches == []
    bench.agent = True
    bench.run(200_000)
    assert bench.uplink.online
    assert bench.held == bench.source.sealed
    assert bench.counters == {"sessions": 1}


def test_a_journal_that_gives_nothing_is_asked_slowly():
    bench = Bench(3)
    bench.source.readable = False
    bench.run(60_000)
    assert 1 <= bench.counters["unreadable"] <= 6
    assert bench.batches == []


# --- the normal case ---------------------------------------------------------------------------


def test_a_record_that_cannot_be_read_holds_up_what_follows_and_nothing_before_it():
    class Rotten(Source):
        def records_from(self, seq, count_max, bytes_max):
            return super().records_from(seq, min(count_max, 21 - seq), bytes_max)

    bench = Bench(source=Rotten(30)).run(600_000)
    assert bench.held == bench.source.sealed[:20]
    assert 1 <= bench.counters["unreadable"] <= 25
    bench.say(receipt(bench.source, 20))
    bench.settle()
    assert [upto for upto, *_ in bench.receipts] == [20]
    assert bench.uplink.online
    bench.source.grow(4)  # and writing goes on: the journal is not full yet
    assert bench.source.head_seq() == 34


def test_the_first_words_of_a_session():
    bench = Bench(3).settle()
    status = topics.status(SITE, DEVICE)
    events = [event for event in bench.broker.events if event[0] != mqtt.PUBACK]
    assert events[0] == (mqtt.CONNECT, f"onecard-{DEVICE}", KEEPALIVE_S, True, status)
    assert events[1][2] == ((topics.down(SITE, DEVICE), 1),)
    assert events[2][1:5] == (status, cbor.encode({1: "online", 2: 3}), 1, True)
    assert events[3][1:5] == (
        topics.up(SITE, DEVICE),
        messages.encode_message(
            messages.HELLO, {"device": DEVICE, "boot_id": 3, "receipted": 0, "head": 3}
        ),
        1,
        False,
    )
    assert events[4][1] == topics.up(SITE, DEVICE)
    assert bench.held == bench.source.sealed


def test_records_go_up_in_order_and_each_once():
    bench = Bench(100).settle()
    assert bench.held == bench.source.sealed
    assert [len(records) for _, records in bench.batches] == [8] * 12 + [4]
    bench.source.grow(1)
    bench.settle()
    assert len(bench.batches[-1][1]) == 1
    assert bench.held == bench.source.sealed


def test_batches_keep_to_their_bytes():
    class Wide(Source):
        def grow(self, count):
            for _ in range(count):
                seq = len(self.sealed) + 1
                self.sealed.append(seal.seal(KEY, seq.to_bytes(2, "big") * 105, bytes(32)))

    source = Wide(20)
    # Eight of them fit without the CBOR around them, and do not fit with it.
    assert 8 * len(source.sealed[0]) in range(2_010, messages.BATCH_BYTES_MAX)
    bench = Bench(source=source)
    bench._hear = lambda event: None
    bench.settle()
    bench.say(stored(0))
    bench.settle()
    batch = [event for event in bench.broker.events if event[0] == mqtt.PUBLISH][-1]
    assert 1_750 < len(batch[2]) <= messages.BATCH_BYTES_MAX


@pytest.mark.parametrize(("send_max", "recv_max"), [(1, 1), (7, 3), (1 << 20, 1), (3, 1 << 20)])
def test_sockets_that_take_and_give_little(send_max, recv_max):
    bench = Bench(30)
    bench.net.send_max, bench.net.recv_max = send_max, recv_max
    bench.run(30_000)
    assert bench.held == bench.source.sealed
    assert bench.counters == {"sessions": 1}


def test_a_flood_is_read_in_bounded_steps():
    bench = Bench(3).settle()
    for _ in range(100):
        bench.say(stored(3))
    waiting = len(bench.broker.wire.to_device)
    assert bench.uplink.step(bench.now_ms) == bench.now_ms
    assert 0 < waiting - len(bench.broker.wire.to_device) <= 2_048
    bench.settle()
    assert bench.counters == {"sessions": 1}


def test_a_socket_that_takes_nothing_is_tried_and_does_not_spin():
    bench = Bench(30).settle()
    bench.net.send_max = 0
    bench.source.grow(8)
    bench.run(4_000)
    assert bench.uplink.wants_write
    assert len(bench.held) == 30
    bench.net.send_max = 1 << 20
    bench.run(4_100)
    assert bench.held == bench.source.sealed
    assert not bench.uplink.wants_write


def test_online_ends_when_an_answer_is_overdue_or_the_link_goes():
    bench = Bench(1).settle()
    assert bench.uplink.online
    bench.net.up = False
    assert not bench.uplink.online
    bench.net.up = True
    assert bench.uplink.online
    bench.agent = False
    bench.source.grow(1)
    bench.run(4_999)
    assert bench.uplink.online
    bench.run(5_001)
    assert not bench.uplink.online


def test_a_receipt_brings_the_ledgers_clock_and_when_it_was_asked():
    bench = Bench(0)
    bench.source.grow(3)  # after the uplink was made: of this boot
    bench.run(2_500)
    bench.say(receipt(bench.source, 2, time_s=1_700_000_000))
    bench.settle()
    assert bench.receipts == [(2, 1_700_000_000, 0, 2_500)]


def test_a_receipt_for_a_record_of_an_earlier_boot_proves_no_time():
    bench = Bench(3).settle()
    bench.say(receipt(bench.source, 2))
    bench.settle()
    assert bench.receipts == [(2, 77, None, 0)]


# --- first sends and back-off ------------------------------------------------------------------


def test_first_sends_keep_the_first_time():
    sends = FirstSends(10)
    for upto, now_ms in ((12, 100), (12, 200), (11, 300), (15, 400), (15, 500)):
        sends.note(upto, now_ms)
    assert [sends.take(upto) for upto in (9, 10, 11, 12)] == [None, None, 100, 100]
    assert [sends.take(upto) for upto in (13, 15, 16)] == [400, 400, None]


def test_first_sends_forget_only_toward_earlier_times():
    for seed in range(20):
        print("seed", seed)
        rng = random.Random(seed)
        sends, truth, seq, now_ms = FirstSends(0), {}, 0, 0
        for _ in range(30):
            now_ms += rng.randint(1, 9)
            for _ in range(rng.randint(1, 8)):
                seq += 1
                truth[seq] = now_ms
            sends.note(seq, now_ms)
        assert sends.take(1) == 1 or sends.take(1) <= truth[1]
        for upto in sorted(rng.sample(range(1, seq + 1), 10)):
            assert sends.take(upto) <= truth[upto]
        assert sends.take(seq) == truth[seq]


def test_backoff_is_between_1_and_30_s_and_spreads_the_readers():
    for attempts in range(40):
        waits = [backoff_ms(attempts, device) for device in range(1001, 2001)]
        assert min(waits) >= 1_000
        assert max(waits) < 30_000
        base_ms = min(waits)
        tenths = [0] * 10
        for wait in waits:
            tenths[min(9, (wait - base_ms) * 10 // base_ms)] += 1
        assert min(tenths) > 50, f"attempt {attempts}: {tenths}"
    assert backoff_ms(3, 1001) == backoff_ms(3, 1001)


# --- what the ledger says beside receipts -------------------------------------------------------


def relay(device=DEVICE, sealed=b"sealed"):
    return messages.encode_message(messages.RELAY, {"device": device, "sealed": sealed})


def test_a_relay_is_handed_on_and_its_refusal_counted():
    bench, heard = Bench(3).settle(), []
    bench.uplink.on_relay = lambda sealed, now_ms: heard.append(sealed) or "repeated"
    bench.say(relay())
    bench.settle()
    assert heard == [b"sealed"]
    assert bench.counters["repeated"] == 1


@pytest.mark.parametrize(
    ("message", "retain", "counter"),
    [
        (relay(1002), False, "foreign"),
        (relay(), True, "retained"),
        (relay()[:-1], False, "malformed"),
    ],
)
def test_a_relay_for_somebody_or_some_time_else_is_dropped(message, retain, counter):
    bench, heard = Bench(3).settle(), []
    bench.uplink.on_relay = lambda sealed, now_ms: heard.append(sealed) or ""
    bench.say(message, retain=retain)
    bench.settle()
    assert heard == []
    assert bench.counters[counter] == 1


def test_a_relay_that_nobody_listens_for_is_dropped():
    bench = Bench(3).settle()
    bench.say(relay())
    bench.settle()
    assert bench.counters["foreign"] == 1


def test_a_relay_goes_up_now_or_not_at_all():
    bench = Bench(3)
    assert not bench.uplink.say(messages.RELAY, {"sealed": b"sealed"}), "there is no session yet"
    bench.settle()
    assert bench.uplink.say(messages.RELAY, {"sealed": b"sealed"})
    bench.uplink.step(bench.now_ms)
    bench.broker.step()
    published = [event[1:4] for event in bench.broker.events if event[0] == mqtt.PUBLISH]
    assert published[-1] == (topics.up(SITE, DEVICE), relay(), 1)


def test_relays_leave_a_place_for_records():
    """Nobody acknowledges: the window fills, and its last place is not for what may be lost."""
    bench = Bench(3).settle()
    bench.broker.pubacks = False
    said = 0
    while bench.uplink.say(messages.RELAY, {"sealed": b"sealed"}):
        said += 1
        bench.uplink.step(bench.now_ms)
    assert 0 < said < WINDOW_MAX
    bench.source.grow(1)
    bench.settle()
    assert len(bench.held) == 4
