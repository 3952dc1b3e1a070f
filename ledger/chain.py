"""The chain of one device's records: what follows what, and what stands in for a lost one.

A record follows the one before it: its seal is taken over that one's tag. A LOST record follows
nothing, for the tag before it may be lost as well: its seal is taken over messages.LOST_LABEL. It
names the record behind it by its hash, for that one's seal hangs on a tag nobody has any more.
docs/adr/0011-lost-records.md says why.
"""

import hashlib
from typing import NamedTuple

from protocols.wire import cbor, messages, seal
from protocols.wire.errors import WireError

_HEAD = b"\xa8\x00\x06"  # a map of eight, kind 6: what begins otherwise need not be decoded
_MAP, _IN_NEXT_BYTE = 5, 24  # of CBOR
_BLOCK_BYTES = 64  # of SHA-256
# COSE_Mac0 (RFC 9052): what stands before the payload and behind it, and what is sealed before the
# tag. The payload has its head in both.
_PROTECTED = cbor.encode({1: 5})  # HMAC 256/256
_BEFORE_PAYLOAD_BYTES = len(b"\xd1\x84" + cbor.encode(_PROTECTED) + cbor.encode({}))
_BEHIND_PAYLOAD_BYTES = len(cbor.encode(bytes(seal.TAG_BYTES)))
_BEFORE_TAG = cbor.encode(["MAC0", _PROTECTED, seal.CHAIN_START, b""])[: -seal.TAG_BYTES - 1]


class Link(NamedTuple):
    """What the next record of a chain must follow, and the number of the chain's key.

    `tag` is that of the record before, or behind a LOST one the hash of the very next record.
    """

    tag: bytes
    key_no: int


CHAIN_START = Link(seal.CHAIN_START, 0)


def fork_link(sealed: bytes) -> Link:
    """What a twin's next record must follow: it is evidence, whichever key the twin still has."""
    return Link(link_of(sealed), 0)


def link_of(sealed: bytes) -> bytes:
    """What the next record must follow: this one's tag; of a LOST one, the next one's hash."""
    successor = _successor(sealed)
    return seal.tag_of(sealed) if successor is None else successor


def kind_of(sealed: bytes) -> int | None:
    """The kind that a sealed record says it is of, unverified; None: it says none here."""
    payload = seal.payload_of(sealed)
    # A map of at most 23 pairs, of which the first is 0, the kind: a byte, or one behind its head.
    if len(payload) < 4 or payload[0] >> 5 != _MAP or payload[1] != 0:
        return None
    if payload[2] < _IN_NEXT_BYTE:
        return payload[2]
    return payload[3] if payload[2] == _IN_NEXT_BYTE else None


def follows(key: bytes, sealed: bytes, link: bytes) -> bool:
    """Whether the seal holds under `key`, and over `link` unless it is of a LOST record.

    The record that a LOST one names has to be compared with `link` by its hash instead.
    """
    try:
        over = link if _successor(sealed) is None else messages.LOST_LABEL
        return is_sealed(key, seal.payload_of(sealed), sealed, over)
    except WireError:
        return False


def is_sealed(key: bytes, payload: bytes, sealed: bytes, over: bytes) -> bool:
    """Whether `sealed` is what `payload` becomes under `key` and over just that."""
    return seal.is_same(sealed, seal.seal(key, payload, over))


class SealKey:
    """A key under which many seals are checked: its own part of the HMAC (RFC 2104) is done once.

    The same as `is_sealed`, in a third of the time.
    """

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes."""
        block = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._inner.update(_BEFORE_TAG)

    def holds(self, sealed: bytes, over: bytes) -> bool:
        """Whether the tag of `sealed`, which has a payload, is right under this key.

        `over`: the tag before it, or what stands for one; of 32 bytes, or it does not hold.
        """
        if len(over) != seal.TAG_BYTES:
            return False
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(over + sealed[_BEFORE_PAYLOAD_BYTES:-_BEHIND_PAYLOAD_BYTES])
        outer.update(inner.digest())
        return seal.is_same(sealed[-seal.TAG_BYTES :], outer.digest())


def _successor(sealed: bytes) -> bytes | None:
    """What a LOST record names, unverified; None for every other."""
    payload = seal.payload_of(sealed)
    if payload[: len(_HEAD)] != _HEAD:
        return None
    try:
        return messages.decode_record(payload)["next_sha256"]
    except WireError:
        return None  # of a later firmware: in the chain like any other
