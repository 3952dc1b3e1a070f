"""A PIN, typed at the desk or piped in: never an argument, which every process could read.

At a terminal the holder types it twice, unseen, and the clerk what must not be it. From a pipe the
first line is the PIN, and the second, if there is one, what must not be it: a birthday (YYYYMMDD),
the number of an ID, separated by blanks. Nothing of it is printed, kept, or part of an error.
"""

import sys
from getpass import getpass

from protocols.rules.pin import fault_of
from tools.card.errors import BadInput

_LINE_CHARS_MAX = 200


def read_pin() -> bytes:
    """The PIN as ASCII digits. BadInput when it is too weak, or not the same twice."""
    if sys.stdin.isatty():
        first = getpass("PIN of six digits: ")
        if getpass("once more: ") != first:
            raise BadInput("not the same PIN twice")
        known = getpass("birthday (YYYYMMDD) and number of the ID, which it must not be: ")
    else:
        first = _line()
        known = _line()
    digits = _digits(first)
    fault = fault_of(digits, [_digits(word) for word in known.split()])
    if fault is not None:
        raise BadInput(f"this PIN cannot be set: {fault}")
    return digits


def _line() -> str:
    return sys.stdin.readline(_LINE_CHARS_MAX).rstrip("\r\n")


def _digits(text: str) -> bytes:
    """What is no ASCII is no digit either; the letter at the end of an ID may be one."""
    return text.encode("ascii", "replace")
