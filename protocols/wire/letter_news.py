"""What the ledger gives an agent for locks without a network: a letter to each, on cards.

Signed by the ledger (COSE_Sign1, LABEL), on the topic of card_news.py, beside what it says of
doors. The agent cannot read a letter (protocols/card/mailbox.py); `stamp` says which is newer.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"letter-news"
BYTES_MAX = 8192
LETTERS_MAX = 32
_LETTER_BYTES_MAX = 160
_U32 = 0xFFFFFFFF


def encode(letters):
    """The payload: (device, stamp, letter) of some locks."""
    payload = cbor.encode([list(letter) for letter in letters])
    decode(payload)
    return payload


def decode(payload):
    """The (device, stamp, letter) of a payload; WireError for anything else."""
    if len(payload) > BYTES_MAX:
        raise WireError(TOO_LONG)
    letters = cbor.decode(payload)
    if not isinstance(letters, list) or len(letters) > LETTERS_MAX:
        raise WireError(BAD_FIELD, "letters")
    if not all(_is_letter(letter) for letter in letters):
        raise WireError(BAD_FIELD, "letter")
    return [tuple(letter) for letter in letters]


def _is_letter(item):
    return (
        isinstance(item, list)
        and len(item) == 3
        and all(_is_number(value) for value in item[:2])
        and isinstance(item[2], bytes)
        and 0 < len(item[2]) <= _LETTER_BYTES_MAX
    )


def _is_number(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _U32
