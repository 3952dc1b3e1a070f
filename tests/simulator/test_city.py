"""A small city lives for days, and the judge finds what somebody has broken in it."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from edge_agent.store import Store
from simulator.city import outages, people
from simulator.city.play import DistrictUnit, built, live, run_unit, units
from simulator.torture.broker import Mischief
from tests.torture.planted_link import PLANTED
from tools.bench import city
from tools.city import Options, Played
from tools.cli import app

UNIT = DistrictUnit(seed=1, number=0, readers=2, cards=12, days=2)
TIMES = {"cpu_s": 0.0, "wall_s": 0.0}


def _often(monkeypatch):
    """What is rare in a city happens all the time, so that few days see much of it."""
    monkeypatch.setattr(people, "LOST_IN", 4)
    monkeypatch.setattr(people, "TORN_IN", 5)
    monkeypatch.setattr(people, "THIEF_IN", 1)
    often = {kind: (900, strike) for kind, (_rate, strike) in outages.FAULTS.items()}
    monkeypatch.setattr(outages, "FAULTS", often)


@pytest.fixture
def often(monkeypatch):
    _often(monkeypatch)


@pytest.fixture(scope="module")
def lived():
    with pytest.MonkeyPatch.context() as patch:
        _often(patch)
        return run_unit(UNIT)


def test_nothing_is_lost_and_nothing_comes_twice(lived):
    assert lived.violations == []
    assert lived.records > 2 * 12 and lived.sold_fen > 0 and lived.outages >= 2
    for kind in ("tap too short", "card reported lost", "lost card tried", "agent killed"):
        assert lived.faults_fired[kind] > 0, f"seed {UNIT.seed}: no {kind}"
    assert any(held for held in lived.held), f"seed {UNIT.seed}: nobody was dark at a midnight"
    assert all(name.startswith("canteen-1/") for held in lived.held for name in held)


def test_the_same_seed_is_the_same_district(lived, often):
    again = run_unit(UNIT)
    assert replace(again, **TIMES) == replace(lived, **TIMES)


def test_a_record_that_the_agent_has_lost_is_found(monkeypatch):
    insert = Store._insert

    def forgets(self, record):
        return record[:2] == (1001, 14) or insert(self, record)

    monkeypatch.setattr(Store, "_insert", forgets)
    found = run_unit(DistrictUnit(1, 0, readers=1, cards=3, days=1)).violations
    assert any("canteen-1/1001 has written" in text and "booked is 13" in text for text in found)


@pytest.mark.parametrize("is_planted", [False, True])
def test_a_spend_that_is_booked_twice_is_found(monkeypatch, is_planted):
    if is_planted:
        PLANTED["retransmission is booked again"](monkeypatch)
    with built(DistrictUnit(1, 0, readers=1, cards=8, days=1)) as (district, everybody, faults):
        district.centre.mischief = Mischief(doubled=1_000_000)
        live(district, everybody, faults, 1)
    found = [text for text in district.violations if "booked that it never paid" in text]
    assert bool(found) == is_planted, district.violations
    assert district.fired["centre mqtt doubled"] > 0


def test_a_chip_with_the_number_of_another_is_not_issued():
    uids = []
    for taken in ([], uids):
        with built(DistrictUnit(1, 0, readers=1, cards=1, days=1)) as (district, _people, _faults):
            district._uids.update(taken)
            (held,) = district.issue(1, 0, 0)
            assert district.books.chip(held.card_no)[1] == held.chip.uid
            uids.append(held.chip.uid)
    assert uids[0] != uids[1]


def test_every_reader_and_card_is_in_one_district():
    found = list(units(seed=1, readers=10_001, cards=300_005, days=7))
    assert len(found) == 11
    assert sum(unit.own_readers for unit in found) == 10_001
    assert sum(unit.own_cards for unit in found) == 300_005


def test_the_command_prints_a_table_and_refuses_a_district_that_is_none():
    words = ["sim", "city", "--readers", "2", "--cards", "4", "--days", "1", "--jobs", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["0", "2", "4"] in [row[:3] for row in rows]
    assert ["all", "2", "4"] in [row[:3] for row in rows]
    for wrong, said in (("--district", "1"), "no district 1: there are 1"), (("--cards", "0"), ""):
        refused = CliRunner().invoke(app, [*words, *wrong])
        assert refused.exit_code == 2 and said in refused.output


def test_what_is_wrong_is_told_with_the_command_that_plays_it_again(lived):
    played = Played(Options(2, 12, 2), {UNIT: lived}, lived)
    assert played.text().endswith("0 violations")
    assert "booked to the fen, each record once" in played.text()
    assert json.loads(played.to_json())["districts"][0]["records"] == lived.records
    broken = replace(lived, violations=[f"{UNIT.replay}: a fen is missing"])
    text = Played(Options(2, 12, 2), {UNIT: broken}, broken).text()
    assert f"VIOLATION  {UNIT.replay}: a fen is missing" in text
    assert "to the fen" not in text
    assert UNIT.replay.endswith("--readers 2 --cards 12 --days 2 --seed 1 --district 0")


def test_the_bench_prints_what_a_card_and_a_day_cost(monkeypatch):
    monkeypatch.setattr(city, "CARDS_PER_READER", 3)
    (row,) = city.rows(sizes=(2,), days=1)
    assert row["ours"] == row["other"] > 0
    assert row["name"] == "city, 2 readers, 6 cards"
