"""Which numbers the ledger's register knows, and whose they are, for a bench that gives them out.

The register is where a number has one site and one key, whatever a station's own log says: a board
that gets a number with another key is heard by nobody, or by a ledger that takes it for a copy.
A bench has no network, so the register comes as a file: what `onecard keys register` has written,
or the ledger's own (`register_file`). It has keys: only its owner reads it, and no error repeats
one.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters import secret_files
from adapters.secret_files import SecretFileError
from tools.device.errors import DeviceError
from tools.keys.site_kit import SiteKit

_SITE = "campus"  # of a reader whose row names none, as ledger/config.py has it


class BadRegister(Exception):
    """A file that is no register; the text has its name, and no key."""


@dataclass(frozen=True)
class Registered:
    """What a register says of a number; `before`: the key before, b"" if there was none."""

    site: str
    key: bytes = field(repr=False)
    before: bytes = field(repr=False)


def read(paths: Iterable[Path]) -> dict[int, Registered]:
    """Number -> what the files say of it. BadRegister, also where two of them differ."""
    known: dict[int, Registered] = {}
    for path in paths:
        for device, row in _rows(path):
            if known.setdefault(device, row) != row:
                raise BadRegister(f"{path}: reader {device} is another one in another place")
    return known


def check(known: Mapping[int, Registered], kit: SiteKit, device: int) -> bool:
    """Whether the register has this number; DeviceError where it has it as another reader's."""
    row = known.get(device)
    if row is None:
        return False
    if row.site != kit.site:
        raise DeviceError(18, f"{kit.site}/{device} is {row.site}/{device} in the register")
    keys = kit.device_keys(device)
    if keys["device_key"] == row.key:
        return True
    which = "another key"
    if keys["device_key"] == row.before:
        which = "a newer key than this kit"
    if keys.get("previous_device_key") == row.key:
        which = "only the key before this kit's"
    raise DeviceError(18, f"{kit.site}/{device} has {which} in the register")


def _rows(path: Path) -> list[tuple[int, Registered]]:
    try:
        table = tomllib.loads(secret_files.read(path).decode())
        return [
            (
                int(row["device"]),
                Registered(
                    str(row.get("site", _SITE)),
                    bytes.fromhex(row["key"]),
                    bytes.fromhex(row.get("previous_key", "")),
                ),
            )
            for row in table["device"]
        ]
    except SecretFileError as error:
        raise BadRegister(str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        # No message repeats the line: it may hold a key.
        raise BadRegister(f"{path}: no register of readers: [[device]] with device, key") from None
