"""What readers and the ledger say to each other through the agent: now, or not at all."""

import pytest

from edge_agent.readers import RELAYS_PER_STEP_MAX
from edge_agent.upstream import ANSWERS_PER_STEP_MAX, RELAYS_UNACKED_MAX
from protocols.wire import errors, messages, topics
from tests.edge_agent.building import Building
from tests.edge_agent.peers import SITE, Ledger

A, B = 1001, 1002
UP, DOWN = topics.relay_up(SITE), topics.relay_down(SITE)


@pytest.fixture
def building(tmp_path):
    return Building(tmp_path, Ledger([A, B]), [A, B])


def relay(device, sealed=b"sealed"):
    return messages.encode_message(messages.RELAY, {"device": device, "sealed": sealed})


def said_up(building):
    return [payload for topic, payload in building.upstream.sent() if topic == UP]


def said_down(building):
    return [(topic, data) for topic, data in building.port.sent() if data[:3] == b"\xa3\x00\x07"]


def test_it_is_handed_on_byte_for_byte(building):
    for device in (A, B, A):
        building.say(device, relay(device, b"up %d" % device))
    building.step()
    assert said_up(building) == [relay(d, b"up %d" % d) for d in (A, B, A)]
    assert len(building.port.acked) == 3
    building.upstream.deliver(DOWN, relay(B, b"down"))
    building.step()
    assert said_down(building) == [(topics.down(SITE, B), relay(B, b"down"))]
    assert len(building.upstream.acked) == 1


def test_nothing_is_kept(building):
    """Without a line to the centre it is gone, and does not come when there is one again."""
    building.upstream.down()
    building.say(A, relay(A))
    building.step()
    building.upstream.up()
    building.step(1_000)
    assert said_up(building) == []
    assert building.agent.counters["relays_dropped"] == 1
    building.say(A, relay(A, b"new"))
    building.crash()
    building.start()
    building.step()
    assert said_up(building) == []


def test_records_go_on_beside_it(building):
    """A reader that talks and talks takes no room from the records of others."""
    reader = building.readers[A]
    reader.write(8)
    for _ in range(RELAYS_PER_STEP_MAX + 10):
        building.say(B, relay(B))
    building.say(A, reader.batch())
    building.step()
    assert len(said_up(building)) == RELAYS_PER_STEP_MAX
    assert building.agent.counters["relays_dropped"] == 10
    assert building.store.mark(A).stored == 8
    assert building.stored(A) == [8]


def test_a_jammed_line_gets_no_more(building):
    building.upstream.unacked = RELAYS_UNACKED_MAX
    building.say(A, relay(A))
    building.step()
    assert said_up(building) == []


def test_a_flood_from_the_centre_is_taken_in_turns(building):
    for _ in range(ANSWERS_PER_STEP_MAX + 1):
        building.upstream.deliver(DOWN, relay(A))
    building.step()
    assert len(said_down(building)) == ANSWERS_PER_STEP_MAX
    building.step()
    assert len(said_down(building)) == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (relay(B), errors.BAD_FIELD),
        (b"", errors.TRUNCATED),
        (relay(A)[:-1], errors.TRUNCATED),
        (bytes(messages.BATCH_BYTES_MAX + 1), errors.TOO_LONG),
    ],
)
def test_what_is_wrong_from_a_reader_goes_nowhere(building, payload, code):
    building.say(A, payload)
    building.step()
    assert said_up(building) == []
    assert building.agent.counters[f"bad_up_{code}"] == 1
    assert len(building.port.acked) == 1


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (topics.relay_down("south"), relay(A), errors.BAD_TOPIC),
        (UP, relay(A), errors.BAD_TOPIC),
        (DOWN, b"", errors.TRUNCATED),
        (DOWN, bytes(600), errors.TOO_LONG),
        (
            DOWN,
            messages.encode_message(messages.STORED, {"device": A, "upto": 9}),
            errors.UNEXPECTED_TYPE,
        ),
    ],
)
def test_what_is_wrong_from_the_centre_goes_nowhere(building, topic, payload, code):
    building.upstream.deliver(topic, payload)
    building.step()
    assert building.port.sent() == []
    assert building.agent.counters[f"bad_receipts_{code}"] == 1
    assert len(building.upstream.acked) == 1


def test_what_was_retained_is_old(building):
    building.say(A, relay(A), retain=True)
    building.upstream.deliver(DOWN, relay(A), retain=True)
    building.step()
    assert said_up(building) == [] and building.port.sent() == []
