"""Files that are there whole or not at all, and that nobody else may read if they are secret."""

import os
from pathlib import Path

SECRET, PUBLIC = 0o600, 0o644


def place(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to a new file `path`; FileExistsError rather than over one that is there."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def replace(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to `path`: after a power cut it is the file of before, or this one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    place(fresh, data, mode)
    os.replace(fresh, path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
