"""A new card, as the card centre writes it: every block, every key, every access condition.

No reader imports this: it holds no credit key, and its heap is small. What readers need to know of
the same layout stands in protocols.card.purse_classic.

    sector   blocks 0, 1, 2   conditions        trailer   key B
    2        V0 V1 -          110 110 100       011       credit key
    3        S0 S1 R0         100 100 100       110       write key, held by readers
    4        R1 - -           100 100 100       110       write key, held by readers
    5 to 15  the mailbox      100 100 100       110       mail key, held by doors and locks
    others   (1: identity PIN name) 100 100 100       011       credit key

Key A of every sector comes from the purse key; key B from the credit key or, where readers hold
it, from the purse key with a purpose of its own. Both keys of the mailbox come from the read key,
which no POS has; a card without a mailbox has those sectors like the others.
"""

import struct

from protocols.card import holder, pin
from protocols.card.diversify import Cmac
from protocols.card.identity import FIELDS_BYTES, FORMAT, MAC_BYTES, check_bounds
from protocols.card.purse import PurseState, state_with_tries
from protocols.card.purse_classic import (
    BLOCK_BYTES,
    BLOCKS_PER_SECTOR,
    IDENTITY_BLOCK,
    MAIL_KEY,
    MAIL_SECTOR,
    NAME_BLOCK,
    PIN_BLOCK,
    READ_KEY,
    READER_KEYS,
    STATE_BLOCKS,
    VALUE_BLOCKS,
    WRITE_KEY,
    card_mac,
    encode_state,
    sector_key,
)

BLOCKS = 64
SECTORS = 16
# Purpose of key B where only the card centre holds it; diversified from the credit key.
CREDIT_KEY = b"B"

# Access conditions C1 C2 C3 (MF1S50 data sheet, tables of section 8.7).
# Both keys read, key B writes; no value operations, so nothing leaves by RESTORE and TRANSFER.
_B_WRITES = 0b100
# Key A reads, decrements, restores, transfers; key B also writes and increments.
_A_SPENDS = 0b110
# Trailer: key B changes keys and conditions; key A changes nothing, and no key is ever readable.
_B_ADMINISTERS = 0b011
# Trailer: nobody changes anything, no key is ever readable (a readable key B would not open).
_FROZEN = 0b110

# Field -> largest value; `struct` on MicroPython cuts silently, so the bounds are ours to check.
_IDENTITY_BOUNDS = (
    ("card_no", 0xFFFFFFFF),
    ("kind", 0xFF),
    ("valid_from", 0xFFFF),
    ("valid_to", 0xFFFF),
    ("key_version", 0xFF),
)


def encode_identity(identity, uid, mac):
    """The 16-byte block of `identity` (Identity) for the card `uid`; `mac` is its Cmac.

    ValueError for a field out of range or a validity that ends before it begins.
    """
    check_bounds(identity, _IDENTITY_BOUNDS)
    if identity.valid_to < identity.valid_from:
        raise ValueError("valid_to before valid_from")
    fields = struct.pack(
        FORMAT,
        identity.card_no,
        identity.kind,
        identity.valid_from,
        identity.valid_to,
        identity.key_version,
    )
    return fields + mac.digest(uid + fields)[:MAC_BYTES]


def encode_value(value, address):
    """A value block (16 bytes): `value` signed 32 bits three times, `address` u8 four times."""
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise ValueError("value {} does not fit 32 bits".format(value))
    value &= 0xFFFFFFFF
    inverted = value ^ 0xFFFFFFFF
    guard = address ^ 0xFF
    return struct.pack("<III", value, inverted, value) + bytes((address, guard, address, guard))


def access_bits(conditions):
    """The three access bytes of a trailer; `conditions` = C1C2C3 of blocks 0, 1, 2, trailer."""
    c1 = c2 = c3 = 0
    for position, condition in enumerate(conditions):
        c1 |= (condition >> 2 & 1) << position
        c2 |= (condition >> 1 & 1) << position
        c3 |= (condition & 1) << position
    return bytes(((c2 ^ 0xF) << 4 | c1 ^ 0xF, c1 << 4 | c3 ^ 0xF, c3 << 4 | c2))


def trailer(sector, purse, credit, uid, read=None):
    """The trailer block (16 bytes) of a sector; `purse` and `credit` are Cmacs of those keys.

    `read`: that of the read key, of a card with a mailbox.
    """
    conditions = [
        _A_SPENDS if sector * BLOCKS_PER_SECTOR + position in VALUE_BLOCKS else _B_WRITES
        for position in range(BLOCKS_PER_SECTOR - 1)
    ]
    key_a = sector_key(purse, uid, READ_KEY, sector)
    # A key B that readers hold must not be able to change keys: it could lock every card out.
    if read is not None and sector >= MAIL_SECTOR:
        conditions.append(_FROZEN)
        key_a, key_b = [sector_key(read, uid, key, sector) for key in (READ_KEY, MAIL_KEY)]
    elif READER_KEYS.get(sector) == WRITE_KEY:
        conditions.append(_FROZEN)
        key_b = sector_key(purse, uid, WRITE_KEY, sector)
    else:
        conditions.append(_B_ADMINISTERS)
        key_b = sector_key(credit, uid, CREDIT_KEY, sector)
    return key_a + access_bits(conditions) + bytes(1) + key_b


def tries_given_back(view):
    """The PurseState that has all PIN tries again (R19.3): one step of the counter, no money.

    The card goes on naming the last record that it took part in: what nobody knows of that one,
    the next tap still tells.
    """
    state = state_with_tries(view, 0, view.last_device, view.last_seq, view.last_time_s)
    state.last_amount_fen = view.last_amount_fen
    return state


def pin_block(uid, card_no, digits, mac_key, aes):
    """The 16-byte block of the PIN `digits` of a card; without digits, that of none."""
    if not digits:
        return bytes(BLOCK_BYTES)
    told = pin.verifier(Cmac(aes(mac_key)), uid, card_no, digits, aes)
    return told + bytes(BLOCK_BYTES - len(told))


# The dot between the parts of a name: the one that GB2312 knows, and those that people type.
_DOTS = "\u30fb\u00b7\u2022\u2027"


def encode_name(name):
    """The NAME_BYTES of a holder's name (text), as much of it as fits.

    ValueError for a character that GB2312 has not.
    """
    encoded = b""
    for character in name:
        if character in _DOTS:
            character = _DOTS[0]
        try:
            byte = character.encode("gb2312")
        except UnicodeEncodeError:
            raise ValueError("a display of GB2312 has no {}".format(character))
        if len(encoded) + len(byte) > holder.NAME_BYTES:
            break
        encoded += byte
    return encoded + bytes(holder.NAME_BYTES - len(encoded))


def personalise(
    uid,
    identity,
    balance_fen,
    purse_key,
    credit_key,
    mac_key,
    aes,
    digits=b"",
    name="",
    read_key=b"",
):
    """All 64 blocks (16 bytes each, a list) of a new card with `balance_fen` in its purse.

    `uid` 4, 7 or 10 bytes; `identity` an Identity; three master keys of 16 bytes;
    `aes` key16 -> encrypt; `digits` the PIN, if it has one, `name` its holder's. With `read_key`,
    a fourth, it has an empty mailbox. ValueError for a field out of range.
    """
    if len(uid) not in (4, 7, 10):
        raise ValueError("uid of 4, 7 or 10 bytes")
    purse, credit = Cmac(aes(purse_key)), Cmac(aes(credit_key))
    read = Cmac(aes(read_key)) if read_key else None
    mac = card_mac(Cmac(aes(mac_key)), uid, aes)
    blocks = [bytes(BLOCK_BYTES)] * BLOCKS
    blocks[0] = _manufacturer_block(uid)
    blocks[IDENTITY_BLOCK] = encode_identity(identity, uid, mac)
    blocks[PIN_BLOCK] = pin_block(uid, identity.card_no, digits, mac_key, aes)
    if name:
        blocks[NAME_BLOCK] = holder.seal_name(encode_name(name), uid, mac)
    for block in VALUE_BLOCKS:
        blocks[block] = encode_value(balance_fen, block)
    fields = blocks[IDENTITY_BLOCK][:FIELDS_BYTES]
    blocks[STATE_BLOCKS[0]] = encode_state(PurseState(0, balance_fen), uid, fields, mac)
    for sector in range(SECTORS):
        last = sector * BLOCKS_PER_SECTOR + BLOCKS_PER_SECTOR - 1
        blocks[last] = trailer(sector, purse, credit, uid, read)
    return blocks


def _manufacturer_block(uid):
    """Block 0, which a real card brings along: uid, and behind 4 bytes their check byte."""
    check = b"" if len(uid) != 4 else bytes((uid[0] ^ uid[1] ^ uid[2] ^ uid[3],))
    head = bytes(uid) + check + b"\x08\x04\x00"
    return head + bytes(BLOCK_BYTES - len(head))
