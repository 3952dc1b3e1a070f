"""The spending PIN (R19.2, R19.3): how many tries, what follows the last one, which PINs are weak.

The regulation gives no figures. A PIN has six digits, and the policy says how many wrong ones in a
row a card may have seen (`pin_tries_max`): a right one begins anew. The card counts, so it is one
count on all readers.
"""

from protocols.card.pin import is_pin
from protocols.rules import reasons

# What is wrong with a PIN that somebody wants to set; fault_of gives one of these texts.
FORM = "a PIN has six digits"
EQUAL = "six times the same digit"
RUN = "digits in a row, up or down"
REPEATED = "two or three digits over and over"
PERSONAL = "part of a birthday or of the number of an ID"
_UP, _DOWN = b"01234567890", b"09876543210"


def tries_left(policy, card):
    """How many more PINs may be tried on `card` (a purse view)."""
    return max(policy["pin_tries_max"] - card.pin_tries, 0)


def after_wrong(policy, card):
    """The reason to show for a wrong PIN; `card` has it counted already."""
    return reasons.PIN_WRONG if tries_left(policy, card) else reasons.IDENTITY_CHECK


def fault_of(pin, forbidden=()):
    """Why `pin` (bytes) must not be set, as a text; None if it may.

    `forbidden` are digits (bytes) that are known of the holder: a birthday as YYYYMMDD, the number
    of an ID, a telephone number. What of it a stranger reads off a document is tried first.
    """
    if not is_pin(pin):
        return FORM
    for is_weak, fault in (
        (pin.count(pin[:1]) == len(pin), EQUAL),
        (pin in _UP or pin in _DOWN, RUN),
        (pin == pin[:2] * 3 or pin == pin[:3] * 2, REPEATED),
        (any(_holds(known, pin) for known in forbidden), PERSONAL),
    ):
        if is_weak:
            return fault
    return None


def _holds(known, pin):
    """Whether a number that is known holds the PIN, or a whole but shorter one is in the PIN."""
    return pin in known or (len(known) >= 4 and known in pin)
