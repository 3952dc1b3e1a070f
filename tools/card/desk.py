"""What every desk offers, and the desk that talks radio: the readers' own driver over a chip.

A desk hands out one card as a `Port`. The exceptions are the firmware's, whatever the desk:
CardGone, AuthFailed, CardRefused, BusFault.
"""

import os
from collections.abc import Callable
from typing import Any, Protocol

from firmware.drivers.iso14443 import CardCollision, Pcd
from firmware.drivers.iso_dep import IsoDep
from firmware.drivers.mifare_classic import Classic
from tools.card.errors import NoCard
from tools.card.trace import Recorder, TracedChip

POLL_PAUSE_US = 50_000

Random = Callable[[int], bytes]


class Port(Protocol):
    """One card on a desk: `uid`, the last `sak`, and what can be said to it."""

    uid: bytes
    sak: int

    def authenticate(self, block: int, key: bytes, key_type: int) -> None:
        """Open the sector of `block` with a key of 6 bytes; AuthFailed when it is another."""
        ...

    def read(self, block: int) -> bytes:
        """16 bytes of a block of the open sector."""
        ...

    def write(self, block: int, data: bytes) -> None:
        """Write 16 bytes; returning means that the card has acknowledged them."""
        ...

    def reselect(self) -> None:
        """Begin anew with the same card; no sector is open afterwards."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """A native command to a card that speaks ISO 14443-4: status, then data."""
        ...

    def random(self, count: int, /) -> bytes:
        """Fresh bytes for a proof of keys."""
        ...


class Desk(Protocol):
    """A place for one card: `name` for people, what was said there in `recorder`."""

    name: str
    recorder: Recorder

    def card(self) -> Port:
        """The card that lies there; NoCard when there is none, or more than one."""
        ...

    def close(self) -> None:
        """Let go of the desk, and keep what has to be kept of it."""
        ...


class RadioPort(Classic):
    """A card that the readers' own driver has found."""

    def __init__(self, pcd: Pcd, card: Any, random: Random) -> None:
        super().__init__(pcd, card)
        self.uid: bytes = card.uid
        self.sak: int = card.sak
        self.random = random
        self._dep = IsoDep(pcd, card)
        self._is_active = False

    def transmit(self, command: bytes) -> bytes:
        """A native command; ISO-DEP is entered with the first one."""
        if not self._is_active:
            self._dep.activate()
            self._is_active = True
        return self._dep.exchange(command)


class RadioDesk:
    """An MFRC522 on `board` (see firmware.drivers.mfrc522), asked for a card `tries` times."""

    def __init__(self, name: str, board: Any, tries: int, random: Random = os.urandom) -> None:
        self.name = name
        self.recorder = Recorder()
        self.board = board
        self._pcd = Pcd(TracedChip(board, self.recorder))
        self._sleep_us: Callable[[int], None] = board.sleep_us
        self._tries = tries
        self._random = random

    def card(self) -> Port:
        """The card in the field; NoCard after `tries` looks. BusFault when the chip is dead."""
        for attempt in range(self._tries):
            if attempt:
                self._sleep_us(POLL_PAUSE_US)
            try:
                found = self._pcd.poll()
            except CardCollision as two:
                uids = ", ".join(uid.hex() for uid in two.uids)
                raise NoCard(f"one card please: there are {uids}") from None
            if found is not None:
                return RadioPort(self._pcd, found, self._random)
        raise NoCard("no card on the desk")

    def close(self) -> None:
        """Nothing is held."""
