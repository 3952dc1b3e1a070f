"""The journal's torture in small, and the planted bugs that it must find."""

from __future__ import annotations

import os
import random
import time

import pytest

from simulator.torture import journal
from simulator.torture.journal import JournalUnit
from simulator.torture.journal_work import SECTORS, moments, places
from simulator.torture.result import Result
from simulator.torture.runner import guarded
from tests.torture.planted_journal import PLANTED

BYTE_STRIDE, BIT_RUNS = 80, 40
RUNS_TO_FIND = 400  # of each kind, until a planted bug must have shown
# Where a bug shows that takes long to find elsewhere.
SHOWN_BY = {
    "a header that a boot did not see is believed later": "sector header",
    "a value is kept over the last one, in place": "kept value",
}
SOAK_S = int(os.environ.get("ONECARD_SOAK_S", "60"))


def total_of(units) -> Result:
    total = Result()
    for unit in units:
        total.add(guarded(journal.run_unit, unit))
    return total


# -- the workload ---------------------------------------------------------------------------


def test_the_workload_does_every_kind_of_operation():
    assert set(places()) == {
        "erase",
        "erase ahead",
        "kept value",
        "kept value carried over",
        "kill",
        "newest again",
        "receipt note",
        "record",
        "record in a new sector",
        "sector header",
    }
    assert sum(moment.step[0] == "full" for moment in moments()) == 3
    assert {how for moment in moments() for how in moment.bad.values()} == {
        "no erase",
        "no program",
        "stuck bit",
        "error",
    }


def test_the_workload_opens_every_sector_more_than_once():
    assert len(places()["sector header"]) > 3 * SECTORS


# -- slices of the torture --------------------------------------------------------------------


def test_cut_at_every_byte_of_some_steps():
    every = list(journal.units())
    start = random.Random(7).randrange(BYTE_STRIDE)
    total = total_of(every[start::BYTE_STRIDE])
    assert total.violations == []
    assert total.unresolved == 0
    assert total.cut_points > 500
    for mark in ("record: byte", "cut again, kill: torn", "begun record there"):
        assert total.faults_fired[mark] > 0, mark


def test_unstable_bits_of_every_kind():
    total = total_of(journal.bit_units(BIT_RUNS))
    assert total.violations == []
    assert total.unresolved == 0
    for kind in journal.kinds():
        assert total.faults_fired[f"run: {kind}"] == BIT_RUNS
    for kind in places():
        hows = ("erase", "pre-program", "late") if kind.startswith("erase") else ("torn", "late")
        for how in hows:
            assert total.faults_fired.get(f"{kind}: {how}", 0) > 0, f"{kind}: {how}"
    for mark in ("bits left unstable", "flash that wakes slowly", "a bit did not fall", "full"):
        assert total.faults_fired[mark] > 0, mark


# Each was one of half a million runs: an unstable bit that was right when it was looked for; a
# begun record made firm before it was found unsteady, and its kill cut.
@pytest.mark.parametrize("name", ["bit.record.861.1", "bit.twice.35790.1"])
def test_what_once_failed_fails_no_more(name):
    assert journal.run_unit(journal.unit_of(name)).violations == []


def test_a_unit_plays_the_same_again():
    for name in ("byte.20", "bit.twice.5.20", "bit.does not stick.3.20"):
        unit = JournalUnit(name)
        assert journal.run_unit(unit) == journal.run_unit(unit)
        assert f'"{name}"' in unit.replay


# -- planted bugs -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_found(name, monkeypatch):
    moments()  # made by a journal without bugs
    PLANTED[name](monkeypatch)
    for unit in _search(SHOWN_BY.get(name)):
        violations = guarded(journal.run_unit, unit).violations
        if violations:
            print(f"{name}: {unit.name}: {violations[0].splitlines()[-1]}")
            return
    pytest.fail("nobody noticed")


def _search(first_kind):
    kinds = [first_kind] if first_kind else journal.kinds()
    for start in range(0, RUNS_TO_FIND, 20):
        for kind in kinds:
            yield JournalUnit(f"bit.{kind}.{start}.20")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak():
    first = random.SystemRandom().randrange(1 << 30)
    print(f"seeds from {first}")
    end_s = time.monotonic() + SOAK_S
    total = Result()
    for unit in journal.bit_units(1 << 30, first):
        total.add(guarded(journal.run_unit, unit))
        assert total.violations == []
        if time.monotonic() > end_s:
            break
    print(f"{total.cut_points} runs")
