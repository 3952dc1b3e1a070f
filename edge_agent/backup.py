"""A copy of an agent's box in one file, taken beside the running agent, and a box made from it.

    agent.toml, what it names (public key, certificates, keys), data/*.sqlite, data/inventory.json,
    data/enrolment.jsonl

Rules of this file. A box is whole without its data: readers send again what is not booked, so what
a backup saves is the configuration, the keys, who is admitted, and the wait for readers to fill a
new disk. An old copy loses no record either: what was booked since is said again and known. But it
admits who was denied or moved since, until that is said again. The file holds secrets and has mode
0600. Restoring never writes over anything. After a power cut a backup is there whole or
not at all, and so is a restored agent.toml, which comes last: without it there is no box.
"""

import gzip
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edge_agent import decisions
from edge_agent.config import Config
from edge_agent.disk import flush_folder, make_folder

_CONFIG = "agent.toml"
_DATABASES = ("agent.sqlite", "cards.sqlite")
_FILES = ("inventory.json", decisions.NAME)
_FILE_BYTES_MAX = 1 << 32


class BackupError(Exception):
    """It cannot be taken or restored; the text says why, and nothing was changed."""


def back_up(config_path: Path, config: Config, table: dict[str, Any], out: Path) -> list[str]:
    """Write everything of a box to `out`; the names of what is in it.

    `table`: the configuration as it stands in its file. The files it names have to lie beside it;
    what systemd hands over lies elsewhere, and is not taken. Raises BackupError and OSError.
    """
    folder = config_path.parent.resolve()
    named = {_CONFIG: config_path}
    for file in _files(table):
        path = (folder / file).resolve()
        if not path.is_relative_to(folder):
            raise BackupError(f"{path} lies elsewhere than {folder}: keep it by other means")
        named[str(path.relative_to(folder))] = path
    if out.exists():
        raise BackupError(f"{out} is there already")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f"{out.name}.") as scratch:
        for name in _DATABASES:
            if (config.data / name).exists():
                named[f"data/{name}"] = _copied(config.data / name, Path(scratch) / name)
        for name in _FILES:
            if (config.data / name).exists():
                named[f"data/{name}"] = config.data / name
        whole = Path(scratch) / "whole"
        _pack(named, whole)
        os.rename(whole, out)
        flush_folder(out.parent)
    return list(named)


def restore(backup: Path, into: Path) -> list[str]:
    """Unpack `backup` into the folder `into`, which must not exist or be empty.

    Where the configuration names another data folder than "data", move it there. BackupError.
    """
    make_folder(into)
    if any(into.iterdir()):
        raise BackupError(f"{into} is not empty")
    try:
        with gzip.open(backup) as all_of_it:
            while all_of_it.read(1 << 20):
                pass  # to its end, where the checksum is: tarfile stops before
        with tarfile.open(backup, mode="r:gz") as archive:
            names = [_safe(entry) for entry in archive]
            if _CONFIG not in names:
                raise BackupError(f"{backup} is no backup of an agent")
            for entry in sorted(archive, key=lambda entry: entry.name == _CONFIG):
                _unpack(archive, entry, into)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise BackupError(f"{backup}: {error}") from None
    return names


def admitted(box: Path) -> int | None:
    """How many readers the box `box`, just restored, admits; None: its backup has no list of them.

    Raises OSError.
    """
    path = box / "data" / decisions.NAME
    return len(decisions.standing(path).links) if path.exists() else None


def _pack(named: dict[str, Path], out: Path) -> None:
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, path in named.items():
                with open(path, "rb") as source:
                    entry = tarfile.TarInfo(name)
                    entry.size = os.fstat(source.fileno()).st_size
                    entry.mode, entry.mtime = 0o600, int(time.time())
                    archive.addfile(entry, source)
        file.flush()
        os.fsync(file.fileno())


def _unpack(archive: tarfile.TarFile, entry: tarfile.TarInfo, into: Path) -> None:
    path = into / entry.name
    make_folder(path.parent)
    being = path.with_name(path.name + ".restoring")
    handle = os.open(being, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    source = archive.extractfile(entry)
    assert source is not None  # _safe lets nothing but files pass
    with os.fdopen(handle, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())
    os.rename(being, path)
    flush_folder(path.parent)


def _files(table: dict[str, Any]) -> Iterator[str]:
    yield table["ledger_public_key"]
    for section in ("readers", "upstream", "home_assistant"):
        for key in ("ca", "certificate", "key", "password_file"):
            file = table.get(section, {}).get(key)
            if file is not None and not file.startswith("$"):
                yield file


def _safe(entry: tarfile.TarInfo) -> str:
    path = PurePosixPath(entry.name)
    if not entry.isfile() or path.is_absolute() or ".." in path.parts:
        raise BackupError(f"{entry.name}: no backup of ours has this")
    if entry.size > _FILE_BYTES_MAX:
        raise BackupError(f"{entry.name}: {entry.size} bytes")
    return str(path)


def _copied(path: Path, copy: Path) -> Path:
    """A database as it was at one moment, whoever writes to it meanwhile, in the file `copy`."""
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from None
    finally:
        source.close()
        target.close()
    return copy
