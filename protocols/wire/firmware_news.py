"""What the ledger tells an agent of firmware: which images, for whom, and their bytes.

Signed by the ledger (COSE_Sign1, LABEL), on the topics of card_news.py. A question is a map: with
nothing in it, what there is; else a page of an image. An answer is a list of as many values as it
has kinds. See docs/adr/0040-firmware-updates.md.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"firmware-news"
BYTES_MAX = 32768
ASK_BYTES_MAX = 64
PAGE_BYTES = 16384  # of an image between ledger and agent
WARRANTS_MAX = 64
DIGEST_BYTES = 32
IMAGE_BYTES_MAX = 1 << 22
_WARRANT_BYTES_MAX = 256
_U32 = 0xFFFFFFFF
_DIGEST, _PAGE = 0, 1


def is_question(payload):
    """Whether a question on the topic of cards is about firmware: a map, where others are not."""
    return payload[:1] >= b"\xa0"


def encode_ask(digest=b"", page=0):
    """What is there? Or, with a digest, that page of the image, from 0 on."""
    return cbor.encode({_DIGEST: digest, _PAGE: page} if digest else {})


def decode_ask(payload):
    """(digest, page), or (b"", 0) for what is there; WireError for anything else."""
    if len(payload) > ASK_BYTES_MAX:
        raise WireError(TOO_LONG)
    values = cbor.decode(payload)
    if values == {}:
        return b"", 0
    if not isinstance(values, dict) or set(values) != {_DIGEST, _PAGE}:
        raise WireError(BAD_FIELD, "ask")
    if not _is_digest(values[_DIGEST]) or not _is_u32(values[_PAGE]):
        raise WireError(BAD_FIELD, "ask")
    return values[_DIGEST], values[_PAGE]


def encode_news(version, size, digest, warrants):
    """An image, and [(device, sealed warrant)] of some readers that shall have it."""
    payload = cbor.encode([version, size, digest, [list(each) for each in warrants]])
    decode(payload)
    return payload


def encode_none():
    """Nobody of this site shall have any firmware now."""
    return cbor.encode([])


def encode_page(digest, page, data):
    """A page of an image; no data: there is none."""
    payload = cbor.encode([digest, page, data])
    decode(payload)
    return payload


def decode(payload):
    """(), (digest, page, data) or (version, size, digest, warrants); WireError otherwise."""
    if len(payload) > BYTES_MAX:
        raise WireError(TOO_LONG)
    values = cbor.decode(payload)
    if not isinstance(values, list):
        raise WireError(BAD_FIELD, "list")
    check = _CHECKS.get(len(values))
    if check is None or not check(*values):
        raise WireError(BAD_FIELD, "news")
    return tuple(values)


def _are_news(version, size, digest, warrants):
    return (
        _is_u32(version)
        and version > 0
        and _is_u32(size)
        and 0 < size <= IMAGE_BYTES_MAX
        and _is_digest(digest)
        and isinstance(warrants, list)
        and len(warrants) <= WARRANTS_MAX
        and all(_is_warrant(each) for each in warrants)
    )


def _is_page(digest, page, data):
    is_data = isinstance(data, bytes) and len(data) <= PAGE_BYTES
    return _is_digest(digest) and _is_u32(page) and is_data


def _is_warrant(item):
    return (
        isinstance(item, list)
        and len(item) == 2
        and _is_u32(item[0])
        and item[0] > 0
        and isinstance(item[1], bytes)
        and 0 < len(item[1]) <= _WARRANT_BYTES_MAX
    )


def _is_digest(value):
    return isinstance(value, bytes) and len(value) == DIGEST_BYTES


def _is_u32(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _U32


_CHECKS = {0: lambda: True, 3: _is_page, 4: _are_news}
