"""What the ledger tells an agent of readers of its site that have ended: their numbers.

Signed by the ledger (COSE_Sign1, LABEL), on the topic of card_news.py, beside what it says of
firmware. Nobody waits for such a reader any more; what it tells all the same is handed on like
anything else, for the ledger keeps it.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"fleet-news"
BYTES_MAX = 16384
READERS_MAX = 1024
_U32 = 0xFFFFFFFF


def encode(devices):
    """The payload: numbers of readers, each above the one before."""
    payload = cbor.encode(list(devices))
    decode(payload)
    return payload


def decode(payload):
    """The numbers of a payload; WireError for anything else."""
    if len(payload) > BYTES_MAX:
        raise WireError(TOO_LONG)
    devices = cbor.decode(payload)
    if not isinstance(devices, list) or len(devices) > READERS_MAX:
        raise WireError(BAD_FIELD, "readers")
    before = 0
    for device in devices:
        # True is an int in Python, not on our wire.
        if not isinstance(device, int) or isinstance(device, bool) or not before < device <= _U32:
            raise WireError(BAD_FIELD, "reader")
        before = device
    return devices
