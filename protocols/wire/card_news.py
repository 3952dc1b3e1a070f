"""What the ledger tells an agent of cards: changes behind an epoch, and warrants for its readers.

Signed by the ledger (COSE_Sign1, LABEL). With the last of them comes the chain over all changes:
books that came back from a backup and went on otherwise have another one than the agent. See
protocols/rules/card_status.py.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"card-news"
BYTES_MAX = 32768
CHANGES_BYTES_MAX = 16384
WARRANTS_MAX = 64
CHAIN_BYTES = 16
_CHANGE_BYTES = 4
_WARRANT_BYTES_MAX = 256
_U32 = 0xFFFFFFFF


def encode(epoch, changes, warrants, chain=b""):
    """The payload: changes (bytes) behind `epoch`, and [(device, epoch, sealed warrant)].

    `chain`: over all changes up to the last of these; none is said where more of them follow.
    """
    values = [epoch, changes, [list(warrant) for warrant in warrants]]
    data = cbor.encode(values + [chain] if chain else values)
    decode(data)
    return data


def decode(data):
    """(epoch, changes, warrants, chain) of a payload; WireError for anything else."""
    if len(data) > BYTES_MAX:
        raise WireError(TOO_LONG)
    values = cbor.decode(data)
    if not isinstance(values, list) or len(values) not in (3, 4):
        raise WireError(BAD_FIELD, "news")
    chain = values.pop() if len(values) == 4 else b""
    epoch, changes, warrants = values
    if not _is_u32(epoch):
        raise WireError(BAD_FIELD, "epoch")
    is_long = isinstance(changes, bytes) and len(changes) <= CHANGES_BYTES_MAX
    if not is_long or len(changes) % _CHANGE_BYTES:
        raise WireError(BAD_FIELD, "changes")
    if not isinstance(warrants, list) or len(warrants) > WARRANTS_MAX:
        raise WireError(BAD_FIELD, "warrants")
    if not all(_is_warrant(warrant) for warrant in warrants):
        raise WireError(BAD_FIELD, "warrants")
    if chain != b"" and (not isinstance(chain, bytes) or len(chain) != CHAIN_BYTES):
        raise WireError(BAD_FIELD, "chain")
    return epoch, changes, [tuple(warrant) for warrant in warrants], chain


def decode_epoch(data):
    """The epoch that an agent has, or that the ledger hints at; WireError for anything else."""
    epoch = cbor.decode(data)
    if not _is_u32(epoch):
        raise WireError(BAD_FIELD, "epoch")
    return epoch


def _is_u32(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _U32


def _is_warrant(item):
    return (
        isinstance(item, list)
        and len(item) == 3
        and _is_u32(item[0])
        and item[0] > 0
        and _is_u32(item[1])
        and isinstance(item[2], bytes)
        and 0 < len(item[2]) <= _WARRANT_BYTES_MAX
    )
