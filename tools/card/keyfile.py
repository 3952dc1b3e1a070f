"""The card centre's master keys, from a file that nobody else can read.

    purse_key = "00112233..."            32 hexadecimal digits, or
    credit_key = { env = "CREDIT_KEY" }  the name of an environment variable that holds them
    mac_key = "..."
    key_version = 1                      stands on the card, so that a later one can be told
    master_key, read_key, transaction_key   as above, for DESFire cards only

Keys never stand on a command line, where every process of the machine reads them, and no message
here repeats what it complains about.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.card.errors import BadInput

KEY_BYTES = 16
KEY_VERSION_MAX = 0xFF
KEY_NAMES = ("purse_key", "credit_key", "mac_key")
DESFIRE_NAMES = ("master_key", "read_key", "transaction_key")


@dataclass(frozen=True)
class CardKeys:
    """Master keys of 16 bytes, which no `repr` shows, and their generation.

    The last three are empty where no DESFire card is made.
    """

    purse_key: bytes = field(repr=False)
    credit_key: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
    key_version: int
    master_key: bytes = field(default=b"", repr=False)
    read_key: bytes = field(default=b"", repr=False)
    transaction_key: bytes = field(default=b"", repr=False)

    def desfire_masters(self) -> dict[str, bytes] | None:
        """Masters by the names of protocols.card.personalise_desfire; None when one is missing."""
        masters = {
            "master": self.master_key,
            "read": self.read_key,
            "purse": self.purse_key,
            "credit": self.credit_key,
            "transaction": self.transaction_key,
        }
        return masters if all(masters.values()) else None


def load_keys(path: Path, environment: Mapping[str, str] | None = None) -> CardKeys:
    """The keys in `path`; BadInput when others may read it or something in it is wrong."""
    environment = os.environ if environment is None else environment
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadInput(f"{path}: others may read it (mode {mode:04o}): chmod 600 {path}")
            table = tomllib.load(file)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        # The parser's own message may quote the line, and the line may hold a key.
        raise BadInput(f"{path}: not TOML") from None
    unknown = sorted(set(table) - {*KEY_NAMES, *DESFIRE_NAMES, "key_version"})
    if unknown:
        raise BadInput(f"{path}: unknown entry {', '.join(unknown)}")
    names = (*KEY_NAMES, *(name for name in DESFIRE_NAMES if name in table))
    keys = {name: _key(path, name, table.get(name), environment) for name in names}
    if len(set(keys.values())) != len(keys):
        # Readers hold the purse key: were it the credit key as well, they could make money.
        raise BadInput(f"{path}: {', '.join(names)} must be different keys")
    version = table.get("key_version")
    if type(version) is not int or not 0 <= version <= KEY_VERSION_MAX:
        raise BadInput(f"{path}: key_version must be an integer in 0..{KEY_VERSION_MAX}")
    return CardKeys(key_version=version, **keys)


def _key(path: Path, name: str, entry: object, environment: Mapping[str, str]) -> bytes:
    where = name
    if isinstance(entry, dict) and isinstance(entry.get("env"), str) and len(entry) == 1:
        where = f"{name}, variable {entry['env']}"
        entry = environment.get(entry["env"])
    try:
        key = bytes.fromhex(entry.strip()) if isinstance(entry, str) else b""
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadInput(f"{path}: {where}: a key is {2 * KEY_BYTES} hexadecimal digits")
    return key
