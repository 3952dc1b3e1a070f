"""The agent's part in firmware: it fetches images that the ledger has told of, and hands them on.

Rules of this file. cards.py has verified the signature; nothing is decided here. An image is
fetched page by page and kept on disk by its digest; a reader is told of it only when all of it is
here and is that image. Whenever the ledger says who shall have what, which it does every few
minutes, those readers are told; who is not named any more is not served any more either.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from edge_agent.card_history import CardHistory
from protocols.rules import release
from protocols.wire import firmware_news

# device, epoch, page, data of a CARDS
Tell = Callable[[int, int, int, bytes], None]


@dataclass
class _Image:
    """An image that readers here shall have; `image` is empty until it is whole."""

    version: int
    size: int
    told: int  # the last question that it was an answer to
    warrants: dict[int, bytes] = field(default_factory=dict)
    image: bytes = b""


class FirmwareSide:
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
        self._images: dict[bytes, _Image] = {}
        self._questions = 0

    def question(self) -> bytes:
        """What to ask the ledger. What it has not answered with twice is over."""
        late = [key for key, one in self._images.items() if one.told < self._questions]
        for digest in late:
            self._drop(digest)
        self._questions += 1
        return firmware_news.encode_ask()

    def keep(self, payload: bytes) -> None:
        """Take what the ledger has said. Raises WireError, StoreUnavailable."""
        values = firmware_news.decode(payload)
        if not values:
            for digest in list(self._images):
                self._drop(digest)
            self._history.keep_images(())
        elif len(values) == 3:
            self._keep_page(*values)
        else:
            self._keep_news(*values)

    def asked(self, device: int, page: int, name: bytes) -> None:
        """A reader has asked for a page of the image whose digest begins so."""
        for digest, one in self._images.items():
            if one.image and device in one.warrants and name == digest[: release.NAME_BYTES]:
                at = (page - release.PAGE - 1) * release.PAGE_BYTES
                data = one.image[at : at + release.PAGE_BYTES] if at >= 0 else b""
                if data:
                    self._count("firmware_pages")
                    self._tell(device, one.version, page, data)
                return
        self._count("firmware_unknown")

    def _keep_news(self, version: int, size: int, digest: bytes, warrants: list[list]) -> None:
        one = self._images.get(digest)
        if one is None or (one.version, one.size) != (version, size):
            one = self._images[digest] = _Image(version, size, self._questions)
            if self._questions > 1:  # else the others have not been told of yet
                self._history.keep_images(tuple(self._images))
        if one.told != self._questions:
            one.told, one.warrants = self._questions, {}
        one.warrants.update((device, sealed) for device, sealed in warrants)
        if one.image:
            self._tell_all(one, [device for device, _ in warrants])
        else:
            self._go_on(digest, one)

    def _keep_page(self, digest: bytes, page: int, data: bytes) -> None:
        one = self._images.get(digest)
        if one is None or one.image or page != self._history.image_pages(digest):
            return  # it came twice, or late
        at = page * firmware_news.PAGE_BYTES
        if len(data) != min(firmware_news.PAGE_BYTES, one.size - at) or not data:
            self._count("firmware_gaps")
            return
        self._history.add_image_page(digest, page, data)
        self._go_on(digest, one)

    def _go_on(self, digest: bytes, one: _Image) -> None:
        """Ask for the next page, or see whether all of them are the image."""
        page = self._history.image_pages(digest)
        if page * firmware_news.PAGE_BYTES < one.size:
            self._ask(firmware_news.encode_ask(digest, page))
            return
        image = self._history.image(digest)
        if len(image) != one.size or sha256(image).digest() != digest:
            self._count("firmware_wrong")
            self._drop(digest)
            self._history.keep_images(tuple(self._images))
            return
        one.image = image
        self._count("firmware_images")
        self._tell_all(one, list(one.warrants))

    def _tell_all(self, one: _Image, devices: list[int]) -> None:
        for device in devices:
            self._tell(device, one.version, release.PAGE, one.warrants[device])

    def _drop(self, digest: bytes) -> None:
        del self._images[digest]
