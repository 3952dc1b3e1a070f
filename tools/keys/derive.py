"""Every key follows from a root key by what it is for: HKDF-SHA-256 (RFC 5869) over a path.

The path is deterministic CBOR, so no two paths are the same bytes. Whoever has a key learns
neither the root nor any key beside it: a site's key makes the keys of that site's readers, and a
reader's key makes none.
"""

from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from protocols.wire import cbor

ROOT_BYTES = SITE_BYTES = DEVICE_BYTES = SEED_BYTES = 32
CARD_BYTES = 16
# What a card's master keys are for: the names of tools/card/keyfile.py without "_key".
CARD_PURPOSES = ("purse", "credit", "mac", "master", "read", "transaction")
_CHECK_BYTES = 4


def site_key(root: bytes, site: str, generation: int) -> bytes:
    """The key (32 bytes) from which the keys of a site's readers follow."""
    return _derive(root, SITE_BYTES, ["site", site, generation])


def device_key(of_site: bytes, device: int, generation: int) -> bytes:
    """A reader's key (32 bytes), of the settings and of the ledger's register."""
    return _derive(of_site, DEVICE_BYTES, ["device", device, generation])


def card_keys(root: bytes, version: int) -> dict[str, bytes]:
    """The masters (16 bytes each) of the keys of all cards of one version, by purpose."""
    return {
        purpose: _derive(root, CARD_BYTES, ["card", purpose, version]) for purpose in CARD_PURPOSES
    }


def seed(root: bytes, kind: str, name: str, generation: int) -> bytes:
    """The seed (32 bytes) of an Ed25519 key: of releases (`update`), of receipts (`ledger`)."""
    return _derive(root, SEED_BYTES, [kind, name, generation])


def check_value(key: bytes) -> str:
    """Eight hexadecimal digits by which people tell that two keys are the same one.

    It is a hash of a key of at least 128 random bits: nobody can go back from it.
    """
    digest = Hash(SHA256())
    digest.update(b"onecard check value\x00" + key)
    return digest.finalize()[:_CHECK_BYTES].hex()


def _derive(key: bytes, size: int, path: list[str | int]) -> bytes:
    return HKDF(SHA256(), size, None, cbor.encode(["onecard", *path])).derive(key)
