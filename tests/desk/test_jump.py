"""Hours that are jumped over: nobody is stepped through them, whoever comes on the way."""

import json
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
