"""The tap knows what is owed on a wire, and is never quiet too early."""

import pytest

from protocols.wire import mqtt
from protocols.wire.mqtt_client import MqttClient
from simulator.world.tap import Tap

CONNACK = bytes(mqtt.packet(mqtt.CONNACK << 4, b"\x00\x00"))


def puback(packet_id):
    return bytes(mqtt.packet(mqtt.PUBACK << 4, packet_id.to_bytes(2, "big")))


def suback(packet_id):
    return bytes(mqtt.packet(mqtt.SUBACK << 4, packet_id.to_bytes(2, "big") + b"\x01"))


def publish(topic, packet_id=1, qos=1, retain=False):
    head = len(topic).to_bytes(2, "big") + topic.encode()
    body = head + (packet_id.to_bytes(2, "big") if qos else b"") + b"x"
    return bytes(mqtt.packet(mqtt.PUBLISH << 4 | qos << 1 | retain, body))


class Client:
    """A leg with a client that has connected, and has perhaps subscribed."""

    def __init__(self, tap, name, *, topic_filter=None, is_reader=False, will=None):
        self.tap, self.leg, self.is_reader = tap, tap.open(name), is_reader
        self.mqtt = MqttClient(name, 60, will, b"gone" if will else None)
        self.mqtt.connect(0)
        self.say()
        assert not tap.is_quiet()
        self.hear(CONNACK)
        if topic_filter:
            packet_id = self.mqtt.subscribe(topic_filter)
            self.say()
            assert not tap.is_quiet()
            self.hear(suback(packet_id))

    def say(self):
        data = bytes(self.mqtt.data_to_send())
        if not self.is_reader:
            data = b"".join(self.tap.client_said(self.leg, data))
        self.tap.client_sent(self.leg, data)

    def hear(self, data):
        self.mqtt.receive(data)
        packets = self.tap.broker_sent(self.leg, data)
        if not self.is_reader:
            self.tap.client_has(self.leg, packets)
        return packets


@pytest.fixture
def tap():
    return Tap()


def test_a_publish_is_owed_its_answer_its_delivery_and_that_ones_answer(tap):
    sender = Client(tap, "sender", is_reader=True)
    agent = Client(tap, "agent", topic_filter="onecard/v1/s/+/up")
    assert tap.is_quiet()
    packet_id = sender.mqtt.publish("onecard/v1/s/7/up", b"x")
    sender.say()
    assert "PUBACK" in tap.owed()
    sender.hear(puback(packet_id))
    assert tap.owed() == "agent: 1 delivery"
    agent.hear(publish("onecard/v1/s/7/up"))
    assert tap.owed() == "agent: 1 client PUBACK"
    agent.mqtt.puback(1)
    agent.say()
    assert tap.is_quiet()


def test_a_delivery_that_overtakes_its_answer_is_counted_too(tap):
    sender = Client(tap, "sender", is_reader=True)
    agent = Client(tap, "agent", topic_filter="a/b")
    packet_id = sender.mqtt.publish("a/b", b"x")
    sender.say()
    agent.hear(publish("a/b"))
    agent.mqtt.puback(1)
    agent.say()
    assert not tap.is_quiet()
    sender.hear(puback(packet_id))
    assert tap.is_quiet()


def test_a_readers_own_answer_waits_for_its_virtual_time(tap):
    reader = Client(tap, "reader", topic_filter="a/down", is_reader=True)
    agent = Client(tap, "agent")
    packet_id = agent.mqtt.publish("a/down", b"x")
    agent.say()
    agent.hear(puback(packet_id))
    assert reader.hear(publish("a/down")) == [publish("a/down")]
    assert tap.is_quiet()


def test_what_is_under_way_to_a_service_is_not_owed_by_it_yet(tap):
    agent = Client(tap, "agent", topic_filter="a/b")
    sender = Client(tap, "sender", is_reader=True)
    packet_id = sender.mqtt.publish("a/b", b"x")
    sender.say()
    sender.hear(puback(packet_id))
    packets = tap.broker_sent(agent.leg, publish("a/b"))
    assert tap.is_quiet()
    tap.client_has(agent.leg, packets)
    assert tap.owed() == "agent: 1 client PUBACK"
    assert tap.client_said(agent.leg, puback(1)[:2]) == []
    assert not tap.is_quiet()
    assert tap.client_said(agent.leg, puback(1)[2:]) == [puback(1)]
    assert tap.is_quiet()


def test_what_is_retained_is_owed_to_who_subscribes_later(tap):
    ledger = Client(tap, "ledger")
    packet_id = ledger.mqtt.publish("ledger/status", b"online", retain=True)
    ledger.say()
    ledger.hear(puback(packet_id))
    assert tap.is_quiet()
    agent = Client(tap, "agent", topic_filter="ledger/status")
    assert tap.owed() == "agent: 1 delivery"
    agent.hear(publish("ledger/status", retain=True))
    agent.mqtt.puback(1)
    agent.say()
    assert tap.is_quiet()


def test_retained_messages_nobody_asked_for_are_not_counted(tap):
    newcomer = Client(tap, "newcomer")
    newcomer.hear(publish("others/status", qos=0, retain=True))
    assert tap.is_quiet()


def test_a_will_is_owed_when_a_connection_dies_and_not_after_a_goodbye(tap):
    agent = Client(tap, "agent", topic_filter="+/status")
    polite = Client(tap, "polite", will="polite/status")
    polite.mqtt.disconnect()
    polite.say()
    tap.close(polite.leg)
    assert tap.is_quiet()
    rude = Client(tap, "rude", will="rude/status")
    tap.close(rude.leg)
    assert tap.owed() == "agent: 1 delivery"
    tap.close(agent.leg)
    assert tap.is_quiet()


def test_a_dead_broker_owes_nothing(tap):
    sender = Client(tap, "sender", topic_filter="a/b")
    sender.mqtt.publish("a/b", b"x")
    sender.say()
    assert not tap.is_quiet()
    tap.forget()
    assert tap.is_quiet()


def test_what_a_broker_may_never_have_read_is_forgiven_and_nothing_else(tap):
    """Unread bytes die with a TCP connection that is reset: of the second PUBLISH nobody knows."""
    listener, speaker = Client(tap, "agent", topic_filter="t"), Client(tap, "reader")
    for packet_id in (1, 2):
        tap.client_sent(speaker.leg, publish("t", packet_id))
    tap.broker_sent(speaker.leg, puback(1))
    tap.close(speaker.leg)
    assert tap.owed() == "agent: 2 delivery"
    tap.forgive()
    assert tap.owed() == "agent: 1 delivery", "the first was acknowledged, so it comes"
    tap.forgive()
    assert tap.owed() == "agent: 1 delivery"
    listener.hear(publish("t"))
    assert "delivery" not in tap.owed()


def test_what_came_all_the_same_is_no_doubt_of_something_else(tap):
    listener, speaker = Client(tap, "agent", topic_filter="t"), Client(tap, "reader")
    tap.client_sent(speaker.leg, publish("t"))
    tap.close(speaker.leg)
    listener.hear(publish("t"))
    other = Client(tap, "other")
    tap.client_sent(other.leg, publish("t"))
    tap.broker_sent(other.leg, puback(1))
    tap.forgive()
    assert "1 delivery" in tap.owed(), "the broker has it, and it is under way"


def test_the_will_of_who_was_never_greeted_is_doubtful(tap):
    Client(tap, "agent", topic_filter="gone")
    leg = tap.open("reader")
    reader = MqttClient("reader", 60, "gone", b"x")
    reader.connect(0)
    tap.client_sent(leg, bytes(reader.data_to_send()))
    tap.close(leg)
    assert tap.owed() == "agent: 1 delivery"
    tap.forgive()
    assert tap.is_quiet()
