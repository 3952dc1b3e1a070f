"""How often one reader is heard, and from when on it floods.

A reader that works says one thing and waits for the answer: a hundred a second on a fast network,
and nothing for five seconds where none comes. One that floods is broken, or is none. The bound has
to be below what the agent can do, not what a reader can: a batch that is known already costs as
much as a new one, and at 2,000 a second nobody else was served any more.
"""

from collections.abc import Iterable

from protocols.wire.messages import BATCH_BYTES_MAX

MESSAGES_PER_S = 200
BURST = 200
FLOOD = 100  # so many that were not heard, and no pause that would have made up for them
BUCKETS_MAX = 10_000
HEARD, NOT_HEARD, FLOODS = range(3)
_THOUSANDTHS = 1000

Source = tuple[str, str]  # a link, and the topic there


class Rate:
    """A bucket of tokens for each source, filled by the caller's clock.

    One that is empty goes on below nought: what is not heard is paid for as well, and so is size.
    """

    def __init__(self) -> None:
        self._buckets: dict[Source, tuple[int, int]] = {}  # source -> thousandths, as of ms

    def judge(self, source: Source, size_bytes: int, now_ms: int) -> int:
        """HEARD, NOT_HEARD or FLOODS of one more message of `source` now."""
        full, empty = BURST * _THOUSANDTHS, -FLOOD * _THOUSANDTHS
        if len(self._buckets) >= BUCKETS_MAX and source not in self._buckets:
            self._buckets.clear()  # somebody invents sources: everybody begins with a full one
        tokens, since_ms = self._buckets.get(source, (full, now_ms))
        tokens = min(tokens + max(now_ms - since_ms, 0) * MESSAGES_PER_S, full)
        tokens -= (1 + size_bytes // BATCH_BYTES_MAX) * _THOUSANDTHS
        self._buckets[source] = (max(tokens, empty), now_ms)
        if tokens >= 0:
            return HEARD
        return NOT_HEARD if tokens > empty else FLOODS

    def sources(self) -> Iterable[Source]:
        """All that were judged, as far as they are remembered."""
        return self._buckets.keys()
