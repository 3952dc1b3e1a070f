"""Slow links, dead brokers, a ledger that is away; and what a person of a step has to read."""

import pytest

from simulator.desk.verbs import to_toml
from simulator.run import run_scenario
from simulator.scenario import ScenarioError, load
from simulator.world.network import RTO_US, Slowness
from simulator.world.randomness import Seeds

HEAD = """
name = "short"
seed = 5
doze = 1
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
[[cards]]
name = "ada"
first_no = 100
balance = "50.00"
enters = 1
phone = 1
[[cards]]
name = "ben"
first_no = 200
balance = "50.00"
enters = 1
"""
OTHERS = """
[[reader]]
name = "gate"
device = 2
role = "door"
merchant = "tea"
[[reader]]
name = "clock"
device = 3
role = "attendance"
merchant = "tea"
"""
SECOND_US = 1_000_000


def steps(*tables):
    """Of tables without their time: (seconds, table)."""
    return "".join(to_toml(table, at_s * SECOND_US) for at_s, table in tables)


def spend(amount, sees, **fields):
    table = {"do": "tap", "card": "ada", "amount": amount, "reader": "pos-1", "sees": sees}
    return table | fields


BAD_LINKS = steps(
    (2, {"do": "slow", "delay_ms": 250, "loss_percent": 30}),
    (5, spend("6.00", "PAID 6.00")),
    (20, {"do": "cut", "what": "broker"}),
    (21, spend("5.00", "PAID 5.00")),
    (30, {"do": "plug", "what": "broker"}),
    (31, {"do": "slow"}),
)


@pytest.fixture
def play(tmp_path):
    def played(text, **options):
        path = tmp_path / "x.toml"
        path.write_text(text, encoding="utf-8")
        return run_scenario(path, **{"broker": "amqtt", **options})

    return played


def test_every_link_in_turn_and_nothing_is_lost(repo_root):
    report = run_scenario(repo_root / "simulator/scenarios/weak_links.toml", broker="amqtt")
    assert (report.failures, report.violations, report.timed_out) == ([], [], False)


@pytest.mark.parametrize("seed", [24, 240, 2400])
def test_a_line_to_the_centre_that_is_bad_in_every_way_loses_nothing(repo_root, seed):
    path = repo_root / "simulator/scenarios/upstream.toml"
    print("seed", seed)
    reports = [run_scenario(path, seed, broker="amqtt") for _ in range(2)]
    for report in reports:
        assert (report.failures, report.violations, report.timed_out) == ([], [], False)
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


def test_an_agent_dies_behind_a_line_that_is_dark_or_late(play):
    """And so do both ends of that line, with everything that is still on it."""
    bad = {"do": "slow", "what": "upstream", "delay_ms": 2500, "loss_percent": 50}
    happens = [
        *((2, bad), (5, spend("1.00", "PAID 1.00"))),
        *((6, {"do": "cut", "what": "mains"}), (7, spend("2.00", "PAID 2.00"))),
        *((20, {"do": "plug", "what": "mains"}), (22, {"do": "dark", "what": "upstream"})),
        *((23, spend("3.00", "PAID 3.00")), (24, {"do": "cut", "what": "mains"})),
        *((30, {"do": "plug", "what": "mains"}), (60, {"do": "cut", "what": "centre"})),
        *((61, {"do": "plug", "what": "upstream"}), (65, {"do": "plug", "what": "centre"})),
    ]
    report = play(HEAD + steps(*happens))
    assert report.failures + report.violations == []
    assert (report.booked, report.lost, report.duplicated, report.in_flight_fen) == (3, 0, 0, 0)


def test_a_centre_that_answers_never_has_booked_all_the_same(play):
    """What the agent says arrives, and each answer is later than its patience: said twice."""
    late = {"do": "slow", "what": "upstream", "delay_ms": 30_000}
    happens = [(10, late), (12, spend("4.00", "PAID 4.00")), (300, {"do": "wait"})]
    report = play(HEAD + steps(*happens))
    assert report.failures + report.violations == []
    assert (report.booked, report.lost, report.duplicated) == (1, 0, 0)


@pytest.mark.usefixtures("micropython")
def test_same_log_in_a_real_micropython(play):
    reports = [play(HEAD + BAD_LINKS, home=home) for home in ("cpython", "vm")]
    for report in reports:
        assert report.failures + report.violations == []
        assert (report.approved, report.lost, report.in_flight_fen) == (2, 0, 0)
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


def test_a_building_without_mains_and_broker_gets_one_when_both_are_back(play):
    cables = [
        {"do": do, "what": what}
        for do, what in (
            *(("cut", "broker"), ("cut", "mains"), ("plug", "broker"), ("cut", "broker")),
            *(("plug", "mains"), ("plug", "broker"), ("plug", "broker")),
        )
    ]
    happens = [(5 + 5 * number, cable) for number, cable in enumerate(cables)]
    report = play(HEAD + steps((1, spend("6.00", "PAID 6.00")), *happens, (60, {"do": "wait"})))
    assert report.failures + report.violations == []
    assert (report.booked, report.in_flight_fen) == (1, 0)


def test_a_ledger_that_dies_in_between_has_its_books(play):
    happens = []
    for number in range(4):
        cable = {"do": "plug" if number % 2 else "cut", "what": "ledger"}
        happens += [(5 + 20 * number, cable), (6 + 20 * number, spend("1.00", "PAID 1.00"))]
    report = play(HEAD + steps(*happens))
    assert report.failures + report.violations == []
    assert (report.booked, report.lost, report.duplicated) == (4, 0, 0)


def test_what_is_lost_comes_late_and_in_order():
    calm = Slowness(40, 0, Seeds(1).stream("calm"))
    assert {calm.late_us() for _ in range(50)} == {40_000}
    draw = Seeds(1).stream("lost")
    late_us = [Slowness(0, 50, draw).late_us() for _ in range(400)]
    # Each way half of it is lost, and half of that once more: a quarter comes at once.
    assert 70 < late_us.count(0) < 130
    assert min(late for late in late_us if late) == RTO_US and max(late_us) > 7 * RTO_US


# -- hands -----------------------------------------------------------------------------------


def test_two_cards_at_once_and_one_held_too_short_open_nothing(play):
    both = {"card": "ada", "with": ["ben"]}
    short = {"card": "ada", "hold_ms": 1}
    report = play(
        HEAD
        + OTHERS
        + steps(
            (5, {"do": "enter", "reader": "gate", "sees": "door shut", **both}),
            (10, {"do": "punch", "reader": "clock", "sees": "ONE CARD PLEASE", **both}),
            (15, {"do": "enter", "reader": "gate", "sees": "door shut", **short}),
            (20, {"do": "enter", "reader": "gate", "card": "ada", "sees": "door open"}),
            (25, {"do": "punch", "reader": "clock", "card": "ben", "hold_ms": 2000}),
        )
    )
    assert report.failures + report.violations == []
    assert report.approved == 2


def test_what_is_read_otherwise_than_a_step_says_is_a_failure(play):
    report = play(
        HEAD + steps((5, spend("6.00", "PAID 7.00")), (15, spend("80.00", "PAID 80.00")))
    )
    assert [failure.split(": ", 1)[1] for failure in report.failures] == [
        "pos-1 says 'PAID 6.00', not 'PAID 7.00'",
        "pos-1 says 'BALANCE TOO LOW', not 'PAID 80.00'",
    ]


def test_without_network_a_phone_pays_nothing_in(play):
    paid_in = {"do": "topup", "card": "ada", "amount": "20.00"}
    cut = {"do": "cut", "what": "phone", "card": "ada"}
    shown = {"do": "code", "card": "ada", "shows": "identity"}
    with pytest.raises(ScenarioError, match="the phone of ada has no network"):
        play(HEAD + steps((5, cut), (6, shown), (7, paid_in)))
    report = play(HEAD + steps((5, cut), (6, {"do": "plug", "what": "phone"}), (7, paid_in)))
    assert report.topped_up == 1


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"do": "slow", "loss_percent": 81}, "unknown loss_percent '81'; one of: 0 to 80"),
        ({"do": "slow", "delay_ms": 60_000}, "unknown delay_ms '60000'; one of: 0 to 30000"),
        (
            {"do": "slow", "what": "mains"},
            "unknown what 'mains'; one of: reader-network, upstream",
        ),
        (
            {"do": "dark", "what": "upstream", "reader": "pos-1"},
            "unknown field of [[step]] 'reader'",
        ),
        ({"do": "slow", "delay_ms": -1}, "a whole number"),
        ({"do": "cut", "what": "ledger", "site": "canteen-1"}, "unknown field of [[step]] 'site'"),
        ({"do": "cut", "what": "mains", "card": "ada"}, "unknown field of [[step]] 'card'"),
        ({"do": "cut", "what": "broker", "reader": "pos-1"}, "unknown field of [[step]] 'reader'"),
        ({"do": "code", "card": "ben"}, "the holder of 'ben' has no phone"),
        ({"do": "code", "card": "ada", "shows": "wechat"}, "the app makes a payment code"),
        ({"do": "present", "card": "ada", "reader": "pos-1", "hold_ms": [5]}, "milliseconds"),
        ({"do": "present", "card": "ada", "reader": "pos-1", "with": ["bob"]}, "'bob'"),
        (spend("6.00", "", hold_ms=0), "hold_ms = 0, where milliseconds are needed"),
        (spend("6.00", "", hold_ms=[]), "hold_ms = [], where milliseconds are needed"),
    ],
)
def test_mistakes_are_answered_with_a_line(tmp_path, table, said):
    path = tmp_path / "x.toml"
    path.write_text(HEAD + steps((5, table)), encoding="utf-8")
    with pytest.raises(ScenarioError) as raised:
        load(path)
    assert said in str(raised.value)
