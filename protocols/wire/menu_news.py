"""What the ledger tells an agent of menus: which one each POS shall have, and their bytes.

Signed by the ledger (COSE_Sign1, LABEL), on the topics of card_news.py, beside what it says of
firmware. A question is bytes, where others are not: the digest of a menu that the agent lacks. An
answer is a list: of warrants, or of a digest and its menu (protocols/rules/menu.py). What two POS
both sell has one digest, so it is sent once. See docs/adr/0064-menus-at-the-agent.md.
"""

from protocols.wire import cbor
from protocols.wire.errors import BAD_FIELD, TOO_LONG, WireError

LABEL = b"menu-news"
BYTES_MAX = 16384
WARRANTS_MAX = 64
DIGEST_BYTES = 16
MENU_BYTES_MAX = 2304
_SEALED_BYTES_MAX = 224
_U32 = 0xFFFFFFFF


def is_question(payload):
    """Whether a question on the topic of cards is about menus: bytes, where others are not."""
    return 0x40 <= (payload[0] if payload else 0) < 0x60


def encode_ask(digest):
    """Which menu has this digest?"""
    return cbor.encode(digest)


def decode_ask(payload):
    """The digest of a question; WireError for anything else."""
    if len(payload) > DIGEST_BYTES + 1:
        raise WireError(TOO_LONG)
    digest = cbor.decode(payload)
    if not _is_digest(digest):
        raise WireError(BAD_FIELD, "ask")
    return digest


def encode_news(warrants):
    """The payload: (device, epoch, digest, sealed) of some POS."""
    payload = cbor.encode([list(each) for each in warrants])
    decode(payload)
    return payload


def encode_menu(digest, data):
    """The payload: the menu that has this digest; no data: there is none."""
    payload = cbor.encode([digest, data])
    decode(payload)
    return payload


def decode(payload):
    """([(device, epoch, digest, sealed)], ()) or (None, (digest, data)); WireError otherwise."""
    if len(payload) > BYTES_MAX:
        raise WireError(TOO_LONG)
    values = cbor.decode(payload)
    if not isinstance(values, list) or len(values) > WARRANTS_MAX:
        raise WireError(BAD_FIELD, "menus")
    if values and isinstance(values[0], bytes):
        if not _is_menu(values):
            raise WireError(BAD_FIELD, "menu")
        return None, tuple(values)
    if not all(_is_warrant(each) for each in values):
        raise WireError(BAD_FIELD, "warrant")
    return [tuple(each) for each in values], ()


def _is_menu(values):
    return (
        len(values) == 2
        and _is_digest(values[0])
        and isinstance(values[1], bytes)
        and len(values[1]) <= MENU_BYTES_MAX
    )


def _is_warrant(item):
    return (
        isinstance(item, list)
        and len(item) == 4
        and all(_is_number(value) for value in item[:2])
        and _is_digest(item[2])
        and isinstance(item[3], bytes)
        and 0 < len(item[3]) <= _SEALED_BYTES_MAX
    )


def _is_digest(value):
    return isinstance(value, bytes) and len(value) == DIGEST_BYTES


def _is_number(value):
    # True is an int in Python, not on our wire.
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _U32
