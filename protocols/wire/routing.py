"""Whose record this is and which number it has, read from its envelope without believing it.

An agent that is older than a reader's firmware must still carry what that firmware writes: so only
the part that is the same in every kind of record is read here, and what the rest says is between
the reader and the ledger. (It is also most of what a record costs the agent: decoding all of it
took three times the processor time of storing and forwarding it.) The ledger reads a record that
it cannot decode the same way: whatever an agent could file, a ledger can refuse by its number.
"""

from protocols.wire.errors import (
    BAD_FIELD,
    MISSING_FIELD,
    NON_CANONICAL,
    NOT_A_MAP,
    TRUNCATED,
    WireError,
)
from protocols.wire.seal import payload_of

_MAP = 5
# Additional information of a CBOR head -> (bytes that follow, smallest number that needs them).
_WIDTHS = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16)}


def route(sealed):
    """(device, seq) that a sealed record (bytes) gives itself. Raises WireError.

    Deterministic encoding puts the keys 0 (kind), 1 (device) and 2 (seq) first.
    """
    payload = payload_of(sealed)
    if not payload:
        raise WireError(TRUNCATED)
    if payload[0] >> 5 != _MAP:
        raise WireError(NOT_A_MAP)
    # A map of more than 23 pairs has its count in the next byte.
    at = 2 if payload[0] & 31 == 24 else 1
    numbers = []
    for key in range(3):
        found, at = _uint(payload, at)
        if found != key:
            raise WireError(MISSING_FIELD, str(key))
        number, at = _uint(payload, at)
        numbers.append(number)
    _kind, device, seq = numbers
    if device == 0 or seq == 0:
        raise WireError(BAD_FIELD, "a number that is never given")
    return device, seq


def _uint(data, at):
    """The unsigned integer (at most 32 bits) at `at`, and where it ends."""
    if at >= len(data):
        raise WireError(TRUNCATED)
    first = data[at]
    at += 1
    if first < 24:
        return first, at
    if first not in _WIDTHS:
        raise WireError(BAD_FIELD, "not a number of 32 bits")
    width, least = _WIDTHS[first]
    end = at + width
    if end > len(data):
        raise WireError(TRUNCATED)
    number = int.from_bytes(data[at:end], "big")
    if number < least:
        raise WireError(NON_CANONICAL)
    return number, end
