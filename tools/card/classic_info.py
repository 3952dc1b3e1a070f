"""What a MIFARE Classic says about itself: to us with keys, to anybody without.

Without our keys only the keys that everybody knows are tried; they open new cards and public
sectors, and say nothing about ours.
"""

from collections.abc import Iterator
from typing import Any

from firmware.drivers.mifare_classic import KEY_A, KEY_B, CardRefused
from protocols.card.identity import ForeignCard, decode_identity
from protocols.card.personalise import SECTORS
from protocols.card.purse_classic import (
    IDENTITY_BLOCK,
    READ_ORDER,
    READER_KEYS,
    decode_card,
    decode_slot,
)
from tools.card.classic import FACTORY_KEY, OURS, data_blocks, keys_of, opens, trailer_of
from tools.card.desk import Port
from tools.card.dump import starred
from tools.card.keyfile import CardKeys
from tools.card.words import (
    BLANK,
    DAMAGED,
    FOREIGN,
    HALF_DONE,
    IS_OURS,
    OPEN_TO_ALL,
    UNKNOWN,
    identity_words,
    nothing,
    purse_words,
    record_words,
)

CLOSED = "closed"

_FACTORY, _FACTORY_AS_B = "factory key", "factory key as key B"
# Published: transport keys, and the read keys of the MIFARE directory and of NFC Forum sectors.
_PUBLIC_KEYS = {
    _FACTORY: FACTORY_KEY,
    "directory key": bytes.fromhex("a0a1a2a3a4a5"),
    "NFC Forum key": bytes.fromhex("d3f7d3f7d3f7"),
    "zero key": bytes(6),
}


class Reading:
    """What could be read of a card: `blocks`, and by what each sector `opened`."""

    def __init__(self, card: Port, keys: CardKeys | None) -> None:
        self.uid = card.uid
        self.keys = None if keys is None else keys_of(card, keys)
        self.opened: list[str] = []
        self.blocks: dict[int, bytes] = {}
        for sector in range(SECTORS):
            self.opened.append(self._read(card, sector))

    def _read(self, card: Port, sector: int) -> str:
        for name, key, key_type in self._candidates(sector):
            if opens(card, sector, key, key_type):
                first = sector * 4
                for number in range(first, trailer_of(sector) + 1):
                    self._read_block(card, number, key, key_type)
                return name
        return CLOSED

    def _candidates(self, sector: int) -> Iterator[tuple[str, bytes, int]]:
        last = self.opened[-1] if self.opened else ""
        if self.keys is not None:
            yield OURS, self.keys.key_a(sector), KEY_A
        for name in sorted(_PUBLIC_KEYS, key=lambda known: known != last):
            yield name, _PUBLIC_KEYS[name], KEY_A
        yield _FACTORY_AS_B, FACTORY_KEY, KEY_B

    def _read_block(self, card: Port, number: int, key: bytes, key_type: int) -> None:
        try:
            self.blocks[number] = card.read(number)
        except CardRefused:
            card.reselect()
            opens(card, number // 4, key, key_type)

    @property
    def is_empty(self) -> bool:
        """Whether nothing stands in what could be read, the manufacturer's block aside."""
        data = (number for sector in range(SECTORS) for number in data_blocks(sector))
        return not any(any(self.blocks.get(number, b"")) for number in data)

    def dump(self) -> dict[str, Any]:
        """Blocks for a dump: keys starred out, None for what could not be read."""
        rows: list[str | None] = []
        for number in range(SECTORS * 4):
            block = self.blocks.get(number)
            is_trailer = number == trailer_of(number // 4)
            rows.append(None if block is None else starred(block) if is_trailer else block.hex())
        return {"opened": self.opened, "blocks": rows}


def describe(reading: Reading) -> dict[str, Any]:
    """What stands on the card: belongs, trouble, identity, purse, last_records, opened."""
    said = nothing(_belongs(reading), opened=reading.opened)
    if reading.keys is None or not all(number in reading.blocks for number in READ_ORDER):
        return said
    blocks, uid, mac = reading.blocks, reading.uid, reading.keys.mac
    try:
        said["identity"] = identity_words(decode_identity(blocks[IDENTITY_BLOCK], uid, mac))
        view = decode_card(uid, blocks, mac)
        fields = view.proof.identity_fields
        slots = [decode_slot(slot, blocks, uid, fields, mac) for slot in (0, 1)]
    except ForeignCard as error:
        said["trouble"] = str(error)
        said["belongs"] = DAMAGED if said["belongs"] == IS_OURS else said["belongs"]
        return said
    records = record_words(slot for slot in slots if slot is not None)
    return said | {"purse": purse_words(view), "last_records": records}


def _belongs(reading: Reading) -> str:
    opened = reading.opened
    if all(opened[sector] == OURS for sector in READER_KEYS):
        return IS_OURS
    if OURS in opened:
        return HALF_DONE
    if set(opened) == {_FACTORY}:
        return BLANK if reading.is_empty else OPEN_TO_ALL
    return UNKNOWN if reading.keys is None else FOREIGN
