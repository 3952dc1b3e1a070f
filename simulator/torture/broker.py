"""A broker that breaks every promise a broker can break, in virtual time and from one seed.

Real brokers cannot be told to lose the third message. This one speaks MQTT's semantics (QoS 1,
clean sessions, retained messages, wills) and, as told by Mischief, acknowledges what it then
loses, delivers twice, late and out of order, or comes back with an old memory. The scenarios run
on real brokers (ADR 4); this one is for `onecard sim torture` (ADR 10).
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from protocols.wire import topics
from simulator.world.clock import World

LATENCY_US = 3_000
QUEUE_MAX = 1_000  # what Mosquitto keeps for one client by default; the rest it drops unsaid
_LATE_MS = (20, 4_000)
_REPLAY_KEPT = 200  # old messages that may come again
_MILLION = 1_000_000


@dataclass
class Mischief:
    """Chances in a million, per message, of what happens to it on its way."""

    lost: int = 0  # acknowledged, and then dropped
    unacknowledged: int = 0  # taken, and the sender is never told
    doubled: int = 0
    late: int = 0  # by up to four seconds, so that others overtake it
    replayed: int = 0  # an old message of the same topic comes again
    forged: int = 0  # a bit is wrong
    retained: int = 0  # marked RETAIN, as a stranger can do to any topic


class Session(Protocol):
    """One client as the broker sees it."""

    client_id: str
    filters: list[str]
    will: tuple[str, bytes] | None

    def deliver(self, topic: str, payload: bytes, retain: bool, at_us: int) -> None: ...
    def closed(self) -> None: ...


@dataclass
class Broker:
    """One broker. `watch` sees each message as it was published, before any mischief.

    `fired` counts what really happened, by kind of fault.
    """

    name: str
    world: World
    draw: random.Random
    fired: Counter[str]
    watch: Callable[[str, bytes], None] = lambda _topic, _payload: None
    mischief: Mischief = field(default_factory=Mischief)
    is_up: bool = True
    sessions: dict[str, Session] = field(default_factory=dict)
    retained: dict[str, bytes] = field(default_factory=dict)
    old: deque[tuple[str, bytes]] = field(default_factory=lambda: deque(maxlen=_REPLAY_KEPT))
    _hearers: dict[str, list[Session]] = field(default_factory=dict)  # of a topic, as it is now

    # -- sessions ---------------------------------------------------------------------------

    def enter(self, session: Session) -> None:
        """A client is connected; one of the same name is thrown out."""
        before = self.sessions.get(session.client_id)
        if before is not None:
            self.leave(before, say_will=True)
            before.closed()
        self.sessions[session.client_id] = session
        self._hearers.clear()

    def leave(self, session: Session, *, say_will: bool) -> None:
        """A client is gone; its will is published unless it said goodbye."""
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            self._hearers.clear()
            if say_will and session.will is not None:
                self.publish(*session.will, retain=True)

    def subscribe(self, session: Session, topic_filter: str) -> None:
        """Deliver what matches from now on, and what is retained at once."""
        session.filters.append(topic_filter)
        self._hearers.clear()
        for topic, payload in self.retained.items():
            if topics.matches(topic_filter, topic):
                session.deliver(topic, payload, True, self.world.now_us + LATENCY_US)

    def stop(self, *, forget: bool) -> None:
        """Die where it stands; with `forget` even what was retained is gone."""
        self.is_up = False
        for session in list(self.sessions.values()):
            session.closed()
        self.sessions.clear()
        self._hearers.clear()
        if forget:
            self.retained.clear()

    # -- messages ---------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Take one message and pass it on, as told; whether its sender is acknowledged."""
        self.watch(topic, payload)
        if retain:
            self.retained[topic] = payload
        if self._happens("lost"):
            return True
        forged = self._happens("forged")
        if forged and self.draw.randrange(2):  # in its place for a while, and then beside it
            self._pass_on(topic, _spoiled(payload, self.draw))
            forged = False
        self._pass_on(topic, payload)
        if self._happens("doubled"):
            self._pass_on(topic, payload)
        if self.old and self._happens("replayed"):
            self._pass_on(*self.draw.choice(self.old))
        if forged:
            self._pass_on(topic, _spoiled(payload, self.draw))
        if self._happens("retained"):
            self._pass_on(topic, payload, retain=True)
        self.old.append((topic, payload))
        return not self._happens("unacknowledged")

    def _pass_on(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        hearers = self._hearers.get(topic)
        if hearers is None:
            hearers = self._hearers[topic] = [
                session
                for session in self.sessions.values()
                if any(topics.matches(wanted, topic) for wanted in session.filters)
            ]
        for session in hearers:
            at_us = self.world.now_us + LATENCY_US
            if self._happens("late"):
                at_us += self.draw.randrange(*_LATE_MS) * 1000
            session.deliver(topic, payload, retain, at_us)

    def _happens(self, what: str) -> bool:
        chance = getattr(self.mischief, what)
        if chance and self.draw.randrange(_MILLION) < chance:
            self.fired[f"{self.name} mqtt {what}"] += 1
            return True
        return False


def _spoiled(payload: bytes, draw: random.Random) -> bytes:
    """One bit wrong, or the end missing."""
    if not payload:
        return b"\x00"
    if draw.randrange(4) == 0:
        return payload[: draw.randrange(len(payload))]
    spoiled = bytearray(payload)
    spoiled[draw.randrange(len(payload))] ^= 1 << draw.randrange(8)
    return bytes(spoiled)
