"""DESFire cards of a campus: made by the card centre's own commands, and read past all rights."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from adapters.aes import CIPHERS
from protocols.card import personalise_desfire, pin
from protocols.card import purse_desfire as layout
from protocols.card.identity import FIELDS_BYTES, Identity
from protocols.card.purse import PurseView
from simulator.cards.desfire import Desfire

_KEY_BYTES = 16
_VALUE_BYTES = 4


@dataclass(frozen=True)
class DesfireMasters:
    """The master keys that make DESFire cards; readers get none but the purse key."""

    master: bytes
    read: bytes
    purse: bytes
    credit: bytes
    transaction: bytes

    @classmethod
    def beside(cls, purse: bytes, credit: bytes) -> DesfireMasters:
        """A campus's masters beside the two that it has for MIFARE Classic already."""
        more = [
            hashlib.sha256(name + credit).digest()[:_KEY_BYTES]
            for name in (b"master", b"read", b"transaction")
        ]
        return cls(more[0], more[1], purse, credit, more[2])

    def card_keys(self, uid: bytes, version: int = 1) -> personalise_desfire.CardKeys:
        """All keys of one card."""
        masters = personalise_desfire.masters_of(CIPHERS, vars(self))
        return personalise_desfire.CardKeys(uid, masters, version)


def drive(dialogue: Generator[bytes, bytes, Any], card: Desfire) -> Any:
    """Lead a dialogue with a card that lies on no reader; what the dialogue returns."""
    try:
        command = next(dialogue)
        while True:
            command = dialogue.send(card.apply(command, 0)[0])
    except StopIteration as end:
        return end.value
    finally:
        card.begin()


def issue(
    uid: bytes,
    identity: Identity,
    balance_fen: int,
    masters: DesfireMasters,
    rng: random.Random,
    verifier: bytes = pin.NO_PIN,
) -> Desfire:
    """A new card of this campus; `rng` also draws what it does by chance later.

    `verifier` is that of its PIN, if it has one (protocols.card.pin).
    """
    card = Desfire(uid, rng)
    keys = masters.card_keys(uid)
    steps = personalise_desfire.personalise(
        CIPHERS, identity, balance_fen, keys, rng.randbytes, verifier
    )
    drive(steps, card)
    return card


def truth(card: Desfire) -> PurseView:
    """What really stands on a card: its PurseView, read past all access rights."""
    identity, states, value = (
        card.truth(layout.APPLICATION, file_no)
        for file_no in (layout.IDENTITY_FILE, layout.STATE_FILE, layout.VALUE_FILE)
    )
    value_bytes = int(value).to_bytes(_VALUE_BYTES, "little", signed=True)
    return layout.decode_card(card.uid, identity[:FIELDS_BYTES], states[-1], value_bytes)
