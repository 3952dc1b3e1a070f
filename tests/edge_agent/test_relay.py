"""What readers and the ledger say to each other through the agent: now, or not at all."""

import pytest

from edge_agent.readers import RELAYS_PER_STEP_MAX, STRANGERS_MAX
from edge_agent.service import reader_subscriptions
from edge_agent.upstream import ANSWERS_PER_STEP_MAX, RELAYS_UNACKED_MAX
from protocols.wire import errors, messages, topics
from protocols.wire.ledger_status import STATUS_OFFLINE, STATUS_ONLINE
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
    assert building.agent.counters["relays_unheard"] == 1
    building.say(A, relay(A, b"new"))
    building.crash()
    building.start()
    building.step()
    assert said_up(building) == []


# --- the ledger is away ------------------------------------------------------------------------

UNHEARD = b"end of it"[-messages.UNHEARD_BYTES :]


def asks(building, device=A):
    """What a reader that asks is told, and what the ledger hears."""
    building.say(device, relay(device, b"the end of it"))
    building.step()
    told = [data for topic, data in said_down(building) if topic == topics.down(SITE, device)]
    building.port.published.clear()
    heard = said_up(building)
    building.upstream.published.clear()
    return told, heard


ASKED = [], [relay(A, b"the end of it")]
REFUSED = [relay(A, UNHEARD)], []


def test_without_a_line_a_reader_is_told_at_once_that_nobody_hears_it(building):
    assert asks(building) == ASKED
    building.upstream.down()
    assert asks(building) == REFUSED
    building.upstream.up()
    assert asks(building) == ASKED


def test_so_it_is_while_the_ledger_says_that_it_is_away(building):
    building.upstream.deliver(topics.LEDGER_STATUS, STATUS_OFFLINE, retain=True)
    building.step()
    assert asks(building) == REFUSED
    building.upstream.deliver(topics.LEDGER_STATUS, STATUS_ONLINE)
    building.step()
    assert asks(building) == ASKED


def test_what_its_status_may_be_besides_says_nothing(building):
    for status in (b"", b"whatever", b"offline "):
        building.upstream.deliver(topics.LEDGER_STATUS, status)
        building.step()
        assert asks(building) == ASKED


def test_a_ledger_that_answers_is_not_away_whatever_its_will_has_said(building):
    """The will of its last connection may come late, behind its return, and stays retained."""
    building.upstream.deliver(topics.LEDGER_STATUS, STATUS_OFFLINE, retain=True)
    building.step()
    assert asks(building) == REFUSED
    # The refusal is a record, which is forwarded all the same.
    reader = building.readers[A]
    reader.write(1)
    building.say(A, reader.batch())
    building.step()
    (forward,) = building.forwarded()
    building.answer(bytes(64))  # not the ledger's
    building.step()
    assert asks(building) == REFUSED
    building.answer(building.ledger.answer(forward))
    building.step()
    assert asks(building) == ASKED


def test_a_crowd_of_asks_is_refused_one_by_one(building):
    building.upstream.down()
    for device in (A, B, A):
        building.say(device, relay(device, b"end of %d" % device))
    building.step()
    ends = [(d, (b"end of %d" % d)[-messages.UNHEARD_BYTES :]) for d in (A, B, A)]
    assert said_down(building) == [(topics.down(SITE, d), relay(d, end)) for d, end in ends]
    assert len(building.port.acked) == 3


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


# --- readers of another site -----------------------------------------------------------------


def stranger_says(building, payload, device=7, site="canteen-9", **kwargs):
    return building.port.deliver(topics.up(site, device), payload, **kwargs)


@pytest.fixture
def alone(tmp_path):
    """A building whose broker is its own."""
    return Building(tmp_path, Ledger([A, B]), [A, B], strangers=True)


def test_a_stranger_may_ask_and_hears_the_answer_where_it_listens(alone):
    stranger_says(alone, relay(7))
    alone.step()
    assert said_up(alone) == [relay(7)] and alone.agent.counters["strangers"] == 1
    for answer in (b"first", b"second"):
        alone.upstream.deliver(DOWN, relay(7, answer))
        alone.step()
    # One answer for a question; ours of that number, if there is one, hears all of them.
    assert said_down(alone) == [
        (topics.down(SITE, 7), relay(7, b"first")),
        (topics.down("canteen-9", 7), relay(7, b"first")),
        (topics.down(SITE, 7), relay(7, b"second")),
    ]


def test_nobody_takes_an_answer_away_from_ours(alone):
    """Somebody uses the number of a reader of ours under the name of another site."""
    stranger_says(alone, relay(A), device=A)
    alone.step()
    alone.upstream.deliver(DOWN, relay(A, b"for ours"))
    alone.step()
    assert (topics.down(SITE, A), relay(A, b"for ours")) in said_down(alone)


def test_nothing_else_of_a_stranger_is_taken(alone):
    reader = alone.readers[A]
    reader.write(3)
    hello = messages.encode_message(
        messages.HELLO, {"device": A, "boot_id": 1, "receipted": 0, "head": 3}
    )
    for payload in (hello, reader.batch()):
        stranger_says(alone, payload, device=A)
    stranger_says(alone, relay(A), device=7)  # not whose topic it is
    stranger_says(alone, relay(7), retain=True)
    alone.step()
    assert alone.store.devices() == [] and said_up(alone) == []
    assert alone.port.sent() == [] and len(alone.port.acked) == 4


def test_a_broker_that_is_shared_has_no_strangers(building):
    """Where agents of two sites hear one broker, an outage of one must not move its readers."""
    stranger_says(building, relay(7))
    building.step()
    assert said_up(building) == []
    assert building.agent.counters[f"bad_up_{errors.BAD_TOPIC}"] == 1
    assert reader_subscriptions(SITE) == [topics.up_filter(SITE)]
    assert reader_subscriptions(SITE, strangers=True) == [topics.any_up_filter()]


def test_a_crowd_of_strangers_takes_no_room(alone):
    for device in range(1, STRANGERS_MAX + 9):
        stranger_says(alone, relay(device), device=device)
        alone.step()
    alone.upstream.deliver(DOWN, relay(1, b"late"))
    alone.upstream.deliver(DOWN, relay(STRANGERS_MAX + 8, b"there"))
    alone.step()
    assert [topic for topic, _ in said_down(alone) if "canteen-9" in topic] == [
        topics.down("canteen-9", STRANGERS_MAX + 8)
    ]
