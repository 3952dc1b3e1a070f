"""What the ledger gives an agent for its readers' limits: a policy for each, sealed.

Signed by the ledger (COSE_Sign1, LABEL), on the topic of card_news.py, beside what it says of
firmware. The agent cannot make one (protocols/rules/settings.py); `epoch` says which is newer.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"policy-news"
BYTES_MAX = 16384
POLICIES_MAX = 64
_SEALED_BYTES_MAX = 224
_U32 = 0xFFFFFFFF


def encode(policies):
    """The payload: (device, epoch, sealed) of some readers."""
    payload = cbor.encode([list(each) for each in policies])
    decode(payload)
    return payload


def decode(payload):
    """The (device, epoch, sealed) of a payload; WireError for anything else."""
    if len(payload) > BYTES_MAX:
        raise WireError(TOO_LONG)
    policies = cbor.decode(payload)
    if not isinstance(policies, list) or len(policies) > POLICIES_MAX:
        raise WireError(BAD_FIELD, "policies")
    if not all(_is_policy(each) for each in policies):
        raise WireError(BAD_FIELD, "policy")
    return [tuple(each) for each in policies]


def _is_policy(item):
    return (
        isinstance(item, list)
        and len(item) == 3
        and all(_is_number(value) for value in item[:2])
        and isinstance(item[2], bytes)
        and 0 < len(item[2]) <= _SEALED_BYTES_MAX
    )


def _is_number(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _U32
