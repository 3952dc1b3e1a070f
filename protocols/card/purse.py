"""What a purse holds, whatever card it is on: its state, what a debit makes of it, and the bytes.

    usage   0        2    4           7               10
            counter  day  day_total   since_pin_fen   count<<4 | tries
    record  0        4    8           12              15
            device   seq  time_s      amount_fen      period_use

Big endian. `counter` counts what has changed the purse, one by one; the record is the last of
that, so a card always tells in which record of which reader it took part last. `period_use` says
what is used of a meal period (protocols/rules/meals.py); cards made before it have 0 there.
"""

import struct

from protocols.card.identity import check_bounds

COUNTER_MAX = 0xFFFF
BALANCE_FEN_MAX = 0x7FFFFFFF
AMOUNT_FEN_MAX = 0xFFFFFF

# The device number that stands on a card for the card centre, which is no reader.
CARD_CENTRE = 0xFFFFFFFF

USAGE_BYTES = 11
RECORD_BYTES = 16
_USAGE = ">HHBHBHB"
_RECORD = ">IIII"
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
    ("period_use", 0xFF),
)
# What is used of limits, and stays as it is when no money is taken; the PIN tries beside it.
_USED = ("day", "day_total_fen", "since_pin_fen", "since_pin_count", "period_use")


class PurseState:
    """What a debit leaves behind. Integers; the day counts from 1970-01-01.

    counter, balance_fen, day, day_total_fen, since_pin_fen, since_pin_count, pin_tries,
    last_device, last_seq, last_time_s, last_amount_fen, period_use.
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
        self.period_use = 0


class PurseView(PurseState):
    """What a card says: its state; uid, card_no, kind, valid_from, valid_to, key_version.

    `proof` is what ties a debit to this reading; only the purse that made the view reads it.
    """

    def __init__(self, uid, identity, state, proof):
        PurseState.__init__(self, state.counter, state.balance_fen)
        for name, _ in _BOUNDS:
            setattr(self, name, getattr(state, name))
        self.uid = uid
        self.card_no = identity.card_no
        self.kind = identity.kind
        self.valid_from = identity.valid_from
        self.valid_to = identity.valid_to
        self.key_version = identity.key_version
        self.proof = proof


def encode_usage(state):
    """The usage (11 bytes) of `state` (PurseState); ValueError for any field out of range."""
    check_bounds(state, _BOUNDS)
    return struct.pack(
        _USAGE,
        state.counter,
        state.day,
        state.day_total_fen >> 16,
        state.day_total_fen & 0xFFFF,
        state.since_pin_fen >> 16,
        state.since_pin_fen & 0xFFFF,
        state.since_pin_count << 4 | state.pin_tries,
    )


def encode_record(state):
    """The record (16 bytes) of `state` (PurseState, already checked)."""
    last = state.last_amount_fen << 8 | state.period_use
    return struct.pack(_RECORD, state.last_device, state.last_seq, state.last_time_s, last)


def decode_state(usage, record, balance_fen):
    """The PurseState in `usage` (11 bytes) and `record` (16 bytes)."""
    counter, day, day_high, day_low, pin_high, pin_low, pin = struct.unpack(_USAGE, usage)
    state = PurseState(counter, balance_fen)
    state.day = day
    state.day_total_fen = day_high << 16 | day_low
    state.since_pin_fen = pin_high << 16 | pin_low
    state.since_pin_count = pin >> 4
    state.pin_tries = pin & 0xF
    state.last_device, state.last_seq, state.last_time_s, amount = struct.unpack(_RECORD, record)
    state.last_amount_fen = amount >> 8
    state.period_use = amount & 0xFF
    return state


def state_after(view, amount_fen, device, seq, time_s, usage):
    """The PurseState once `amount_fen` is taken off `view` (PurseView) by record (device, seq).

    `usage` = (day, day_total_fen, since_pin_fen, since_pin_count, pin_tries, period_use) as they
    shall stand afterwards; the last two are carried over from `view` where they are left out.
    ValueError for an amount of 0 or above the balance, or a counter at its end (the card has to be
    replaced); other bounds are checked by `encode_usage`.
    """
    if not 0 < amount_fen <= AMOUNT_FEN_MAX:
        raise ValueError("amount_fen {} is not in 1..{}".format(amount_fen, AMOUNT_FEN_MAX))
    if amount_fen > view.balance_fen:
        raise ValueError("amount_fen above the balance")
    if view.counter >= COUNTER_MAX:
        raise ValueError("the card's counter is used up")
    state = PurseState(view.counter + 1, view.balance_fen - amount_fen)
    state.day, state.day_total_fen, state.since_pin_fen, state.since_pin_count = usage[:4]
    state.pin_tries = usage[4] if len(usage) > 4 else view.pin_tries
    state.period_use = usage[5] if len(usage) > 5 else view.period_use
    state.last_device = device
    state.last_seq = seq
    state.last_time_s = time_s
    state.last_amount_fen = amount_fen
    return state


def state_with_tries(view, pin_tries, device, seq, time_s):
    """The PurseState once record (device, seq) has written `pin_tries`: no money moves.

    One step of the counter like any other. ValueError for a counter at its end; other bounds are
    checked by `encode_usage`.
    """
    if view.counter >= COUNTER_MAX:
        raise ValueError("the card's counter is used up")
    state = PurseState(view.counter + 1, view.balance_fen)
    for name in _USED:
        setattr(state, name, getattr(view, name))
    state.pin_tries = pin_tries
    state.last_device = device
    state.last_seq = seq
    state.last_time_s = time_s
    return state


def state_credited(state, amount_fen, number, time_s):
    """The PurseState once `amount_fen` is put on `state` (PurseState) by credit `number`.

    What is spent of limits stays as it is. ValueError for an amount of 0, a balance that would not
    fit, or a counter at its end.
    """
    if not 0 < amount_fen <= AMOUNT_FEN_MAX:
        raise ValueError("amount_fen {} is not in 1..{}".format(amount_fen, AMOUNT_FEN_MAX))
    if state.balance_fen + amount_fen > BALANCE_FEN_MAX:
        raise ValueError("amount_fen above what fits")
    if state.counter >= COUNTER_MAX:
        raise ValueError("the card's counter is used up")
    after = PurseState(state.counter + 1, state.balance_fen + amount_fen)
    for name in _USED:
        setattr(after, name, getattr(state, name))
    after.pin_tries = state.pin_tries
    after.last_device = CARD_CENTRE
    after.last_seq = number
    after.last_time_s = time_s
    after.last_amount_fen = amount_fen
    return after
