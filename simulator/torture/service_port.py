"""What agent and ledger see of a torture.Broker: adapters.mqtt.MqttPort without its sockets.

The promises are MqttPort's: clean sessions, nothing queued, a publish that gets no PUBACK in time
ends the connection, what was not taken when a connection ended is gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from adapters.mqtt import ACK_TIMEOUT_MS, UNACKED_MAX, Message
from simulator.torture.broker import LATENCY_US, QUEUE_MAX, Broker
from simulator.world.clock import World

_RETRY_MS = 2_000
_IDLE_MS = 5_000


class ServicePort:
    """One service's connection. `wake(at_us)` asks for a step of the service at that time."""

    def __init__(
        self,
        client_id: str,
        world: World,
        broker: Broker,
        subscriptions: Sequence[str],
        wake: Callable[[int], None],
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.client_id = client_id
        self.filters: list[str] = []
        self.will = will
        self.connected = False
        self.sessions = 0
        self.unacked = 0
        self.last_error = ""
        self.counters = {"received": 0, "published": 0, "lost_sessions": 0}
        self.is_plugged = True
        self.inbox_high = 0
        self._world = world
        self._broker = broker
        self._subscriptions = list(subscriptions)
        self._wake = wake
        self._inbox: deque[Message] = deque()
        self._mid = 0
        self._progress_ms = 0
        self._retry_ms = 0
        self._now_ms = 0
        self._ghost = 0  # session of a dead process whose last words are on their way

    # -- MqttPort's seam --------------------------------------------------------------------

    def step(self, now_ms: int) -> int:
        """Keep the connection up; when to be called again (ms)."""
        self._now_ms = now_ms
        if self.connected and self.unacked and now_ms - self._progress_ms > ACK_TIMEOUT_MS:
            self._broker.leave(self, say_will=True)
            self._lose("no PUBACK in time")
        if not self.connected:
            if now_ms < self._retry_ms:
                return self._retry_ms
            if not self.is_plugged or not self._broker.is_up:
                self._retry_ms = now_ms + _RETRY_MS
                return self._retry_ms
            self._connect()
        return now_ms + (1_000 if self.unacked else _IDLE_MS)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Hand a message to the wire; its packet id, or 0 when it went nowhere."""
        if not self.connected or self.unacked >= UNACKED_MAX:
            return 0
        if self.unacked == 0:
            self._progress_ms = self._now_ms
        self.unacked += 1
        self.counters["published"] += 1
        self._mid += 1
        session = self.sessions
        self._world.at(
            self._world.now_us + LATENCY_US,
            lambda: self._arrive_at_broker(session, topic, bytes(payload), retain),
        )
        return self._mid

    def take(self) -> Message | None:
        """The oldest message not taken yet, or None."""
        return self._inbox.popleft() if self._inbox else None

    def ack(self, message: Message) -> None:
        """Nothing depends on it: this broker never repeats what was not acknowledged."""

    def listen(self, subscriptions: Sequence[str]) -> None:
        """Be subscribed to these filters from now on, and to no others."""
        self._subscriptions = list(subscriptions)
        if self.connected:
            self._subscribe()

    def hold(self) -> None:
        """Writes are not gathered here."""

    def release(self) -> None:
        """See hold."""

    # -- the broker's end -------------------------------------------------------------------

    def deliver(self, topic: str, payload: bytes, retain: bool, at_us: int) -> None:
        """A message for this service arrives at `at_us`."""
        session = self.sessions

        def arrive() -> None:
            if self.connected and session == self.sessions and len(self._inbox) < QUEUE_MAX:
                self._inbox.append(Message(topic, payload, retain))
                self.inbox_high = max(self.inbox_high, len(self._inbox))
                self.counters["received"] += 1
                self._wake(self._world.now_us)

        self._world.at(at_us, arrive)

    def closed(self) -> None:
        """The broker hung up, or the line was cut."""
        if self.connected:
            self._lose("closed by the broker")

    # -- what happens to the line -----------------------------------------------------------

    def cut(self) -> None:
        """The line is gone until it is plugged in again."""
        self.is_plugged = False
        if self.connected:
            self._broker.leave(self, say_will=True)
            self._lose("line cut")

    def plug(self) -> None:
        self.is_plugged = True
        self._wake(self._world.now_us)

    def vanish(self) -> None:
        """The process is gone without a word; the broker finds out by itself.

        What it had handed to the wire may still arrive, or not.
        """
        if self.connected and self._broker.draw.randrange(2):
            self._ghost = self.sessions
        self._broker.leave(self, say_will=True)
        self.connected = False
        self.sessions += 1  # whatever is still on its way is for nobody

    def _connect(self) -> None:
        self.connected = True
        self.sessions += 1
        self.unacked = 0
        self._inbox.clear()
        self._broker.enter(self)
        self._subscribe()

    def _subscribe(self) -> None:
        self.filters = []
        for topic_filter in self._subscriptions:
            self._broker.subscribe(self, topic_filter)

    def _lose(self, why: str) -> None:
        self.connected = False
        self.last_error = why
        self.unacked = 0
        self._inbox.clear()
        self.counters["lost_sessions"] += 1
        self._retry_ms = self._now_ms + _RETRY_MS
        self._wake(self._world.now_us)

    def _arrive_at_broker(self, session: int, topic: str, payload: bytes, retain: bool) -> None:
        is_alive = self.connected and session == self.sessions
        if not (is_alive or session == self._ghost) or not self._broker.is_up:
            return
        if self._broker.publish(topic, payload, retain=retain):
            self._world.at(self._world.now_us + LATENCY_US, lambda: self._acknowledged(session))

    def _acknowledged(self, session: int) -> None:
        if self.connected and session == self.sessions and self.unacked:
            self.unacked -= 1
            self._progress_ms = self._world.now_ms
