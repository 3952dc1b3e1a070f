"""Tells agents which menus their POS shall have, vouches for each to each, and gives their bytes.

Rules of this file. An agent that asks what firmware there is hears of menus too, every time and of
all: by their digests, so that it asks only for those that it lacks. Nothing is kept here.
"""

from itertools import islice
from typing import Any

from ledger.menus import MenuBook
from ledger.receipts import Signer
from protocols.wire import menu_news


class MenuNews:
    """Answers agents. `counters` (name -> int) only grow."""

    def __init__(self, book: MenuBook, signer: Signer) -> None:
        self._book = book
        self._signer = signer
        self.counters = dict.fromkeys(("asks",), 0)

    def hear(self, site: str, payload: bytes, now_ms: int) -> list[bytes]:
        """What to tell the agent of a site that has asked; WireError for what is no question."""
        del now_ms
        digest: Any = menu_news.decode_ask(payload)
        self.counters["asks"] += 1
        data = self._book.of_digest(digest, site)
        return [self._signed(menu_news.encode_menu(digest, data))]

    def news(self, site: str) -> list[bytes]:
        """Of all POS of a site, signed; nothing where no menu was ever set."""
        warrants = self._book.sealed(site)
        told = []
        while some := list(islice(warrants, menu_news.WARRANTS_MAX)):
            told.append(self._signed(menu_news.encode_news(some)))
        return told

    def _signed(self, payload: bytes) -> bytes:
        return self._signer.sign(payload, menu_news.LABEL)
