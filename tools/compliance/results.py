"""What came of each proof the last time it ran, in one file that outlasts a crash.

Rules of this file. A proof that has no result here was not run, and nothing says that it passed.
A result counts for the file that was run: its digest stands beside it, and another file has not
been run. A result of another version of the program is shown as one of that version.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.compliance.rules import Proof, Rule

FILE_NAME = "results.json"
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# What a reader of the report sees; of several the first counts.
NOT_RUN, CHANGED, OLD = "not run", "changed", "old"
_WORST = (FAILED, NOT_RUN, CHANGED, SKIPPED, OLD, PASSED)
_VERDICTS = (PASSED, FAILED, SKIPPED)
_FORMAT, _TIME_MAX = 1, 0xFFFFFFFF
# What taking a file apart raises that is none of ours.
_NOT_OURS = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


class BadResults(Exception):
    """The file of results cannot be read or written; the text says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a proof has shown. `verdict`: PASSED, FAILED or SKIPPED (nothing of it could run).

    `commit`: the program, with a "+" behind it where files differed from it, "" if unknown.
    `digest`: SHA-256 of the proof's file. `seed`: None where there is none. `at_s`: UTC.
    """

    verdict: str
    expected: str
    happened: str
    seed: int | None
    commit: str
    at_s: int
    digest: str


Results = dict[Proof, Outcome]


def read(folder: Path) -> Results:
    """What is known in a folder; nothing if it has no such file. BadResults."""
    path = folder / FILE_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != _FORMAT:
            raise BadResults(f"{path}: format {data['format']}, not {_FORMAT}")
        return dict(map(_result, data["outcomes"]))
    except FileNotFoundError:
        return {}
    except (OSError, *_NOT_OURS) as error:
        raise BadResults(
            f"{path} is no file of results ({error}): remove it, run again"
        ) from error


def _result(row: dict[str, Any]) -> tuple[Proof, Outcome]:
    proof, outcome = Proof(row.pop("kind"), row.pop("name")), Outcome(**row)
    texts = outcome.expected, outcome.happened, outcome.commit, outcome.digest
    are_whole = type(outcome.at_s) is int and type(outcome.seed) in (int, type(None))
    are_whole = are_whole and 0 <= outcome.at_s <= _TIME_MAX
    if outcome.verdict not in _VERDICTS or not are_whole or not all(map(_is_text, texts)):
        raise ValueError(f"{proof.name}: no result of a run")
    return proof, outcome


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def write(folder: Path, results: Results) -> None:
    """The whole file, or the one that was there. BadResults."""
    rows = [
        {"kind": proof.kind, "name": proof.name, **asdict(outcome)}
        for proof, outcome in sorted(results.items())
    ]
    path, beside = folder / FILE_NAME, folder / f".{FILE_NAME}.new"
    text = json.dumps({"format": _FORMAT, "outcomes": rows}, ensure_ascii=False, indent=1)
    try:
        with beside.open("w", encoding="utf-8") as target:
            target.write(text + "\n")
            target.flush()
            os.fsync(target.fileno())
        beside.replace(path)
    except OSError as error:
        raise BadResults(f"{path}: {error.strerror}") from error


def digest_of(proof: Proof) -> str:
    """SHA-256 of the file as it is now, "" if this installation has none."""
    try:
        return hashlib.sha256(proof.path.read_bytes()).hexdigest()
    except OSError:
        return ""


def state_of(proof: Proof, results: Results, commit: str) -> str:
    """How a proof stands for the program of `commit`."""
    outcome = results.get(proof)
    if outcome is None:
        return NOT_RUN
    if outcome.digest != digest_of(proof):
        return CHANGED
    if outcome.verdict != PASSED:
        return outcome.verdict
    is_known = commit and not commit.endswith("+")
    return PASSED if is_known and outcome.commit == commit else OLD


def state_of_rule(rule: Rule, results: Results, commit: str) -> str:
    """As the worst of its proofs."""
    states = {state_of(proof, results, commit) for proof in rule.proofs}
    return next((state for state in _WORST if state in states), NOT_RUN)
