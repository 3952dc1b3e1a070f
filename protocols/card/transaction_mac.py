"""The MAC that a DESFire card puts on a whole transaction: what the ledger checks a spend with.

A reader cannot make it: the key stays on the card and in the card centre. It covers every command
that changed the card since the last AbortTransaction, in order, in the clear, and a counter.

The rules are those of the DESFire Light data sheet (MF2DL(H)x0 rev. 3.3, section 10.3), which is
public; that EV2 and EV3 keep them is to be confirmed on a card. The session keys are checked
against published vectors, a whole MAC is not, since none is published with its key.
"""

import struct

from protocols.card.diversify import Cmac
from protocols.card.ev2 import short_mac
from protocols.card.purse_desfire import (
    COMMIT_READER_ID,
    DEBIT,
    NEW_STATE,
    PROOF_TMC_BYTES,
    TMC_BYTES,
    TMV_BYTES,
    VALUE_FILE,
    WRITE_RECORD,
    encode_state,
    reader_id,
)

_BLOCK = 16
_NO_IV = bytes(_BLOCK)
_MAC_LABEL, _ENC_LABEL = b"\x5a", b"\xa5"
_DERIVE = b"\x00\x01\x00\x80"
# Diversification inputs: uid | purpose | system identifier.
_PURPOSE = b"T"
_SYSTEM = b"onecard"


def card_key(master, uid):
    """The transaction MAC key (16 bytes) of the card `uid`; `master` is the Cmac of its master."""
    return master.diversify(uid + _PURPOSE + _SYSTEM)


def session_keys(ciphers, key, tmc, uid):
    """(MAC key, encryption key) of the transaction that brings the counter to `tmc`."""
    tail = _DERIVE + struct.pack("<I", tmc) + uid
    cmac = Cmac(ciphers.aes(key))
    return cmac.digest(_MAC_LABEL + tail), cmac.digest(_ENC_LABEL + tail)


def filled(data):
    """`data` with zeros to whole blocks."""
    return data + bytes(-len(data) % _BLOCK)


def debit_input(state, amount_fen, hidden_reader_id):
    """What the MAC of a debit is made over; `state` is the PurseState it left behind.

    With an amount of 0, of a counted PIN try, which takes nothing from the value file.
    """
    written = encode_state(state)
    taken = struct.pack("<BBI", DEBIT, VALUE_FILE, amount_fen) if amount_fen else b""
    return (
        filled(bytes((WRITE_RECORD,)) + NEW_STATE)
        + filled(written)
        + filled(taken)
        + filled(
            bytes((COMMIT_READER_ID,))
            + reader_id(state.last_device, state.last_seq)
            + hidden_reader_id
        )
    )


def debit_mac(ciphers, key, uid, tmc, state, amount_fen, previous):
    """The TMV (8 bytes) of a debit.

    `key` is card_key of the card `uid`; `tmc` the counter in the card's answer; `state` the
    PurseState that the debit left; `previous` = (device, seq) that the card knew before it.
    """
    mac_key, enc_key = session_keys(ciphers, key, tmc, uid)
    hidden = ciphers.aes_cbc(enc_key, _NO_IV, reader_id(*previous), False)
    message = debit_input(state, amount_fen, hidden)
    return short_mac(Cmac(ciphers.aes(mac_key)).digest(message))


def parts_of(card_proof):
    """(TMC, period_use, TMV, usage but for its counter) in the card_proof of an OUTCOME."""
    tmc = int.from_bytes(card_proof[:PROOF_TMC_BYTES], "little")
    period_use, usage_at = card_proof[PROOF_TMC_BYTES], TMC_BYTES + TMV_BYTES
    return tmc, period_use, card_proof[TMC_BYTES:usage_at], card_proof[usage_at:]
