"""Cancelling, end to end: a clerk, a POS, an agent, two brokers, the books, and back on a card."""

import pytest

from simulator import checkers
from simulator.run import Run, run_scenario
from simulator.scenario import ScenarioError, load

SHORT = """
name = "short"
seed = 5
[[merchant]]
name = "tea"
no = 9
[[reader]]
name = "pos-1"
device = 1
merchant = "tea"
load_cards = 1
[[cards]]
name = "classic"
first_no = 100
balance = "50.00"
[[cards]]
name = "desfire"
chip = "desfire"
first_no = 200
balance = "50.00"
"""
TAP = """
[[step]]
at = "00:00:{at:02}"
do = "tap"
card = "{card}"
amount = "{amount}"
reader = "pos-1"
hold_ms = 900
{more}
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """Each card pays and has it cancelled, and pays once more."""
    path = tmp_path_factory.mktemp("short") / "short.toml"
    steps = [
        (5, "classic", "7.00", "cancel = 1"),
        (20, "desfire", "3.00", "cancel = 1"),
        (35, "classic", "2.00", ""),
        (45, "desfire", "1.00", ""),
    ]
    text = [TAP.format(at=at, card=card, amount=fen, more=more) for at, card, fen, more in steps]
    path.write_text(SHORT + "".join(text), encoding="utf-8")
    return path


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_people_cancel_through_cuts(repo_root, seed):
    path = repo_root / "simulator" / "scenarios" / "cancel.toml"
    report = run_scenario(path, seed=seed, broker="amqtt")
    print(f"replay: onecard sim run {path.name} --seed {seed}")
    assert report.violations == []
    assert (report.lost, report.duplicated, report.unseen) == (0, 0, 0)
    assert report.conserved and report.cancelled > 8 and report.loaded > 6
    together_fen = report.on_cards_fen + report.booked_fen + report.in_flight_fen
    assert together_fen == report.issued_fen + report.loaded_fen
    assert sum(report.takings_fen.values()) == report.booked_fen - report.cancelled_fen


def test_each_card_has_its_money_back(short):
    report = run_scenario(short, broker="amqtt")
    assert report.violations == [] and report.failures == []
    assert (report.booked, report.cancelled, report.loaded) == (4, 2, 2)
    assert report.on_cards_fen == 10_000 - 200 - 100
    assert report.takings_fen == {"tea": 300}


def test_same_log_in_a_real_micropython(short, micropython):
    reports = [run_scenario(short, home=home, broker="amqtt") for home in ("cpython", "vm")]
    assert [report.cancelled for report in reports] == [2, 2]
    assert reports[0].transcript_sha256 == reports[1].transcript_sha256


def test_card_depth_cancels_too(short):
    report = run_scenario(short, depth="card", broker="amqtt")
    assert (report.violations, report.cancelled, report.loaded) == ([], 2, 2)


def test_nobody_cancels_a_little(tmp_path):
    path = tmp_path / "bad.toml"
    text = TAP.format(at=1, card="classic", amount="1", more="cancel = true")
    path.write_text(SHORT + text, encoding="utf-8")
    with pytest.raises(ScenarioError, match="cancel = True, where a whole number is needed"):
        load(path)


# --- the judge is judged ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(short, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    played = Run(load(short), 5, "cpython", "register", directory, None)
    played.build("amqtt")
    assert played.play().violations == []
    yield played
    played.close()


def verdict(run, paid=None, cancelled=None):
    flashes = {1: run.readers["pos-1"].hardware.flash}
    paid = run.paid if paid is None else paid
    cancelled = run.cancelled if cancelled is None else cancelled
    store = run.services.store
    return checkers.judge(run.cards, run.keys, store, flashes, paid, (), None, cancelled)


def test_an_honest_run_has_nothing_to_say(run):
    found = verdict(run)
    assert (found.violations, found.cancelled, found.cancelled_fen) == ([], 2, 1_000)
    assert run.cancelled == {(100, 700): 1, (200, 300): 1}


def test_what_was_shown_as_cancelled_and_is_not_on_record_is_named(run):
    more = run.cancelled.copy()
    more[100, 200] += 1
    assert any("shown as cancelled, lost" in text for text in verdict(run, None, more).violations)


def test_a_cancellation_that_nobody_saw_is_none_of_a_loss(run):
    """Power went before it was shown: the customer has the money all the same."""
    less = run.cancelled.copy()
    less[100, 700] -= 1
    assert verdict(run, None, less).violations == []


@pytest.mark.parametrize(
    ("act", "word"),
    [
        ("UPDATE transfer SET amount_fen = amount_fen - 1 WHERE kind = 5", "given back"),
        ("DELETE FROM transfer WHERE kind = 5", "given back"),
        ("DELETE FROM transfer WHERE kind = 1 AND amount_fen = 700", "never sold"),
    ],
)
def test_books_that_say_something_else_are_named(run, act, word):
    database = run.services.store.database
    names = [
        name for (name,) in database.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    ]
    database.rows("SAVEPOINT planted")
    try:
        for name in names:
            database.rows(f"DROP TRIGGER {name}")
        database.rows(act)
        assert any(word in text for text in verdict(run).violations)
    finally:
        database.rows("ROLLBACK TO planted")
        database.rows("RELEASE planted")
    assert verdict(run).violations == []
