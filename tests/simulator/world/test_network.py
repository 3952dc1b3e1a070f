"""What only real time decides on a wire is decided here, so that one seed has one log."""

from protocols.wire import messages, mqtt, topics
from simulator.world.network import _relays_last, without_keepalive

DOWN = topics.down("north", 7)
STORED = messages.encode_message(messages.STORED, {"device": 7, "upto": 3})
RELAY = messages.encode_message(messages.RELAY, {"device": 7, "sealed": b"x"})
CARDS, DOORS = (
    messages.encode_message(messages.CARDS, {"device": 7, "epoch": 1, "page": page, "data": b"x"})
    for page in (0, 0x8000)
)


def published(payload, number, qos=1):
    parts = (number.to_bytes(2, "big"), payload) if qos else (payload,)
    return bytes(mqtt.packet(mqtt.PUBLISH << 4 | qos << 1, mqtt.field(DOWN), *parts))


def test_a_relay_that_was_faster_or_slower_makes_one_log():
    faster = [published(RELAY, 11), published(STORED, 12), published(STORED, 13)]
    slower = [published(STORED, 11), published(STORED, 12), published(RELAY, 13)]
    assert _relays_last(faster) == _relays_last(slower) == slower


def test_relays_keep_their_order_and_what_has_none_is_left_alone():
    more = messages.encode_message(messages.RELAY, {"device": 7, "sealed": b"y"})
    both = [published(RELAY, 11), published(more, 12)]
    assert _relays_last(both) == both
    for left in ([], [published(STORED, 11)], [published(STORED, 0, 0), published(RELAY, 3)]):
        assert _relays_last(left) == left


def test_what_is_said_of_cards_and_doors_goes_behind_in_one_order():
    last = [published(STORED, 1), published(RELAY, 2), published(CARDS, 3), published(DOORS, 4)]
    for order in ((DOORS, CARDS, STORED, RELAY), (CARDS, STORED, DOORS, RELAY)):
        sent = [published(payload, number + 1) for number, payload in enumerate(order)]
        assert _relays_last(sent) == last


def connect(keepalive_s, will=b"x"):
    said = mqtt.connect_packet("onecard-7", keepalive_s, "will", will, "name", "word")
    return b"".join(bytes(part) for part in said) if isinstance(said, tuple) else bytes(said)


def test_a_broker_measures_no_silence_on_the_wall():
    """A campus that pauses for two minutes came back without a connection."""
    for will in (b"x", b"x" * 200, b"x" * 20_000):  # one, two and three bytes of length
        assert without_keepalive(connect(60, will)) == connect(0, will)
    for left in (published(STORED, 11), b"", connect(60)[:9], mqtt.packet(mqtt.PINGREQ << 4)):
        assert without_keepalive(bytes(left)) == left
