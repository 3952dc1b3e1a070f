"""Benchmarks: each module here with a `rows()` is one, and `onecard bench` runs and prints them.

`rows()` yields mappings with the keys of ROW_KEYS: what was measured, our figure, the other's, who
the other is, and the unit. `ratio` may be left out: it is ours / other. `ours` is always the same
quantity as `other`, measured in the same run.
"""

from pathlib import Path

from tools.rooms import ROOT

ROW_KEYS = ("name", "ours", "other", "against", "unit")


def driver_folder(distribution: str) -> Path | None:
    """Where `make bench` unpacked a rival driver; None when it has not.

    Each distribution has its own folder, because `mfrc522` and `mfrc522-python` are imported by
    the same name. Put the folder on the path of a process of its own.
    """
    folder = ROOT / ".bench" / distribution.replace("-", "_")
    return folder if folder.is_dir() else None
