"""Whether the agent gets on: what the watchdog of systemd is fed by.

A loop that turns is no proof: a fault of ours could leave work lying that nothing prevents. So
work that could be done now, on a link that is up, has to move within STUCK_MS. What waits for
others (a ledger that is silent, a disk that refuses, a link that is down) is no fault of ours, and
to begin anew would not help.
"""

STUCK_MS = 120_000


class Progress:
    """One kind of work. `is_stuck` is asked in every step of the loop."""

    def __init__(self) -> None:
        self._moved = -1
        self._since_ms: int | None = None

    def is_stuck(self, is_work: bool, moved: int, now_ms: int) -> bool:
        """Whether `is_work` has been true for STUCK_MS, and `moved`, which only grows, has not."""
        if not is_work or moved != self._moved:
            self._moved = moved
            self._since_ms = None
        if is_work and self._since_ms is None:
            self._since_ms = now_ms
        return self._since_ms is not None and now_ms - self._since_ms >= STUCK_MS
