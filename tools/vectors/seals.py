"""seal.json: HMAC, derived keys, sealed records in a chain, and the ledger's signature."""

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.wire.errors import BAD_SEAL, MALFORMED_SEAL
from tools.vectors import Group, Notes, encode

ABOUT = "Seals (RFC 9052): COSE_Mac0 with HMAC 256/256 and COSE_Sign1 with Ed25519."
NOTES: Notes = {
    "Rfc4231": ("published, not ours", False),
    "Ordinary": ("as it is seen every day", False),
    "Boundary": ("the smallest or a large payload", False),
    "Forged": ("a seal in good form that does not belong to key, chain and payload", False),
    "Malformed": ("not the one form of a sealed record", True),
    "OtherAlgorithm": ("the header names another algorithm; ours is fixed", False),
    "OtherHeader": ("carries a header outside the seal", True),
    "Encoding": ("says the right thing, but not in the one encoding", False),
}

KEY = bytes(range(32))
CHAIN_START = bytes(32)
_MAC_HEADER, _SIGN_HEADER = bytes.fromhex("a10105"), bytes.fromhex("a10127")
_LEDGER_SEED = bytes(range(100, 132))

# RFC 4231 section 4, cases 1 to 7: key, data, HMAC-SHA-256 (case 5: its first 128 bits).
_RFC_4231 = (
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (b"\x0c" * 20, b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)


def mac(key: bytes, payload: bytes, aad: bytes) -> bytes:
    """The tag of a COSE_Mac0."""
    structure = encode(["MAC0", _MAC_HEADER, aad, payload])
    return hmac.new(key, structure, hashlib.sha256).digest()


def mac0(payload: Any, tag: bytes, header: bytes = _MAC_HEADER, other: Any = None) -> bytes:
    """COSE_Mac0 bytes out of any parts."""
    return b"\xd1" + encode([header, other or {}, payload, tag])


def sealed(payload: bytes, aad: bytes, key: bytes = KEY) -> bytes:
    """`payload` sealed, bound to `aad`."""
    return mac0(payload, mac(key, payload, aad))


_PAYLOADS = [
    encode({0: 1, 1: 1001, 2: 1, 3: 0, 4: 0xFFFFFFFF, 5: 1, 6: 12, 8: 1, 9: 10203}),
    encode({0: 5, 1: 1001, 2: 2, 3: 1788233400, 4: 1788233431, 5: 1, 6: 900, 8: 0, 9: 4180}),
    encode(
        {0: 4, 1: 1001, 2: 3, 3: 1788233402, 4: 1788233433, 5: 1, 6: 2900, 8: 0, 9: 0, 10: 213}
    ),
]
RECORD_1 = sealed(_PAYLOADS[0], CHAIN_START)
RECORD_2 = sealed(_PAYLOADS[1], RECORD_1[-32:])
_RECEIPT_KEY = hmac.new(KEY, b"onecard/v1/receipt", hashlib.sha256).digest()
_RECEIPT_BODY = encode({1: 1001, 2: 2, 3: RECORD_2[-32:-24], 4: 1788233440})
RECEIPT = sealed(_RECEIPT_BODY, b"receipt", _RECEIPT_KEY)
# A warrant: epoch, made_s, size of the map in bytes; hashes of all changes and of the map.
_WARRANT_KEY = hmac.new(KEY, b"onecard/v1/cards", hashlib.sha256).digest()
_CHANGE, _MAP = bytes.fromhex("00000501"), bytes.fromhex("0004")
_WARRANT = (
    b"".join(number.to_bytes(4, "big") for number in (1, 1788233440, len(_MAP)))
    + hashlib.sha256(bytes(16) + _CHANGE).digest()[:16]
    + hashlib.sha256(_MAP).digest()[:16]
)
WARRANT = sealed(_WARRANT, b"cards", _WARRANT_KEY)


def groups() -> list[Group]:
    """The groups of seal.json."""
    return [_hmac(), _derive(), _chain(), _sizes(), _bad_seals(), _signed()]


def _hmac() -> Group:
    group = Group("hmac", decode="hmac", source="RFC 4231 section 4")
    for number, (key, data, tag) in enumerate(_RFC_4231, 1):
        comment = f"test case {number}"
        group.valid(comment, data, bytes.fromhex(tag), "Rfc4231", key=key.hex())
    return group


def _derive() -> Group:
    group = Group("derive", decode="derive")
    group.valid("the key of receipts", b"receipt", _RECEIPT_KEY, "Ordinary", key=KEY.hex())
    empty = hmac.new(KEY, b"onecard/v1/", hashlib.sha256).digest()
    group.valid("no label", b"", empty, "Boundary", key=KEY.hex())
    return group


def _chain() -> Group:
    group = Group("chain", decode="mac0", rule="mac0")
    aad = CHAIN_START
    for seq, payload in enumerate(_PAYLOADS, 1):
        data = sealed(payload, aad)
        group.valid(f"record {seq}", payload, data, "Ordinary", key=KEY.hex(), aad=aad.hex())
        aad = data[-32:]
    given = {"key": _RECEIPT_KEY.hex(), "aad": b"receipt".hex()}
    group.valid("a receipt", _RECEIPT_BODY, RECEIPT, "Ordinary", **given)
    given = {"key": _WARRANT_KEY.hex(), "aad": b"cards".hex()}
    group.valid("a warrant: card 5 is lost", _WARRANT, WARRANT, "Ordinary", **given)
    return group


def _sizes() -> Group:
    """Payloads around the lengths at which a head of CBOR grows."""
    group = Group("sizes", decode="mac0", rule="mac0")
    for size in (0, 1, 23, 24, 55, 56, 119, 120, 255, 256):
        payload = bytes(range(size)) if size < 256 else bytes(256)
        data = sealed(payload, CHAIN_START)
        given = {"key": KEY.hex(), "aad": CHAIN_START.hex()}
        group.valid(f"a payload of {size} bytes", payload, data, "Boundary", **given)
    return group


def _bad_seals() -> Group:
    group = Group("bad-seals", decode="mac0", rule="mac0")
    good, aad = RECORD_2, RECORD_1[-32:]
    given = {"key": KEY.hex(), "aad": aad.hex()}
    for comment, other in (
        ("another key", {"key": bytes(32).hex()}),
        ("another record before it", {"aad": RECORD_2[-32:].hex()}),
        ("as the first of a chain", {"aad": CHAIN_START.hex()}),
        ("no chain at all", {"aad": ""}),
        ("half of the tag before it", {"aad": aad[:16].hex()}),
    ):
        group.invalid(comment, BAD_SEAL, good, "Forged", **{**given, **other})
    for comment, place in (
        ("payload", 12),
        ("end of the payload", -35),
        ("tag", -32),
        ("end", -1),
    ):
        changed = bytearray(good)
        changed[place] ^= 1
        group.invalid(f"a bit turned: {comment}", BAD_SEAL, bytes(changed), "Forged", **given)
    for comment, data, flag in _misshapen(_PAYLOADS[1], good[-32:], good):
        group.invalid(comment, MALFORMED_SEAL, data, flag, **given)
    return group


def _misshapen(payload: bytes, tag: bytes, good: bytes) -> Iterator[tuple[str, bytes, str]]:
    array = good[1:]
    yield "no bytes at all", b"", "Malformed"
    yield "one byte", b"\xd1", "Malformed"
    yield "without its last byte", good[:-1], "Malformed"
    yield "without its first byte: not tagged", array, "Malformed"
    yield "a byte behind it", good + b"\x00", "Encoding"
    yield "tagged as COSE_Mac", b"\xd8\x61" + array, "Malformed"
    yield "tagged as COSE_Sign1", b"\xd2" + array, "Malformed"
    yield "the payload without a seal", payload, "Malformed"
    yield "the payload is null: detached", mac0(None, tag), "Malformed"
    yield "the payload is text", mac0("a", tag), "Malformed"
    yield (
        "the payload is not in a byte string",
        b"\xd1\x84\x43" + _MAC_HEADER + b"\xa0\xa0\x58\x20" + tag,
        "Malformed",
    )
    yield "two payloads", good[:-34] + b"\x40" + good[-34:], "Malformed"
    yield "a tag of 31 bytes", mac0(payload, tag[:31]), "Malformed"
    yield "a tag of 33 bytes", mac0(payload, tag + b"\x00"), "Malformed"
    yield "a tag of 8 bytes, HMAC 256/64", mac0(payload, tag[:8], b"\xa1\x01\x04"), "Malformed"
    yield "HMAC 384/384", mac0(payload, tag, b"\xa1\x01\x06"), "OtherAlgorithm"
    yield "no algorithm", mac0(payload, tag, b"\xa0"), "Malformed"
    yield "a key id outside the seal", mac0(payload, tag, _MAC_HEADER, {4: b"11"}), "OtherHeader"
    yield "the array's length in two bytes", b"\xd1\x98\x04" + array[1:], "Encoding"
    yield "the tag number in two bytes", b"\xd8\x11" + array, "Encoding"
    long = good[:7] + b"\x59\x00" + good[8:]
    yield "the payload's length in three bytes", long, "Encoding"
    yield (
        "the payload shorter than it says",
        good[:8] + bytes((good[8] + 1,)) + good[9:],
        "Malformed",
    )


def _signed() -> Group:
    key = Ed25519PrivateKey.from_private_bytes(_LEDGER_SEED)
    public = key.public_key().public_bytes_raw()
    given = {"public_key": public.hex(), "aad": b"receipts".hex()}
    group = Group("signed", decode="sign1", rule="sign1", seed=_LEDGER_SEED.hex())
    payload = encode({0: 6, 1: 17, 2: [[1001, 2, RECEIPT]], 3: [[1002, 9, 112]]})
    signature = key.sign(encode(["Signature1", _SIGN_HEADER, b"receipts", payload]))
    good = b"\xd2" + encode([_SIGN_HEADER, {}, payload, signature])
    group.valid("a RECEIPTS", payload, good, "Ordinary", **given)
    empty = key.sign(encode(["Signature1", _SIGN_HEADER, b"receipts", b""]))
    data = b"\xd2" + encode([_SIGN_HEADER, {}, b"", empty])
    group.valid("nothing, signed", b"", data, "Boundary", **given)
    for comment, bad, flag in (
        ("no bytes at all", b"", "Malformed"),
        ("without its last byte", good[:-1], "Malformed"),
        ("a byte behind it", good + b"\x00", "Encoding"),
        ("a COSE_Mac0", RECORD_1, "Malformed"),
        ("not signed", payload, "Malformed"),
        ("not tagged", good[1:], "Malformed"),
        ("ES256 in the header", good[:5] + b"\x26" + good[6:], "OtherAlgorithm"),
        (
            "a signature of 63 bytes",
            b"\xd2" + encode([_SIGN_HEADER, {}, payload, signature[:63]]),
            "Malformed",
        ),
        (
            "the payload is null: detached",
            b"\xd2" + encode([_SIGN_HEADER, {}, None, signature]),
            "Malformed",
        ),
    ):
        group.invalid(comment, MALFORMED_SEAL, bad, flag, **given)
    return group
