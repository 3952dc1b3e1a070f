"""The purse on a MIFARE Classic 1K: two slots, of which the one with the higher counter rules.

A debit builds the next slot beside the ruling one and makes it rule with its last write:

    decrement V of the ruling slot, transfer to V of the idle slot -> write R of the idle slot
    -> write S of the idle slot: its MAC covers V, R and the identity, so this write commits.

Torn before S is complete, the MAC of the idle slot is wrong and the old slot still rules.

    S  0        2    4           7               10                11   16
       counter  day  day_total   since_pin_fen   count<<4 | tries  mac
    R  0        4    8           12              15
       device   seq  time_s      amount_fen      0
    V  a MIFARE value block: balance, ~balance, balance (little endian), address bytes

S and R are big endian. The MAC is the first 5 bytes of the AES-CMAC under the card's MAC key over
uid | identity (10 bytes) | S (11 bytes) | balance u32 | R. Slot index = counter & 1.

    sector 1  identity - -   sector 2  V0 V1 -   sector 3  S0 S1 R0   sector 4  R1 - -

The card lets a reader write S and R, and V only downwards. The access conditions that see to it
stand in protocols.card.personalise, the reasons in docs/adr/0003-classic-purse-layout.md.
"""

import struct

from protocols.card.diversify import Cmac
from protocols.card.identity import FIELDS_BYTES, ForeignCard, check_bounds, decode_identity

BLOCK_BYTES = 16
BLOCKS_PER_SECTOR = 4

IDENTITY_BLOCK = 4
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

COUNTER_MAX = 0xFFFF
BALANCE_FEN_MAX = 0x7FFFFFFF
AMOUNT_FEN_MAX = 0xFFFFFF

_STATE_FIELDS_BYTES = 11
_STATE_MAC_BYTES = BLOCK_BYTES - _STATE_FIELDS_BYTES
_BOUNDS = (
    ("counter", COUNTER_MAX),
    ("balance_fen", BALANCE_FEN_MAX),
    ("day", 0xFFFF),
    ("day_total_fen", 0xFFFFFF),
    ("since_pin_fen", 0xFFFFFF),
    ("since_pin_count", 0xF),
    ("pin_tries", 0xF),
    ("last_device", 0xFFFFFFFF),
    ("last_seq", 0xFFFFFFFF),
    ("last_time_s", 0xFFFFFFFF),
    ("last_amount_fen", AMOUNT_FEN_MAX),
)

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


class PurseState:
    """One slot: what a debit leaves behind. Integers; the day counts from 1970-01-01.

    counter, balance_fen, day, day_total_fen, since_pin_fen, since_pin_count, pin_tries,
    last_device, last_seq, last_time_s, last_amount_fen.
    """

    def __init__(self, counter, balance_fen):
        self.counter = counter
        self.balance_fen = balance_fen
        self.day = 0
        self.day_total_fen = 0
        self.since_pin_fen = 0
        self.since_pin_count = 0
        self.pin_tries = 0
        self.last_device = 0
        self.last_seq = 0
        self.last_time_s = 0
        self.last_amount_fen = 0


class PurseView(PurseState):
    """What a card says: the ruling slot; uid, card_no, kind, valid_from, valid_to, key_version.

    `identity_fields` (10 bytes) and `states` (both S blocks as read) tie a debit to this reading.
    """

    def __init__(self, uid, identity, identity_fields, state, states):
        PurseState.__init__(self, state.counter, state.balance_fen)
        for name, _ in _BOUNDS:
            setattr(self, name, getattr(state, name))
        self.uid = uid
        self.card_no = identity.card_no
        self.kind = identity.kind
        self.valid_from = identity.valid_from
        self.valid_to = identity.valid_to
        self.key_version = identity.key_version
        self.identity_fields = identity_fields
        self.states = states


class DebitPlan:
    """The writes of one debit, in order: source -> target value, record, state (the commit).

    Block numbers `*_block`, block contents `record` and `state`, and `balance_fen` afterwards.
    """

    def __init__(self, slot, amount_fen, balance_fen, record, state):
        self.record_block = RECORD_BLOCKS[slot]
        self.source_block = VALUE_BLOCKS[slot ^ 1]
        self.target_block = VALUE_BLOCKS[slot]
        self.state_block = STATE_BLOCKS[slot]
        self.amount_fen = amount_fen
        self.balance_fen = balance_fen
        self.record = record
        self.state = state


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


def encode_record(state):
    """R of `state` (PurseState, already checked): 16 bytes."""
    return struct.pack(
        ">IIII", state.last_device, state.last_seq, state.last_time_s, state.last_amount_fen << 8
    )


def encode_state(state, uid, identity_fields, mac):
    """S of `state` (PurseState) with its MAC: 16 bytes; ValueError for a field out of range."""
    check_bounds(state, _BOUNDS)
    fields = struct.pack(
        ">HHBHBHB",
        state.counter,
        state.day,
        state.day_total_fen >> 16,
        state.day_total_fen & 0xFFFF,
        state.since_pin_fen >> 16,
        state.since_pin_fen & 0xFFFF,
        state.since_pin_count << 4 | state.pin_tries,
    )
    balance = struct.pack(">I", state.balance_fen)
    sealed = uid + identity_fields + fields + balance + encode_record(state)
    return fields + mac.digest(sealed)[:_STATE_MAC_BYTES]


def decode_slot(slot, blocks, uid, identity_fields, mac):
    """The PurseState in slot 0 or 1, or None when it is torn, forged or never written.

    `blocks` maps block numbers to 16 bytes.
    """
    block = bytes(blocks[STATE_BLOCKS[slot]])
    counter, day, day_high, day_low, pin_high, pin_low, pin = struct.unpack(
        ">HHBHBHB", block[:_STATE_FIELDS_BYTES]
    )
    balance_fen = decode_value(blocks[VALUE_BLOCKS[slot]])
    if counter & 1 != slot or balance_fen is None or balance_fen < 0:
        return None
    state = PurseState(counter, balance_fen)
    state.day = day
    state.day_total_fen = day_high << 16 | day_low
    state.since_pin_fen = pin_high << 16 | pin_low
    state.since_pin_count = pin >> 4
    state.pin_tries = pin & 0xF
    record = bytes(blocks[RECORD_BLOCKS[slot]])
    state.last_device, state.last_seq, state.last_time_s, amount = struct.unpack(">IIII", record)
    state.last_amount_fen = amount >> 8
    if amount & 0xFF or encode_state(state, uid, identity_fields, mac) != block:
        return None
    return state


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
    return PurseView(uid, identity, fields, ruling, states)


def plan_debit(view, mac, amount_fen, device, seq, time_s, usage):
    """The DebitPlan that takes `amount_fen` off `view` (PurseView).

    `usage` = (day, day_total_fen, since_pin_fen, since_pin_count) as they shall stand afterwards;
    pin_tries is carried over from `view`. ValueError for a field out of range, an amount of 0 or
    above the balance, or a counter at its end (the card has to be replaced).
    """
    if not 0 < amount_fen <= AMOUNT_FEN_MAX:
        raise ValueError("amount_fen {} is not in 1..{}".format(amount_fen, AMOUNT_FEN_MAX))
    if amount_fen > view.balance_fen:
        raise ValueError("amount_fen above the balance")
    if view.counter >= COUNTER_MAX:
        raise ValueError("the card's counter is used up")
    state = PurseState(view.counter + 1, view.balance_fen - amount_fen)
    state.day, state.day_total_fen, state.since_pin_fen, state.since_pin_count = usage
    state.pin_tries = view.pin_tries
    state.last_device = device
    state.last_seq = seq
    state.last_time_s = time_s
    state.last_amount_fen = amount_fen
    sealed = encode_state(state, view.uid, view.identity_fields, mac)
    return DebitPlan(
        state.counter & 1, amount_fen, state.balance_fen, encode_record(state), sealed
    )
