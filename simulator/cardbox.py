"""The cards of a scenario: personalised as the card centre would, or wrong as cards are.

A card that was copied or written back goes by one number and has had several lives: each copy is
one, and so is each time between two writings. What a number has paid is what all of them paid.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adapters.aes import aes
from protocols.card import personalise, purse_classic
from protocols.card import pin as pin_rules
from protocols.card.diversify import Cmac
from protocols.card.identity import Identity
from protocols.card.purse import PurseView
from simulator import cardbox_desfire
from simulator.cards.bad_cards import WrittenBack, clone
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.scenario import CardBatch

Chip = MifareClassic | Desfire

_NO_KIND = 4  # none of the three (R11)
_VALIDITY = {"expired": (-900, -30), "not-yet-valid": (3, 900)}
_NOT_IN_THE_BOOKS = ("foreign", "forged", "unissued")
_VISITS = 3  # after so many purchases the holder of a written-back card writes it back


@dataclass
class CardKeys:
    """The card master keys of a campus; readers never get the credit key."""

    purse: bytes
    credit: bytes
    mac: bytes

    @classmethod
    def drawn(cls, draw: random.Random) -> CardKeys:
        return cls(draw.randbytes(16), draw.randbytes(16), draw.randbytes(16))

    @property
    def desfire(self) -> cardbox_desfire.DesfireMasters:
        """Those that make DESFire cards; readers debit both kinds with one key."""
        return cardbox_desfire.DesfireMasters.beside(self.purse, self.credit)


@dataclass
class HeldCard:
    """A card and who holds it; `issued_fen` is None for cards this campus never issued.

    `copies`: those that were made of it when it was new, each held by somebody else.
    """

    name: str
    card_no: int
    chip: Chip
    issued_fen: int | None
    is_busy: bool = False
    copies: list[Chip] = field(default_factory=list)
    pin: bytes = b""  # what its holder knows; empty if there is none
    identity: Identity | None = None  # as the card centre wrote it


def make_cards(
    batch: CardBatch, keys: CardKeys, draw: random.Random, today: int
) -> list[HeldCard]:
    """The cards of one batch; `today` is the day they are judged on (days since 1970)."""
    if batch.make == "cloned":
        return _copied(batch, keys, draw, today)
    make = _desfire if batch.chip == "desfire" else _classic
    made: list[HeldCard] = []
    for index in range(batch.count):
        uid = b"\x04" + draw.randbytes(6) if batch.chip == "desfire" else draw.randbytes(4)
        low_fen, high_fen = batch.balance_fen
        balance_fen = draw.randrange(low_fen, high_fen + 1)
        first_day, last_day = batch.valid_days or _VALIDITY.get(batch.make, (-300, 700))
        kind = _NO_KIND if batch.make == "wrong-kind" else batch.kind
        number = batch.first_no + index
        identity = Identity(number, kind, today + first_day, today + last_day, 1)
        theirs = CardKeys.drawn(draw) if batch.make == "foreign" else keys
        chip = make(batch, uid, identity, balance_fen, theirs, draw)
        issued_fen = None if batch.make in _NOT_IN_THE_BOOKS else balance_fen
        held = HeldCard(_name(batch, index), identity.card_no, chip, issued_fen, pin=batch.pin)
        held.identity = identity
        made.append(held)
    return made


def _classic(
    batch: CardBatch,
    uid: bytes,
    identity: Identity,
    balance_fen: int,
    keys: CardKeys,
    draw: random.Random,
) -> MifareClassic:
    blocks = personalise.personalise(
        *(uid, identity, balance_fen, keys.purse, keys.credit, keys.mac, aes, batch.pin),
        read_key=keys.desfire.read,
    )
    if batch.make == "forged":
        # Someone with the credit key but not the MAC key wrote a higher balance.
        for block in purse_classic.VALUE_BLOCKS:
            blocks[block] = personalise.encode_value(balance_fen * 10, block)
    chip = MifareClassic(uid, blocks, random.Random(draw.randbytes(8)))
    if batch.make == "written-back":
        return WrittenBack(chip, _VISITS, random.Random(draw.randbytes(8)))
    return chip


def _desfire(
    batch: CardBatch,
    uid: bytes,
    identity: Identity,
    balance_fen: int,
    keys: CardKeys,
    draw: random.Random,
) -> Desfire:
    rng = random.Random(draw.randbytes(8))
    verifier = pin_rules.NO_PIN
    if batch.pin:
        mac = Cmac(aes(keys.mac))
        verifier = pin_rules.verifier(mac, uid, identity.card_no, batch.pin, aes)
    return cardbox_desfire.issue(uid, identity, balance_fen, keys.desfire, rng, verifier)


def _copied(batch: CardBatch, keys: CardKeys, draw: random.Random, today: int) -> list[HeldCard]:
    """One card that was issued, and its copies, which nobody has issued."""
    (first,) = make_cards(replace(batch, make="ours", count=1), keys, draw, today)
    first.name = _name(batch, 0)
    held = [first]
    for index in range(1, batch.count):
        if isinstance(first.chip, Desfire):
            raise TypeError("nobody copies a DESFire")
        copy = clone(first.chip, random.Random(draw.randbytes(8)))
        first.copies.append(copy)
        held.append(HeldCard(_name(batch, index), first.card_no, copy, None))
    return held


def _name(batch: CardBatch, index: int) -> str:
    return batch.name if batch.count == 1 else f"{batch.name}-{index + 1}"


def twin(card: Chip, rng: random.Random) -> Chip:
    """A card that holds what `card` does and has its own luck."""
    if isinstance(card, Desfire):
        made = Desfire(card.uid, rng)
        made.restore(card.snapshot())
        return made
    return MifareClassic(card.uid, card.blocks, rng)


def truth(card: Chip, keys: CardKeys) -> PurseView:
    """What really stands on a card: its PurseView, read past all access rights."""
    if isinstance(card, Desfire):
        return cardbox_desfire.truth(card)
    return _truth(card.uid, card.blocks, keys)


def as_one(card: HeldCard, keys: CardKeys) -> tuple[PurseView, set[tuple[int, int]]]:
    """What the card would show if it had paid alone, and in one life, all that its number paid.

    And the records (device, sequence) that it names, or a copy, or named when it was written back.
    """
    one = truth(card.chip, keys)
    names = {(one.last_device, one.last_seq)}
    lives = [(0, card.issued_fen or 0, truth(copy, keys)) for copy in card.copies]
    if isinstance(card.chip, WrittenBack):
        first = _truth(card.chip.uid, card.chip.first, keys)
        lives += [
            (first.counter, first.balance_fen, _truth(card.chip.uid, blocks, keys))
            for blocks in card.chip.undone
        ]
    for counter, balance_fen, end in lives:
        one.counter += end.counter - counter
        one.balance_fen -= balance_fen - end.balance_fen
        names.add((end.last_device, end.last_seq))
    return one, names


def _truth(uid: bytes, blocks: Sequence[bytes], keys: CardKeys) -> PurseView:
    mac = purse_classic.card_mac(Cmac(aes(keys.mac)), uid, aes)
    return purse_classic.decode_card(uid, dict(enumerate(blocks)), mac)
