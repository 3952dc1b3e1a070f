"""How much a booking takes at once: little of what nobody has read, then more, and by the clock.

All that is in a portion is on the disk with one commit, so the larger it is the less a record
costs. But a RELAY that comes behind it waits for it (PORTION_MS), on a slow disk as on a fast one.
And what nobody has read ahead (ledger/read_ahead.py) the ledger has to read itself, while another
core has nothing to do: so it begins with FEW and goes on with what was being read meanwhile.
docs/adr/0087-a-portion-is-measured-by-time.md says why.
"""

from collections.abc import Sequence
from typing import TypeVar

DELIVERIES_MAX = 256
FEW = 32
PORTION_MS = 250

Delivery = TypeVar("Delivery")


class Portions:
    """Cuts what waits into what is booked now and what is read meanwhile; it keeps neither."""

    def __init__(self) -> None:
        self._read = 0  # at the head of what waits
        self._ahead = 2 * FEW
        self._booking = 0  # so many, since
        self._began_ms = 0

    def split(
        self, waiting: Sequence[Delivery], now_ms: int
    ) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
        """Of `waiting` what to book now, and behind it what to read ahead."""
        size = max(self._read, FEW)
        portion, ahead = waiting[:size], waiting[size : size + self._ahead]
        self._booking, self._began_ms, self._read = len(portion), now_ms, len(ahead)
        return portion, ahead

    def ended(self, now_ms: int) -> None:
        """The portion split last is booked, and `now_ms` is when the next one may begin."""
        if not self._booking:
            return
        took_ms = max(1, now_ms - self._began_ms)
        in_time = PORTION_MS * self._booking // took_ms
        self._ahead = max(FEW, min(2 * self._ahead, in_time, DELIVERIES_MAX))
        self._booking = 0

    def failed(self) -> None:
        """It is not booked, and will be split once more; nothing of it counts as read."""
        self._read = self._booking = 0
