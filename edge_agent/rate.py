"""How often one reader is heard: beyond that it is dropped unread, and costs nobody else.

A reader that works says one thing and waits for the answer: a hundred a second on a fast network.
One that floods is broken, or is none. The bound has to be below what the agent can do, not what a
reader can: a batch that is known already costs as much as a new one, and at 2,000 a second nobody
else was served any more (measured: onecard bench agent_readers).
"""

MESSAGES_PER_S = 200
BURST = 1_000  # a full journal's first 8,000 records
BUCKETS_MAX = 10_000
_THOUSANDTHS = 1000


class Rate:
    """A bucket of tokens for each reader, filled by the caller's clock."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[int, int]] = {}  # device -> thousandths, as of ms

    def may(self, device: int, now_ms: int) -> bool:
        """Whether one more message of `device` is read now."""
        full = BURST * _THOUSANDTHS
        if len(self._buckets) >= BUCKETS_MAX and device not in self._buckets:
            self._buckets.clear()  # somebody invents devices: everybody begins with a full one
        tokens, since_ms = self._buckets.get(device, (full, now_ms))
        tokens = min(tokens + max(now_ms - since_ms, 0) * MESSAGES_PER_S, full)
        is_heard = tokens >= _THOUSANDTHS
        self._buckets[device] = (tokens - _THOUSANDTHS if is_heard else tokens, now_ms)
        return is_heard
