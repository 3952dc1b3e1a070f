"""Scenario files: every mistake is answered with the line and what was probably meant."""

import subprocess
import sys

import pytest

from simulator.run import run_scenario
from simulator.scenario import ScenarioError, load

GOOD = """name = "good"
seed = 1
clock = "2026-09-01T11:30:00+08:00"
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
[[cards]]
name = "card"
first_no = 100
balance = "50.00"
[[step]]
at = "00:00:01"
do = "tap"
card = "card"
reader = "pos-1"
amount = "7.00"
"""
_PERIOD = '[[period]]\nfrom = "10:30"\nto = "13:30"\n{}\n[[step]]'


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "x.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_good_file_loads(write):
    scenario = load(write(GOOD))
    assert (scenario.name, scenario.merchants, scenario.start_utc_s) == (
        "good",
        {"tea": 9},
        1788233400,
    )
    assert scenario.steps[0].fields == {"card": "card", "reader": "pos-1", "amount": 700}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('do = "tap"', 'do = "tapp"', 17, "unknown verb 'tapp'; did you mean 'tap'?"),
        ('do = "tap"\n', "", 15, "unknown verb"),
        ('amount = "7.00"', 'amount = "7.005"', 15, "not an amount"),
        ('amount = "7.00"', 'amonut = "7.00"', 20, "did you mean 'amount'?"),
        ('amount = "7.00"\n', "", 15, "needs 'amount'"),
        ('reader = "pos-1"', 'reader = "pos-2"', 19, "did you mean 'pos-1'?"),
        ('card = "card"', 'card = "crad"', 18, "did you mean 'card'?"),
        ('at = "00:00:01"', 'at = "1s"', 16, "is not a time"),
        ("seed = 1", "sead = 1", 2, "did you mean 'seed'?"),
        ("seed = 1", 'seed = "x"', 2, "a whole number"),
        ('clock = "2026-09-01T11:30:00+08:00"', 'clock = "noon"', 3, "is not a time"),
        ('merchant = "tea"', 'merchant = "tee"', 10, "did you mean 'tea'?"),
        ("no = 9", 'no = "nine"', 6, "a whole number"),
        ('balance = "50.00"', "balance = -3", 14, "not an amount"),
        ('balance = "50.00"', 'balance = "50.00"\nmake = "forgd"', 15, "did you mean 'forged'?"),
        ("[[merchant]]", "[[merchant]", 4, "not TOML"),
        ("[[step]]", "[assert]\nlsot = 0\n[[step]]", 16, "did you mean 'lost'?"),
        ("[[step]]", "[policy]\nday_max = 0\n[[step]]", 16, "did you mean 'day_max_fen'?"),
        ('balance = "50.00"', 'balance = "50.00"\npin = "80261"', 15, "not a PIN of 6 digits"),
        ('balance = "50.00"', 'balance = "50.00"\nvalid_days = [1, 0]', 15, "[first, last]"),
        ('amount = "7.00"', 'amount = "7.00"\npins = ["80261a"]', 21, "not a PIN of 6 digits"),
        ('amount = "7.00"', 'amount = "7.00"\nidentity = "no"', 21, "one of: match, mismatch"),
        ('amount = "7.00"', 'amount = "7.00"\nitems = [0]', 21, "items are 1 to 99"),
        ("[[step]]", '[[price]]\nitem = 100\namount = "1.00"\n[[step]]', 16, "items are 1 to 99"),
        ("[[step]]", '[[price]]\nitem = "x"\namount = "1.00"\n[[step]]', 16, "items are 1 to 99"),
        (
            "[[step]]",
            '[[price]]\nitem = "meal"\nperiod = 9\namount = "1.00"\n[[step]]',
            17,
            "one of: 1 to 8",
        ),
        ("[[step]]", '[[period]]\nfrom = "10:30"\n[[step]]', 15, "needs 'to'"),
        ("[[step]]", _PERIOD.format('spend_max = "x"'), 15, "not an amount"),
        ("[[step]]", _PERIOD.format("spends_max = 5"), 15, "of a wrong form"),
        ("[[step]]", _PERIOD.format("meals = { guest = 1 }"), 15, "staff, student, temporary"),
        ("[[step]]", _PERIOD.format("meals = { staff = 5 }"), 15, "one of 0, 1, 2, 3, 4"),
        ("[[step]]", _PERIOD.format('beyond = { staff = "no" }'), 15, "refuse, pin, plain"),
        ("[[step]]", _PERIOD.replace("10:30", "10:60").format(""), 15, "not a time of the day"),
        ("[[step]]", _PERIOD.format("").replace("[[step]]", _PERIOD).format(""), 19, "overlap"),
        ("[[step]]", "[assert.ledger]\ncaptur = 1\n[[step]]", 16, "did you mean 'capture'?"),
        ("[[step]]", '[assert.takings]\ntee = "1.00"\n[[step]]', 16, "did you mean 'tea'?"),
        ("[[step]]", '[assert.takings]\ntea = "x"\n[[step]]', 16, "not an amount"),
        ("[[step]]", "[assert]\nledger = 3\n[[step]]", 16, "names with a number each"),
        (
            "[[step]]",
            '[assert.refusals]\n"CARD EXPIRD" = 1\n[[step]]',
            16,
            "did you mean 'CARD EXPIRED'?",
        ),
        (
            "[[step]]",
            '[[step]]\nat = "00:00:01"\ndo = "press"\nreader = "pos-1"\nkeys = "F5x"\n[[step]]',
            19,
            "is no keys",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(write, old, new, line, said):
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: "), caught.value
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "nowhere.toml")


def command(repo_root, path):
    return subprocess.run(
        [sys.executable, "-m", "tools.cli", "sim", "run", str(path)],
        cwd=repo_root,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_exit_2_and_the_line_for_a_file_that_cannot_be_used(repo_root, write):
    path = write(GOOD.replace('"tap"', '"tapp"'))
    done = command(repo_root, path)
    assert done.returncode == 2
    assert f"{path}:17: unknown verb 'tapp'; did you mean 'tap'?" in done.stderr


def test_exit_1_when_an_assertion_does_not_hold(repo_root, write):
    done = command(repo_root, write(GOOD + "[assert]\nbooked = 3\n"))
    assert done.returncode == 1
    assert "booked is 1, not 3" in done.stdout


@pytest.mark.parametrize(
    ("asserts", "said"),
    [
        ("[assert.ledger]\ninspection = 1\n", "ledger: inspection is 0, not 1"),
        ('[assert.takings]\ntea = "7.01"\n', "takings: tea is 700, not 701"),
        ('[assert.refusals]\n"CARD EXPIRED" = 1\n', "refusals: CARD EXPIRED is 0, not 1"),
    ],
)
def test_what_is_asserted_by_name_can_fail(write, asserts, said):
    report = run_scenario(write(GOOD + asserts), broker="amqtt")
    assert (report.failures, report.exit_code) == ([said], 1)


def test_a_display_that_says_something_else_fails_the_run(write):
    press = 'at = "00:00:09"\ndo = "press"\nreader = "pos-1"\nkeys = "F5"\nshows = "WELCOME"\n'
    report = run_scenario(write(GOOD + "[[step]]\n" + press), broker="amqtt")
    assert report.failures == ["line 21: pos-1 says 'TEST BATTERY', not 'WELCOME'"]


def test_exit_42_when_time_runs_out(write):
    report = run_scenario(
        write(GOOD.replace("seed = 1", "seed = 1\ntimeout_s = 0")), broker="amqtt"
    )
    assert report.timed_out
    assert report.exit_code == 42
