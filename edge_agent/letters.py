"""The agent's part in letters to locks without a network: it keeps the newest of each lock.

Rules of this file. cards.py has verified the signature; a letter is not opened here. Which cards
carry it is said by the lock's access map, which doors.py keeps: whoever may enter there. A reader
that has let a card in asks what that one carries; it gets the letters to at most two locks, of
those with more the ones whose map was changed last.
"""

from collections.abc import Callable

from edge_agent.card_history import CardHistory
from protocols.card import mailbox
from protocols.rules.access import Access, whole
from protocols.wire import letter_news
from protocols.wire.errors import WireError

# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


class LetterSide:
    """Keeps in `history`, hands on through `tell`, counts with `count`."""

    def __init__(self, history: CardHistory, tell: Tell, count: Callable[[str], None]) -> None:
        self._history = history
        self._tell = tell
        self._count = count
        self._maps: dict[int, tuple[int, Access]] = {}  # device -> epoch and map

    def keep(self, payload: bytes) -> None:
        """Keep what the ledger has written. Raises WireError, StoreUnavailable."""
        self._history.add_letters(letter_news.decode(payload))
        self._count("letter_news")

    def asked(self, device: int, card_no: int) -> None:
        """Tell a reader what a card carries, which may be nothing. Raises StoreUnavailable."""
        self._count("letter_asks")
        carried = [lock for lock in self._history.locks() if self._may_enter(*lock, card_no)]
        locks = sorted(carried, key=lambda lock: -lock[1])[: mailbox.TO_LOCKS]
        letters = [(lock, *self._history.letter(lock)) for lock, _epoch in locks]
        self._tell(device, card_no, mailbox.PAGE, mailbox.encode_carried(letters))

    def _may_enter(self, lock: int, epoch: int, card_no: int) -> bool:
        known = self._maps.get(lock)
        if known is None or known[0] != epoch:
            stored = self._history.access(lock)
            try:
                found = whole(stored[2] if stored else b"")
            except WireError:
                self._count("letters_without_map")
                found = whole(b"")
            known = self._maps[lock] = epoch, found
        return known[1].group(card_no) > 0
