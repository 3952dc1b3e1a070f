"""Machines that skip looks at an empty field leave what machines that run each look leave."""

import re
import sqlite3
from collections import defaultdict
from itertools import pairwise

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
    text = scenario.read_text(encoding="utf-8").replace("[[step]]", first + "[[step]]", 1)
    return left_by(text, scenario.stem, seed, folder, dozes=dozes)


def left_by(text, name, seed, folder, *, dozes):
    changed = re.sub(r"^(name = .*)$", rf"\1\ndoze = {int(dozes)}", text, count=1, flags=re.M)
    path = folder / f"{name}-{int(dozes)}.toml"
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


ONE = """name = "one"
title = "One reader"
seed = 1
clock = "2026-09-01T12:00:00+08:00"
site = "gatehouse"
elsewhere = "canteen"
drain = "00:02:00"
[[merchant]]
name = "nobody"
no = 1
[[reader]]
name = "one"
device = 3001
role = "{role}"
merchant = "nobody"
card_map = 1
[[cards]]
name = "guard"
first_no = 30001
balance = "0.00"
"""


def step(at_us, do, **fields):
    minutes, us = divmod(at_us, 60_000_000)
    at = f'"00:{minutes:02}:{us / 1_000_000:09.6f}"'
    lines = [f"at = {at}", f'do = "{do}"', *(f'{name} = "{one}"' for name, one in fields.items())]
    return "\n".join(["[[step]]", *lines, ""])


def ways(role, steps, folder):
    """What the log has of a reader in both ways, dozing first; journals and books are the same."""
    text = ONE.format(role=role) + steps
    stepped, dozing = (left_by(text, role, 1, folder, dozes=dozes) for dozes in (False, True))
    assert dozing[1:] == stepped[1:], "journals and books"
    return dozing[0]["one"], stepped[0]["one"]


@pytest.fixture(scope="module")
def look_us(tmp_path_factory):
    """When a machine with nothing to do begins a look, in the middle of many alike."""
    folder = tmp_path_factory.mktemp("looks")
    text = ONE.format(role="attendance") + step(23_000_000, "wait")
    log = left_by(text, "looks", 1, folder, dozes=False)[0]["one"]
    begun = [int(line.split()[0]) for line in log if " spi 087f" in line]
    begun = [at_us for at_us in begun if at_us > 20_000_000]
    waits = [b - a for a, b in pairwise(begun)]
    even = [at for at, wait in enumerate(waits[2:], 2) if {wait} == set(waits[at - 2 : at])]
    return begun[even[3]]


def _step_of_broker(at_us, do):
    return step(at_us, do, what="broker", site="gatehouse")


@pytest.mark.parametrize("after_us", [-20_000, 700])  # between two looks, and in the middle of one
@pytest.mark.parametrize(
    "steps",
    [
        lambda at_us: step(at_us, "punch", card="guard", reader="one"),
        lambda at_us: (
            step(at_us, "move", reader="one") + step(at_us + 3_000_000, "bring-back", reader="one")
        ),
        lambda at_us: _step_of_broker(at_us, "cut") + _step_of_broker(at_us + 3_000_000, "plug"),
    ],
    ids=["card", "move", "broker"],
)
def test_whoever_comes_in_a_doze_finds_the_look_before_as_it_was(
    steps, after_us, look_us, tmp_path
):
    at_us = look_us + after_us
    without_looks(*ways("attendance", steps(at_us) + step(at_us + 6_000_000, "wait"), tmp_path))


def test_what_falls_due_in_the_middle_of_a_look_waits_for_its_end(tmp_path):
    """The supply is looked at twice a second, and a look takes a millisecond and a half."""
    without_looks(*ways("attendance", step(40_000_000, "wait"), tmp_path))


def test_a_door_sounds_its_alarm_in_the_step_in_which_it_would(tmp_path):
    """A beep is due behind the look at the card field, not at the beginning of a step."""
    steps = step(12_341_403, "fire", reader="one") + step(30_000_000, "rearm", reader="one")
    logs = ways("door", steps + step(40_000_000, "wait"), tmp_path)
    dozing, stepped = ([one for one in log if " beep " in one] for log in logs)
    assert len(stepped) > 9 and dozing == stepped
