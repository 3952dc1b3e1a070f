"""What is put on a board: the files of its program, and for one with two slots its first image."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from firmware.services import built
from protocols.rules import slots
from simulator.vm.image import UPDATERS, build_files, build_slot
from tools.rooms import ROOT

LOADER = "main_loader"
MANIFEST, SLOT_FILE = "onecard.json", "slot.rom"
# The program's name until all of it reads back; see firmware/boards/esp32_provision.py.
_UNTIL_WHOLE = "main.new"


@dataclass(frozen=True)
class Bundle:
    """`files` lie in a folder under the names that they get; `blobs` go to NVS.

    `slot`: [size, SHA-256] of the image in SLOT_FILE, or None for a program without slots.
    """

    program: str
    files: list[Path]
    digests: dict[str, str]
    blobs: dict[str, bytes]
    slot: list[int | str] | None


def build(program: str, folder: Path) -> Bundle:
    """Build `program` (a file of firmware/ without .py) of this source below `folder`."""
    has_slots = program in UPDATERS
    rom = build_files(ROOT, folder / "files", LOADER if has_slots else program)
    digests = {path.name: _digest(path.read_bytes()) for path in sorted(rom.iterdir())}
    manifest = {"program": program, "version": built.VERSION, "files": dict(digests)}
    blobs, slot = {}, None
    if has_slots:
        image = build_slot(ROOT, folder / "slot", program, built.VERSION)
        (rom / SLOT_FILE).write_bytes(image)
        state = slots.first(built.VERSION, len(image), hashlib.sha256(image).digest())
        blobs[slots.STORED_AS] = slots.encode(state)
        slot = [len(image), _digest(image)]
        manifest["slot"] = slot
    (rom / MANIFEST).write_text(json.dumps(manifest, sort_keys=True))
    (rom / "main.py").rename(rom / _UNTIL_WHOLE)
    digests[_UNTIL_WHOLE] = digests.pop("main.py")
    digests[MANIFEST] = _digest((rom / MANIFEST).read_bytes())
    return Bundle(program, sorted(rom.iterdir()), digests, blobs, slot)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
