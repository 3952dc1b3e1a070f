"""Hours that are jumped over: nobody is stepped through them, whoever comes on the way."""

import json
import re
import time
from collections import Counter

from simulator.desk.stage import Stage
from simulator.reader import Reader
from tests.desk.conftest import SMALL

PATIENCE_S = 120
VISIT = """[[step]]
at = "00:00:09"
do = "tap"
card = "zhang-san"
reader = "pos-1"
amount = "3.00"
[[step]]
at = "00:40:00"
do = "tap"
card = "zhang-san"
reader = "pos-1"
amount = "2.00"
[assert]
"""
HOURS = 3


def test_a_jump_over_steps_of_the_file_sleeps_on_behind_each(tmp_path, monkeypatch):
    """It was over with the first of them, and days were played step by step."""
    steps, run = Counter(), Reader._step

    def counted(reader, *step):
        steps[reader.name] += 1
        run(reader, *step)

    monkeypatch.setattr(Reader, "_step", counted)
    stage = Stage(SMALL.replace("[assert]\n", VISIT), tmp_path / "campus.toml")
    try:
        local_s = json.loads(stage.shown["time"])["local_s"]
        assert stage.set_time({"jump_s": HOURS * 3600}).result() == ""
        until_s = time.monotonic() + PATIENCE_S
        while json.loads(stage.shown["time"])["local_s"] < local_s + HOURS * 3600:
            assert time.monotonic() < until_s, "it does not arrive"
            assert json.loads(stage.shown["time"])["fault"] == ""
            time.sleep(0.02)
        taken, recorded = steps["pos-1"], stage.recording().result()
        stage.finish().result()
        taps = [one for one in stage._session.played if one.step.do == "tap"]
        report = stage._report
    finally:
        stage.close()
    assert [one.happened[-1] for one in taps] == ["PAID 3.00", "PAID 2.00"]
    assert recorded.count('do = "rest"') == 3, "one for each time that somebody had come"
    print(f"\n{taken} steps of a window in {HOURS} hours")
    assert taken < HOURS * 600, "one that is awake takes two in a second"
    assert report and report["failures"] == []


SOON = """[[cards]]
name = "guest"
kind = "temporary"
first_no = 30001
balance = "5.00"
valid_days = [-30, 1]
"""


def test_a_jump_to_expiry_ends_when_the_next_card_has_just_ended(tmp_path):
    """Its last day counts; a card that never was the centre's own is not waited for."""
    foreign = SOON.replace("guest", "foreign").replace("30001", "30002").replace("1]", "0]")
    foreign = foreign.replace("valid_days", 'make = "foreign"\nvalid_days')
    text = SMALL.replace("[[step]]", f"{SOON}{foreign}[[step]]", 1)
    stage = Stage(text, tmp_path / "campus.toml")
    try:
        before = json.loads(stage.shown["time"])["local_s"]
        asked = stage.set_time({"jump_s": "expiry"}).result()
        recorded = stage.recording().result()
    finally:
        stage.close()
    assert asked == ""
    (over,) = re.findall(r'do = "rest"\nover = "(\d+):(\d+):(\d+)"', recorded)
    hours, minutes, seconds = map(int, over)
    jumps_s = (hours * 60 + minutes) * 60 + seconds
    ends_s = (before // 86_400 + 2) * 86_400 + 60
    assert abs(before + jumps_s - ends_s) <= 2, "behind its last day, which is tomorrow"


def test_no_jump_to_expiry_where_nothing_ends_within_a_year(tmp_path):
    stage = Stage(SMALL, tmp_path / "campus.toml")
    try:
        asked, recorded = stage.set_time({"jump_s": "expiry"}).result(), stage.recording().result()
    finally:
        stage.close()
    assert 'do = "rest"' not in recorded
    assert asked == "no card of the wallet expires within a year"
