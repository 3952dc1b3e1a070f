"""Months of a small campus: closed, approved, paid and late-adjusted, to the fen of its truth."""

import pytest

from ledger.invariants import check
from ledger.period_rules import broken
from ledger.store import LedgerStore
from simulator.year import campus as life
from simulator.year.campus import Campus
from simulator.year.office import Office
from tests.ledger.tampering import tamper
from tools.months import Months


@pytest.fixture
def often(monkeypatch):
    """What is rare on a campus happens all the time, so that few days see all of it."""
    rates = ("LOSS_A_DAY", 0.03), ("OFFLINE_A_DAY", 0.3), ("TORN", 0.05), ("POS_PER_MERCHANT", 1)
    for name, value in rates:
        monkeypatch.setattr(life, name, value)
    monkeypatch.setattr(life, "CARDS_PER_POS", 10)
    monkeypatch.setattr(life, "SUBSIDY_DAYS", 5)


def lived(seed, months=3):
    """(books, truth, what was settled) of months of six days, closed a day later."""
    store = LedgerStore.open(":memory:")
    campus = Campus(store, cards=50, seed=seed)
    office = Office(store, campus.truth, month_days=6, after_days=1)
    evenings = [office.evening(day) for day in campus.live(office.days(months))]
    return store, campus.truth, [month for month in evenings if month is not None]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_month_is_right_to_the_fen(often, seed):
    store, truth, settled = lived(seed)
    assert [month.wrong for month in settled] == [()] * 3, f"seed {seed}"
    assert truth.differences(store.balances()) == [], f"seed {seed}"
    assert check(store) == []
    assert settled[0].late_lines == 0
    for month in settled[1:]:
        assert month.late_lines > 0 and month.late_fen > 0, f"seed {seed}: nothing came late"
    assert all(month.commission_fen > 0 and month.failed for month in settled)
    assert settled[0].readers_open > 0, f"seed {seed}: every reader was there"
    assert sum(month.undecided for month in settled) > 0, f"seed {seed}: nothing was undecided"
    balances = store.balances()
    for (kind, _owner), fen in balances.items():
        assert kind != "remittance" or fen == 0
    store.close()


def test_a_fen_too_much_is_told(often):
    store, truth, settled = lived(seed=1, months=1)
    right = Months(50, 1, settled, 9, truth.differences(store.balances()), broken(store.database))
    assert right.is_right and "9 accounts are equal to the fen" in right.text()
    tamper(store, ["UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 15"])
    wrong = Months(50, 1, settled, 9, truth.differences(store.balances()), broken(store.database))
    assert not wrong.is_right and "WRONG: remittance 71: 0.01 in the books" in wrong.text()
    assert "NOT SO: a remittance on its way to a bank is what no bank has paid" in wrong.text()
    store.close()
