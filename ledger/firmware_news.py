"""Tells agents which firmware their readers shall have, vouches for it to each, gives its pages.

Rules of this file. An agent asks for what there is, and for pages of it. Each reader has a word of
its own, under the key that its newest record is sealed with; it holds to the end of tomorrow, so
it is another one once a day, for readers keep it on flash. A reader takes another word only if
that ends later: each stage ends its number of seconds later than none would, so what was set last
counts the same day. Nothing is kept here.
"""

import struct
from collections.abc import Callable, Iterator
from itertools import islice

from ledger.firmware import FirmwareBook, Stage
from ledger.receipts import Signer
from protocols.rules import release as rules
from protocols.wire import firmware_news, seal

ASK_MS_MIN = 200  # between two questions of one site for what is there
_DAY_S, _DAYS = 86_400, 2


class FirmwareNews:
    """Answers agents. `utc_s` gives the time. `counters` (name -> int) only grow."""

    def __init__(self, book: FirmwareBook, signer: Signer, utc_s: Callable[[], int]) -> None:
        self._book = book
        self._signer = signer
        self._utc_s = utc_s
        self._asked_ms: dict[str, int] = {}
        self.counters = dict.fromkeys(("asks", "pages", "too_often"), 0)

    def hear(self, site: str, payload: bytes, now_ms: int) -> list[bytes]:
        """What to tell the agent of a site that has asked; WireError for what is no question."""
        digest, page = firmware_news.decode_ask(payload)
        if digest:
            self.counters["pages"] += 1
            data = self._book.page(digest, page)
            return [self._signed(firmware_news.encode_page(digest, page, data))]
        self.counters["asks"] += 1
        if now_ms - self._asked_ms.get(site, -ASK_MS_MIN) < ASK_MS_MIN:
            self.counters["too_often"] += 1
            return []
        self._asked_ms[site] = now_ms
        told = [news for stage in self._book.current() for news in self._news(stage, site)]
        return [self._signed(one) for one in told or [firmware_news.encode_none()]]

    def _news(self, stage: Stage, site: str) -> Iterator[bytes]:
        expires_s = (self._utc_s() // _DAY_S + _DAYS) * _DAY_S
        warrants = (
            (device, warrant(stage, key, expires_s))
            for device, at, key in self._book.chosen(stage)
            if at == site
        )
        while some := list(islice(warrants, firmware_news.WARRANTS_MAX)):
            yield firmware_news.encode_news(stage.version, stage.size, stage.digest, some)

    def _signed(self, payload: bytes) -> bytes:
        return self._signer.sign(payload, firmware_news.LABEL)


def warrant(stage: Stage, device_key: bytes, expires_s: int) -> bytes:
    """The word to one reader, under a key of its device key; see protocols/rules/release.py.

    `expires_s`: where the day ends; of two stages the later one ends later.
    """
    body = struct.pack(
        rules.WARRANT,
        stage.version,
        stage.program,
        stage.after,
        stage.size,
        stage.digest,
        stage.from_min,
        stage.until_min,
        expires_s + stage.number,
        rules.FORCED if stage.is_forced else 0,
    )
    return seal.seal(seal.derive(device_key, rules.LABEL), body, rules.LABEL)
