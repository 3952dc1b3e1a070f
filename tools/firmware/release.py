"""Releases as files: `onecard firmware VERB ...`. A key is a PEM file, a public key another.

Signing needs the file of a release and a key and nothing else: it is done where no network is.
"""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from adapters import secret_files
from adapters.secret_files import SecretFileError
from ledger.release_file import BadRelease, Release, decode
from tools.identity import files

FILE_BYTES_MAX = 1 << 23


def read(path: Path) -> Release:
    """The release in a file. BadRelease, OSError."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise BadRelease(f"{path} is too long for a release")
    return decode(path.read_bytes())


def make_key(path: Path) -> Path:
    """A new key in `path`, which nobody else may read, and its public one beside it; that one.

    OSError where either is there already.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = path.with_suffix(".pub")
    for each in (path, public):
        if os.path.lexists(each) or path == public:
            raise FileExistsError(errno.EEXIST, "is there already", str(each))
    # The public one last: where it stands, whoever trusts it finds the key that belongs to it.
    files.deliver(path, pem, files.SECRET)
    told = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files.deliver(public, told, files.PUBLIC)
    return public


def sign(path: Path, key_path: Path) -> Release:
    """The release in a file with one more signature, in that file. BadRelease, OSError.

    A key that others can read is not signed with: they could sign for whoever holds it.
    """
    try:
        key = load_pem_private_key(key_path.read_bytes(), None)
    except (TypeError, ValueError):
        raise BadRelease(f"{key_path} is no key of a release") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadRelease(f"{key_path} is no key of a release")
    try:
        secret_files.read(key_path)
    except SecretFileError as error:
        raise BadRelease(str(error)) from None
    release = read(path).signed(key)
    write(path, release)
    return release


def public_keys(paths: Iterable[Path]) -> list[bytes]:
    """The public keys in PEM files. BadRelease, OSError."""
    found = []
    for path in paths:
        try:
            key = load_pem_public_key(path.read_bytes())
        except ValueError:
            raise BadRelease(f"{path} is no public key of a release") from None
        if not isinstance(key, Ed25519PublicKey):
            raise BadRelease(f"{path} is no public key of a release")
        found.append(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return found


def told(release: Release) -> str:
    """What it is, in a line; the SHA-256 is of all that is signed."""
    size = sum(map(len, release.contents.values()))
    whom = f"{'/'.join(release.roles)} on {'/'.join(release.hardware)}"
    since = ".".join(map(str, release.micropython))
    return (
        f"{release.name} {release.version}, for {release.after} and later: {whom},"
        f" MicroPython {since} or later; {len(release.contents)} files, {size} bytes,"
        f" SHA-256 {release.fingerprint.hex()}, {len(release.signatures)} signatures"
    )


def write(path: Path, release: Release) -> None:
    """The file of a release; after a cut it is the old one or the new one."""
    files.replace(path, release.encoded(), files.PUBLIC)
