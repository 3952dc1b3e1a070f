"""The identity block of a card: who it belongs to, as the card centre wrote it.

    0        4      5            7          9             10      16
    card_no  kind   valid_from   valid_to   key_version   mac

Big endian. The days count from 1970-01-01 and are both inside the validity. The MAC is the first
6 bytes of the AES-CMAC over uid and the first 10 bytes, under the card's own MAC key. Readers only
read it; the other direction is in protocols.card.personalise.
"""

import struct

IDENTITY_BYTES = 16
FIELDS_BYTES = 10
FORMAT = ">IBHHB"
MAC_BYTES = IDENTITY_BYTES - FIELDS_BYTES


class ForeignCard(Exception):
    """The card answers to our keys, or seems to, but what stands on it is not ours."""


class Identity:
    """card_no, kind, valid_from and valid_to (days since 1970), key_version; all integers."""

    def __init__(self, card_no, kind, valid_from, valid_to, key_version):
        self.card_no = card_no
        self.kind = kind
        self.valid_from = valid_from
        self.valid_to = valid_to
        self.key_version = key_version


def check_bounds(record, bounds):
    """ValueError naming the first attribute of `record` outside 0..maximum of `bounds`."""
    for name, maximum in bounds:
        value = getattr(record, name)
        if not isinstance(value, int) or not 0 <= value <= maximum:
            raise ValueError("{} {} is not in 0..{}".format(name, value, maximum))


def decode_identity(block, uid, mac):
    """The Identity in `block` (16 bytes) of the card `uid`; ForeignCard when the MAC is wrong."""
    fields = bytes(block[:FIELDS_BYTES])
    if mac.digest(uid + fields)[:MAC_BYTES] != bytes(block[FIELDS_BYTES:]):
        raise ForeignCard("identity MAC")
    return Identity(*struct.unpack(FORMAT, fields))
