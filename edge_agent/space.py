"""How much of the disk the agent may fill, and what it does before that is used up.

Below TIGHT booked records are kept for their time. From TIGHT on they go as soon as they are
booked, from URGENT on somebody has to look, and at FULL nothing new is taken: the readers keep
what they are not told is stored. What is left of the disk above that is for marks and receipts.
"""

from collections.abc import Callable

OK, TIGHT, URGENT, FULL = 0, 1, 2, 3
_TIGHT_PERMILLE, _URGENT_PERMILLE = 700, 900
# Of the file system, for everybody else on it and for the write-ahead log.
RESERVE_BYTES = 64 * 1024 * 1024
RECORD_OVERHEAD_BYTES = 48  # keys, lengths and half-filled pages, beside a record's own bytes


class Space:
    """`budget_bytes` for the records, less where the file system has less to give.

    `free_bytes()` is what the file system has left.
    """

    def __init__(self, budget_bytes: int, free_bytes: Callable[[], int]) -> None:
        self._budget_bytes = budget_bytes
        self._free_bytes = free_bytes
        self.used_bytes = 0
        self.limit_bytes = budget_bytes

    def measure(self, used_bytes: int) -> None:
        """The store has grown or shrunk to `used_bytes`."""
        self.used_bytes = used_bytes
        room_bytes = max(self._free_bytes() - RESERVE_BYTES, 0)
        self.limit_bytes = min(self._budget_bytes, used_bytes + room_bytes)

    def take(self, record_bytes: int, records: int) -> bool:
        """Whether so many records of so many bytes in all still fit; counted until measured."""
        more_bytes = record_bytes + records * RECORD_OVERHEAD_BYTES
        if self.used_bytes + more_bytes > self.limit_bytes:
            return False
        self.used_bytes += more_bytes
        return True

    @property
    def level(self) -> int:
        """OK, TIGHT, URGENT or FULL."""
        used_permille = 1000 * self.used_bytes // max(self.limit_bytes, 1)
        if self.used_bytes + RECORD_OVERHEAD_BYTES >= self.limit_bytes:
            return FULL
        if used_permille >= _URGENT_PERMILLE:
            return URGENT
        return TIGHT if used_permille >= _TIGHT_PERMILLE else OK


def unlimited() -> Space:
    """As much as there is."""
    return Space(1 << 62, lambda: 1 << 62)
