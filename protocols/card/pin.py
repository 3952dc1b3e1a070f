"""The PIN verifier of a card: what stands on it, so that a reader can tell whether a PIN is right.

8 bytes: the first of an AES-CMAC over label, card_no and the digits, under a key of this one card
and this one purpose, diversified from the site's MAC key. Zeros: the card has no PIN. It stands on
the card and nowhere else, so a reader's flash has nothing to compare a guess with; and the card
alone does not help either, without the MAC key. Whoever holds both finds six digits in seconds
(docs/threat-model.md).
"""

import struct

from protocols.card.diversify import Cmac

PIN_DIGITS = 6
VERIFIER_BYTES = 8
NO_PIN = bytes(VERIFIER_BYTES)

# Diversification inputs: uid | purpose | 0 | system identifier.
_PURPOSE = b"V"
_SYSTEM = b"onecard"
_LABEL = b"onecard PIN"


def is_pin(digits):
    """Whether `digits` (bytes or bytearray) has the form of a PIN: PIN_DIGITS ASCII digits."""
    return len(digits) == PIN_DIGITS and all(48 <= digit <= 57 for digit in digits)


def verifier(master, uid, card_no, digits, aes):
    """The VERIFIER_BYTES of the PIN `digits` on the card `uid`.

    `master` is the Cmac of the MAC key, `aes` key16 -> encrypt.
    """
    own = Cmac(aes(master.diversify(uid + _PURPOSE + bytes(1) + _SYSTEM)))
    return own.digest(_LABEL + struct.pack(">I", card_no) + digits)[:VERIFIER_BYTES]
