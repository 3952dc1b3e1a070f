"""How long something has lasted, though somebody sets the clock: for the 72 hours of R14.4b.

A report of loss is stamped by the clock on the wall, and another process may have written it.
While the ledger looks at both clocks, a wall that is set ahead makes nothing older: of all that
wall and monotonic clock were apart in the hours before, the least counts. So whatever was stamped
within these hours is never older than by the monotonic clock, and what was stamped before them is
as old as they are long. A wall that was wrong and is put right delays what is due by so many hours
at most.

What it knows stands in the books, a minute old at most (ClockKeeper): a ledger that starts goes on
from there, and so does a person's command. Only of the time since does it believe the wall, for
nothing else tells how long that was.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable

from ledger.dialect import Dialect, Row, StoreUnavailable

KEEP_MS = 60_000
_KEPT = "SELECT kept_s, time_s, ago_s FROM steady_clock ORDER BY time_s"
_FORGET = "DELETE FROM steady_clock WHERE time_s >= ?"
KEEP = "INSERT INTO steady_clock VALUES (?, ?, ?)"


class SteadyClock:
    """`utc_s()` is the wall's (seconds since 1970), `monotonic_s()` never goes back nor is set.

    `window_s`: for how long nothing may look older than it is. `kept`: what the books have of one
    that was looked at before, another process's mostly.
    """

    def __init__(
        self,
        utc_s: Callable[[], int],
        monotonic_s: Callable[[], int],
        window_s: int,
        kept: Iterable[Row] = (),
    ) -> None:
        self._utc_s = utc_s
        self._monotonic_s = monotonic_s
        self._window_s = window_s
        # (apart_s, until when it may have been that), both growing: the first is the least.
        self._apart: deque[tuple[int, int]] = deque()
        now_s, wall_s = monotonic_s(), utc_s()
        for kept_s, time_s, ago_s in kept:
            away_s = max(wall_s - kept_s, 0)
            self._apart.append((time_s + away_s - now_s, now_s - ago_s - away_s))
        self.now_s()

    def now_s(self) -> int:
        """UTC seconds by which nothing is older than it is; to be asked now and then."""
        now_s = self._monotonic_s()
        apart_s = self._utc_s() - now_s
        if self._apart:  # it may have changed at any moment since it was looked at last
            self._apart[-1] = self._apart[-1][0], now_s
        while self._apart and self._apart[-1][0] >= apart_s:
            self._apart.pop()
        self._apart.append((apart_s, now_s))
        while self._apart[0][1] < now_s - self._window_s:
            self._apart.popleft()
        return now_s + self._apart[0][0]

    def to_keep(self) -> list[Row]:
        """(by the wall now, what the time may be, how long ago it was surely that), by the second.

        The last is the wall itself; there are more while it is ahead.
        """
        self.now_s()
        now_s = self._monotonic_s()
        wall_s = now_s + self._apart[-1][0]
        return [(wall_s, now_s + apart_s, now_s - until_s) for apart_s, until_s in self._apart]


class ClockKeeper:
    """Writes what a clock knows into the books now and then."""

    def __init__(self, database: Dialect, clock: SteadyClock) -> None:
        self._database = database
        self._clock = clock
        self._due_ms = 0

    def step(self, now_ms: int) -> int:
        """Keep it if that is due; the time (ms) by which to call again."""
        if now_ms >= self._due_ms:
            self._due_ms = now_ms + KEEP_MS
            # Books that cannot be written say so elsewhere, and this comes again.
            with contextlib.suppress(StoreUnavailable), self._database.transaction():
                self._database.many(_FORGET, [(0,)])
                self._database.many(KEEP, self._clock.to_keep())
        return self._due_ms


def kept_in(database: Dialect) -> list[Row]:
    """What the books have of the ledger's clock; nothing if none was ever kept."""
    return list(database.rows(_KEPT))


def ahead_s(database: Dialect, utc_s: int, window_s: int) -> int:
    """How far the wall, which says `utc_s`, is ahead of the ledger's clock.

    For a person's command: whatever is due by the wall is due so much later.
    """
    clock = SteadyClock(lambda: utc_s, lambda: 0, window_s, kept_in(database))
    return utc_s - clock.now_s()
