"""Tells agents who may open the doors of their site, and vouches for it to each door.

Rules of this file. An agent asks with what it has; of each door it gets the newest map, or nothing
but the word for it if it has that one: under the key that the door's newest record is sealed with,
which may be another one than last time. Nothing is kept here that cannot be read again.
"""

import logging
import struct
from collections.abc import Callable
from hashlib import sha256

from ledger.access import AccessBook, Door
from ledger.receipts import Signer
from protocols.rules import access, card_status
from protocols.wire import access_news, seal

ASK_MS_MIN = 200  # between two asks of one site
_LOOK_EVERY_S = 60  # for grants that are over

_log = logging.getLogger(__name__)


class AccessNews:
    """Answers agents. `utc_s` gives the time in warrants. `counters` (name -> int) only grow."""

    def __init__(self, book: AccessBook, signer: Signer, utc_s: Callable[[], int]) -> None:
        self._book = book
        self._signer = signer
        self._utc_s = utc_s
        self._asked_ms: dict[str, int] = {}
        self._maps: dict[int, tuple[int, bytes]] = {}  # device -> epoch and map
        self._hinted: tuple[int, int] | None = None
        self._looked_s: int | None = None
        self.counters = dict.fromkeys(("asks", "too_often", "ahead", "hints"), 0)

    def hear(self, site: str, payload: bytes, now_ms: int) -> list[bytes]:
        """What to tell the agent of a site that has asked; WireError for what is no question."""
        held = access_news.decode_ask(payload)
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(site, -ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return []
        self._asked_ms[site] = now_ms
        doors = [door for door in self._book.doors_at(site) if door.epoch]
        return [self._told(door, held.get(door.device)) for door in doors]

    def hint(self) -> bytes | None:
        """What to tell everybody now, if a door, or how far a lock is booked, has changed.

        Grants that are over are taken back first, looked for once a minute.
        """
        now_s = self._utc_s()
        # A clock that was set back has not looked yet.
        if self._looked_s is None or not 0 <= now_s - self._looked_s < _LOOK_EVERY_S:
            self._book.end_grants(now_s)
            self._looked_s = now_s
        number = self._book.newest()
        seen = number, self._book.heads_of_locks()
        if number == 0 or seen == self._hinted:
            return None
        self._hinted = seen
        self.counters["hints"] += 1
        return access_news.encode_hint(sum(seen) & 0xFFFFFFFF or 1)

    def _told(self, door: Door, held: int | None) -> bytes:
        if held is not None and held > door.epoch:
            self.counters["ahead"] += 1
            _log.error(
                "door %d: its agent knows epoch %d, the books %d: were they put back?",
                door.device,
                held,
                door.epoch,
            )
        epoch, data = self._maps.get(door.device, (0, b""))
        if epoch != door.epoch:
            data = self._book.access_map(door.device)
            self._maps[door.device] = door.epoch, data
        digest = sha256(data).digest()[: access_news.DIGEST_BYTES]
        body = struct.pack(
            card_status.WARRANT, door.epoch, self._utc_s(), len(data), digest, digest
        )
        key = seal.derive(seal.derive(door.device_key, access.LABEL), card_status.LABEL)
        warrant = seal.seal(key, body, card_status.LABEL)
        news = b"" if held == door.epoch else data
        payload = access_news.encode(door.device, door.epoch, warrant, news, digest)
        return self._signer.sign(payload, access_news.LABEL)
