"""A small campus lives for a while: the books come to what its own account says, to the fen."""

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from ledger.reasons import DEBT_OF_CENTRE, DEBT_OF_DEPARTMENT
from ledger.store import LedgerStore
from simulator.year import campus as life
from simulator.year.campus import Campus
from tools.cli import app


@pytest.fixture
def often(monkeypatch):
    """What is rare on a campus happens all the time, so that few days see all of it."""
    for name, value in (("LOSS_A_DAY", 0.03), ("OFFLINE_A_DAY", 0.3), ("TORN", 0.05)):
        monkeypatch.setattr(life, name, value)
    monkeypatch.setattr(life, "GOODBYE_DAY", 12)
    monkeypatch.setattr(life, "SUBSIDY_DAYS", 5)


@pytest.mark.parametrize("seed", [1, 2])
def test_every_account_is_right_to_the_fen(often, seed):
    store = LedgerStore.open(":memory:")
    campus = Campus(store, cards=60, seed=seed)
    assert list(campus.live(16)) == list(range(16))
    balances = store.balances()
    assert campus.truth.differences(balances) == []
    assert check(store) == []
    assert store.summary()["records"] == campus.counts["records"]
    for what in ("losses", "reissues", "thefts", "torn taps", "loads", "paid in", "goodbyes"):
        assert campus.counts[what] > 0, f"seed {seed}: no {what}"
    # In this year no merchant leaves, so none leaves a debt.
    debts = {DEBT_OF_CENTRE, DEBT_OF_DEPARTMENT}
    rows = [(reason, fen) for (kind, reason), fen in balances.items() if kind == "loss"]
    losses = [fen for reason, fen in rows if reason not in debts]
    assert max(losses) < 0, f"seed {seed}: nothing was borne, or nothing came late"
    store.close()


def test_a_fen_that_is_wrong_is_told(often):
    store = LedgerStore.open(":memory:")
    campus = Campus(store, cards=5, seed=1)
    list(campus.live(2))
    balances = store.balances()
    balances["holder", 20_001] += 1
    balances["merchant", 99] = 1
    right_fen = balances["holder", 20_001] - 1
    assert campus.truth.differences(balances) == [
        (("holder", 20_001), right_fen + 1, right_fen),
        (("merchant", 99), 1, 0),
    ]
    store.close()


def test_the_command_lives_it_and_refuses_books_of_others(tmp_path):
    path = tmp_path / "year.sqlite"
    words = ["sim", "year", "--cards", "20", "--days", "3", "--database", str(path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "accounts are equal to the fen" in done.output
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2
    assert "there are readers in these books already" in again.output
