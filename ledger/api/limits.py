"""How often a client may ask: a bucket for each that fills at a steady rate."""

from collections.abc import Callable

BURST_S = 2  # a bucket holds as much as comes in that time
CLIENTS_MAX = 4_096  # before those are forgotten that have not asked for BURST_S
STRANGERS = ""  # everybody without a token of ours, together
OPERATORS = "*operators"  # everybody with a session, before it is known whose


class Pace:
    """`per_s` requests in a second for each client, after `BURST_S` seconds' worth at once.

    Whose bucket is full again is forgotten: a flood of addresses costs no more than those of now.
    """

    def __init__(self, per_s: int, now_ms: Callable[[], int]) -> None:
        self._full = per_s * BURST_S * 1000
        self._per_ms = per_s
        self._now_ms = now_ms
        self._buckets: dict[str, tuple[int, int]] = {}  # thousandths of a request, and when

    def wait_s(self, client: str) -> int:
        """0: it may ask now, which is counted; else how many seconds it has to wait."""
        now_ms = self._now_ms()
        if len(self._buckets) >= CLIENTS_MAX:
            self._forget(now_ms)
        held, at_ms = self._buckets.get(client, (self._full, now_ms))
        held = min(self._full, held + (now_ms - at_ms) * self._per_ms)
        is_due = held >= 1000
        self._buckets[client] = held - 1000 * is_due, now_ms
        return 0 if is_due else 1

    def _forget(self, now_ms: int) -> None:
        full_ms = BURST_S * 1000
        self._buckets = {
            client: held for client, held in self._buckets.items() if now_ms - held[1] < full_ms
        }
