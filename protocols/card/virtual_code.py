"""The codes of a virtual card: what a phone shows to pay (R14b.2), or to be known.

    OC PAY A   card  made_s  nonce  tag         PAY or IDY: the kind; A: the version
    prefix     4     4       2      10          20 bytes, as 32 characters of Base32 (RFC 4648)

38 characters, all of them in the alphanumeric set of a QR code: version 2 at level M, version 3 at
level Q. Big endian. `card` is the number of the virtual card, `made_s` the time in UTC seconds
since 1970, `nonce` two random bytes that tell apart two codes of one second, `tag` the first 10
bytes of HMAC-SHA-256, under the key of this kind, over prefix, card, made_s and nonce. One code
can be spelled in one way only: no lower case, no padding, no spare bits.

A seed (32 bytes) is drawn by the ledger when a phone is bound to the virtual card, and drawn anew
with every binding and reissue, so an old phone's codes are forged ones from then on. Both kinds
have their own key from it, so the prefix of a code cannot be exchanged: a picture of somebody's
identity code buys nothing.

Why the seed is not in a reader. What checks an HMAC can also make it: a reader that could check
payment codes could print money, and one taken from a wall would be worth every card's. A signature
would not have that, but to check one on an elliptic curve takes seconds in bytecode (estimated,
not measured), and hash-based ones do not fit on a phone's screen. So a reader knows the grammar
(protocols/rules/scan_codes.py) and passes the code on unread; only the ledger verifies, identity
codes too. A door without network goes by the physical card, as R24 has it.

Why 60 s, why once, why 10 bytes. A picture of a code is good until the first of: it is used, 60 s
are over. Whoever uses it first has paid with it, so the code is bound to one reader's question at
the moment it is asked; the ledger remembers a code until it has expired. 80 bits cannot be
guessed online, where every guess is a question to the ledger; a phone's seed has 256.

Time is the ledger's, as an interval. A phone may be EARLY_S fast, not more: what is made later
lives longer. When the interval leaves it open the answer is no.
"""

import struct

from protocols.rules import clock, reasons
from protocols.rules.scan_codes import (
    CAMPUS_IDENTITY,
    CAMPUS_PAYMENT,
    PREFIX_IDENTITY,
    PREFIX_PAYMENT,
    kind_of,
)
from protocols.wire.seal import hmac_sha256, is_same

LIFE_S = 60
EARLY_S = 5
SEED_BYTES = 32
TAG_BYTES = 10
NONCE_BYTES = 2

_PREFIXES = {CAMPUS_PAYMENT: PREFIX_PAYMENT, CAMPUS_IDENTITY: PREFIX_IDENTITY}
_LABELS = {CAMPUS_PAYMENT: b"onecard/v1/code/pay", CAMPUS_IDENTITY: b"onecard/v1/code/identity"}
# What to say to a code of ours that is not of the kind which was asked for.
_OTHER_KIND = {
    CAMPUS_PAYMENT: reasons.CODE_IS_PAYMENT,
    CAMPUS_IDENTITY: reasons.CODE_IS_IDENTITY,
}
_PREFIX_BYTES = 6
_FIELDS = ">II"
_FIELDS_BYTES = 8 + NONCE_BYTES
_BODY_BYTES = _FIELDS_BYTES + TAG_BYTES
_TEXT_BYTES = 32
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_U32 = 0xFFFFFFFF
_NO_SEED = bytes(SEED_BYTES)


class VirtualCode:
    """kind, card, made_s; `number` (bytes) is the same for no other code of any card."""

    def __init__(self, kind, card, made_s, number, tag):
        self.kind = kind
        self.card = card
        self.made_s = made_s
        self.number = number
        self.tag = tag

    def forget_s(self):
        """From this second on the code is refused as expired, seen or not."""
        return self.made_s + LIFE_S + 1


def make(seed, kind, card, made_s, nonce):
    """The code (38 ASCII bytes) that the holder of `seed` shows; `nonce` is NONCE_BYTES random.

    ValueError for a number that does not fit its field, or a kind that is not ours.
    """
    if kind not in _PREFIXES:
        raise ValueError("kind")
    if not 0 <= card <= _U32 or not 0 <= made_s <= _U32:
        raise ValueError("card or made_s")
    if len(seed) != SEED_BYTES or len(nonce) != NONCE_BYTES:
        raise ValueError("seed or nonce")
    fields = struct.pack(_FIELDS, card, made_s) + nonce
    return _PREFIXES[kind] + _spell(fields + _tag(seed, kind, fields))


def parse(text):
    """The VirtualCode that `text` (bytes) spells, unverified; None when it is not one of ours."""
    kind = kind_of(text)
    if kind not in _PREFIXES:
        return None
    body = _unspell(bytes(text))
    fields = body[:_FIELDS_BYTES]
    card, made_s = struct.unpack(_FIELDS, fields[:-NONCE_BYTES])
    return VirtualCode(kind, card, made_s, _PREFIXES[kind] + fields, body[_FIELDS_BYTES:])


def verify(code, kind, seed, interval_ms, seen):
    """reasons.APPROVED, or why the ledger does not take `code` (a VirtualCode) for this `kind`.

    `seed` is the one of the code's card, or None when it has none: the answer is then the same as
    to a wrong tag, and takes as long. `interval_ms` is (earliest, latest) in ms since 1970 of the
    ledger's clock. `seen` answers `code.number in seen` for every code that was approved and whose
    forget_s() is not surely past; approving one, and adding it, is one transaction of the caller.
    """
    if code.kind != kind:
        return _OTHER_KIND[code.kind]
    is_bound = seed is not None and len(seed) == SEED_BYTES
    fields = code.number[_PREFIX_BYTES:]
    is_genuine = is_same(code.tag, _tag(seed if is_bound else _NO_SEED, code.kind, fields))
    if not is_bound or not is_genuine:
        return reasons.CODE_FORGED
    reason = _judge_time(code.made_s, clock.seconds(interval_ms))
    if reason == reasons.APPROVED and code.number in seen:
        return reasons.CODE_USED
    return reason


def _judge_time(made_s, now_s):
    """Both ends of the clock have to be inside the life of a code."""
    earliest_s, latest_s = now_s
    is_early = earliest_s < made_s - EARLY_S
    is_late = latest_s > made_s + LIFE_S
    if is_early and is_late:
        return reasons.CLOCK_UNKNOWN
    if is_early:
        return reasons.CODE_NOT_YET
    return reasons.CODE_EXPIRED if is_late else reasons.APPROVED


def _tag(seed, kind, fields):
    key = hmac_sha256(seed, _LABELS[kind])
    return hmac_sha256(key, _PREFIXES[kind] + fields)[:TAG_BYTES]


def _spell(body):
    number = int.from_bytes(body, "big")
    text = bytearray(_TEXT_BYTES)
    for at in range(_TEXT_BYTES - 1, -1, -1):
        text[at] = _ALPHABET[number & 31]
        number >>= 5
    return bytes(text)


def _unspell(text):
    number = 0
    for at in range(_PREFIX_BYTES, len(text)):
        number = number << 5 | _ALPHABET.find(text[at : at + 1])
    return number.to_bytes(_BODY_BYTES, "big")
