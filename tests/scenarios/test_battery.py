"""R23.1a end to end: a canteen without mains, and what its battery has promised."""

import re

import pytest

from protocols.rules import reasons
from simulator.run import run_scenario
from simulator.scenario import ScenarioError, load

EMPTY = reasons.display(reasons.BATTERY_EMPTY)
CUT_S = 120
# One window, whose battery has so little left that it is empty before the mains are back.
SHORT = """name = "short"
seed = {seed}
timeout_s = 100
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
language = "zh"
{own}
[[cards]]
name = "student"
kind = "student"
count = 12
first_no = 100
balance = "150.00"
[[step]]
at = "00:00:01"
do = "lunch"
customers = {customers}
over = "{over}"
amounts = ["1.00"]
torn_percent = 20
[[step]]
at = "00:02:00"
do = "cut"
what = "mains"
[[step]]
at = "{plug}"
do = "plug"
what = "mains"
[assert]
lost = 0
duplicated = 0
unseen = 0
conserved = true
in_flight_fen = 0
"""


def displayed(folder):
    """(s, upper line) of everything that the customer's display was told."""
    found = []
    for line in (folder / "events.log").read_text(encoding="utf-8").splitlines():
        entry = re.fullmatch(r"(\d+) pos-1 display 1b5141(\w*)0d", line)
        if entry:
            found.append((int(entry[1]) // 1_000_000, bytes.fromhex(entry[2]).decode()))
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_a_reader_that_dies_of_it_loses_nothing_and_comes_back_by_itself(tmp_path, seed):
    """Empty after minutes, and nobody comes: the protection lets go, whatever it was doing."""
    path = tmp_path / "short.toml"
    own = "battery_percent = 3\nwifi = 1"
    path.write_text(
        SHORT.format(own=own, customers=90, over="00:40:00", plug="00:35:00", seed=seed)
    )
    report = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    print(f"seed {seed}")
    assert report.violations == [] and not report.timed_out
    assert report.lost == report.duplicated == report.unseen == report.in_flight_fen == 0
    log = (tmp_path / "kept" / "events.log").read_text(encoding="utf-8")
    assert log.count("pos-1 power-cut") == 2  # of the battery, and at the end of the world
    shown = displayed(tmp_path / "kept")
    assert [at_s for at_s, text in shown if text.startswith("PAID") and at_s > 2100]
    assert [at_s for at_s, text in shown if text == EMPTY]


@pytest.mark.parametrize("own", ["wifi = 1", ""])
def test_same_log_in_a_real_micropython(tmp_path, micropython, own):
    """What is saved, shown, measured and stopped is the same in both homes."""
    path = tmp_path / "short.toml"
    own += "\nbattery_percent = 4"
    path.write_text(SHORT.format(own=own, customers=24, over="00:16:00", plug="00:15:00", seed=3))
    logs = [
        run_scenario(path, home=home, broker="amqtt", keep=tmp_path / home)
        for home in ("cpython", "vm")
    ]
    assert [log.violations for log in logs] == [[], []]
    assert logs[0].transcript_sha256 == logs[1].transcript_sha256
    log = (tmp_path / "vm" / "events.log").read_text(encoding="utf-8")
    assert (" pos-1 radio 0" in log and " pos-1 backlight 0" in log) == bool("wifi" in own)
    assert log.count(" pos-1 nvs ") >= 1


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("battery_percent = 0", "1 to 100"),
        ("battery_percent = 101", "1 to 100"),
        ('language = "fr"', "one of: en, zh"),
        ("celsius = -3", "whole number"),
    ],
)
def test_a_battery_that_cannot_be_is_refused(tmp_path, own, said):
    path = tmp_path / "short.toml"
    text = SHORT.format(own=own, customers=1, over="00:00:10", plug="00:03:00", seed=1)
    if "language" in own:
        text = text.replace('language = "zh"\n', "")
    path.write_text(text)
    with pytest.raises(ScenarioError, match=said):
        load(path)


@pytest.mark.timeout(900)
def test_two_hours_on_a_battery_at_its_end(repo_root, tmp_path):
    """It sells for two hours at the declared rate, warns, stops, and sells when the mains are
    back; nobody is told more minutes than there are."""
    path = repo_root / "simulator" / "scenarios" / "battery.toml"
    report = run_scenario(path, broker="amqtt", keep=tmp_path / "kept")
    assert report.violations == [] and not report.timed_out
    shown = displayed(tmp_path / "kept")
    paid_s = [at_s for at_s, text in shown if text.startswith("PAID")]
    empty_s = [at_s for at_s, text in shown if text == EMPTY]
    back_s = CUT_S + 130 * 60
    sold_s = max(at_s for at_s in paid_s if at_s < back_s) - CUT_S
    print(f"sold for {sold_s // 60} min without mains, then refused {len(empty_s)}")
    assert sold_s >= 2 * 3600
    assert min(empty_s) > CUT_S + sold_s and max(paid_s) > back_s
