"""Passphrases, typed by each person unseen, or piped in: never an argument, which others can read.

From a pipe each line is one person's, in the order in which the persons are named.
"""

import sys
from collections.abc import Sequence
from getpass import getpass

from ledger.passwords import CHARS_MIN, is_good
from tools.keys.vault import KeysError

_LINE_CHARS_MAX = 512


def ask(persons: Sequence[str]) -> dict[str, str]:
    """Whom each passphrase is of, to open with. KeysError unless they are two persons."""
    if len(persons) != 2 or persons[0] == persons[1]:
        raise KeysError("two persons open it: --by NAME --by ANOTHER")
    return {name: _line(f"Passphrase of {name}: ") for name in persons}


def choose(persons: Sequence[str]) -> dict[str, str]:
    """New passphrases for these persons. KeysError for a weak one, or not the same one twice."""
    if len(set(persons)) != len(persons):
        raise KeysError("the same person twice")
    chosen = {}
    for name in persons:
        said = _line(f"New passphrase of {name}: ")
        if not is_good(said, name):
            raise KeysError(
                f"{name}: {CHARS_MIN} characters at least, not of a few only, without the name"
            )
        if sys.stdin.isatty() and _line("once more: ") != said:
            raise KeysError(f"{name}: not the same passphrase twice")
        chosen[name] = said
    return chosen


def _line(prompt: str) -> str:
    if sys.stdin.isatty():
        return getpass(prompt)
    return sys.stdin.readline(_LINE_CHARS_MAX).rstrip("\r\n")
