"""A reader's settings from a file that people write: what is wrong with it, where, and why.

    device = 1001
    site = "canteen-1"
    merchant_no = 71
    device_key = { env = "KEY_1001" }     # or hexadecimal digits: 64, of the others 32
    purse_key = "00112233445566778899aabbccddeeff"
    mac_key = { env = "MAC_KEY" }
    broker_host = "10.0.0.5"
    broker_port = 1883
    language = "zh"                       # and what else protocols/rules/settings.py has

    [policy]                              # fields of protocols/rules/spending.py
    epoch = 1
    no_pin_max_fen = 5000

Nothing that is unknown is taken, and there is no field that switches off journal or seal. Nobody
else may read the file, for it holds keys; no message repeats what it complains about.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from protocols.rules import settings
from protocols.rules.spending import POLICY_DEFAULTS, POLICY_FIELDS
from protocols.wire.errors import WireError

_NAMES = tuple(field[1] for field in settings.FIELDS)
_KEYS = tuple(field[1] for field in settings.FIELDS if field[2] == "bytes")
_NEEDED = tuple(name for name in _NAMES if name not in settings.OPTIONAL)
# What each check of settings.py asks for, for people.
_WANTED = {
    "number": "a whole number from 1 to {}",
    "bytes": "a key of {} bytes in hexadecimal digits",
    "text": "a text of 1 to {} characters",
    "site": "a-z, 0-9 and '-', 1 to {} characters, not 'ledger'",
    "step": "a whole number from 0 to {}",
    "rate": "106 or {}",
    "word": "one of {}",
}


class BadSettings(Exception):
    """The file cannot be used; the text has file, line and reason."""

    def __init__(self, path: Path, line: int, text: str) -> None:
        super().__init__(f"{path}:{line}: {text}")


def read(
    path: Path,
    environment: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> bytes:
    """The settings in `path` as a reader takes them (NVS "settings"). BadSettings.

    `given`: settings that are not of the file and must not stand in it: a reader's number, its
    site, its keys as bytes. Such a file has no keys, so others may read it.
    """
    environment = os.environ if environment is None else environment
    text = _text(path, has_keys=given is None)
    table = _table(path, text)
    lines = text.splitlines()
    for name in table:
        if name not in _NAMES:
            raise BadSettings(path, _line(lines, name), _unknown("setting", name, _NAMES))
        if given is not None and (name in given or name in _KEYS):
            raise BadSettings(path, _line(lines, name), f"{name}: comes from the site's kit")
    table.update(given or {})
    for name in _NEEDED:
        if name not in table:
            raise BadSettings(path, len(lines) + 1, f"{name} is missing")
    _check_policy(path, lines, table["policy"])
    for name in _KEYS if given is None else ():
        if name in table:
            table[name] = _key(path, _line(lines, name), name, table[name], environment)
    try:
        return settings.encode(table)
    except WireError as error:
        name = error.detail
        raise BadSettings(path, _line(lines, name), f"{name}: {_wanted(name)}") from None


def read_policy(path: Path) -> dict[str, int]:
    """The policy in `path`, which has [policy] and nothing else, without epoch. BadSettings.

    All fields but that; those that may be left out with their default.
    """
    text = _text(path, has_keys=False)
    table, lines = _table(path, text), text.splitlines()
    for name in table:
        if name != "policy":
            said = "a policy is [policy] alone: no keys, no addresses, nothing else"
            raise BadSettings(path, _line(lines, name), f"{name}: {said}")
    policy = table.get("policy")
    if isinstance(policy, dict) and "epoch" in policy:
        raise BadSettings(path, _line(lines, "epoch"), "epoch: the ledger counts it")
    _check_policy(path, lines, {"epoch": 0, **policy} if isinstance(policy, dict) else policy)
    found: dict[str, int] = {**POLICY_DEFAULTS, **table["policy"]}
    return found


def _table(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The parser's own words may quote a key; where it stopped says enough.
        found = re.search(r"at line (\d+)", str(error))
        raise BadSettings(path, int(found[1]) if found else 1, "not TOML") from None


def _text(path: Path, *, has_keys: bool = True) -> str:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if has_keys and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadSettings(path, 0, f"others may read it (mode {mode:04o}): chmod 600")
            return file.read().decode()
    except OSError as error:
        raise BadSettings(path, 0, str(error.strerror)) from None
    except UnicodeDecodeError:
        raise BadSettings(path, 0, "not UTF-8") from None


def _check_policy(path: Path, lines: list[str], policy: object) -> None:
    if not isinstance(policy, dict):
        raise BadSettings(path, _line(lines, "policy"), "policy: a table, [policy]")
    for name in policy:
        if name not in POLICY_FIELDS:
            known = _unknown("policy field", name, POLICY_FIELDS)
            raise BadSettings(path, _line(lines, name), known)
    for name in POLICY_FIELDS:
        if name not in policy and name not in POLICY_DEFAULTS:
            raise BadSettings(path, _line(lines, "policy"), f"policy: {name} is missing")
    numbers = dict.fromkeys(POLICY_FIELDS, 0)
    for name, value in policy.items():
        given = list({**numbers, name: value}.values())
        if not settings.is_policy(given, len(POLICY_FIELDS)):
            raise BadSettings(path, _line(lines, name), f"{name}: not in its range")


def _key(path: Path, line: int, name: str, entry: object, environment: Mapping[str, str]) -> bytes:
    where = name
    if isinstance(entry, dict) and isinstance(entry.get("env"), str) and len(entry) == 1:
        where = f"{name}, variable {entry['env']}"
        entry = environment.get(entry["env"])
    try:
        key = bytes.fromhex(entry.strip()) if isinstance(entry, str) else b""
    except ValueError:
        key = b""
    size = next(bound for _, known, _, bound in settings.FIELDS if known == name)
    if len(key) != size:
        raise BadSettings(path, line, f"{where}: a key is {2 * size} hexadecimal digits")
    return key


def _wanted(name: str) -> str:
    check, bound = next(
        (check, bound) for _, known, check, bound in settings.FIELDS if known == name
    )
    shown: Any = ", ".join(bound) if isinstance(bound, tuple) else bound
    return _WANTED[check].format(shown)


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"unknown {what} '{name}'" + (f"; did you mean '{close[0]}'?" if close else "")


def _line(lines: list[str], name: str) -> int:
    """The line on which `name` is set, or its table begins."""
    pattern = re.compile(rf"^\s*(\"?{re.escape(name)}\"?\s*=|\[{re.escape(name)}\])")
    return next((number for number, text in enumerate(lines, 1) if pattern.match(text)), 1)
