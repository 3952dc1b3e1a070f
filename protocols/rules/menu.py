"""What a POS sells: its price list and meal periods, as one CBOR blob beside its settings.

    {1: prices (charging.py), 2: [[from_min, to_min, ...], ...] (meals.py)}

Kept in the board's key-value store (NVS namespace "onecard", key "menu"), empty where only plain
amounts are taken. The periods are the one source of what is limited by meal period; a POS without
them leaves what a card has counted as it is.

One that the ledger sends is as a card map: a warrant is its word to one reader, this menu is yours
from this epoch on, under a key that only the two have. So the bytes may come from anybody.
"""

import hashlib

from protocols.rules import charging, meals
from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, NOT_A_MAP, TOO_LONG, UNKNOWN_FIELD, WireError

MENU_BYTES_MAX = 2304
LABEL = b"menu"  # of the warrants' key, and what their seals are bound to
# In a CARDS: this page is a question for a warrant, or one; those behind it are the menu's.
PAGE = 0xF000
PAGE_BYTES = 256
PAGES_MAX = 9
WARRANT = ">IH16s"  # epoch, bytes of the menu, digest
EPOCH, SIZE, DIGEST = 0, 1, 2
WARRANT_BYTES = 22  # before it is sealed
_PRICES, _PERIODS = 1, 2


def encode(prices, periods):
    """The blob; WireError for what `decode` would refuse."""
    data = cbor.encode({_PRICES: prices, _PERIODS: [list(period) for period in periods]})
    decode(data)
    return data


def decode(data):
    """(prices, periods) of a blob, or of none (empty bytes); WireError if anything is wrong."""
    if not data:
        return b"", ()
    if len(data) > MENU_BYTES_MAX:
        raise WireError(TOO_LONG)
    values = cbor.decode(data)
    if not isinstance(values, dict):
        raise WireError(NOT_A_MAP)
    prices, periods = values.pop(_PRICES, None), values.pop(_PERIODS, None)
    if charging.fault_of(prices) != charging.FINE:
        raise WireError(BAD_FIELD, "prices")
    if meals.fault_of(periods) != meals.FINE:
        raise WireError(BAD_FIELD, "periods")
    if values:
        raise WireError(UNKNOWN_FIELD)
    return prices, periods


def digest_of(data):
    """What a warrant says of a menu."""
    return hashlib.sha256(data).digest()[:16]
