"""Which spending PINs are too weak to be set (R19.2); no reader imports this.

How often a PIN may be tried stands in protocols.rules.spending, with the other limits.
"""

from protocols.card.pin import is_pin

# What is wrong with a PIN that somebody wants to set; fault_of gives one of these texts.
FORM = "a PIN has six digits"
EQUAL = "six times the same digit"
RUN = "digits in a row, up or down"
REPEATED = "two or three digits over and over"
PERSONAL = "part of a birthday or of the number of an ID"
_UP, _DOWN = b"01234567890", b"09876543210"


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
