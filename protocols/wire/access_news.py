"""What the ledger tells an agent of doors: who may open each, and its word for it to the door.

Signed by the ledger (COSE_Sign1, LABEL), on the topics of card_news.py: of questions and hints a
list is about doors, a number about cards. A digest of the map comes with it: books that came back
from a backup may have another one than the agent under the same epoch. See
docs/adr/0026-access-maps.md.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"access-news"
BYTES_MAX = 8192
ASK_BYTES_MAX = 4096
DOORS_MAX = 256  # of one site
DIGEST_BYTES = 16  # of a map's SHA-256
_DATA_BYTES_MAX = 6144
_WARRANT_BYTES_MAX = 256
_U32 = 0xFFFFFFFF


def encode(device, epoch, warrant, data, digest=b""):
    """The payload: the access map `data` of `epoch`, and its warrant; no data: no other one.

    `digest` is of the map, whether it is there or not.
    """
    values = [device, epoch, warrant, data]
    payload = cbor.encode(values + [digest] if digest else values)
    decode(payload)
    return payload


def decode(payload):
    """(device, epoch, warrant, data, digest) of a payload; WireError for anything else."""
    values = _list_of(payload, BYTES_MAX)
    if len(values) not in (4, 5) or not _are_numbers(values[:2]):
        raise WireError(BAD_FIELD, "news")
    digest = values.pop() if len(values) == 5 else b""
    if digest != b"" and (not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES):
        raise WireError(BAD_FIELD, "digest")
    for value, longest, name in (
        (values[2], _WARRANT_BYTES_MAX, "warrant"),
        (values[3], _DATA_BYTES_MAX, "data"),
    ):
        if not isinstance(value, bytes) or len(value) > longest:
            raise WireError(BAD_FIELD, name)
    return tuple(values) + (digest,)


def encode_ask(held):
    """What an agent has: (device, epoch) of each door."""
    return cbor.encode([list(each) for each in held])


def decode_ask(payload):
    """{device: epoch} of what an agent has; WireError for anything else."""
    values = _list_of(payload, ASK_BYTES_MAX)
    if len(values) > DOORS_MAX:
        raise WireError(TOO_LONG)
    for value in values:
        if not isinstance(value, list) or len(value) != 2 or not _are_numbers(value):
            raise WireError(BAD_FIELD, "ask")
    return dict(values)


def encode_hint(number):
    """That something about a door has changed; it decides nothing."""
    return cbor.encode([number])


def decode_hint(payload):
    """The number in a hint; WireError for anything else."""
    values = _list_of(payload, ASK_BYTES_MAX)
    if len(values) != 1 or not _are_numbers(values):
        raise WireError(BAD_FIELD, "hint")
    return values[0]


def is_about_doors(payload):
    """Whether a question, or a hint, is about doors, where it may be about cards."""
    return b"\x80" <= payload[:1] < b"\xa0"  # no number, a list


def _list_of(payload, longest):
    if len(payload) > longest:
        raise WireError(TOO_LONG)
    values = cbor.decode(payload)
    if not isinstance(values, list):
        raise WireError(BAD_FIELD, "list")
    return values


def _are_numbers(values):
    # True is an int in Python, not on our wire.
    return all(
        isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _U32
        for value in values
    )
