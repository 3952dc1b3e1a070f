"""How long something has lasted, though somebody sets the clock: for the 72 hours of R14.4b.

A report of loss is stamped by the clock on the wall, and another process may have written it.
While one process looks at both clocks, a wall that is set ahead makes nothing older: of all that
wall and monotonic clock were apart in the hours before, the least counts. So whatever was stamped
within these hours is never older than by the monotonic clock, and what was stamped before them is
as old as they are long. A wall that was wrong and is put right delays what is due by so many hours
at most. A process that begins believes the wall: nothing else tells it how long it was away.
"""

from collections import deque
from collections.abc import Callable


class SteadyClock:
    """`utc_s()` is the wall's (seconds since 1970), `monotonic_s()` never goes back nor is set.

    `window_s`: for how long nothing may look older than it is.
    """

    def __init__(
        self, utc_s: Callable[[], int], monotonic_s: Callable[[], int], window_s: int
    ) -> None:
        self._utc_s = utc_s
        self._monotonic_s = monotonic_s
        self._window_s = window_s
        # (apart_s, until when it may have been that), both growing: the first is the least.
        self._apart: deque[tuple[int, int]] = deque()
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
