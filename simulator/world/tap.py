"""Knows when a real broker and its clients have nothing left to do, by watching the wire.

The readers live in virtual time, the broker and the services in real time. Before virtual time
may go on, everything a reader's bytes have set in motion must have come to rest, or the same seed
would not give the same log. The tap reads MQTT on every leg of a broker, both directions, and
counts: each request has its answer, and each PUBLISH, retained message and last will has reached
every leg that had subscribed to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain

from protocols.wire import mqtt, topics

_PACKET_BYTES_MAX = 1 << 20


@dataclass(eq=False)
class Leg:
    """One client connection as the broker sees it.

    Both ways may take time: what the broker has sent is not what the client has (`client_has`),
    and what the client has said (`client_said`) not what the broker has got. A reader answers when
    its virtual time comes: of it neither is told, and its acknowledgements are not owed.
    `restless` are all legs of its broker on which something is owed.
    """

    name: str
    restless: set[Leg] = field(default_factory=set)
    from_client: mqtt.PacketReader = field(default_factory=lambda: _reader())
    from_broker: mqtt.PacketReader = field(default_factory=lambda: _reader())
    said: mqtt.PacketReader = field(default_factory=lambda: _reader())
    owed: dict[str, int] = field(default_factory=dict)
    asked: dict[int, list[str]] = field(default_factory=dict)
    filters: list[str] = field(default_factory=list)
    will_topic: str | None = None
    unanswered: dict[int, set[Leg]] = field(default_factory=dict)  # PUBLISH: who listens
    doubtful: int = 0  # deliveries owed of which the broker may never have heard

    def owe(self, what: str, change: int) -> None:
        self.owed[what] = self.owed.get(what, 0) + change
        if self.doubtful:
            self.doubtful = min(self.doubtful, max(self.owed.get("delivery", 0), 0))
        if self.is_quiet():
            self.restless.discard(self)
        else:
            self.restless.add(self)

    def is_quiet(self) -> bool:
        return not any(self.owed.values())

    def doubt(self) -> None:
        """Of what is owed one more is doubtful."""
        self.doubtful = min(self.doubtful + 1, max(self.owed.get("delivery", 0), 0))

    def forgive(self) -> None:
        """Deliveries that are too many, and those that are doubtful."""
        owed = self.owed.get("delivery", 0)
        doubtful, self.doubtful = self.doubtful, 0
        self.owe("delivery", -min(owed, doubtful))


class Tap:
    """All legs of one broker.

    Who listens is found by topic: a building of a hundred readers has a hundred filters without a
    wildcard, and each is somebody else's.
    """

    def __init__(self) -> None:
        self.legs: list[Leg] = []
        self._by_topic: dict[str, set[Leg]] = {}
        self._by_pattern: dict[str, set[Leg]] = {}  # filters with a wildcard
        self._restless: set[Leg] = set()
        self._retained: set[str] = set()

    def open(self, name: str) -> Leg:
        leg = Leg(name, self._restless)
        self.legs.append(leg)
        return leg

    def close(self, leg: Leg) -> None:
        """The connection is gone, and with it whatever was owed on it; its will is published."""
        if leg in self.legs:
            self.legs.remove(leg)
            self._restless.discard(leg)
            for topic_filter in leg.filters:
                self._listeners(topic_filter).discard(leg)
            leg.restless = set()  # whatever is owed on it from now on, nobody waits for it
            doubted = list(leg.unanswered.values())
            if leg.will_topic is not None:
                listeners = self._published(leg.will_topic, retain=True)
                doubted += [listeners] if leg.owed.get("CONNACK") else []
            for listener in chain(*doubted):
                listener.doubt()

    def forget(self) -> None:
        """The broker died: nobody is connected, nothing is retained."""
        self.legs.clear()
        self._by_topic, self._by_pattern = {}, {}
        self._restless = set()  # those who were connected keep theirs, at which nobody looks
        self._retained.clear()

    def is_quiet(self) -> bool:
        return not self._restless

    def forgive(self) -> None:
        """Something has not come in a long time, or more than anybody has said.

        amqtt brings too much behind a client that comes back. What a client has said last, before
        its connection died without the answer, a broker may never have read.
        """
        for leg in list(self._restless):
            leg.forgive()

    def owed(self) -> str:
        """What is still awaited, for the message of a simulation that got stuck."""
        return "; ".join(
            f"{leg.name}: " + ", ".join(f"{n} {what}" for what, n in leg.owed.items() if n)
            for leg in self.legs
            if not leg.is_quiet()
        )

    def client_said(self, leg: Leg, data: bytes) -> list[bytes]:
        """A service has written this; returns the packets it completes, for `client_sent`."""
        packets = []
        for kind, flags, body in leg.said.feed(data):
            packets.append(bytes(mqtt.packet(kind << 4 | flags, body)))
            if kind == mqtt.PUBACK:
                leg.owe("client PUBACK", -1)
        return packets

    def client_has(self, leg: Leg, packets: list[bytes]) -> None:
        """These whole packets of `broker_sent` are with a service now, which is awake."""
        for packet in packets:
            # Of a PUBLISH only bit 1 or 2 of its first byte asks for an answer.
            if packet[0] >> 4 == mqtt.PUBLISH and packet[0] & 0x06:
                leg.owe("client PUBACK", 1)

    def client_sent(self, leg: Leg, data: bytes) -> None:
        """The broker gets this of a client."""
        for kind, flags, body in leg.from_client.feed(data):
            event = mqtt.parse(kind, flags, body)
            if kind in _ANSWER_OF:
                leg.owe(_ANSWER_OF[kind], 1)
            if kind == mqtt.SUBSCRIBE:
                leg.asked[event[1]] = [topic_filter for topic_filter, _ in event[2]]
            elif kind == mqtt.PUBLISH:
                listeners = self._published(event[1], retain=event[4])
                if event[3]:
                    leg.owe("PUBACK", 1)
                    leg.unanswered[event[5]] = listeners
            elif kind == mqtt.CONNECT:
                leg.will_topic = event[4]
            elif kind == mqtt.DISCONNECT:
                leg.will_topic = None

    def broker_sent(self, leg: Leg, data: bytes) -> list[bytes]:
        """Count what the broker sent; returns the packets it completes, whole."""
        packets = []
        for kind, flags, body in leg.from_broker.feed(data):
            packets.append(bytes(mqtt.packet(kind << 4 | flags, body)))
            event = mqtt.parse(kind, flags, body)
            if kind in _IS_ANSWER:
                leg.owe(_IS_ANSWER[kind], -1)
            if kind == mqtt.PUBACK:
                leg.unanswered.pop(event[1], None)
            if kind == mqtt.SUBACK:
                self._subscribed(leg, leg.asked.pop(event[1], []))
            # amqtt greets a new client with what others have had retained, at QoS 0.
            elif kind == mqtt.PUBLISH and (event[3] or not event[4]):
                leg.owe("delivery", -1)
        return packets

    def _subscribed(self, leg: Leg, filters: list[str]) -> None:
        leg.filters += filters
        for topic_filter in filters:
            self._listeners(topic_filter).add(leg)
            due = sum(topics.matches(topic_filter, topic) for topic in self._retained)
            leg.owe("delivery", due)

    def _published(self, topic: str, *, retain: bool) -> set[Leg]:
        """Owed to everybody who listens; returns them."""
        if retain:
            self._retained.add(topic)
        listeners = set(self._by_topic.get(topic, ()))
        for topic_filter, legs in self._by_pattern.items():
            if legs and topics.matches(topic_filter, topic):
                listeners |= legs
        for leg in listeners:
            leg.owe("delivery", 1)
        return listeners

    def _listeners(self, topic_filter: str) -> set[Leg]:
        has_wildcard = "+" in topic_filter or "#" in topic_filter
        found = self._by_pattern if has_wildcard else self._by_topic
        return found.setdefault(topic_filter, set())


_ANSWER_OF = {mqtt.CONNECT: "CONNACK", mqtt.SUBSCRIBE: "SUBACK", mqtt.PINGREQ: "PINGRESP"}
_IS_ANSWER = {
    mqtt.CONNACK: "CONNACK",
    mqtt.SUBACK: "SUBACK",
    mqtt.PINGRESP: "PINGRESP",
    mqtt.PUBACK: "PUBACK",
}


def _reader() -> mqtt.PacketReader:
    return mqtt.PacketReader(_PACKET_BYTES_MAX)
