"""Tells agents which cards are lost, suspended or closed, and vouches for it to each reader.

Rules of this file. An agent asks with the epoch it has and gets what came behind it, in order, as
much as fits; with the last of it the chain, and a warrant for each reader of its site, sealed
under the key that the reader's newest record is sealed with. Nothing is kept here that cannot be
read again. A change is hinted at as soon as it is seen, whoever made it; a hint decides nothing.
"""

import logging
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from ledger.receipts import Signer
from ledger.store import LedgerStore
from protocols.rules import card_status
from protocols.wire import card_news, cbor, seal

ASK_MS_MIN = 200  # between two asks of one site
LOOK_MS = 1_000  # how often it is looked whether a card has changed
_CHANGES_MAX = card_news.CHANGES_BYTES_MAX // card_status.CHANGE_BYTES

_log = logging.getLogger(__name__)


class CardNews:
    """Answers agents. `utc_s` gives the time in warrants. `counters` (name -> int) only grow."""

    def __init__(self, store: LedgerStore, signer: Signer, utc_s: Callable[[], int]) -> None:
        self._store = store
        self._signer = signer
        self._utc_s = utc_s
        self._epoch, self._chain, self._map = 0, card_status.CHAIN_START, bytearray()
        self._asked_ms: dict[str, int] = {}
        self._warrant_keys: dict[bytes, bytes] = {}  # by the device's key
        self._hinted: int | None = None
        self._look_ms = 0
        self.counters = dict.fromkeys(("asks", "too_often", "ahead", "hints"), 0)

    def hear(self, site: str, payload: bytes, now_ms: int) -> list[bytes]:
        """What to tell the agent of a site that has asked; WireError for what is no question."""
        epoch: Any = card_news.decode_epoch(payload)
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(site, -ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return []
        self._asked_ms[site] = now_ms
        self._catch_up()
        if epoch > self._epoch:
            self.counters["ahead"] += 1
            _log.error(
                "%s knows epoch %d, the books %d: were they put back?", site, epoch, self._epoch
            )
            return []
        # No more than is vouched for, however quick another process has been.
        count = min(_CHANGES_MAX, self._epoch - epoch)
        changes = self._store.cards.changes_after(epoch, count)
        upto = epoch + len(changes) // card_status.CHANGE_BYTES
        if upto < self._epoch:
            return [self._signed(epoch, changes, [])]
        warrants = self._warrants(site)
        told = [list(islice(warrants, card_news.WARRANTS_MAX))]
        while more := list(islice(warrants, card_news.WARRANTS_MAX)):
            told.append(more)
        answers = [self._signed(epoch, changes, told[0], self._chain)]
        return answers + [self._signed(self._epoch, b"", more, self._chain) for more in told[1:]]

    def hint(self, now_ms: int) -> bytes | None:
        """What to tell everybody now, if a card has changed since the last look."""
        if now_ms < self._look_ms:
            return None
        self._look_ms = now_ms + LOOK_MS
        epoch = self._store.cards.epoch()
        if epoch == self._hinted:
            return None
        self._hinted = epoch
        self.counters["hints"] += 1
        return cbor.encode(epoch)

    def due_ms(self) -> int:
        """When `hint` wants to be asked again."""
        return self._look_ms

    def _catch_up(self) -> None:
        while changes := self._store.cards.changes_after(self._epoch, _CHANGES_MAX):
            card_status.fold(self._map, changes)
            self._chain = card_status.chained(self._chain, changes)
            self._epoch += len(changes) // card_status.CHANGE_BYTES

    def _warrants(self, site: str) -> Iterator[tuple[int, int, bytes]]:
        body = struct.pack(
            card_status.WARRANT,
            self._epoch,
            self._utc_s(),
            len(self._map),
            self._chain,
            card_status.digest_of(self._map),
        )
        for device, device_key in self._store.keys_at(site):
            key = self._warrant_keys.get(device_key)
            if key is None:
                key = seal.derive(device_key, card_status.LABEL)
                self._warrant_keys[device_key] = key
            yield device, self._epoch, seal.seal(key, body, card_status.LABEL)

    def _signed(
        self,
        epoch: int,
        changes: bytes,
        warrants: list[tuple[int, int, bytes]],
        chain: bytes = b"",
    ) -> bytes:
        payload = card_news.encode(epoch, changes, warrants, chain)
        return self._signer.sign(payload, card_news.LABEL)
