"""The keys of a reader, the oldest first: from files of one each, or from the kit of its site."""

from collections.abc import Sequence
from pathlib import Path

from tools.keys import site_kit

KEY_BYTES = 32


class BadKey(Exception):
    """The file does not hold a device's key; the text has nothing of it."""


def keys_of(files: Sequence[Path], kit: Path | None, device: int | None) -> list[bytes]:
    """Those of the files in their order, then of the kit. BadKey, KeysError, OSError."""
    found = [read(path) for path in files]
    if kit is not None:
        if device is None:
            raise BadKey(f"{kit}: whose key? nothing says which reader this is: --device")
        own = site_kit.read(kit).device_keys(device)
        found += [own[name] for name in ("previous_device_key", "device_key") if name in own]
    return found


def read(path: Path) -> bytes:
    """A device's key: 64 hexadecimal digits, as in the ledger's register. BadKey, OSError."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"{path}: a key is {2 * KEY_BYTES} hexadecimal digits")
    return key
