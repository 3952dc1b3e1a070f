"""The purse on a MIFARE Classic 1K: two slots, of which the one with the higher counter rules.

A debit builds the next slot beside the ruling one and makes it rule with its last write:

    decrement V of the ruling slot, transfer to V of the idle slot -> write R of the idle slot
    -> write S of the idle slot: its MAC covers V, R and the identity, so this write commits.

Torn before S is complete, the MAC of the idle slot is wrong and the old slot still rules.

    S  usage (11 bytes, protocols.card.purse) and mac (5 bytes)
    R  the last record (16 bytes, protocols.card.purse)
    V  a MIFARE value block: balance, ~balance, balance (little endian), address bytes

The MAC is the first 5 bytes of the AES-CMAC under the card's MAC key over
uid | identity (10 bytes) | S (11 bytes) | balance u32 | R. Slot index = counter & 1.

    sector 1  identity PIN name   sector 2  V0 V1 -   sector 3  S0 S1 R0   sector 4  R1 - -
    sectors 5 to 15  mailbox

The card lets a reader write S and R, and V only downwards. The access conditions that see to it
stand in protocols.card.personalise, the reasons in docs/adr/0003-classic-purse-layout.md.
"""

import struct

from protocols.card.diversify import Cmac
from protocols.card.identity import FIELDS_BYTES, ForeignCard, decode_identity
from protocols.card.purse import (
    USAGE_BYTES,
    PurseView,
    decode_state,
    encode_record,
    encode_usage,
    state_after,
    state_credited,
    state_with_tries,
)

BLOCK_BYTES = 16
BLOCKS_PER_SECTOR = 4

IDENTITY_BLOCK = 4
PIN_BLOCK = 5  # the verifier of protocols.card.pin, then zeros; read when a PIN is asked for
NAME_BLOCK = 6  # protocols.card.holder
VALUE_BLOCKS = (8, 9)
STATE_BLOCKS = (12, 13)
RECORD_BLOCKS = (14, 16)
# Everything a reading takes, sector by sector; last the one in which a debit begins.
READ_ORDER = (IDENTITY_BLOCK, RECORD_BLOCKS[1]) + STATE_BLOCKS + RECORD_BLOCKS[:1] + VALUE_BLOCKS

# Sector -> the key that a reader opens it with, by its purpose in the diversification.
READ_KEY = b"A"  # key A of any sector: reads, and takes from a value block
WRITE_KEY = b"W"  # key B of the sectors that readers write
READER_KEYS = {1: READ_KEY, 2: READ_KEY, 3: WRITE_KEY, 4: WRITE_KEY}
SECTOR_KEY_BYTES = 6
# The mailbox (protocols.card.mailbox) from this sector on: key B, from the read key and not ours.
MAIL_SECTOR, MAIL_KEY = 5, b"L"

_STATE_MAC_BYTES = BLOCK_BYTES - USAGE_BYTES

# Diversification inputs: uid | purpose | sector | system identifier.
_SYSTEM = b"onecard"
_MAC_KEY = b"M"


def sector_key(master, uid, purpose, sector):
    """The key (6 bytes) of a sector for a purpose; `master` is the Cmac of the purse key.

    Of the credit key where the purpose is the card centre's (protocols.card.personalise).
    """
    return master.diversify(uid + purpose + bytes((sector,)) + _SYSTEM)[:SECTOR_KEY_BYTES]


def card_mac(master, uid, aes):
    """The card's own Cmac; `master` is the Cmac of the MAC key, `aes` key16 -> encrypt."""
    return Cmac(aes(master.diversify(uid + _MAC_KEY + bytes(1) + _SYSTEM)))


class Proof:
    """What a debit relies on: `identity_fields` (10 bytes) and `states` (both S as read)."""

    def __init__(self, identity_fields, states):
        self.identity_fields = identity_fields
        self.states = states


class Plan:
    """The writes of a debit, credit or count: source -> target value, record, state (the commit).

    Block numbers `*_block`, block contents `record` and `state`, and `balance_fen` afterwards.
    """

    def __init__(self, view, mac, amount_fen, state):
        slot = state.counter & 1
        self.record_block = RECORD_BLOCKS[slot]
        self.source_block = VALUE_BLOCKS[slot ^ 1]
        self.target_block = VALUE_BLOCKS[slot]
        self.state_block = STATE_BLOCKS[slot]
        self.amount_fen = amount_fen
        self.balance_fen = state.balance_fen
        # The state first: that is where bounds are checked.
        self.state = encode_state(state, view.uid, view.proof.identity_fields, mac)
        self.record = encode_record(state)


def decode_value(block):
    """The signed value of a value block, or None when the block is not one.

    The address bytes only have to agree with each other: a transfer carries those of its source.
    """
    value, inverted, again, first, guard, second, guard_again = struct.unpack("<IIIBBBB", block)
    if value != again or value ^ inverted != 0xFFFFFFFF:
        return None
    if first != second or guard != guard_again or first ^ guard != 0xFF:
        return None
    return value - 0x100000000 if value & 0x80000000 else value


def encode_state(state, uid, identity_fields, mac):
    """S of `state` (PurseState) with its MAC: 16 bytes; ValueError for a field out of range."""
    fields = encode_usage(state)
    balance = struct.pack(">I", state.balance_fen)
    sealed = uid + identity_fields + fields + balance + encode_record(state)
    return fields + mac.digest(sealed)[:_STATE_MAC_BYTES]


def decode_slot(slot, blocks, uid, identity_fields, mac):
    """The PurseState in slot 0 or 1, or None when it is torn, forged or never written.

    `blocks` maps block numbers to 16 bytes.
    """
    block = bytes(blocks[STATE_BLOCKS[slot]])
    balance_fen = decode_value(blocks[VALUE_BLOCKS[slot]])
    if block[1] & 1 != slot or balance_fen is None or balance_fen < 0:
        return None
    record = bytes(blocks[RECORD_BLOCKS[slot]])
    state = decode_state(block[:USAGE_BYTES], record, balance_fen)
    return state if encode_state(state, uid, identity_fields, mac) == block else None


def decode_card(uid, blocks, mac):
    """The PurseView of a card; `blocks` maps at least READ_ORDER to 16 bytes, `mac` is card_mac.

    ForeignCard when the identity or both slots fail their MAC.
    """
    identity_block = bytes(blocks[IDENTITY_BLOCK])
    identity = decode_identity(identity_block, uid, mac)
    fields = identity_block[:FIELDS_BYTES]
    ruling = None
    for slot in (0, 1):
        state = decode_slot(slot, blocks, uid, fields, mac)
        if state is not None and (ruling is None or state.counter > ruling.counter):
            ruling = state
    if ruling is None:
        raise ForeignCard("no valid purse slot")
    states = tuple([bytes(blocks[number]) for number in STATE_BLOCKS])
    return PurseView(uid, identity, ruling, Proof(fields, states))


def plan_debit(view, mac, amount_fen, device, seq, time_s, usage):
    """The Plan that takes `amount_fen` off `view` (PurseView).

    `usage` and ValueError: see protocols.card.purse.state_after; also for a field out of range.
    """
    return Plan(view, mac, amount_fen, state_after(view, amount_fen, device, seq, time_s, usage))


def plan_tries(view, mac, pin_tries, device, seq, time_s):
    """The Plan that writes `pin_tries` to `view`; see protocols.card.purse.state_with_tries."""
    return Plan(view, mac, 0, state_with_tries(view, pin_tries, device, seq, time_s))


def plan_credit(view, mac, amount_fen, number, time_s):
    """The Plan that puts `amount_fen` on `view`; see protocols.card.purse.state_credited.

    The value block takes it only under the credit key of this card.
    """
    return Plan(view, mac, amount_fen, state_credited(view, amount_fen, number, time_s))
