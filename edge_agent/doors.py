"""The agent's part in access maps: it keeps what the ledger says of each door and hands it on.

Rules of this file. cards.py has verified the signature; nothing is decided here. Whenever the
ledger speaks of a door, which it does every few minutes, the door is told of its newest map: a
word may get lost where no connection does. It fetches what it lacks page by page.
"""

from collections.abc import Callable

from edge_agent.card_history import CardHistory
from protocols.rules.access import PAGES_AT
from protocols.rules.card_status import PAGE_BYTES
from protocols.wire import access_news

# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


class DoorSide:
    """Keeps in `history`, hands on through `tell`, counts with `count`."""

    def __init__(self, history: CardHistory, tell: Tell, count: Callable[[str], None]) -> None:
        self._history = history
        self._tell = tell
        self._count = count

    def ask(self) -> bytes:
        """What to ask the ledger. Raises StoreUnavailable."""
        return access_news.encode_ask(self._history.access_epochs()[: access_news.DOORS_MAX])

    def keep(self, payload: bytes) -> bool:
        """Keep what the ledger has said; False: it has to be asked again.

        Raises WireError, StoreUnavailable.
        """
        device, epoch, sealed, data, digest = access_news.decode(payload)
        if not self._history.add_access(device, epoch, sealed, data, digest):
            self._count("door_gaps")
            return False
        self._count("door_news")
        self.asked(device, 0, PAGES_AT)
        return True

    def asked(self, device: int, epoch: int, page: int) -> None:
        """A door has asked: for news, or for a page of the map of an epoch."""
        known = self._history.access(device)
        if known is None:
            self._count("doors_unknown")
            return
        newest, sealed, data = known
        if page == PAGES_AT or epoch != newest:
            # Of a map that has been replaced meanwhile nothing is left.
            self._tell(device, 0, PAGES_AT, sealed)
            return
        at = (page - PAGES_AT - 1) * PAGE_BYTES
        self._count("door_pages")
        self._tell(device, epoch, page, data[at : at + PAGE_BYTES])
