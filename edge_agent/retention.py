"""For how long booked records stay on the agent's disk: the ledger may come back from a backup.

Measured since this process heard of each receipt, by its own monotonic clock, so no wrong date
frees anything early; a restart begins anew and keeps them longer. Memory does not depend on how
many records there are: what is heard within a sixteenth of the time is freed together, later
rather than sooner.
"""

from collections import deque

_SLOTS = 16


class Retention:
    """Tells up to where the records of each device may go, `keep_ms` after their receipt."""

    def __init__(self, keep_ms: int = 0) -> None:
        self._keep_ms = keep_ms
        self._slots: deque[tuple[int, dict[int, int]]] = deque()  # until_ms, device -> upto

    def note(self, device: int, upto: int, now_ms: int) -> None:
        """The records of `device` up to `upto` are booked."""
        until_ms = now_ms + self._keep_ms
        if not self._slots or self._slots[-1][0] < until_ms:
            self._slots.append((until_ms + self._keep_ms // _SLOTS, {}))
        self._slots[-1][1][device] = upto

    def ripe(self, now_ms: int, *, hurry: bool = False) -> dict[int, int]:
        """device -> up to where to free, each said once; all that is noted where room is short."""
        found: dict[int, int] = {}
        while self._slots and (hurry or self._slots[0][0] <= now_ms):
            found |= self._slots.popleft()[1]  # later slots know of more
        return found

    def forget(self, device: int) -> None:
        """The ledger does not have these records any more: nothing of `device` is freed."""
        for _until_ms, uptos in self._slots:
            uptos.pop(device, None)

    def due_ms(self) -> int | None:
        """When the next records are to go; None if none are booked."""
        return self._slots[0][0] if self._slots else None
