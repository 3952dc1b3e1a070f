"""Makes the image of a release, of this source; what is done with one is in tools/release.py."""

import tempfile
from pathlib import Path

from ledger.release_file import BadRelease, Release
from simulator.vm.image import UPDATERS, build_slot
from tools.rooms import ROOT


def build(program: str, version: int, after: int) -> Release:
    """This source as a release of a main program, not signed. BadRelease, CompileFailed."""
    if program not in UPDATERS:
        known = ", ".join(sorted(UPDATERS))
        raise BadRelease(f"{program}: only {known} can be updated over the air")
    if not 0 < after < version:
        raise BadRelease("a release follows a version below its own")
    with tempfile.TemporaryDirectory(prefix="onecard-release-") as folder:
        image = build_slot(ROOT, Path(folder) / "slot", program, version)
    return Release(program, version, after, image)
