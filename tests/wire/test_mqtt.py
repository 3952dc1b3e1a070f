"""Our MQTT: what it refuses, what it does with time, and that no fragmentation changes it."""

import json
import random
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.wire import mqtt, mqtt_texts
from protocols.wire.mqtt import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    MqttError,
    PacketReader,
)
from protocols.wire.mqtt_client import ANSWER_MS, WINDOW_MAX, MqttClient
from tests.wire.mqtt_transcript import transcript

ACCEPTED = b"\x20\x02\x00\x00"
PONG = b"\xd0\x00"


def puback(packet_id):
    return bytes(mqtt.packet(0x40, packet_id.to_bytes(2, "big")))


def message(topic, payload, qos=1, packet_id=7, first_bits=0):
    ident = packet_id.to_bytes(2, "big") if qos else b""
    return bytes(mqtt.packet(0x30 | qos << 1 | first_bits, mqtt.field(topic), ident, payload))


def greeted(now_ms=0, **options):
    """A client whose CONNECT was accepted."""
    client = MqttClient("reader-1", 60, **options)
    client.connect(now_ms)
    client.data_to_send()
    assert client.receive(ACCEPTED) == [(CONNACK, 0, False)]
    return client


def packets_of(data):
    """(type, flags, body) of every packet of a direction."""
    return list(PacketReader(1 << 20).feed(bytes(data)))


def events_of(data):
    return [mqtt.parse(*packet) for packet in packets_of(data)]


# --- what is refused ---------------------------------------------------------------------------

MALFORMED = [
    ("reserved type 0", "0000", mqtt.UNKNOWN_PACKET),
    ("reserved type 15", "f000", mqtt.UNKNOWN_PACKET),
    ("flags on a PINGRESP", "d100", mqtt.UNKNOWN_PACKET),
    ("flags on a SUBACK", "92030001 00", mqtt.UNKNOWN_PACKET),
    ("five bytes of length", "30ffffffff7f", mqtt.PACKET_TOO_LONG),
    ("length that never ends", "3080808080", mqtt.MALFORMED_LENGTH),
    ("one byte above the bound", "308120", mqtt.PACKET_TOO_LONG),
    ("256 MiB announced", "30ffffff7f", mqtt.PACKET_TOO_LONG),
    ("PINGRESP with a body", "d00100", mqtt.MALFORMED_PACKET),
    ("PUBACK of one byte", "400101", mqtt.MALFORMED_PACKET),
    ("PUBACK of three bytes", "4003000100", mqtt.MALFORMED_PACKET),
    ("PUBACK of id 0", "40020000", mqtt.MALFORMED_PACKET),
    ("empty PUBLISH", "3000", mqtt.MALFORMED_PACKET),
    ("topic beyond the packet", "3003000561", mqtt.MALFORMED_PACKET),
    ("PUBLISH without its id", "3203000161", mqtt.MALFORMED_PACKET),
    ("PUBLISH with half an id", "320400016100", mqtt.MALFORMED_PACKET),
    ("PUBLISH with id 0", "32050001610000", mqtt.MALFORMED_PACKET),
    ("PUBLISH of QoS 3", "36050001610001", mqtt.MALFORMED_PACKET),
    ("DUP with QoS 0", "3803000161", mqtt.MALFORMED_PACKET),
    ("no topic", "30020000", mqtt.MALFORMED_TOPIC),
    ("wildcard in a topic", "300500036123 2b", mqtt.MALFORMED_TOPIC),
    ("NUL in a topic", "300400026100", mqtt.MALFORMED_TOPIC),
    ("broken UTF-8 in a topic", "3004000261ff", mqtt.MALFORMED_TOPIC),
    ("surrogate in a topic", "30050003eda080", mqtt.MALFORMED_TOPIC),
    ("PUBLISH of QoS 2", "34050001610001", mqtt.QOS_2),
    ("PUBREC", "50020001", mqtt.QOS_2),
    ("PUBREL", "62020001", mqtt.QOS_2),
    ("PUBCOMP", "70020001", mqtt.QOS_2),
    ("a second CONNACK", "20020000", mqtt.UNEXPECTED_PACKET),
    ("CONNECT from a broker", "100d00044d51545404020000000161", mqtt.UNEXPECTED_PACKET),
    ("SUBACK nobody asked for", "9003000100", mqtt.UNEXPECTED_PACKET),
    ("UNSUBACK nobody asked for", "b0020001", mqtt.UNEXPECTED_PACKET),
    ("PINGRESP nobody asked for", "d000", mqtt.UNEXPECTED_PACKET),
    ("PINGREQ from a broker", "c000", mqtt.UNEXPECTED_PACKET),
    ("DISCONNECT from a broker", "e000", mqtt.UNEXPECTED_PACKET),
]
MALFORMED = [(name, data.replace(" ", ""), code) for name, data, code in MALFORMED]
NAMES = [name for name, _, _ in MALFORMED]


@pytest.mark.parametrize(("name", "data", "code"), MALFORMED, ids=NAMES)
def test_refused_with_a_number(name, data, code):
    client = greeted()
    with pytest.raises(MqttError) as caught:
        client.receive(bytes.fromhex(data))
    assert caught.value.code == code
    assert str(code) in str(caught.value)
    # The connection is over: nothing brings this client back but a new one.
    with pytest.raises(MqttError):
        client.receive(PONG)
    with pytest.raises(MqttError):
        client.tick(1)
    client.connect(2)
    assert client.receive(ACCEPTED) == [(CONNACK, 0, False)]


@pytest.mark.parametrize("data", [PONG, message("t", b""), puback(1), b"\x90\x03\x00\x01\x00"])
def test_nothing_comes_before_connack(data):
    client = MqttClient("reader-1", 60)
    client.connect(0)
    with pytest.raises(MqttError) as caught:
        client.receive(data)
    assert caught.value.code == mqtt.UNEXPECTED_PACKET


@pytest.mark.parametrize(
    "data", [b"\x20\x02\x02\x00", b"\x20\x02\x00\x06", b"\x20\x02\x01\x05", b"\x20\x01\x00"]
)
def test_malformed_connack(data):
    client = MqttClient("reader-1", 60)
    client.connect(0)
    with pytest.raises(MqttError) as caught:
        client.receive(data)
    assert caught.value.code == mqtt.MALFORMED_PACKET


def test_refused_connack_is_an_event_and_opens_nothing():
    client = MqttClient("reader-1", 60)
    client.connect(0)
    assert client.receive(b"\x20\x02\x00\x05") == [(CONNACK, 5, False)]
    assert not client.session
    with pytest.raises(MqttError):
        client.receive(message("t", b""))


@pytest.mark.parametrize("codes", [b"\x02", b"\x00\x00", b"\x03", b""])
def test_suback_that_grants_something_else(codes):
    client = greeted()
    packet_id = client.subscribe("a/b")
    with pytest.raises(MqttError) as caught:
        client.receive(mqtt.packet(0x90, packet_id.to_bytes(2, "big"), codes))
    assert caught.value.code == mqtt.MALFORMED_PACKET


def test_oversized_publish_is_refused_before_its_body_is_held():
    client = greeted(packet_bytes_max=100)
    assert client.receive(message("t", bytes(95)))[0][2] == bytes(95)
    with pytest.raises(MqttError) as caught:
        client.receive(message("t", bytes(96))[:2])
    assert caught.value.code == mqtt.PACKET_TOO_LONG


@pytest.mark.parametrize(
    ("topic", "qos"), [("", 1), ("a/+", 1), ("a/#", 0), ("t", 2), ("t", 3), ("t", -1)]
)
def test_we_do_not_publish_what_must_not_be(topic, qos):
    client = greeted()
    with pytest.raises(ValueError, match="topic without wildcards"):
        client.publish(topic, b"", qos)
    assert not client.data_to_send()


def test_window_is_bounded():
    client = greeted()
    for _ in range(WINDOW_MAX):
        client.publish("t", b"")
    with pytest.raises(MqttError) as caught:
        client.publish("t", b"")
    assert caught.value.code == mqtt.WINDOW_FULL


def test_outgoing_is_bounded():
    client = greeted()
    client.publish("t", bytes(4000))
    client.publish("t", bytes(4000))
    with pytest.raises(MqttError) as caught:
        client.publish("t", bytes(4000))
    assert caught.value.code == mqtt.OUTGOING_FULL


@given(st.binary(max_size=200))
@example(b"\x10\x0c\x00\x04MQTT\x04\xc2\x00\x3c\x00\x00")
def test_no_bytes_raise_anything_but_mqtt_error(data):
    for prefix in (b"", ACCEPTED):
        client = MqttClient("reader-1", 60)
        client.connect(0)
        try:
            client.receive(prefix + data)
            client.tick(0)
        except MqttError as error:
            assert error.code in mqtt_texts.TEXTS
    try:
        events_of(data)
    except MqttError as error:
        assert error.code in mqtt_texts.TEXTS


@given(st.integers(0, 15), st.integers(0, 15), st.binary(max_size=60))
def test_no_packet_raises_anything_but_mqtt_error(packet_type, flags, body):
    try:
        event = mqtt.parse(packet_type, flags, body)
    except MqttError as error:
        assert error.code in mqtt_texts.TEXTS
    else:
        assert event[0] == packet_type


# --- what is said ------------------------------------------------------------------------------


def test_connect_carries_will_and_credentials():
    client = MqttClient("reader-1", 60, "s/status", b"lost", "me", "secret")
    client.connect(0)
    data = bytes(client.data_to_send())
    assert events_of(data) == [(CONNECT, "reader-1", 60, True, "s/status")]
    assert data[9] == 0xEE  # user, password, will retained with QoS 1, clean session
    assert data.endswith(b"\x00\x04lost\x00\x02me\x00\x06secret")


def test_every_call_appends_one_packet_to_one_buffer():
    client = greeted()
    subscribed = client.subscribe("a/b")
    published = client.publish("a/c", b"x", retain=True)
    assert client.publish("a/c", b"y", qos=0) == 0
    client.puback(9)
    client.ping()
    client.disconnect()
    assert events_of(client.data_to_send()) == [
        (SUBSCRIBE, subscribed, (("a/b", 1),)),
        (PUBLISH, "a/c", b"x", 1, True, published, False),
        (PUBLISH, "a/c", b"y", 0, False, 0, False),
        (PUBACK, 9),
        (PINGREQ,),
        (DISCONNECT,),
    ]
    assert not client.data_to_send()


@pytest.mark.parametrize("size", [0, 1, 121, 122, 127, 128, 16377, 16378, 16384, 70000])
def test_remaining_length_boundaries(size):
    data = message("t", bytes(size))
    assert packets_of(data) == [(PUBLISH, 2, data[-size - 5 :])]


def test_the_other_direction_is_read_too():
    frames = [
        (UNSUBSCRIBE << 4 | 2, b"\x00\x05\x00\x01a\x00\x03b/#", (UNSUBSCRIBE, 5, ("a", "b/#"))),
        (UNSUBACK << 4, b"\x00\x05", (UNSUBACK, 5)),
        (SUBACK << 4, b"\x00\x06\x01\x80\x02", (SUBACK, 6, (1, 0x80, 2))),
        (
            SUBSCRIBE << 4 | 2,
            b"\x00\x06\x00\x03a/+\x01\x00\x01#\x02",
            (SUBSCRIBE, 6, (("a/+", 1), ("#", 2))),
        ),
    ]
    for first, body, event in frames:
        assert events_of(mqtt.packet(first, body)) == [event]
        for short in (b"", body[:1], body[:2] if len(body) > 2 else b"\x00"):
            with pytest.raises(MqttError):
                events_of(mqtt.packet(first, short))


@pytest.mark.parametrize(
    "body",
    [
        b"\x00\x04MQTT\x04\x02\x00\x3c",  # no client id
        b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00",  # MQTT 5
        b"\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00",  # MQTT 3.1
        b"\x00\x04MQTT\x04\x03\x00\x3c\x00\x00",  # reserved flag
        b"\x00\x04MQTT\x04\x0a\x00\x3c\x00\x00",  # QoS of a will that is not there
        b"\x00\x04MQTT\x04\x22\x00\x3c\x00\x00",  # retain of a will that is not there
        b"\x00\x04MQTT\x04\x1e\x00\x3c\x00\x00\x00\x01w\x00\x00",  # will of QoS 3
        b"\x00\x04MQTT\x04\x42\x00\x3c\x00\x00\x00\x01p",  # a password of nobody
        b"\x00\x04MQTT\x04\x06\x00\x3c\x00\x00\x00\x01w",  # will without its payload
        b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x00\x00",  # one byte too many
    ],
)
def test_malformed_connect(body):
    with pytest.raises(MqttError) as caught:
        mqtt.parse(CONNECT, 0, body)
    assert caught.value.code == mqtt.MALFORMED_PACKET


# --- what is heard -----------------------------------------------------------------------------


def test_retain_and_dup_are_handed_on():
    client = greeted()
    events = client.receive(message("t", b"x", first_bits=1) + message("t", b"x", first_bits=8))
    assert events == [
        (PUBLISH, "t", b"x", 1, True, 7, False),
        (PUBLISH, "t", b"x", 1, False, 7, True),
    ]


def test_good_events_before_an_error_are_not_lost():
    client = greeted()
    assert client.receive(message("t", b"x") + b"\xf0\x00") == [
        (PUBLISH, "t", b"x", 1, False, 7, False)
    ]
    assert client.due_ms() == 0
    with pytest.raises(MqttError) as caught:
        client.tick(1)
    assert caught.value.code == mqtt.UNKNOWN_PACKET


def outcome(chunks):
    """Everything that comes out of a session whose bytes come in these chunks."""
    client = MqttClient("reader-1", 60)
    client.connect(0)
    heard = []
    try:
        for chunk in chunks:
            heard += client.receive(chunk)
            if (CONNACK, 0, False) in heard and client.unacked == 0 and not heard[1:]:
                client.subscribe("a")
                client.publish("t", b"")
                client.publish("t", b"")
        client.tick(0)
    except MqttError as error:
        heard.append(error.code)
    return heard


FRAMES = st.one_of(
    st.builds(message, st.sampled_from(["t", "a/b"]), st.binary(max_size=300), st.just(1)),
    st.builds(message, st.just("t"), st.binary(max_size=9), st.just(0)),
    st.builds(puback, st.integers(1, 4)),
    st.sampled_from([b"\x90\x03\x00\x01\x01", PONG, b"\xf0\x00", ACCEPTED, b"\x34\x00"]),
    st.binary(min_size=1, max_size=4),
)


@given(st.lists(FRAMES, max_size=6), st.randoms(use_true_random=False))
def test_fragmentation_changes_nothing(frames, rng):
    stream = b"".join(frames)
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randrange(8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = outcome([ACCEPTED, stream])
    assert outcome([ACCEPTED, *pieces]) == whole
    assert outcome([bytes((byte,)) for byte in ACCEPTED + stream]) == whole


# --- time --------------------------------------------------------------------------------------


def test_lost_puback_is_asked_again_with_dup_and_then_given_up():
    client = greeted()
    packet_id = client.publish("t", b"x")
    first = bytes(client.data_to_send())
    assert client.tick(ANSWER_MS - 1) == ANSWER_MS
    assert not client.data_to_send()
    client.tick(ANSWER_MS)
    again = bytes(client.data_to_send())
    assert again[0] == first[0] | 8
    assert again[1:] == first[1:]
    assert client.resends == 1
    with pytest.raises(MqttError) as caught:
        client.tick(2 * ANSWER_MS)
    assert caught.value.code == mqtt.CONNECTION_DEAD
    assert packet_id == 1


def test_resends_keep_their_order_and_a_late_second_puback_is_no_event():
    client = greeted()
    ids = [client.publish("t", bytes((i,))) for i in range(3)]
    client.data_to_send()
    assert client.receive(puback(ids[1])) == [(PUBACK, ids[1])]
    client.tick(ANSWER_MS)
    assert [event[5] for event in events_of(client.data_to_send())] == [ids[0], ids[2]]
    assert client.receive(puback(ids[0])) == [(PUBACK, ids[0])]
    assert client.receive(puback(ids[0])) == []
    assert client.unacked == 1


def test_packet_ids_go_round_and_skip_those_in_use():
    client = greeted()
    kept = client.publish("t", b"")
    for _ in range(65534):
        packet_id = client.publish("t", b"")
        assert packet_id not in (0, kept)
        client.receive(puback(packet_id))
        client.data_to_send()
    assert packet_id == 65535
    assert client.publish("t", b"") == 2


def test_keepalive_pings_when_nothing_is_said_or_nothing_is_heard():
    client = greeted()
    assert client.tick(0) == 45_000
    assert client.tick(44_999) == 45_000
    client.publish("t", b"", qos=0)  # said, but nothing was heard
    client.data_to_send()
    assert client.tick(45_000) == 45_000 + ANSWER_MS
    assert events_of(client.data_to_send()) == [(PINGREQ,)]
    client.tick(46_000)
    assert client.receive(PONG) == [(PINGRESP,)]
    assert client.tick(46_000) == 90_000
    client.receive(message("t", b"", qos=0))  # heard, but nothing was said since 45,000
    client.tick(90_000)
    assert events_of(client.data_to_send()) == [(PINGREQ,)]


def test_no_pingresp_is_a_dead_connection():
    client = greeted()
    client.tick(45_000)
    client.receive(message("t", b"", qos=0))  # other bytes are no answer
    client.tick(45_000 + ANSWER_MS - 1)
    with pytest.raises(MqttError) as caught:
        client.tick(45_000 + ANSWER_MS)
    assert caught.value.code == mqtt.CONNECTION_DEAD


def test_keepalive_zero_never_pings():
    client = MqttClient("reader-1", 0)
    client.connect(0)
    client.receive(ACCEPTED)
    client.data_to_send()
    client.tick(10_000_000)
    assert not client.data_to_send()


@pytest.mark.parametrize("asked", ["connect", "subscribe"])
def test_no_answer_is_a_dead_connection(asked):
    client = MqttClient("reader-1", 60)
    client.connect(5)
    if asked == "subscribe":
        client.receive(ACCEPTED)
        client.subscribe("a")
    assert client.tick(5) == 5 + ANSWER_MS
    with pytest.raises(MqttError) as caught:
        client.tick(5 + ANSWER_MS)
    assert caught.value.code == mqtt.CONNECTION_DEAD


def test_a_new_connection_knows_nothing_of_the_old_one():
    client = greeted()
    client.publish("t", b"x")
    client.receive(message("t", b"x")[:3])
    client.connect(1_000)
    assert [event[0] for event in events_of(client.data_to_send())] == [CONNECT]
    assert client.unacked == 0
    assert client.receive(ACCEPTED) == [(CONNACK, 0, False)]
    assert client.tick(1_000 + ANSWER_MS) == 1_000 + 45_000
    assert not client.data_to_send()


# --- the same on MicroPython -------------------------------------------------------------------


def scripts():
    """Scripts of client calls: every malformed packet, and seeded sessions with broken bytes."""
    start = [["connect", 0], ["receive", ACCEPTED.hex()]]
    found = [[*start, ["receive", data], ["tick", 1]] for _, data, _ in MALFORMED]
    for seed in range(60):
        rng = random.Random(seed)
        script = [*start, ["subscribe", "a/+"], ["publish", "t", "00ff", 1, seed % 2 == 0]]
        for now_ms in range(0, rng.randrange(60_000), 7_000):
            data = bytearray(
                rng.choice([message("t", rng.randbytes(200)), puback(2), PONG, ACCEPTED])
            )
            if rng.random() < 0.3:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            cut = rng.randrange(len(data) + 1)
            script += [["tick", now_ms], ["receive", data[:cut].hex()]]
            script += [
                ["receive", data[cut:].hex()],
                ["publish", "t", "01", rng.randrange(3), False],
            ]
        found.append(script)
    return found


def test_micropython_gives_the_same_transcripts(micropython, repo_root):
    given_scripts = scripts()
    done = subprocess.run(
        [micropython, "-X", "heapsize=2M", "tests/wire/mqtt_transcript.py"],
        input=json.dumps(given_scripts),
        capture_output=True,
        text=True,
        cwd=repo_root,
        env={"MICROPYPATH": f"{repo_root}:.frozen"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    ours = json.loads(json.dumps([transcript(script) for script in given_scripts]))
    assert json.loads(done.stdout) == ours
    assert "error" in json.dumps(ours)
