"""When a reader hears that what it has said is booked: at once, and again not before EVERY_MS.

Rules of this file. A receipt is cumulative, so the latest says it all. A reader that speaks now
and then hears each at once; one that empties its journal is booked dozens of times a second, and
hears the latest now and then: each would be a message to publish, to acknowledge and to verify.
Nothing depends on when it comes. What waits here is lost with the process, and told again when
the reader asks (the store has it). What waits is not told any more once the ledger has come back
from a backup and knows of less: the reader would free what is in no books.
"""

from collections.abc import Callable

from edge_agent.store import Store

EVERY_MS = 200


class Receipts:
    """Tells with `send(device, sealed)`; `store` knows how far each device is booked."""

    def __init__(self, store: Store, send: Callable[[int, bytes], None]) -> None:
        self._store = store
        self._send = send
        self._waiting: dict[int, tuple[int, bytes]] = {}  # device -> (booked up to, receipt)
        self._rest_ms: dict[int, int] = {}  # device -> until when; the first ends first

    def offer(self, device: int, sealed: bytes, now_ms: int) -> None:
        """The ledger's newest receipt for a device, which the store has taken."""
        self._waiting[device] = self._store.mark(device).receipted, sealed
        if device not in self._rest_ms:
            self._tell(device, now_ms)

    def step(self, now_ms: int) -> int | None:
        """Tell whom it is time to tell; when to call again (ms), None if nothing waits."""
        while self._rest_ms:
            device, rest_ms = next(iter(self._rest_ms.items()))
            if now_ms < rest_ms:
                return rest_ms if self._waiting else None
            del self._rest_ms[device]
            if device in self._waiting:
                self._tell(device, now_ms)
        return None

    def _tell(self, device: int, now_ms: int) -> None:
        upto, sealed = self._waiting.pop(device)
        if self._store.mark(device).receipted < upto:
            return
        self._rest_ms[device] = now_ms + EVERY_MS
        self._send(device, sealed)
