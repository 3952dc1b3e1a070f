"""The cards of a scenario: personalised as the card centre would, or wrong as cards are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from protocols.card import personalise, purse_classic
from protocols.card.diversify import Cmac
from protocols.card.identity import Identity
from protocols.card.purse import PurseView
from simulator.cards.mifare_classic import MifareClassic
from simulator.scenario import CardBatch


def aes(key: bytes) -> Callable[[bytes], bytes]:
    """AES of one block under `key`, as the boards' cryptolib does it."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return lambda block: encryptor.update(bytes(block))


@dataclass
class CardKeys:
    """The card master keys of a campus; readers never get the credit key."""

    purse: bytes
    credit: bytes
    mac: bytes

    @classmethod
    def drawn(cls, draw: random.Random) -> CardKeys:
        return cls(draw.randbytes(16), draw.randbytes(16), draw.randbytes(16))


@dataclass
class HeldCard:
    """A card and who holds it; `issued_fen` is None for cards this campus never issued."""

    name: str
    card_no: int
    chip: MifareClassic
    issued_fen: int | None
    is_busy: bool = False


def make_cards(
    batch: CardBatch, keys: CardKeys, draw: random.Random, today: int
) -> list[HeldCard]:
    """The cards of one batch; `today` is the day they are judged on (days since 1970)."""
    made = []
    for index in range(batch.count):
        uid = draw.randbytes(4)
        low_fen, high_fen = batch.balance_fen
        balance_fen = draw.randrange(low_fen, high_fen + 1)
        first_day, last_day = _VALIDITY.get(batch.make, (-300, 700))
        identity = Identity(
            batch.first_no + index, batch.kind, today + first_day, today + last_day, 1
        )
        theirs = CardKeys.drawn(draw) if batch.make == "foreign" else keys
        blocks = personalise.personalise(
            uid, identity, balance_fen, theirs.purse, theirs.credit, theirs.mac, aes
        )
        if batch.make == "forged":
            # Someone with the credit key but not the MAC key wrote a higher balance.
            for block in purse_classic.VALUE_BLOCKS:
                blocks[block] = personalise.encode_value(balance_fen * 10, block)
        name = batch.name if batch.count == 1 else f"{batch.name}-{index + 1}"
        is_ours = batch.make not in ("foreign", "forged")
        chip = MifareClassic(uid, blocks, random.Random(draw.randbytes(8)))
        made.append(HeldCard(name, identity.card_no, chip, balance_fen if is_ours else None))
    return made


_VALIDITY = {"expired": (-900, -30), "not-yet-valid": (3, 900)}


def truth(card: MifareClassic, keys: CardKeys) -> PurseView:
    """What really stands on a card: its PurseView, read past all access rights."""
    mac = purse_classic.card_mac(Cmac(aes(keys.mac)), card.uid, aes)
    return purse_classic.decode_card(card.uid, dict(enumerate(card.blocks)), mac)
