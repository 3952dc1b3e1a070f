"""What two persons open together: a secret sealed so that any two of 2 to 5 can, and none alone.

Each person has a random key of 32 bytes, sealed (AES-256-GCM) under argon2id of that person's
passphrase. The secret is sealed once for each pair, under a key made (HKDF) of both persons' keys.
So one passphrase, however weak, opens nothing but its own person's half.
"""

import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PERSONS_MIN, PERSONS_MAX = 2, 5
KEY_BYTES = 32
_NONCE_BYTES, _SALT_BYTES = 12, 16


class RootError(Exception):
    """It does not open; the text says why, and repeats no passphrase."""


@dataclass(frozen=True)
class Cost:
    """What one guess costs (argon2id): passes, memory, lanes."""

    passes: int = 3
    memory_kib: int = 65536
    lanes: int = 4


# RFC 9106, section 4: the second recommended choice.
COST = Cost()
# Whoever can write the file must not be able to make opening it take the machine.
_COST_MAX = Cost(16, 1 << 20, 16)


def seal(
    secret: bytes, passphrases: Mapping[str, str], bound: bytes, cost: Cost = COST
) -> dict[str, Any]:
    """`secret` for the persons of `passphrases` (name -> passphrase), as a value for JSON.

    `bound` is whatever has to be the same when it is opened. RootError for a wrong number of
    persons, or two who said the same.
    """
    if not PERSONS_MIN <= len(passphrases) <= PERSONS_MAX:
        raise RootError(f"{PERSONS_MIN} to {PERSONS_MAX} persons, not {len(passphrases)}")
    if len(set(passphrases.values())) != len(passphrases):
        raise RootError("two persons have the same passphrase: then one of them is enough")
    own = {name: secrets.token_bytes(KEY_BYTES) for name in passphrases}
    persons = {}
    for name, passphrase in passphrases.items():
        salt = secrets.token_bytes(_SALT_BYTES)
        sealed = _seal(_stretched(passphrase, salt, cost), own[name], _of(name))
        persons[name] = {"salt": _text(salt), "sealed": _text(sealed)}
    pairs = [
        {"persons": list(pair), "sealed": _text(_seal(_joint(own, pair), secret, bound))}
        for pair in combinations(sorted(own), 2)
    ]
    spent = {"passes": cost.passes, "memory_kib": cost.memory_kib, "lanes": cost.lanes}
    return {"argon2id": spent, "persons": persons, "pairs": pairs}


def unseal(sealed: Mapping[str, Any], passphrases: Mapping[str, str], bound: bytes) -> bytes:
    """The secret, opened by two persons. RootError: who is unknown, whose passphrase is wrong."""
    if len(passphrases) != 2:
        raise RootError("two persons open it, and they are not the same one twice")
    try:
        cost = Cost(**sealed["argon2id"])
        own = {}
        for name, passphrase in passphrases.items():
            own[name] = _own_key(sealed["persons"], name, passphrase, cost)
        pair = tuple(sorted(own))
        row = next(row for row in sealed["pairs"] if tuple(row["persons"]) == pair)
        return _unseal(_joint(own, pair), b64decode(row["sealed"]), bound)
    except (KeyError, TypeError, ValueError, StopIteration):
        raise RootError("what seals the root is damaged") from None
    except InvalidTag:
        raise RootError("the folder was changed by somebody, or is damaged") from None


def _own_key(persons: Mapping[str, Any], name: str, passphrase: str, cost: Cost) -> bytes:
    if name not in persons:
        raise RootError(f"{name}: not one of {', '.join(sorted(persons))}")
    row = persons[name]
    try:
        key = _stretched(passphrase, b64decode(row["salt"]), cost)
        return _unseal(key, b64decode(row["sealed"]), _of(name))
    except InvalidTag:
        raise RootError(f"{name}: wrong passphrase") from None


def _stretched(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    bounds = (
        (cost.passes, _COST_MAX.passes),
        (cost.memory_kib, _COST_MAX.memory_kib),
        (cost.lanes, _COST_MAX.lanes),
    )
    if not all(type(value) is int and 0 < value <= most for value, most in bounds):
        raise ValueError("cost")
    return hash_secret_raw(
        passphrase.encode(),
        salt,
        cost.passes,
        cost.memory_kib,
        cost.lanes,
        KEY_BYTES,
        Type.ID,
    )


def _joint(own: Mapping[str, bytes], pair: tuple[str, ...]) -> bytes:
    info = b"onecard root pair\x00" + "\x00".join(pair).encode()
    return HKDF(SHA256(), KEY_BYTES, None, info).derive(b"".join(own[name] for name in pair))


def _of(name: str) -> bytes:
    return b"onecard root person\x00" + name.encode()


def _seal(key: bytes, data: bytes, bound: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, bound)


def _unseal(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
