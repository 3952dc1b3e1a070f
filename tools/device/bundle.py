"""What is put on a board: the files of a release, and for one with two slots its first image."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from ledger.release_file import SLOT, Release
from protocols.rules import slots

MANIFEST = "onecard.json"
# The program's name until all of it reads back; see firmware/boards/esp32_provision.py.
MAIN, _UNTIL_WHOLE = "main.py", "main.new"


@dataclass(frozen=True)
class Bundle:
    """`files` lie in a folder under the names that they get; `blobs` go to NVS.

    `slot`: [size, SHA-256] of the image in SLOT, or None for a program without slots. `hardware`:
    the chips that it is for; `micropython`: the oldest one.
    """

    program: str
    version: int
    hardware: tuple[str, ...]
    micropython: tuple[int, ...]
    files: list[Path]
    digests: dict[str, str]
    blobs: dict[str, bytes]
    slot: list[int | str] | None

    @property
    def digest(self) -> str:
        """What it is, all of it."""
        parts = [self.program, *sorted(self.digests.values()), str(self.slot)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def of_release(release: Release, folder: Path) -> Bundle:
    """The release in `folder`, which is made. OSError."""
    folder.mkdir(parents=True)
    digests = {name: _digest(data) for name, data in release.files.items()}
    manifest = {"program": release.name, "version": release.version, "files": dict(digests)}
    contents, blobs, slot = dict(release.files), {}, None
    if release.image:
        contents[SLOT] = release.image
        state = slots.first(release.version, len(release.image), release.digest)
        blobs[slots.STORED_AS] = slots.encode(state)
        slot = [len(release.image), release.digest.hex()]
        manifest["slot"] = slot
    contents[MANIFEST] = json.dumps(manifest, sort_keys=True).encode()
    digests[MANIFEST] = _digest(contents[MANIFEST])
    contents[_UNTIL_WHOLE], digests[_UNTIL_WHOLE] = contents.pop(MAIN), digests.pop(MAIN)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    about = release.name, release.version, release.hardware, release.micropython
    return Bundle(*about, sorted(folder.iterdir()), digests, blobs, slot)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
