"""How often one reader is heard: beyond that it is dropped unread, and costs nobody else.

A reader that works says one thing and waits for the answer, so even one that empties a full
journal stays far below; one that floods is broken, or is none.
"""

MESSAGES_PER_S = 2_000
BURST = 4_000
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
