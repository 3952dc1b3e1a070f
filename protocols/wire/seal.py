"""The seals: COSE_Mac0 on every record and receipt, COSE_Sign1 on what the ledger publishes.

RFC 9052. A record's seal takes the tag of the record before it as external AAD, so the records of
one device are a chain: none can be removed, inserted or exchanged unseen.
"""

import hashlib

from protocols.wire import cbor
from protocols.wire.errors import BAD_SEAL, MALFORMED_SEAL, WireError

try:
    from hmac import compare_digest, digest  # CPython's, in C: agent and ledger live on it
except ImportError:
    compare_digest = digest = None  # MicroPython has neither

TAG_BYTES = 32
CHAIN_START = bytes(TAG_BYTES)
SIGNATURE_BYTES = 64
_BLOCK_BYTES = 64  # of SHA-256, for HMAC (RFC 2104)
_MAC_PROTECTED = b"\xa1\x01\x05"  # {alg: HMAC 256/256}
_MAC_STRUCTURE = b"\x84\x64MAC0\x43" + _MAC_PROTECTED
_SIGN_PROTECTED = b"\xa1\x01\x27"  # {alg: EdDSA}
_MAC_HEAD = b"\xd1\x84\x43" + _MAC_PROTECTED + b"\xa0"
_SIGN_HEAD = b"\xd2\x84\x43" + _SIGN_PROTECTED + b"\xa0"
_MAC_TAIL = b"\x58\x20"  # byte string of 32
_SIGN_TAIL = b"\x58\x40"  # byte string of 64


def hmac_sha256(key, data):
    """HMAC-SHA-256 (RFC 2104) of `data` under `key`, 32 bytes."""
    return digest(key, data, "sha256") if digest else _hmac_sha256(key, data)


def _hmac_sha256(key, data):
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    # As one large number: a loop over 64 bytes, twice, is a tenth of the bytecode of a spend.
    number = int.from_bytes(key + bytes(_BLOCK_BYTES - len(key)), "big")
    inner_pad = int.from_bytes(b"\x36" * _BLOCK_BYTES, "big")
    outer_pad = int.from_bytes(b"\x5c" * _BLOCK_BYTES, "big")
    inner = hashlib.sha256((number ^ inner_pad).to_bytes(_BLOCK_BYTES, "big"))
    inner.update(data)
    outer = hashlib.sha256((number ^ outer_pad).to_bytes(_BLOCK_BYTES, "big"))
    outer.update(inner.digest())
    return outer.digest()


def derive(key, label):
    """A 32-byte key for one purpose (`label`, bytes) from a device's key."""
    return hmac_sha256(key, b"onecard/v1/" + label)


def seal(key, payload, aad):
    """`payload` as COSE_Mac0 bytes under `key`, bound to `aad` (the previous record's tag)."""
    return (
        _MAC_HEAD
        + cbor.head(2, len(payload))
        + payload
        + _MAC_TAIL
        + hmac_sha256(key, _mac_structure(payload, aad))
    )


def unseal(key, sealed, aad):
    """The payload of `sealed`; WireError BAD_SEAL unless key, aad and content all match."""
    payload, tag = _split(sealed, _MAC_HEAD, _MAC_TAIL, TAG_BYTES)
    if not is_same(tag, hmac_sha256(key, _mac_structure(payload, aad))):
        raise WireError(BAD_SEAL)
    return payload


def payload_of(sealed):
    """The payload of a sealed record, unverified: for routing, never for a decision."""
    return _split(sealed, _MAC_HEAD, _MAC_TAIL, TAG_BYTES)[0]


def tag_of(sealed):
    """The 32-byte tag of a sealed record, unverified: the next record's external AAD."""
    return _split(sealed, _MAC_HEAD, _MAC_TAIL, TAG_BYTES)[1]


def sign1_tbs(payload, aad):
    """The bytes an Ed25519 key signs for a COSE_Sign1 of `payload` bound to `aad`."""
    return cbor.encode(["Signature1", _SIGN_PROTECTED, aad, payload])


def sign1_pack(payload, signature):
    """COSE_Sign1 bytes of `payload` with its 64-byte Ed25519 `signature`."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError("an Ed25519 signature has 64 bytes")
    return _SIGN_HEAD + cbor.head(2, len(payload)) + payload + _SIGN_TAIL + signature


def sign1_split(data):
    """(payload, signature) of COSE_Sign1 bytes, unverified; WireError MALFORMED_SEAL."""
    return _split(data, _SIGN_HEAD, _SIGN_TAIL, SIGNATURE_BYTES)


def _mac_structure(payload, aad):
    # cbor.encode(["MAC0", _MAC_PROTECTED, aad, payload]), which takes twice as long to say.
    return _MAC_STRUCTURE + cbor.head(2, len(aad)) + aad + cbor.head(2, len(payload)) + payload


def _split(data, head, tail, tag_bytes):
    start = len(head)
    end = len(data) - tag_bytes - len(tail)
    if end <= start or data[:start] != head or data[end : end + len(tail)] != tail:
        raise WireError(MALFORMED_SEAL)
    # One byte string of that many bytes in all: the shortest head leaves one length only.
    size = end - start
    at = start + (1 if size < 25 else 2 if size < 258 else 3 if size < 65539 else 5)
    payload = bytes(data[at:end])
    if data[start:at] != cbor.head(2, len(payload)):
        raise WireError(MALFORMED_SEAL)
    return payload, bytes(data[end + len(tail) :])


def is_same(a, b):
    """Equality that takes the same time wherever the first difference is."""
    if compare_digest:
        return compare_digest(a, b)
    if len(a) != len(b):
        return False
    difference = 0
    for i in range(len(a)):
        difference |= a[i] ^ b[i]
    return difference == 0
