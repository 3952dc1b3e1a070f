"""Whose identity code is this? What a door asks the ledger, and what it hears (R14b.5).

    ask     [18, nonce, code]
    answer  [19, nonce, reason, number, card_no, kind, valid_from, valid_to]

Each is what a RELAY carries, under its seals. They are lists where all else that is relayed is a
map: a table of their fields would stand in the heap of every reader, and few are such doors. See
docs/adr/0032-identity-codes-at-doors.md.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, UNEXPECTED_TYPE, WireError

WHO_ASK, WHO_ANSWER = 18, 19
NONCE_BYTES, CODE_BYTES = 8, 38
# What may stand behind the nonce: numbers up to a bound, or bytes, of which there are so many.
_ASK = (-CODE_BYTES,)
_ANSWER = (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFF, 0xFFFF, 0xFFFF)


def is_ask(payload):
    """Whether what a reader has said in a RELAY can be an ask, for all else there is a map."""
    return b"\x80" <= payload[:1] < b"\xa0"


def encode_ask(nonce, code):
    """The ask as bytes: `nonce` is NONCE_BYTES drawn for it, `code` CODE_BYTES as it was read."""
    return cbor.encode([WHO_ASK, nonce, code])


def decode_ask(payload):
    """[nonce, code] of an ask; WireError for anything else."""
    return _decoded(payload, WHO_ASK, _ASK)


def encode_answer(nonce, *numbers):
    """The answer as bytes: reason, number, card_no, kind, valid_from, valid_to; see decode."""
    payload = cbor.encode([WHO_ANSWER, nonce] + list(numbers))
    decode_answer(payload)
    return payload


def decode_answer(payload):
    """[nonce, reason, number, card_no, kind, valid_from, valid_to]; WireError for anything else.

    Where `reason` is 0 `number` is that of the answer, the code is used up, and the others are
    what stands on the card whose code it was. Else they mean nothing.
    """
    values = _decoded(payload, WHO_ANSWER, _ANSWER)
    if (values[1] == 0) != (values[2] > 0):
        raise WireError(BAD_FIELD, "number")
    return values


def _decoded(payload, kind, bounds):
    values = cbor.decode(payload)
    if not isinstance(values, list) or len(values) != 2 + len(bounds) or values[0] != kind:
        raise WireError(UNEXPECTED_TYPE)
    values = values[1:]
    for value, bound in zip(values, (-NONCE_BYTES,) + bounds):
        if bound < 0:
            is_right = isinstance(value, bytes) and len(value) == -bound
        else:
            # True is an int in Python, not on our wire.
            is_right = isinstance(value, int) and not isinstance(value, bool)
            is_right = is_right and 0 <= value <= bound
        if not is_right:
            raise WireError(BAD_FIELD)
    return values
