"""A release of firmware as a file: an image, what it is, and who has signed that.

CBOR: [manifest, image, [[public key, signature]...]]; the manifest is CBOR again: [name of the
main program, version, after, bytes of the image, its SHA-256]. A signature is Ed25519 over the
Sig_structure of a COSE_Sign1 of the manifest, bound to LABEL: made offline, by whoever holds the
key. The image is what the manifest says, or the file is none.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from protocols.wire import cbor
from protocols.wire.errors import WireError
from protocols.wire.firmware_news import IMAGE_BYTES_MAX
from protocols.wire.seal import sign1_tbs

LABEL = b"firmware-release"
NAME_CHARS_MAX = 32
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_U32 = 0xFFFFFFFF


class BadRelease(Exception):
    """The file is no release, or not signed as it has to be; the text says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """`name` is the main program that it is for, `after` the lowest version that may take it."""

    name: str
    version: int
    after: int
    image: bytes
    signatures: tuple[tuple[bytes, bytes], ...] = ()  # public key, signature

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the image."""
        return sha256(self.image).digest()

    def encoded(self) -> bytes:
        """The file."""
        return cbor.encode([self._manifest(), self.image, [list(one) for one in self.signatures]])

    def signed(self, key: Ed25519PrivateKey) -> "Release":
        """The same with one more signature; by the same key again: with a new one."""
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        others = [one for one in self.signatures if one[0] != public]
        signature = key.sign(sign1_tbs(self._manifest(), LABEL))
        return replace(self, signatures=(*others, (public, signature)))

    def signers(self, trusted: Collection[bytes]) -> int:
        """How many of the trusted public keys have signed it."""
        signed = sign1_tbs(self._manifest(), LABEL)
        return len(
            {
                key
                for key, signature in self.signatures
                if key in trusted and _is_good(key, signature, signed)
            }
        )

    def _manifest(self) -> bytes:
        return cbor.encode([self.name, self.version, self.after, len(self.image), self.digest])


def decode(data: bytes) -> Release:
    """A release from the bytes of its file, whoever has signed it; BadRelease if it is none."""
    whole: Any
    fields: Any
    try:
        whole = cbor.decode(data)
        manifest, image, signatures = whole
        fields = cbor.decode(manifest)
        name, version, after, size, digest = fields
        found = tuple((key, signature) for key, signature in signatures)
    except (WireError, TypeError, ValueError):
        raise BadRelease("this is no release of firmware") from None
    is_image = isinstance(image, bytes) and 0 < len(image) <= IMAGE_BYTES_MAX
    if not is_image or (size, digest) != (len(image), sha256(image).digest()):
        raise BadRelease("the image is not the one of the manifest")
    is_name = isinstance(name, str) and 0 < len(name) <= NAME_CHARS_MAX
    if not is_name or not _is_version(version) or not _is_version(after) or after >= version:
        raise BadRelease("name or version is none")
    for key, signature in found:
        if not _is_bytes(key, _KEY_BYTES) or not _is_bytes(signature, _SIGNATURE_BYTES):
            raise BadRelease("a signature is none")
    return Release(name, version, after, image, found)


def _is_good(key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_version(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _U32


def _is_bytes(value: object, count: int) -> bool:
    return isinstance(value, bytes) and len(value) == count
