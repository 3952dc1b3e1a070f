"""The purse on a DESFire EV2 or EV3: one application, changed by one transaction or not at all.

    file  kind             contents   read           write
    1     standard         identity   read key       -
    2     standard         identity   spend key      -
    3     value            balance    spend, credit  down: spend key, up: credit key
    4     cyclic record    states     spend, credit  spend, credit; clear: credit key
    5     cyclic record    credits    credit key     credit key
    6     standard         PIN        spend key      -
    7     standard         name       spend key      -
    8     standard         mailbox    read key       read key
    15    transaction MAC             spend key      the card itself

The state is the newest record of file 4, so the ring of the last spends and the state are one and
cannot disagree. A debit adds to file 4, takes from file 3, tells the card which record it is for
(CommitReaderID), and ends with CommitTransaction: the card does all of it or nothing. A credit
puts its record into file 5 as well, which no reader can change. The answer carries the
transaction's MAC, which the reader cannot make and the ledger can check.

File 6 (the verifier of protocols.card.pin) is read when a PIN is asked for. Counting a try is a
debit of nothing: the same transaction without taking from file 3.

The identity stands there twice because an access right names one key: doors hold the read key
only, and no POS has it, so the mailbox (protocols.card.mailbox) is theirs. State and record are
those of protocols.card.purse; the state is usage, record (27 bytes).
Reasons: docs/adr/0012-desfire-purse-layout.md.
"""

import struct

from protocols.card.identity import FIELDS_BYTES, FORMAT, ForeignCard, Identity
from protocols.card.purse import (
    RECORD_BYTES,
    USAGE_BYTES,
    PurseView,
    decode_state,
    encode_record,
    encode_usage,
    state_after,
    state_with_tries,
)

APPLICATION = b"\x01\xca\xf0"
MASTER_KEY, READ_KEY, SPEND_KEY, CREDIT_KEY, UID_KEY = 0, 1, 2, 3, 4  # numbers on the card

DOOR_IDENTITY_FILE, IDENTITY_FILE, VALUE_FILE, STATE_FILE, CREDITS_FILE = 1, 2, 3, 4, 5
PIN_FILE, NAME_FILE, MAIL_FILE = 6, 7, 8
TRANSACTION_MAC_FILE = 15

CREDIT = 0x0C
SELECT_APPLICATION = 0x5A
GET_CARD_UID = 0x51
READ_DATA = 0xAD
WRITE_DATA = 0x8D
WRITE_RECORD = 0x8B
GET_VALUE = 0x6C
DEBIT = 0xDC
READ_RECORDS = 0xAB
COMMIT_READER_ID = 0xC8
COMMIT_TRANSACTION = 0xC7
ABORT_TRANSACTION = 0xA7

STATE_BYTES = USAGE_BYTES + RECORD_BYTES
READER_ID_BYTES = 16
TMC_BYTES = 4
TMV_BYTES = 8
# CommitTransaction with the counter and the value of the transaction MAC in its answer.
WITH_TRANSACTION_MAC = b"\x01"

# What an OUTCOME carries for the ledger: TMC (little endian) and TMV as the card gives them, and
# of the state what the INTENT does not tell: period_use, and the usage but for its counter. A card
# is worn long before its TMC needs a fourth byte, which is therefore that of period_use.
COUNTER_BYTES = 2
PROOF_TMC_BYTES = TMC_BYTES - 1
CARD_PROOF_BYTES = TMC_BYTES + TMV_BYTES + USAGE_BYTES - COUNTER_BYTES

RANDOM_UID_BYTES = 4
_UID_BYTES = 7
# Diversification inputs: uid | application | key number | system identifier.
_SYSTEM = b"onecard"


def application_key(master, uid, key_no):
    """Key `key_no` (16 bytes) of the card `uid`; `master` is the Cmac of its master key.

    The UID key is the same on every card: with it a card of random UID tells who it is.
    """
    if key_no == UID_KEY:
        uid = b""
    return master.diversify(uid + APPLICATION + bytes((key_no,)) + _SYSTEM)


def place(file_no, length):
    """File, offset 0 and length in bytes, as commands on contents name them.

    To read records: file, the newest one, and how many from there back; 0 is all.
    """
    return struct.pack("<BBHBH", file_no, 0, 0, length & 0xFF, length >> 8)


NEWEST_STATE = place(STATE_FILE, 1)
NEW_STATE = place(STATE_FILE, STATE_BYTES)


def reader_id(device, seq):
    """The 16 bytes that name a record to the card and, in its MAC, to the ledger."""
    return struct.pack(">IIII", device, seq, 0, 0)


def encode_state(state):
    """The bytes of a record of STATE_FILE; ValueError for a field out of range."""
    return encode_usage(state) + encode_record(state)


def decode_uid(data):
    """The UID in the answer to GET_CARD_UID; ForeignCard for anything else."""
    if len(data) < _UID_BYTES:
        raise ForeignCard("UID of {} bytes".format(len(data)))
    return data


def decode_card(uid, identity, state_bytes, value):
    """The PurseView of a card from the contents of its files; ForeignCard for nonsense."""
    if len(identity) != FIELDS_BYTES or len(state_bytes) != STATE_BYTES or len(value) != 4:
        raise ForeignCard("file size")
    (balance_fen,) = struct.unpack("<i", value)
    state = decode_state(state_bytes[:USAGE_BYTES], state_bytes[USAGE_BYTES:], balance_fen)
    if balance_fen < 0:
        raise ForeignCard("balance")
    return PurseView(uid, Identity(*struct.unpack(FORMAT, identity)), state, state_bytes)


class Plan:
    """One debit: `state` as written, `amount_fen`, `reader_id`, `balance_fen`."""

    def __init__(self, state, amount_fen):
        self.state = encode_state(state)
        self.amount_fen = amount_fen
        self.balance_fen = state.balance_fen
        self.reader_id = reader_id(state.last_device, state.last_seq)


def plan_debit(view, amount_fen, device, seq, time_s, usage):
    """The Plan that takes `amount_fen` off `view`; see protocols.card.purse.state_after."""
    return Plan(state_after(view, amount_fen, device, seq, time_s, usage), amount_fen)


def plan_tries(view, pin_tries, device, seq, time_s):
    """The Plan that writes `pin_tries` to `view`; see protocols.card.purse.state_with_tries."""
    return Plan(state_with_tries(view, pin_tries, device, seq, time_s), 0)


def card_proof(transaction_mac, state_bytes):
    """The CARD_PROOF_BYTES for the ledger; `transaction_mac` is TMC and TMV (12 bytes)."""
    tmc, tmv = transaction_mac[:PROOF_TMC_BYTES], transaction_mac[TMC_BYTES:]
    return tmc + state_bytes[-1:] + tmv + state_bytes[COUNTER_BYTES:USAGE_BYTES]
