"""Cards with a mailbox, and what really stands in it."""

import functools
import random

from protocols.card import mailbox
from protocols.card import purse_desfire as layout
from protocols.card.identity import Identity
from protocols.card.personalise import personalise
from simulator.cardbox_desfire import DesfireMasters, issue
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from tests.drivers.desk import CREDIT_KEY, MAC_KEY, PURSE_KEY, aes

MASTERS = DesfireMasters.beside(PURSE_KEY, CREDIT_KEY)
CARD_NO, DAY = 4711, 20_700  # as at the counter and the entrance of tests/firmware
MAKES = ("classic", "desfire")
_UID_BASE = 0xDE000000


def mail_card(make, seed=0, card_no=CARD_NO, read_key=MASTERS.read):
    """A card as the card centre makes it; its UID follows from its number."""
    identity = Identity(card_no, 2, DAY - 300, DAY + 700, 1)
    if make == "desfire":
        uid = b"\x04" + card_no.to_bytes(6, "big")
        return issue(uid, identity, 10_000, MASTERS, random.Random(seed))
    uid = (_UID_BASE + card_no).to_bytes(4, "big")
    return MifareClassic(uid, _image(uid, identity.card_no, read_key), random.Random(seed))


@functools.cache
def _image(uid, card_no, read_key):
    identity = Identity(card_no, 2, DAY - 300, DAY + 700, 1)
    keys = (PURSE_KEY, CREDIT_KEY, MAC_KEY)
    return personalise(uid, identity, 10_000, *keys, aes, read_key=read_key)


def body_at(slot):
    """The first block of the letter in a slot."""
    return mailbox.SLOTS + slot * mailbox.BODY_BLOCKS


def contents(card):
    """The bytes of a mailbox, past all rights."""
    if isinstance(card, Desfire):
        return bytes(card.truth(layout.APPLICATION, layout.MAIL_FILE))
    data = [card.blocks[20 + number // 3 * 4 + number % 3] for number in range(mailbox.BLOCKS)]
    return b"".join(bytes(block) for block in data)


def rest(card):
    """Everything else on the card, keys and rights included."""
    if isinstance(card, Desfire):
        files = set(range(1, 8))
        return [card.truth(layout.APPLICATION, file_no) for file_no in sorted(files)]
    sectors = range(20, 64)
    return [bytes(card.blocks[n]) for n in range(64) if n not in sectors or n % 4 == 3]


def lay(card, head, letter, slot):
    """Put a letter on a card, as one who may do everything."""
    data = bytearray(contents(card))
    at = body_at(slot) * 16
    data[at : at + len(letter)] = letter
    data[slot * 16 : slot * 16 + 16] = mailbox.encode_head(head)
    if isinstance(card, Desfire):
        files = card._talk.memory.applications[layout.APPLICATION].files
        files[layout.MAIL_FILE].data = bytes(data)
        return
    for number in range(mailbox.BLOCKS):
        card.blocks[20 + number // 3 * 4 + number % 3] = bytes(
            data[number * 16 : number * 16 + 16]
        )


def letters(card):
    """What whole letters are on a card: slot -> (device, stamp, state, letter)."""
    data, found = contents(card), {}
    for slot, head in enumerate(mailbox.decode_heads(data)):
        at = body_at(slot) * 16
        if head is not None and head.is_of(data[at : at + head.length]):
            letter = data[at : at + head.length]
            found[slot] = (head.device, head.stamp, head.state, letter)
    return found
