"""The keys of a reader, the oldest first: from files of one each, or from the kit of its site."""

from collections.abc import Sequence
from pathlib import Path

from adapters import secret_files
from adapters.secret_files import SecretFileError
from tools.keys import site_kit

KEY_BYTES = 32


class BadKey(Exception):
    """The file does not hold a device's key; the text has nothing of it."""


def keys_of(files: Sequence[Path], kit: Path | None, device: int | None) -> list[bytes]:
    """Those of the files in their order, then of the kit. BadKey, KeysError."""
    found = [read(path) for path in files]
    if kit is not None:
        if device is None:
            raise BadKey(f"{kit}: whose key? nothing says which reader this is: --device")
        own = site_kit.read(kit).device_keys(device)
        found += [own[name] for name in ("previous_device_key", "device_key") if name in own]
    return found


def read(path: Path) -> bytes:
    """A device's key: 64 hexadecimal digits, as in the ledger's register, for its owner alone.

    BadKey, also when it cannot be read, or others could read it too.
    """
    try:
        key = bytes.fromhex(secret_files.read(path).decode("ascii").strip())
    except SecretFileError as error:
        raise BadKey(str(error)) from None
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"{path}: a key is {2 * KEY_BYTES} hexadecimal digits")
    return key
