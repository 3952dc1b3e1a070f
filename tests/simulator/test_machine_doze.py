"""Machines that skip looks at an empty field leave what machines that run each look leave."""

import re
import sqlite3
from collections import defaultdict

import pytest

from simulator.machine_doze import DozingMachine
from simulator.run import run_scenario
from tools.rooms import ROOT

SCENARIOS = ROOT / "simulator" / "scenarios"


@pytest.fixture
def looks(monkeypatch):
    """Of each kind, how many steps machines have run and skipped, while `count` is called."""
    made: list[DozingMachine] = []
    began = DozingMachine.switch_on

    def switch_on(reader):
        made.append(reader)
        began(reader)

    monkeypatch.setattr(DozingMachine, "switch_on", switch_on)

    def taken():
        counts = sum(one.steps for one in set(made)), sum(one.skipped for one in set(made))
        made.clear()
        return counts

    return taken


# What the broker says comes late, and in the middle of a doze.
SLOW = """[[step]]
at = "00:00:01"
do = "slow"
delay_ms = 300
loss_percent = 20
"""


def left_behind(scenario, seed, folder, *, dozes, first=""):
    """(event log by reader, journals by reader, the ledger's rows) of a run."""
    text = scenario.read_text(encoding="utf-8")
    changed = re.sub(r"^(name = .*)$", rf"\1\ndoze = {int(dozes)}", text, count=1, flags=re.M)
    changed = changed.replace("[[step]]", first + "[[step]]", 1)
    path = folder / f"{scenario.stem}-{int(dozes)}.toml"
    path.write_text(changed, encoding="utf-8")
    kept = folder / f"kept-{int(dozes)}"
    report = run_scenario(path, seed=seed, keep=kept)
    assert (report.violations, report.failures) == ([], [])
    journals = {one.name: one.read_bytes() for one in sorted(kept.glob("*.flash"))}
    with sqlite3.connect(kept / "ledger.sqlite") as books:
        rows = list(books.iterdump())
    log = defaultdict(list)
    for line in (kept / "events.log").read_text().splitlines():
        log[line.split()[1]].append(line)
    return log, journals, rows


def without_looks(dozing, stepped):
    """What one reader has done is all that it does when each look is run, but what looks say."""
    others = iter(stepped)
    for line in dozing:
        for other in others:
            if other == line:
                break
            assert " spi " in other, f"{line!r} comes, and before it is missing {other!r}"
        else:
            pytest.fail(f"nobody who runs each look says {line!r}")
    assert all(" spi " in other for other in others)


@pytest.mark.parametrize(
    ("name", "seed", "first"),
    [("attendance", 3, ""), ("attendance", 4, SLOW), ("kiosk", 5, ""), ("library", 7, "")],
)
def test_both_ways_leave_the_same_bytes(name, seed, first, tmp_path, looks):
    scenario = SCENARIOS / f"{name}.toml"
    stepped = left_behind(scenario, seed, tmp_path, dozes=False, first=first)
    looks()
    dozing = left_behind(scenario, seed, tmp_path, dozes=True, first=first)
    run, skipped = looks()
    print(f"\n{name}, seed {seed}: {run} looks are run, {skipped} are skipped")
    assert skipped > run // 4, "or nothing was won"
    assert dozing[1] == stepped[1], "journals"
    assert dozing[2] == stepped[2], "books"
    assert dozing[0].keys() == stepped[0].keys()
    for reader, lines in dozing[0].items():
        without_looks(lines, stepped[0][reader])
