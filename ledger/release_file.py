"""A release of firmware as a file: what a board gets, what that is, and who has signed it.

CBOR: [manifest, [contents of each file...], [[public key, signature]...]]; the manifest is CBOR
again: [name of the main program, version, after, roles, hardware, oldest MicroPython, files]. A
file is [name, bytes, SHA-256]; that called SLOT is the image which goes over the air too, the
others are put by cable. A signature is Ed25519 over the Sig_structure of a COSE_Sign1 of the
manifest, bound to LABEL: made offline, by whoever holds the key. The contents are what the
manifest says, or the file is none.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
SLOT = "slot.rom"
NAME_CHARS_MAX, FILES_MAX, WORDS_MAX = 32, 16, 8
# It is written to a folder under its name: nothing that leads out of one.
_FILE_NAME = re.compile(r"[a-z0-9_]{1,24}\.(py|mpy|rom)")
_WORD = re.compile(rf"[A-Za-z0-9_.-]{{1,{NAME_CHARS_MAX}}}")
_KEY_BYTES, _SIGNATURE_BYTES = 32, 64
_U32 = 0xFFFFFFFF


class BadRelease(Exception):
    """The file is no release, or not signed as it has to be; the text says why."""


@dataclass(frozen=True, slots=True)
class Release:
    """`name` is the main program that it is for, `after` the lowest version that may take it.

    `image` goes over the air; a program that is put by cable only has none (b""). `files` (name ->
    contents) are put by cable. `roles` of readers and `hardware` (chips, as esptool calls them)
    that it is for, and the oldest `micropython` it runs on.
    """

    name: str
    version: int
    after: int
    image: bytes
    signatures: tuple[tuple[bytes, bytes], ...] = ()  # public key, signature
    files: Mapping[str, bytes] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    micropython: tuple[int, ...] = ()

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the image."""
        return sha256(self.image).digest()

    @property
    def fingerprint(self) -> bytes:
        """The SHA-256 of all that is signed: the same wherever the same source was built."""
        return sha256(self._manifest()).digest()

    @property
    def contents(self) -> dict[str, bytes]:
        """Every file by its name, the image too, in the manifest's order."""
        found = {**self.files, SLOT: self.image} if self.image else dict(self.files)
        return dict(sorted(found.items()))

    def encoded(self) -> bytes:
        """The file."""
        signatures = [list(one) for one in self.signatures]
        return cbor.encode([self._manifest(), list(self.contents.values()), signatures])

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
        files = [[name, len(data), sha256(data).digest()] for name, data in self.contents.items()]
        own = [self.name, self.version, self.after]
        lists = [list(self.roles), list(self.hardware), list(self.micropython)]
        return cbor.encode([*own, *lists, files])


def decode(data: bytes) -> Release:
    """A release from the bytes of its file, whoever has signed it; BadRelease if it is none."""
    whole: Any
    fields: Any
    try:
        whole = cbor.decode(data)
        manifest, bodies, signatures = whole
        fields = cbor.decode(manifest)
        name, version, after, roles, hardware, micropython, files = fields
        listed = [(file, size, digest) for file, size, digest in files]
        found = tuple((key, signature) for key, signature in signatures)
    except (WireError, TypeError, ValueError):
        raise BadRelease("this is no release of firmware, or not all of one") from None
    contents = _checked(listed, bodies)
    if (
        not _is_word(name)
        or not _is_version(version)
        or not _is_version(after)
        or after >= version
    ):
        raise BadRelease("name or version is none")
    if not _are_words(roles) or not _are_words(hardware) or not _is_dotted(micropython):
        raise BadRelease("what it is for is not said")
    for key, signature in found:
        if not _is_bytes(key, _KEY_BYTES) or not _is_bytes(signature, _SIGNATURE_BYTES):
            raise BadRelease("a signature is none")
    image = contents.pop(SLOT, b"")
    lists = tuple(roles), tuple(hardware), tuple(micropython)
    return Release(name, version, after, image, found, contents, *lists)


def _checked(listed: list[tuple[Any, Any, Any]], bodies: Any) -> dict[str, bytes]:
    """The files by name, each of them what the manifest says. BadRelease."""
    names = [name for name, _, _ in listed]
    if not all(isinstance(name, str) and _FILE_NAME.fullmatch(name) for name in names):
        raise BadRelease("a file has no name that a board takes")
    if not 0 < len(names) <= FILES_MAX or names != sorted(set(names)):
        raise BadRelease("its files are not in order")
    if not isinstance(bodies, list) or len(bodies) != len(listed):
        raise BadRelease("it has other files than the manifest")
    for (name, size, digest), body in zip(listed, bodies, strict=True):
        is_body = isinstance(body, bytes) and 0 < len(body) <= IMAGE_BYTES_MAX
        if not is_body or (size, digest) != (len(body), sha256(body).digest()):
            raise BadRelease(f"{name} is not the one of the manifest")
    return dict(zip(names, bodies, strict=True))


def _are_words(value: object) -> bool:
    if not isinstance(value, list) or len(value) > WORDS_MAX:
        return False
    return all(map(_is_word, value))


def _is_word(value: object) -> bool:
    """Whoever is asked to sign reads it on a terminal, where it hides nothing."""
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


def _is_dotted(value: object) -> bool:
    if not isinstance(value, list) or len(value) > 3:
        return False
    return all(isinstance(one, int) and 0 <= one <= 0xFFFF for one in value)


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
