"""To whom the agent listens: everybody, or for a while everybody it knows but who floods.

All readers come to us through one queue of the broker, and it drops whoever arrives when that is
full. Refusing a flood message by message, however cheaply, leaves it in the queue, so what others
say is dropped. Not acknowledging it would stop the queue for all. So a flooder loses its listener:
the agent asks for the topics of all it knows without that one, in the place of the pattern, and
the broker drops the flood where it comes in. A minute later all are heard again, and who still
floods is gone within some hundred messages.

Meanwhile nobody new is heard; a reader that is not says HELLO again every minute, and a person is
told who floods. Nothing is lost by it: what is not heard stays on its reader (ADR 56).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from adapters.mqtt import NETWORK, Message
from edge_agent.rate import FLOODS, HEARD, Rate
from protocols.wire import topics
from protocols.wire.errors import WireError

SHUN_MS = 60_000
SHUNNED_MAX = 64
_TOPIC_CHARS_MAX = 64  # longer than any of ours


class Listener(Protocol):
    """What MqttPort and ReaderPorts have: see there."""

    def listen(self, subscriptions: Sequence[str]) -> None: ...


class Hearing:
    """Judges who is heard on `port`, whose filters are `everybody` until somebody floods.

    `known` gives the up topics of this site's readers that must be heard beside those that have
    spoken since the start. `events` are (what, fields) for the log.
    """

    def __init__(
        self, port: Listener, everybody: Sequence[str], known: Callable[[], Iterable[str]]
    ) -> None:
        self.events: deque[tuple[str, dict[str, Any]]] = deque()
        self._port = port
        self._everybody = list(everybody)
        self._known = known
        self._rate = Rate()
        self._shunned: dict[str, int] = {}  # topic -> until ms

    def may(self, message: Message, now_ms: int) -> bool:
        """Whether `message` is read now."""
        topic = message.topic[:_TOPIC_CHARS_MAX]
        is_network = message.link == NETWORK
        if is_network and topic in self._shunned:
            return False  # it was on its way already
        verdict = self._rate.judge((message.link, topic), len(message.payload), now_ms)
        if verdict == FLOODS and is_network and len(self._shunned) < SHUNNED_MAX:
            self._shunned[topic] = now_ms + SHUN_MS
            self._tell("reader_floods", topic)
            self._listen()
        return verdict == HEARD

    def step(self, now_ms: int) -> int | None:
        """Hear those again whose time is over; when to call again (ms), or None."""
        over = [topic for topic, until_ms in self._shunned.items() if now_ms >= until_ms]
        for topic in over:
            del self._shunned[topic]
            self._tell("reader_heard_again", topic)
        if over:
            self._listen()
        return min(self._shunned.values(), default=None)

    def shunned(self) -> list[str]:
        """The topics that are not listened to now."""
        return sorted(self._shunned)

    def _listen(self) -> None:
        if not self._shunned:
            self._port.listen(self._everybody)
            return
        spoken = {topic for link, topic in self._rate.sources() if link == NETWORK}
        wanted = {topic for topic in spoken.union(self._known()) if self._is_ours(topic)}
        self._port.listen(sorted(wanted.difference(self._shunned)))

    def _is_ours(self, topic: str) -> bool:
        """Whether it is a reader's, and one that `everybody` would bring."""
        return _reader(topic) is not None and any(
            topics.matches(each, topic) for each in self._everybody
        )

    def _tell(self, event: str, topic: str) -> None:
        site, device = _reader(topic) or (None, None)
        self.events.append((event, {"site": site, "device": device}))


def _reader(topic: str) -> tuple[str, int] | None:
    try:
        return topics.parse_up(topic)
    except WireError:
        return None
