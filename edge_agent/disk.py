"""What a disk may do to the agent's files, in our words, and what becomes of a damaged one.

A damaged file is put aside whole and a new one begun: what the ledger has not booked the readers
still have, and they send it when the new file does not know of it. Nothing is repaired by guess.
"""

import os
import sqlite3
from pathlib import Path

_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BESIDE = ("-wal", "-shm")
KEPT_MAX = 3  # damaged files that are kept for whoever wants to look


class StoreUnavailable(Exception):
    """The disk did not take or give the data (full, I/O error, locked). Nothing was changed."""


class StoreFull(StoreUnavailable):
    """The records would not fit into what the agent may use. Nothing was kept."""


class StoreDamaged(Exception):
    """What stands in the file `path` is not what was written there.

    No kind of StoreUnavailable: to try again is no use, the process begins anew (`put_aside`).
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


def unavailable(error: sqlite3.Error, path: str) -> StoreUnavailable | StoreDamaged:
    """What SQLite says about the file `path`, as one of ours."""
    # Extended codes have the code that they refine in their low byte.
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
        return StoreDamaged(path, str(error))
    return StoreUnavailable(f"{path}: {type(error).__name__}: {error}")


def put_aside(path: str, utc_s: int) -> str:
    """Rename a damaged file and what belongs to it; its new name. The oldest such ones go.

    Nobody may have it open. Raises OSError.
    """
    file = Path(path)
    damaged = sorted(file.parent.glob(f"{file.name}.damaged-*"))
    for first in [old for old in damaged if not old.name.endswith(_BESIDE)][: 1 - KEPT_MAX]:
        for old in damaged:
            if old.name.startswith(first.name):
                old.unlink(missing_ok=True)
    kept = f"{path}.damaged-{utc_s}"
    for suffix in _BESIDE:
        if os.path.exists(path + suffix):
            os.replace(path + suffix, kept + suffix)
    os.replace(path, kept)
    return kept


def make_folder(folder: Path) -> None:
    """Make `folder`, for us alone, if it is not there. A power cut does not take it again."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in missing:
        flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk: a file that was flushed may still be nowhere."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
