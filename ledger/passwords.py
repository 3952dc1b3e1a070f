"""Passwords of operators: argon2id (RFC 9106) by argon2-cffi, and which of them are taken.

19 MiB and two passes of one lane: the least that OWASP's password storage cheat sheet takes for
argon2id, so that four logins at a time are nothing to a small server. A password counts by its
length; there are no rules of letters and signs (NIST SP 800-63B, 5.1.1.2).
"""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

CHARS_MIN, CHARS_MAX = 12, 128
_DIFFERENT_MIN = 5  # characters: "aaaaaaaaaaaa" is long as well
_INITIAL_BYTES = 15
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# What whoever has no login is compared with, so that the answer costs a hash as well.
NOBODY = _HASHER.hash("nobody has this password")


def hashed(password: str) -> str:
    """What is kept of a password; another text each time."""
    return _HASHER.hash(password)


def fits(kept: str, password: str) -> bool:
    """Whether that is the password of which `kept` was kept."""
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def is_good(password: str, login: str) -> bool:
    """Whether it may be kept: long, not of a few characters only, and without the login."""
    is_long = CHARS_MIN <= len(password) <= CHARS_MAX and password.isprintable()
    is_varied = len(set(password.lower())) >= _DIFFERENT_MIN
    return is_long and is_varied and login.lower() not in password.lower()


def initial() -> str:
    """A first password, which nobody can guess."""
    return secrets.token_urlsafe(_INITIAL_BYTES)
