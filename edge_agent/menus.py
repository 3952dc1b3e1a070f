"""The agent's part in menus: it keeps the newest of each POS on disk, and gives it page by page.

Rules of this file. cards.py has verified the signature; a warrant is not opened here, and nothing
is decided. A menu is kept once for all POS that have it, under its digest, and asked for as long
as it is not here whole; what stands on the disk and has another digest is forgotten and asked for
anew. A POS is told of its newest when that comes, and when it asks, whether the ledger is there or
not. Kept is what a warrant names, so there is never more than one menu for each POS.
"""

from collections.abc import Callable

from edge_agent.card_history import CardHistory
from protocols.rules import menu
from protocols.wire import menu_news

# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


class MenuSide:
    """Keeps in `history`, hands on through `tell`, asks with `ask`, counts with `count`."""

    def __init__(
        self,
        history: CardHistory,
        tell: Tell,
        ask: Callable[[bytes], object],
        count: Callable[[str], None],
    ) -> None:
        self._history = history
        self._tell = tell
        self._ask = ask
        self._count = count

    def keep(self, payload: bytes) -> None:
        """Take what the ledger has said. Raises WireError, StoreUnavailable."""
        warrants, one = menu_news.decode(payload)
        if warrants is None:
            self._keep_menu(*one)
            return
        before = {device: sealed for device, _, _, sealed in self._history.menu_warrants()}
        self._history.add_menu_warrants(warrants)
        self._count("menu_news")
        lacking = set()
        for device, epoch, digest, sealed in self._history.menu_warrants():
            if not self._whole(digest):
                lacking.add(digest)
            elif before.get(device) != sealed:
                self._tell(device, epoch, menu.PAGE, sealed)
        for digest in sorted(lacking):
            self._ask(menu_news.encode_ask(digest))

    def asked(self, device: int, epoch: int, page: int) -> None:
        """A POS has asked: for one newer than that, or for a page of that. StoreUnavailable."""
        warrant = self._history.menu_warrant(device)
        if warrant is None:
            self._count("menus_unknown")
            return
        newest, digest, sealed = warrant
        data = self._whole(digest)
        if not data:
            self._ask(menu_news.encode_ask(digest))
        elif page > menu.PAGE and epoch == newest:
            at = (page - menu.PAGE - 1) * menu.PAGE_BYTES
            self._count("menu_pages")
            self._tell(device, epoch, page, data[at : at + menu.PAGE_BYTES])
        elif page > menu.PAGE or epoch < newest:
            self._tell(device, newest, menu.PAGE, sealed)

    def _keep_menu(self, digest: bytes, data: bytes) -> None:
        named = [each for each in self._history.menu_warrants() if each[2] == digest]
        if not named or menu.digest_of(data) != digest:
            self._count("menus_wrong")  # late, or the ledger has set another one since
            return
        if self._whole(digest):
            return
        self._history.add_menu(digest, data)
        self._count("menus")
        for device, epoch, _digest, sealed in named:
            self._tell(device, epoch, menu.PAGE, sealed)

    def _whole(self, digest: bytes) -> bytes:
        """The menu with this digest; empty if it is not here as it was told."""
        data = self._history.menu(digest)
        if data and menu.digest_of(data) != digest:
            self._count("menus_damaged")
            self._history.drop_menu(digest)
            return b""
        return data
