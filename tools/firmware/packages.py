"""Packages of a program for those who put it on by other means, of the bundle's own files.

package.json   for `mpremote mip install --target / FOLDER/package.json`, or from a web server
manifest.py    for a MicroPython of one's own with the program frozen in: FROZEN_MANIFEST=...

Neither has settings or keys, nor the second slot: such a reader takes no firmware over the air.
"""

import errno
import json
from pathlib import Path

from tools.firmware.build import plain

PACKAGE, MANIFEST = "package.json", "manifest.py"
_MAIN = "main.py"
_HEAD = '''"""{program} {version}, frozen into MicroPython; made by `onecard firmware package`."""

metadata(version="{version}")
include("$(PORT_DIR)/boards/manifest.py")
'''


def write(folder: Path, program: str, version: int) -> int:
    """Make `folder` with the program and both files; how many files the program has.

    BadRelease, CompileFailed, OSError; FileExistsError where the folder is there already.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, "is there already", str(folder))
    files = plain(program, version)
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / PACKAGE).write_text(_package(files, version), encoding="utf-8")
    (folder / MANIFEST).write_text(_manifest(files, program, version), encoding="utf-8")
    return len(files)


def _package(files: dict[str, bytes], version: int) -> str:
    """main.py is last: a board that was cut off before runs nothing of it."""
    names = sorted(files, key=lambda name: (name == _MAIN, name))
    package = {"urls": [[name, name] for name in names], "deps": [], "version": str(version)}
    return json.dumps(package, indent=1) + "\n"


def _manifest(files: dict[str, bytes], program: str, version: int) -> str:
    """Bytecode is frozen as it was built; what the port looks for by name is compiled there."""
    lines = [
        f'freeze_mpy(".", "{name}")' if name.endswith(".mpy") else f'module("{name}")'
        for name in sorted(files)
    ]
    head = _HEAD.format(program=program, version=version)
    return head + "\n".join(lines) + "\n"
