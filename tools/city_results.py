"""What districts of a city have ended with, each in a file of its own that outlasts the run.

A folder is one city's. A file is there whole or not at all, with a digest of what it says; one
that is damaged, or another city's, is an error and nothing is played. A district that another
version of the program has played counts, and the version stands beside it: nothing says that this
one would have come to the same books.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulator.city.play import DistrictResult, DistrictUnit
from tools.identity import files

_FORMAT = 1
# What taking a file apart raises that is none of ours.
_NOT_OURS = (ValueError, KeyError, TypeError, RecursionError)


class BadResults(Exception):
    """The folder or a file in it cannot be used; the text says which and why."""


@dataclass(frozen=True)
class Kept:
    """A district that has ended, violations and all.

    `commit`: the program, with a "+" behind it where files differed from it, "" if unknown;
    `jobs`: how many districts were played at the same time.
    """

    unit: DistrictUnit
    result: DistrictResult
    commit: str
    jobs: int


def path_of(folder: Path, unit: DistrictUnit) -> Path:
    """Where a district's file is."""
    return folder / f"district-{unit.number:03}.json"


def write(folder: Path, kept: Kept) -> None:
    """The whole file, in the place of one that was there. BadResults."""
    told = asdict(kept)
    text = json.dumps({"format": _FORMAT, "sha256": _digest(told), "district": told}, indent=1)
    path = path_of(folder, kept.unit)
    try:
        files.replace(path, text.encode() + b"\n", files.PUBLIC)
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from error


def read(folder: Path, city: DistrictUnit) -> dict[int, Kept]:
    """The districts that have ended, by number; the folder is made if there is none. BadResults.

    `city`: any district of the one that is wanted.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = [_read(path) for path in sorted(folder.glob("district-*.json"))]
    except OSError as error:
        raise BadResults(f"{error.filename or folder}: {error.strerror}") from error
    for kept in found:
        if _city_of(kept.unit) != _city_of(city):
            path = path_of(folder, kept.unit)
            raise BadResults(f"{path} is of another city: {kept.unit.replay}")
    return {kept.unit.number: kept for kept in found}


def _read(path: Path) -> Kept:
    try:
        file = json.loads(path.read_text(encoding="utf-8"))
        if file["format"] != _FORMAT:
            raise BadResults(f"{path}: format {file['format']}, not {_FORMAT}")
        told = file["district"]
        if file["sha256"] != _digest(told):
            raise ValueError("its digest is another")
        unit, result = DistrictUnit(**told["unit"]), DistrictResult(**told["result"])
        kept = Kept(unit, result, told["commit"], told["jobs"])
        if path != path_of(path.parent, unit):
            raise ValueError(f"it is of district {unit.number}")
    except _NOT_OURS as error:
        raise BadResults(f"{path} is damaged ({error}): remove it, run again") from error
    return kept


def _digest(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _city_of(unit: DistrictUnit) -> tuple[int, ...]:
    return unit.seed, unit.readers, unit.cards, unit.days
