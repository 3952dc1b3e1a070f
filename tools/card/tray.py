"""The simulated tray: a card from a file lies on the register model of an MFRC522.

Time is virtual and the card's nonces come from its uid, so one command on one image always does
the same. The file holds the card's new state afterwards, however the command ended.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.cards.desfire import Desfire
from simulator.cards.field import Field
from simulator.cards.mifare_classic import BLOCK_BYTES, BLOCKS, MifareClassic
from simulator.chips.mfrc522 import Mfrc522
from simulator.world.clock import ReaderClock, World
from tools.card.desk import RadioDesk
from tools.card.dump import hex_bytes, read_image, write_image
from tools.card.errors import BadInput

CLASSIC_1K, DESFIRE_EV2 = "MIFARE Classic 1K", "DESFire EV2"
_SETTLE_US = 20_000
_TRIES = 2


def _load_classic(path: Path, image: dict[str, Any]) -> MifareClassic:
    rows = image.get("blocks")
    if not isinstance(rows, list) or len(rows) != BLOCKS:
        raise BadInput(f"{path}: {BLOCKS} blocks needed")
    blocks = [hex_bytes(row, f"{path}: block {n}", (BLOCK_BYTES,)) for n, row in enumerate(rows)]
    return MifareClassic(image["uid"], blocks)


def _save_classic(path: Path, card: MifareClassic) -> None:
    write_image(path, CLASSIC_1K, card.uid, {"blocks": [block.hex() for block in card.blocks]})


def _load_desfire(path: Path, image: dict[str, Any]) -> Desfire:
    card = Desfire(image["uid"], random.Random(int.from_bytes(image["uid"], "big")))
    try:
        card.restore({"uid": image["uid"].hex(), "memory": image["memory"]})
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BadInput(f"{path}: the card's memory is damaged") from None
    return card


def _save_desfire(path: Path, card: Desfire) -> None:
    write_image(path, DESFIRE_EV2, card.uid, {"memory": card.snapshot()["memory"]})


def _new_desfire(uid: bytes) -> Desfire:
    return Desfire(uid, random.Random(int.from_bytes(uid, "big")))


@dataclass(frozen=True)
class _Kind:
    """How to make a model of a card from an image, an image from the model, and a new card."""

    load: Callable[[Path, dict[str, Any]], Any]
    save: Callable[[Path, Any], None]
    new: Callable[[bytes], Any]


KINDS = {
    CLASSIC_1K: _Kind(_load_classic, _save_classic, MifareClassic),
    DESFIRE_EV2: _Kind(_load_desfire, _save_desfire, _new_desfire),
}


class TrayBoard:
    """The board seam of firmware.drivers.mfrc522 over the chip model, with a card before it."""

    def __init__(self, card: Any) -> None:
        self.clock = ReaderClock(World(0))
        self.field = Field(self.clock)
        self.chip = Mfrc522(self.clock, self.field, random.Random(0))
        self.field.place(card)
        self.rfid = self
        self.settings: dict[str, int] = {}
        self.exchange, self.irq, self.reset = self.chip.exchange, self.chip.irq, self._reset
        self.sleep_us = self.clock.advance_us

    def ticks_us(self) -> int:
        """The board's microseconds, virtual ones."""
        return self.clock.now_us

    def _reset(self, level: int) -> None:
        self.chip.reset_pin(level)


class Tray(RadioDesk):
    """The card in `path`. BadInput when it holds none."""

    def __init__(self, path: Path) -> None:
        image = read_image(path)
        kind = image["kind"]
        if kind not in KINDS:
            raise BadInput(f"{path}: no model for a card of kind {kind}")
        self._path = path
        self._save = KINDS[kind].save
        self.model = KINDS[kind].load(path, image)
        # Not the dice of the card: both sides of a proof must not draw the same.
        dice = random.Random(f"desk {image['uid'].hex()}").randbytes
        super().__init__(f"tray {path.name}", TrayBoard(self.model), _TRIES, dice)

    def close(self) -> None:
        """Write the card back; whatever it was still programming it has finished by then."""
        self.board.clock.advance_us(_SETTLE_US)
        self._save(self._path, self.model)


def new_image(path: Path, kind: str, uid: bytes) -> None:
    """A card as the factory delivers it, in a new file; BadInput when there is one already."""
    if path.exists():
        raise BadInput(f"{path}: exists; a blank card wants a new file")
    KINDS[kind].save(path, KINDS[kind].new(uid))
