"""The agent's part in policies: it keeps the newest of each reader on disk, and hands it on.

Rules of this file. cards.py has verified the signature; a policy is not opened here. What is new
is told at once, and all of them every few minutes, whether the ledger is there or not: a reader
that has it passes it over.
"""

from collections.abc import Callable

from edge_agent.card_history import CardHistory
from protocols.rules.settings import POLICY_PAGE
from protocols.wire import policy_news

TELL_MS = 300_000
# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


class PolicySide:
    """Keeps in `history`, hands on through `tell`, counts with `count`."""

    def __init__(self, history: CardHistory, tell: Tell, count: Callable[[str], None]) -> None:
        self._history = history
        self._tell = tell
        self._count = count
        self._due_ms = 0

    def keep(self, payload: bytes) -> None:
        """Keep what the ledger has sealed. Raises WireError, StoreUnavailable."""
        policies = policy_news.decode(payload)
        known = {(device, sealed) for device, _, sealed in self._history.policies()}
        self._history.add_policies(policies)
        self._count("policy_news")
        for device, epoch, sealed in self._history.policies():
            if (device, sealed) not in known:
                self._tell(device, epoch, POLICY_PAGE, sealed)

    def step(self, now_ms: int) -> int:
        """Tell readers if it is time; when to call again (ms). Raises StoreUnavailable."""
        if now_ms >= self._due_ms:
            self._due_ms = now_ms + TELL_MS
            for device, epoch, sealed in self._history.policies():
                self._count("policies_told")
                self._tell(device, epoch, POLICY_PAGE, sealed)
        return self._due_ms
