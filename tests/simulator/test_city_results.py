"""A city that is played in pieces is the city that is played at once."""

import json
import multiprocessing
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simulator.city import play
from simulator.city.district import District
from simulator.city.play import DistrictResult, DistrictUnit
from tools import city, city_results
from tools.city import CityError, Options
from tools.cli import app

CITY = Options(readers=2, cards=4, days=1, jobs=1)
TIMES = {"cpu_s": 0.0, "wall_s": 0.0}


@pytest.fixture(autouse=True)
def small_districts(monkeypatch):
    monkeypatch.setattr(play, "READERS_MAX", 1)
    monkeypatch.setattr(city, "commit_now", lambda: "this")


@pytest.fixture(scope="module")
def uncut():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(play, "READERS_MAX", 1)
        return city.play(CITY, None)


def _told(played):
    """All that does not hang on the machine."""
    return [replace(result, **TIMES) for _unit, result in played._in_order()], played.books


def test_a_run_that_was_stopped_goes_on(uncut, tmp_path, monkeypatch):
    """That districts come to the same when they are played again, a run that was killed shows."""
    monkeypatch.setattr(city, "run_unit", uncut.districts.__getitem__)
    asked = replace(CITY, results=tmp_path / "new" / "folder")

    def stops(text):
        if text.startswith("district 0: "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        city.play(asked, stops)
    assert [path.name for path in asked.results.iterdir()] == ["district-000.json"]
    played = []
    whole = city.play(asked, played.append)
    assert [text.split(":")[0] for text in played] == ["district 1"]
    assert _told(whole) == _told(uncut)
    assert replace(whole.total, violations=[]) == replace(uncut.total, violations=[])
    assert "kept from before, by program this: district 0" in whole.text()
    assert "kept" not in uncut.text()
    assert f"books {uncut.books}" in whole.text() and uncut.books in whole.to_json()
    again = city.play(asked, played.append)
    assert len(played) == 1 and _told(again) == _told(uncut)
    assert again.real_s == pytest.approx(sum(one.wall_s for one in again.districts.values()))


def _play_and_be_stopped(told: int) -> None:
    def stops(district: District, *_: object) -> list[dict[str, int]]:
        os.write(told, str(district._directory).encode() + b"\n")
        os.kill(os.getpid(), signal.SIGTERM)
        return []

    play.live = stops
    city.play(CITY, None)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_process_that_is_told_to_end_takes_its_scratch_along():
    heard, told = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_play_and_be_stopped, args=(told,)
    )
    process.start()
    os.close(told)
    with os.fdopen(heard) as lines:
        (directory,) = (Path(line.rstrip("\n")) for line in lines)  # it begins no other district
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM
    assert directory.name.startswith("onecard-city-") and not directory.exists()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def _play_and_die(results: Path, told: int) -> None:
    def dies(text: str) -> None:
        if text.startswith("district "):
            os.write(told, b"!")
            os.kill(os.getpid(), signal.SIGKILL)

    city.play(replace(CITY, jobs=2, results=results), dies)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_run_that_was_killed_leaves_whole_files_and_nobody_at_work(uncut, tmp_path):
    heard, told = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_play_and_die, args=(tmp_path, told)
    )
    process.start()
    os.close(told)
    assert os.read(heard, 1) == b"!"
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert os.read(heard, 1) == b""  # the last worker, who has the pipe too, is gone
    os.close(heard)
    assert len(list(tmp_path.iterdir())) == 1
    assert _told(city.play(replace(CITY, results=tmp_path), None)) == _told(uncut)


def _kept(**other):
    unit = DistrictUnit(seed=1, number=0, readers=2, cards=4, days=1)
    return city_results.Kept(replace(unit, **other), DistrictResult(wall_s=2.0), "that", 2)


DAMAGES = {
    "cut short": lambda text: text[:-40],
    "nothing": lambda _text: "",
    "a digit of it": lambda text: text.replace('"wall_s": 2.0', '"wall_s": 3.0'),
    "no list": lambda _text: "[1]",
    "not text": lambda _text: "\udcff",
    "another format": lambda text: text.replace('"format": 1', '"format": 2'),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_and_nothing_is_played(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(city, "run_unit", lambda _unit: pytest.fail("played"))
    city_results.write(tmp_path, _kept())
    (path,) = tmp_path.iterdir()
    whole = path.read_text()
    damaged = DAMAGES[damage](whole)
    assert damaged != whole
    path.write_bytes(damaged.encode(errors="surrogateescape"))
    with pytest.raises(CityError, match=r"district-000\.json"):
        city.play(replace(CITY, results=tmp_path), None)
    assert path.read_bytes() == damaged.encode(errors="surrogateescape")


def test_a_file_under_the_name_of_another_district_is_named(tmp_path):
    city_results.write(tmp_path, _kept())
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "district-002.json")
    with pytest.raises(CityError, match=r"district-002\.json.*of district 0"):
        city.play(replace(CITY, results=tmp_path), None)


@pytest.mark.parametrize("other", [{"seed": 2}, {"readers": 3}, {"cards": 5}, {"days": 2}])
def test_another_citys_folder_is_refused(tmp_path, other):
    city_results.write(tmp_path, _kept(**other))
    with pytest.raises(CityError, match="of another city: onecard sim city --readers"):
        city.play(replace(CITY, results=tmp_path), None)


def test_what_another_program_has_played_counts_and_is_named(tmp_path):
    broken = replace(_kept().result, violations=["a fen is missing"])
    city_results.write(tmp_path, replace(_kept(), result=broken))
    played = city.play(replace(CITY, district=0, results=tmp_path), None)
    assert "kept from before, by program that: district 0" in played.text()
    assert "VIOLATION  a fen is missing" in played.text()
    assert played.real_s == 1.0 and played.jobs == 2
    assert json.loads(played.to_json())["results"] == str(tmp_path)


def test_what_has_raised_is_played_again(tmp_path, monkeypatch):
    def raises(_unit):
        raise ValueError("a bug")

    monkeypatch.setattr(city, "run_unit", raises)
    found = city.play(replace(CITY, results=tmp_path), None).violations
    assert len(found) == 2 and list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_nothing_costs_no_table(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(city_results.files, "replace", full)
    monkeypatch.setattr(city, "run_unit", lambda _unit: _kept().result)
    said = []
    played = city.play(replace(CITY, results=tmp_path), said.append)
    assert len(played.rows()) == 2
    assert any("district 1 is not kept" in text and "No space" in text for text in said)


def test_what_is_kept_is_what_came_of_it(tmp_path):
    result = DistrictResult(
        events=5, done={"boots": 1}, held=[{"canteen-1/1001": 3}], books="ab", cpu_s=1.25
    )
    kept = replace(_kept(), result=result)
    city_results.write(tmp_path, kept)
    assert city_results.read(tmp_path, kept.unit) == {0: kept}
    assert asdict(city_results.read(tmp_path, kept.unit)[0].result) == asdict(result)


def test_the_command_refuses_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    words = ["sim", "city", "--readers", "1", "--cards", "1", "--results"]
    for wrong in (tmp_path / "file", tmp_path / "file" / "in"):
        refused = CliRunner().invoke(app, [*words, str(wrong)])
        assert refused.exit_code == 2 and "file" in refused.output
