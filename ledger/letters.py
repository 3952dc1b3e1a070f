"""Writes to locks without a network: who may open each, what of it is booked, what time it is.

Rules of this file. Each lock of a site has one letter at a time, under the key that its newest
record is sealed with; it is written anew when something in it has changed, and now and then, so
that the lock knows how late it is. What is written later has a later stamp. Cards that are lost,
suspended or closed are left out of its map: a lock is not told of them otherwise. A map too large
for a letter stays out of it, and the lock is told the rest; `fits` tells the warden.
"""

from collections.abc import Callable
from itertools import islice

from adapters.aes import CIPHERS
from ledger.access import AccessBook
from ledger.card_status import Cards
from ledger.lock_mail import Lock, LockMail
from ledger.receipts import TAG_BYTES, Signer
from protocols.card import mailbox
from protocols.wire import letter_news

# A card gets another letter at most that often while nothing has changed: each costs it a write.
AGE_S_MAX = 6 * 3600

# What a letter says, but for when it was written.
_Said = tuple[bytes, int, int, bytes, bytes]


class Letters:
    """The letters to the locks of all sites. `utc_s` gives their time."""

    def __init__(
        self,
        locks: LockMail,
        book: AccessBook,
        cards: Cards,
        signer: Signer,
        utc_s: Callable[[], int],
    ) -> None:
        self._locks = locks
        self._book = book
        self._cards = cards
        self._signer = signer
        self._utc_s = utc_s
        self._closed: tuple[int, set[int]] = 0, set()  # as of an epoch of the cards
        self._written: dict[int, tuple[_Said, int, bytes]] = {}  # device -> said, stamp, letter

    def news(self, site: str) -> list[bytes]:
        """What to tell the agent of a site: the letter to each of its locks, signed."""
        letters = (self._letter(lock) for lock in self._locks.at(site) if lock.epoch)
        return [
            self._signer.sign(letter_news.encode(some), letter_news.LABEL)
            for some in iter(lambda: list(islice(letters, letter_news.LETTERS_MAX)), [])
        ]

    def _letter(self, lock: Lock) -> tuple[int, int, bytes]:
        said = self._said(lock)
        known, stamp, letter = self._written.get(lock.device, (None, 0, b""))
        now_s = self._utc_s()
        if known != said or now_s - stamp >= AGE_S_MAX:
            stamp = max(now_s, stamp + 1)
            key, epoch, upto, tag, data = said
            content = mailbox.encode_update(epoch, stamp, upto, tag, data)
            letter = mailbox.seal_letter(CIPHERS, key, mailbox.TO_LABEL, content)
            self._written[lock.device] = said, stamp, letter
        return lock.device, stamp, letter

    def _said(self, lock: Lock) -> _Said:
        epoch = self._cards.epoch()
        if epoch != self._closed[0]:
            self._closed = epoch, self._cards.closed()
        data = self._book.access_map(lock.device, self._closed[1])
        if len(data) > mailbox.MAP_BYTES_MAX:
            data = b""
        return lock.device_key, lock.epoch, lock.head_seq, lock.head_tag[:TAG_BYTES], data


def fits(book: AccessBook, device: int) -> bool:
    """Whether the access map of a lock goes into a letter."""
    return len(book.access_map(device)) <= mailbox.MAP_BYTES_MAX
