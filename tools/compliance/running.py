"""Runs proofs, each in a process of its own, and notes what came of it at once.

A process that dies, hangs or says nothing sensible is a proof that failed, and not the end of the
others. Whoever stops in the middle has what was done until then.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as Xml
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tools.commit import commit_now
from tools.compliance import results
from tools.compliance.results import FAILED, PASSED, SKIPPED, Outcome, Results
from tools.compliance.rules import SCENARIO, Proof
from tools.rooms import ROOT

TIMEOUT_S = 1800  # beyond that of the slowest scenario; each has its own before that
_LINES_MAX, _CHARS_MAX = 12, 4_000  # a cell that is too long for a workbook would be empty
_TOO_LONG = f"stopped after {TIMEOUT_S} s"

Verdict = tuple[str, str, str, int | None]  # verdict, expected, happened, seed
Progress = Callable[[str], None]


def run(folder: Path, proofs: list[Proof], jobs: int, progress: Progress) -> Results:
    """Run `proofs`, `jobs` at a time, into the results of `folder`; all that are known then.

    BadResults.
    """
    known = results.read(folder)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(outcome_of, proof): proof for proof in proofs}
        for done, future in enumerate(as_completed(waiting), 1):
            proof, outcome = waiting[future], future.result()
            if outcome is not None:
                known[proof] = outcome
                results.write(folder, known)
            said = "not here" if outcome is None else outcome.verdict
            progress(f"{done}/{len(proofs)} {proof.command}: {said}")
    return known


def outcome_of(proof: Proof) -> Outcome | None:
    """What it shows now; None where this installation has not got its file.

    A program that was changed meanwhile is told as a changed one.
    """
    digest, commit = results.digest_of(proof), commit_now()
    if not digest:
        return None
    judge = _scenario if proof.kind == SCENARIO else _tests
    verdict, expected, happened, seed = judge(proof.path)
    if commit != commit_now():
        commit = commit and commit.rstrip("+") + "+"
    return Outcome(verdict, expected, happened, seed, commit, int(time.time()), digest)


def _scenario(path: Path) -> Verdict:
    """Of a scenario: the asserted values, and each that was another, or invariant that broke."""
    file = tomllib.loads(path.read_text(encoding="utf-8"))
    expected = "；".join(_asserted(file.get("assert", {})))
    done = _process("-m", "tools.cli", "sim", "run", str(path), "--json")
    try:
        report = json.loads(done.stdout)
        wrong = [*report["violations"], *report["failures"]]
    except (ValueError, KeyError, TypeError):
        return FAILED, expected, _last(done.stderr), file.get("seed")
    if report["timed_out"]:
        wrong.append("stopped: out of time")
    passed = done.returncode == 0 and not wrong
    happened = "" if passed else _last("\n".join(wrong) or done.stderr)
    return (PASSED if passed else FAILED), expected, happened, report["seed"]


def _asserted(asserts: dict[str, object]) -> list[str]:
    """`name = value` of each assertion, those of tables with their table before them."""
    found = []
    for name, value in asserts.items():
        if isinstance(value, dict):
            found += [f"{name}: {line}" for line in _asserted(value)]
        else:
            found.append(f"{name} = {json.dumps(value)}")
    return found


def _tests(path: Path) -> Verdict:
    """Of a file of tests: how many passed, and the name and first line of each that did not."""
    with tempfile.TemporaryDirectory(prefix="onecard-") as folder:
        told = Path(folder) / "told.xml"
        words = ("-n", "0", "-q", "-p", "no:cacheprovider", f"--junitxml={told}", str(path))
        done = _process("-m", "pytest", *words)
        try:
            cases = list(Xml.parse(told).iter("testcase"))
        except (OSError, Xml.ParseError):
            return FAILED, "所有测试通过", _last(done.stderr or done.stdout), None
    skipped = sum(case.find("skipped") is not None for case in cases)
    wrong = [
        f"{case.get('name')}: {(fault.get('message') or '').strip().partition(chr(10))[0]}"
        for case in cases
        for fault in (*case.findall("failure"), *case.findall("error"))
    ]
    expected = f"{len(cases)} 项测试全部通过"
    if wrong or done.returncode not in (0, 5):
        return FAILED, expected, _last("\n".join(wrong) or done.stdout), None
    if skipped == len(cases):
        return SKIPPED, expected, f"{skipped} 项在此环境中无法运行", None
    return PASSED, expected, f"{skipped} 项在此环境中无法运行" if skipped else "", None


def _process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    # What the caller has there for pytest may leave tests out, and they would count as passed.
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    try:
        return subprocess.run(
            command,
            cwd=ROOT,
            env=own,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", _TOO_LONG)


def _last(text: str) -> str:
    """The end of what was said, which names the cause."""
    end = "\n".join(text.strip().splitlines()[-_LINES_MAX:])
    return end[-_CHARS_MAX:] or "没有输出"
