"""RC522 drivers as the benches call them: ours, and those of PyPI, each by its own way to do it.

`find`, `read` and `write` do one thing each and say what the driver says: nothing is checked here
that the driver does not check. What a driver raises comes out.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from firmware.drivers.iso14443 import CardCollision, CardGone, Pcd
from firmware.drivers.mfrc522 import BusFault
from firmware.drivers.mfrc522 import Mfrc522 as OurDriver
from firmware.drivers.mifare_classic import AuthFailed, CardRefused, Classic
from simulator.cards.mifare_classic import FACTORY_KEY

BLOCK = 4
REFUSALS = (AuthFailed, BusFault, CardCollision, CardGone, CardRefused)
_REQA, _KEY_A = 0x26, 0x60
_MIFARE_1K = 8


class Driver(Protocol):
    """A driver with the chip behind it."""

    def find(self) -> bytes | None:
        """Look for a card and select it: its UID of four bytes, or None when it finds none.

        BusFault: it says that the chip does not answer as one.
        """

    def read(self, uid: bytes) -> bytes | None:
        """Authenticate the sector of BLOCK with the factory key and read it; None: refused."""

    def write(self, data: bytes) -> bool:
        """Write BLOCK, after `read`; whether the driver says that it has."""
        ...

    def leave(self) -> None:
        """The card is done with."""


class Ours:
    """firmware/drivers on a board."""

    def __init__(self, board: Any) -> None:
        self._pcd = Pcd(OurDriver(board))
        self._card: Classic | None = None
        self.poll = self._pcd.poll

    def find(self) -> bytes | None:
        try:
            card = self._pcd.poll()
        except (CardCollision, CardGone):
            return None
        return None if card is None else bytes(card.uid)

    def read(self, uid: bytes) -> bytes | None:
        assert self._pcd.card is not None and uid == self._pcd.card.uid
        self._card = Classic(self._pcd, self._pcd.card)
        try:
            self._card.authenticate(BLOCK, FACTORY_KEY)
            return bytes(self._card.read(BLOCK))
        except REFUSALS:
            return None

    def write(self, data: bytes) -> bool:
        assert self._card is not None
        self._card.write(BLOCK, data)
        return True

    def leave(self) -> None:
        """The next look does what has to be done."""


# ---------------------------------------------------------------- the others
# Their status 0 is success. `Any`: nothing here is typed, nor installed when we are checked.


class Mfrc522Py:
    """mfrc522: a status for most things."""

    def __init__(self) -> None:
        self._reader: Any = import_module("mfrc522").MFRC522()

    def find(self) -> bytes | None:
        reader = self._reader
        if reader.MFRC522_Request(_REQA)[0] != 0:
            return None
        status, uid = reader.MFRC522_Anticoll()
        if status != 0 or reader.MFRC522_SelectTag(uid) != _MIFARE_1K:
            return None
        return bytes(uid[:4])

    def read(self, uid: bytes) -> bytes | None:
        if self._reader.MFRC522_Auth(_KEY_A, BLOCK, list(FACTORY_KEY), list(uid)) != 0:
            return None
        data = self._reader.MFRC522_Read(BLOCK)
        return None if data is None else bytes(data)

    def write(self, data: bytes) -> bool:
        self._reader.MFRC522_Write(BLOCK, list(data))
        return True

    def leave(self) -> None:
        self._reader.MFRC522_StopCrypto1()


class Mfrc522Python:
    """mfrc522-python: the same, renamed."""

    def __init__(self) -> None:
        self._reader: Any = import_module("mfrc522").MFRC522()

    def find(self) -> bytes | None:
        if self._reader.Request(_REQA)[0] != 0:
            return None
        status, uid = self._reader.Anticoll()
        if status != 0:
            return None
        self._reader.SelectTag(uid)
        return bytes(uid[:4])

    def read(self, uid: bytes) -> bytes | None:
        if self._reader.Authenticate(_KEY_A, BLOCK, list(FACTORY_KEY), list(uid)) != 0:
            return None
        data = self._reader.ReadTag(BLOCK)
        return None if data is None else bytes(data)

    def write(self, data: bytes) -> bool:
        self._reader.WriteTag(BLOCK, list(data))
        return True

    def leave(self) -> None:
        self._reader.StopCrypto1()


class PiRc522:
    """pi-rc522: whether it failed, first."""

    def __init__(self) -> None:
        self._reader: Any = import_module("pirc522").RFID()

    def find(self) -> bytes | None:
        if self._reader.request()[0]:
            return None
        failed, uid = self._reader.anticoll()
        return None if failed or self._reader.select_tag(uid) else bytes(uid[:4])

    def read(self, uid: bytes) -> bytes | None:
        if self._reader.card_auth(_KEY_A, BLOCK, list(FACTORY_KEY), list(uid)):
            return None
        failed, data = self._reader.read(BLOCK)
        return None if failed else bytes(data)

    def write(self, data: bytes) -> bool:
        return not self._reader.write(BLOCK, list(data))

    def leave(self) -> None:
        self._reader.stop_crypto()


# Distribution on PyPI -> version, and the driver.
PEERS: dict[str, tuple[str, Callable[[], Driver]]] = {
    "mfrc522": ("0.0.7", Mfrc522Py),
    "mfrc522-python": ("0.0.9", Mfrc522Python),
    "pi-rc522": ("2.3.0", PiRc522),
}
