"""A journal that was taken, as a file that can be shown to an auditor: what, where, when, by whom.

A ZIP of two members: journal.bin, the bytes of the partition, and manifest.json with their SHA-256
and where they came from. Nothing in it is ever changed; who takes it notes the digest of the file,
which `pull` prints, on paper. No key is in it: of keys a check value is (tools/keys/derive.py).
It holds numbers of cards, so nobody else may read it (mode 0600).
"""

import hashlib
import io
import json
import time
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.identity import files
from tools.journal.image import SECTOR_BYTES, NotAJournal
from tools.journal.locate import CHIP_BYTES_MAX, Place, located

FORMAT, VERSION = "onecard-journal", 1
_IMAGE, _MANIFEST = "journal.bin", "manifest.json"
_ABOUT = ("start", "found_by", "missing_sectors", "source", "reader")
_MANIFEST_BYTES_MAX = 1 << 20
# What zipfile raises of bytes that are no ZIP, or one that we would not write.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
_U32 = 0xFFFFFFFF
_ZIP_BEGINS_S = 315_532_800  # 1980, before which a ZIP has no times


class BadCapture(NotAJournal):
    """The file was taken by `onecard journal pull`, and is not any more what it was then."""


@dataclass(frozen=True)
class Capture:
    """The bytes of a journal partition and what is known of them.

    `place`: where it lies on its chip; `missing`: sectors that could not be had, and read erased
    here. `source`: how, from what, from when to when (seconds since 1970), by whom. `reader`: what
    the board has said of itself, its settings without keys. Both are empty of a plain file.
    """

    data: bytes
    place: Place
    missing: tuple[int, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    reader: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Of the partition's bytes, hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def address(self, offset: int) -> int:
        """Where on the chip a byte of the partition is; on the partition, if that is not known."""
        return (self.place.start or 0) + offset


def encode(capture: Capture) -> bytes:
    """The file's bytes; the same capture gives the same ones."""
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": capture.sha256,
        "size_bytes": len(capture.data),
        "start": capture.place.start,
        "found_by": capture.place.how,
        "missing_sectors": list(capture.missing),
        "source": dict(capture.source),
        "reader": dict(capture.reader),
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()
    taken_s = max(int(capture.source.get("ended_s", 0)), _ZIP_BEGINS_S)
    when = time.gmtime(taken_s)[:6]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in ((_MANIFEST, text), (_IMAGE, capture.data)):
            archive.writestr(zipfile.ZipInfo(name, when), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def decode(data: bytes) -> Capture:
    """The capture of a file's bytes. BadCapture: it was changed, or is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            manifest = json.loads(_member(archive, _MANIFEST, _MANIFEST_BYTES_MAX))
            image = _member(archive, _IMAGE, CHIP_BYTES_MAX)
        if (manifest["format"], manifest["version"]) != (FORMAT, VERSION):
            raise BadCapture("taken by another version of `onecard journal pull`")
        if hashlib.sha256(image).hexdigest() != manifest["sha256"]:
            raise BadCapture("its journal is not what was taken: the SHA-256 is another one")
        start, how, missing, source, reader = (manifest[name] for name in _ABOUT)
        sectors = range(len(image) // SECTOR_BYTES)
        are_sectors = all(type(one) is int and one in sectors for one in missing)
        is_ours = isinstance(how, str) and _is_source(source) and _is_reader(reader)
        if not is_ours or not are_sectors or not _is_address(start):
            raise BadCapture("its manifest is not one of `onecard journal pull`")
        return Capture(image, Place(start, len(image), how), tuple(missing), source, reader)
    except (*_UNREADABLE, KeyError, TypeError, ValueError, OSError) as error:
        raise BadCapture(f"no whole file of `onecard journal pull`: {error}") from None


def write(path: Path, capture: Capture) -> str:
    """Write it to a new file, whole or not at all; the file's SHA-256. OSError."""
    data = encode(capture)
    files.deliver(path, data, files.SECRET)
    return hashlib.sha256(data).hexdigest()


def dump_of(path: Path) -> bytes:
    """What stands in a file, if a chip of ours could hold that. NotAJournal, OSError."""
    with path.open("rb") as file:
        data = file.read(CHIP_BYTES_MAX + _MANIFEST_BYTES_MAX + 1)
    if len(data) > CHIP_BYTES_MAX + _MANIFEST_BYTES_MAX:
        raise NotAJournal(f"{path}: larger than any chip of ours")
    return data


def load(path: Path) -> Capture:
    """A capture, the image of a partition, or the dump of a whole flash. NotAJournal, OSError."""
    data = dump_of(path)
    if data.startswith(b"PK\x03\x04"):
        return decode(data)
    found = located(data)
    if not found.data or len(found.data) % SECTOR_BYTES:
        raise NotAJournal(f"{len(found.data)} bytes are not whole sectors of {SECTOR_BYTES}")
    return Capture(found.data, found.place, found.missing)


def _is_address(start: object) -> bool:
    return start is None or (type(start) is int and 0 <= start <= _U32)


def _is_source(source: object) -> bool:
    """How, where, when and by whom, as `pull` writes it; {} of a plain file."""
    if not isinstance(source, dict):
        return False
    texts = [source.get(name) for name in ("how", "from")]
    texts += [source.get(name, "") for name in ("by", "note")]
    times = [source.get(name) for name in ("begun_s", "ended_s")]
    are_times = all(type(one) is int and 0 <= one <= _U32 for one in times)
    return not source or (all(isinstance(one, str) for one in texts) and are_times)


def _is_reader(reader: object) -> bool:
    """Whose it is, as far as a board said so: who follows it believes `device`."""
    settings = reader.get("settings") if isinstance(reader, dict) else 0
    if settings is None:
        return True
    device = settings.get("device", 1) if isinstance(settings, dict) else 0
    return type(device) is int and 0 < device <= _U32


def _member(archive: zipfile.ZipFile, name: str, bytes_max: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > bytes_max:
        raise BadCapture(f"{name} is too large")
    if info.compress_type != zipfile.ZIP_DEFLATED:
        raise BadCapture(f"{name} is packed in another way than `onecard journal pull` does it")
    return archive.read(name)
