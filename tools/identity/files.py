"""Files that are there whole or not at all, and that nobody else may read if they are secret."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SECRET, PUBLIC = 0o600, 0o644


# What says that a file system, or a kernel, has no files without a name.
_NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT)


class Busy(Exception):
    """Somebody else holds the folder."""


def place(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to a new file `path`; FileExistsError rather than over one that is there.

    Where it fails, on a full disk say, nothing of `data` stays behind.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        _fill(handle, data, mode)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def deliver(path: Path, data: bytes, mode: int) -> None:
    """As place(), and a process that is killed leaves nothing either, under no name.

    The file has no name before it is whole (O_TMPFILE); where that is not to be had, as place().
    """
    unnamed = getattr(os, "O_TMPFILE", 0)
    try:
        if not unnamed:
            raise OSError(errno.EOPNOTSUPP, "no O_TMPFILE")
        handle = os.open(path.parent, unnamed | os.O_WRONLY, mode)
    except OSError as error:
        if error.errno not in _NO_TMPFILE:
            raise
        place(path, data, mode)
        return
    held_open = os.dup(handle)
    try:
        _fill(handle, data, mode)
        # The folder's descriptor is not looked at, but makes it linkat(), which follows the link.
        os.link(f"/proc/self/fd/{held_open}", path, src_dir_fd=held_open, follow_symlinks=True)
    finally:
        os.close(held_open)
    _sync_folder(path.parent)


def replace(path: Path, data: bytes, mode: int) -> None:
    """Write `data` to `path`: after a power cut it is the file of before, or this one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    place(fresh, data, mode)
    os.replace(fresh, path)
    _sync_folder(path.parent)


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """A handle of the folder, while nobody else holds it. Busy, OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(str(folder)) from None
        yield handle
    finally:
        os.close(handle)


def _fill(handle: int, data: bytes, mode: int) -> None:
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
