"""Platforms' codes through real readers, an acquirer in its own process, and its statement."""

import re

import pytest

from ledger.acquirer import Word
from ledger.invariants import check
from ledger.reservations import Settled
from simulator import acquiring
from simulator.run import Run
from simulator.scenario import ScenarioError, load
from tools.ledger_acquirer import find, to_text

OFFSET_S = 28_800


@pytest.fixture(scope="module")
def path(repo_root):
    return repo_root / "simulator" / "scenarios" / "acquirer.toml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("acquirer")


@pytest.fixture(scope="module")
def run(path, folder):
    scenario = load(path)
    played = Run(scenario, scenario.seed, "cpython", "register", folder, None)
    played.build("amqtt")
    report = played.play()
    assert (report.failures, report.violations) == ([], [])
    yield played
    played.close()


def orders(run):
    sql = "SELECT amount_fen, state, word FROM acquirer_order ORDER BY number"
    return list(run.services.store.database.rows(sql))


def test_each_payment_ends_as_its_record_says(run):
    sold, void = (Settled.SOLD, Word.CONFIRMED), (Settled.VOID, Word.VOIDED)
    assert orders(run) == [
        (700, *sold),
        (900, *void),  # silent
        (550, *sold),  # late, in time
        (600, *void),  # late, behind the window's patience
        (400, *sold),  # everything twice
        (250, *sold),  # another one had answered
    ]
    assert check(run.services.store) == []
    assert run.services.store.cases() == []


def test_payers_are_without_what_was_sold_and_the_stray(run):
    """By the acquirer's own books, which share nothing with the ledger's."""
    charged = run.services.acquiring.charged()
    stray = {no: fen for no, fen in charged.items() if no.startswith("stray")}
    assert list(stray.values()) == [330]
    assert sum(charged.values()) - 330 == run.services.store.takings(71) - 300 == 1_900
    assert run.services.acquiring.desk.counters["statements"] == 1


def test_its_unmatched_line_is_shown_and_no_other(run, folder):
    (found,), versions = find(folder / "ledger.sqlite", OFFSET_S, run.world.utc_s())
    lines = to_text([found], versions).splitlines()
    assert re.split(r"\s{2,}", lines[1])[:3] == ["2026-09-01", "3.30", "no order of ours"]
    assert lines[-1] == "Statements are entered up to 2026-09-01."
    assert run.services.store.balances()["acquirer", 0] == 0, "all that was sold is cleared"


def test_books_that_say_something_else_are_named(run):
    store, charged = run.services.store, run.services.acquiring.charged()
    assert acquiring.judge(store, charged) == []
    sold = next(no for no in charged if not no.startswith("stray"))
    assert "its payer paid 0" in acquiring.judge(store, charged | {sold: 0})[0]
    ((void,),) = store.database.rows(
        "SELECT order_no FROM acquirer_order WHERE state = 2 AND amount_fen = 900"
    )
    assert "sold for 0 fen, its payer paid 900" in acquiring.judge(store, charged | {void: 900})[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("acquirer = 1\n", "", "who is to disturb? acquirer = 1 gives the ledger one"),
        ('verb = "confirm"', 'verb = "confrim"', "'confrim' is none of reserve, query"),
        ('faults = ["twice"]', 'faults = ["thrice"]', "a list of lost, silent, late"),
        ('faults = ["twice"]', 'faults = "twice"', "a list of lost, silent, late"),
        ("acquirer = 1\n", 'acquirer = "x"\n', "a whole number"),
        ('amount = "3.30"', 'amount = "three"', "not an amount"),
    ],
)
def test_a_mistake_is_named_with_its_line(path, tmp_path, old, new, said):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScenarioError, match=rf"wrong\.toml:\d+: .*{re.escape(said)}"):
        load(wrong)
