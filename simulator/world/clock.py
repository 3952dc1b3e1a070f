"""Who owns time: one world clock with a queue of events, and one clock per reader.

A reader's step is synchronous and takes time (a card dialogue takes 60 to 150 ms), so while one
reader is inside a step its own clock runs ahead of the world's. What happens to that reader in the
meantime (a card is pulled away, the power fails) waits on its own clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class World:
    """A queue of (time, event); equal times run in the order they were scheduled."""

    def __init__(self, start_utc_s: int) -> None:
        self.now_us = 0
        self.start_utc_s = start_utc_s
        self._queue: list[tuple[int, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, time_us: int, event: Callable[[], object]) -> None:
        """Run `event` when the world's clock reaches `time_us` (now, if that has passed)."""
        self._count += 1
        heapq.heappush(self._queue, (max(time_us, self.now_us), self._count, event))

    def step(self, until_us: int) -> bool:
        """Run the next event due by `until_us`; False, and the clock at `until_us`, if none is."""
        if not self._queue or self._queue[0][0] > until_us:
            self.now_us = max(self.now_us, until_us)
            return False
        self.now_us, _, event = heapq.heappop(self._queue)
        event()
        return True

    def step_to(self, time_us: int) -> None:
        """Only the time: for what must come before everything that is due at `time_us`."""
        assert not self._queue or self._queue[0][0] >= time_us >= self.now_us
        self.now_us = time_us

    def has_event_at(self, time_us: int) -> bool:
        """Whether something is due just then."""
        return any(due_us == time_us for due_us, _, _ in self._queue)

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def utc_s(self, now_us: int | None = None) -> int:
        """True UTC seconds at a world time (default: now)."""
        return self.start_utc_s + (self.now_us if now_us is None else now_us) // 1_000_000


class ReaderClock:
    """One reader's time: what the models of its hardware advance and its firmware reads."""

    def __init__(self, world: World) -> None:
        self.now_us = world.now_us
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time_us: int, event: Callable[[], None]) -> None:
        """Run `event` when this reader's clock passes `time_us`, in the middle of a step too."""
        self._count += 1
        heapq.heappush(self._events, (time_us, self._count, event))

    def advance_us(self, duration_us: int) -> None:
        self.advance_to(self.now_us + duration_us)

    def advance_to(self, time_us: int) -> None:
        """Go forward to `time_us`, running what is due on the way; never backward."""
        while self._events and self._events[0][0] <= time_us:
            due_us, _, event = heapq.heappop(self._events)
            self.now_us = max(self.now_us, due_us)
            event()
        if time_us > self.now_us:  # `max` is a call, and this one is every pin's
            self.now_us = time_us
