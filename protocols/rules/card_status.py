"""Which cards are lost, suspended or closed (R14.2, R14.3, R15): a map of two bits for each card.

Rules of this file. Every change has a number, its epoch, and is four bytes: card_no (3), status.
The map of an epoch is what all changes up to it come to, so whoever holds the same epoch holds the
same map. Cards beyond its end were never anything but active. `chain` is a hash over all changes,
`digest` one over the map. A warrant is the ledger's word to one reader: this was the newest epoch
at that time, with this chain and this digest, under a key that only the two have. So changes, and
maps, may come from anybody and in any pieces: the reader counts what it got and compares.
"""

import hashlib

ACTIVE, LOST, SUSPENDED, CLOSED = 0, 1, 2, 3
CARD_NO_MAX = 0xFFFFFF
CHANGE_BYTES = 4
PAGE_BYTES = 256
CHAIN_START = bytes(16)
LABEL = b"cards"  # of the warrants' key, and what their seals are bound to
CARDS_PER_BYTE = 4
WARRANT_BYTES = 87  # sealed; always the same
WARRANT = ">III16s16s"  # epoch, made_s, bytes of the map, chain, digest
_CARD_NO_BYTES = 3


def change(card_no, status):
    """A change as bytes."""
    return card_no.to_bytes(_CARD_NO_BYTES, "big") + bytes((status,))


def status_in(byte, card_no):
    """The status of a card, from its byte of the map."""
    return byte >> 2 * (card_no % CARDS_PER_BYTE) & 3


def newest(changes, card_no):
    """What the last of `changes` (bytes) about a card made of it; None if none is about it."""
    if card_no > CARD_NO_MAX:
        return None  # a card of before there were maps, or somebody's
    name = card_no.to_bytes(_CARD_NO_BYTES, "big")
    at = changes.rfind(name)
    while at >= 0:
        if at % CHANGE_BYTES == 0:
            return changes[at + _CARD_NO_BYTES]
        at = changes.rfind(name, 0, at + _CARD_NO_BYTES - 1)
    return None


def chained(chain, changes):
    """The chain behind `changes`, which follow `chain`."""
    for at in range(0, len(changes), CHANGE_BYTES):
        chain = hashlib.sha256(chain + changes[at : at + CHANGE_BYTES]).digest()[:16]
    return chain


def fold(card_map, changes):
    """Let a map (bytearray, which grows) go through `changes`."""
    for at in range(0, len(changes), CHANGE_BYTES):
        card_no = int.from_bytes(changes[at : at + _CARD_NO_BYTES], "big")
        at_byte = card_no // CARDS_PER_BYTE
        card_map.extend(bytes(max(at_byte + 1 - len(card_map), 0)))
        shift = 2 * (card_no % CARDS_PER_BYTE)
        others = card_map[at_byte] & ~(3 << shift)
        card_map[at_byte] = others | changes[at + _CARD_NO_BYTES] << shift


def digest_of(card_map):
    """What a warrant says of a map."""
    return hashlib.sha256(card_map).digest()[:16]
