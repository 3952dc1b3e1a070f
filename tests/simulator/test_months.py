"""Months of a small campus: closed, approved, paid and late-adjusted, to the fen of its truth."""

import pytest
from typer.testing import CliRunner

from ledger import passwords, people, signatures
from ledger.acquirer_match import Fault
from ledger.invariants import check
from ledger.period_report import late_lines
from ledger.period_rules import broken
from ledger.periods import STEPS
from ledger.store import LedgerStore
from simulator.year import campus as life
from simulator.year import visitors
from simulator.year.campus import START_S, Campus
from simulator.year.office import Office
from simulator.year.staff import HEAD, Staff
from tests.ledger.staff import CHEAP
from tests.ledger.tampering import tamper
from tools.cli import app
from tools.months import Months


@pytest.fixture
def often(monkeypatch):
    """What is rare on a campus happens all the time, so that few days see all of it."""
    rates = ("LOSS_A_DAY", 0.03), ("OFFLINE_A_DAY", 0.3), ("TORN", 0.05), ("POS_PER_MERCHANT", 1)
    for name, value in rates:
        monkeypatch.setattr(life, name, value)
    monkeypatch.setattr(life, "CARDS_PER_POS", 10)
    monkeypatch.setattr(life, "SUBSIDY_DAYS", 5)
    monkeypatch.setattr(life, "CARDS_PER_VISITOR", 10)
    monkeypatch.setattr(visitors, "WRONG_EVERY_DAYS", 6)
    monkeypatch.setattr(passwords, "_HASHER", CHEAP)  # what argon2 costs: test_operators.py


def lived(seed, months=3):
    """(books, truth, what was closed) of months of six days, closed a day later."""
    store = LedgerStore.open(":memory:")
    staff = Staff(store, START_S)
    campus = Campus(store, 50, seed, staff.clerk)
    office = Office(store, campus, staff, month_days=6, after_days=1)
    closed = [one for day in campus.live(office.days(months)) for one in office.evening(day)]
    return store, campus.truth, closed


@pytest.mark.parametrize("seed", [1, 2])
def test_every_month_is_right_to_the_fen(often, seed):
    store, truth, closed = lived(seed)
    assert [one.wrong for one in closed] == [()] * 5, f"seed {seed}"
    assert truth.differences(store.balances()) == [], f"seed {seed}"
    assert check(store) == []
    assert [one.refused_by for one in closed] == [HEAD, "", "", HEAD, ""]
    paid = [one for one in closed if not one.refused_by]
    assert all(one.commission_fen > 0 and one.failed for one in paid)
    assert [one.paid_fen for one in closed if one.refused_by] == [0, 0]
    assert closed[0].readers_open > 0, f"seed {seed}: every reader was there"
    assert sum(one.undecided for one in closed) > 0, f"seed {seed}: nothing was undecided"
    for (kind, _owner), fen in store.balances().items():
        assert kind not in ("remittance", "acquirer") or fen == 0
    store.close()


def test_what_came_late_is_said_of_its_period_and_record_by_record(often):
    store, _truth, closed = lived(seed=1)
    names = [one.name for one in closed]
    assert closed[0].late == ()
    of_periods = {name for one in closed[1:] for name, _count, _fen in one.late}
    assert len(of_periods) >= 2 and of_periods <= set(names[:-1]), of_periods
    for period, one in zip(store.periods.every(), closed, strict=True):
        lines = late_lines(store.database, period.number, period.from_s, period.until_s)
        assert (len(lines), sum(line[5] for line in lines)) == (one.late_lines, one.late_fen)
    store.close()


def test_each_signature_is_a_session_s_and_none_of_two_persons(often):
    store, _truth, closed = lived(seed=1, months=1)
    for period in store.periods.every():
        persons = [period.person, *(person for _step, person, _time_s in period.approvals)]
        assert len(set(persons)) == len(persons)
        for step, person, _time_s in period.approvals:
            said = f"period.{list(STEPS)[step - 1]}", f"report {period.number}"
            assert signatures.was_proven(store.database, person, *said, period.sha256.hex())
    assert len(closed) == 2 and closed[1].failed == 1  # an account was wrong at first
    period = store.periods.every()[-1]
    with pytest.raises(signatures.NotAllowed) as caught:
        store.periods.approve(period.number, "audit", period.sha256.hex(), "wang", START_S)
    assert caught.value.reason == people.TYPED_NAME
    store.close()


def test_statements_are_matched_and_what_is_not_is_shown(often):
    store, _truth, closed = lived(seed=1, months=1)
    told = closed[1].statements
    assert told.cleared > 0 and told.verified > 0
    assert sum(str(Fault.NO_ORDER) in text for text in told.unmatched) == 1
    for what in ("no record", "no line"):
        assert any(text.endswith(what) for text in told.unmatched), what
    store.close()


def test_payments_of_one_price_are_counted_where_nobody_can_tell_them_apart(often, monkeypatch):
    """Two lines, and of one the record is with a reader that is offline: neither is verified."""
    monkeypatch.setattr(visitors, "PRICES_FEN", range(800, 801))
    monkeypatch.setattr(life, "CARDS_PER_VISITOR", 2)
    monkeypatch.setattr(life, "POS_PER_MERCHANT", 5)
    store, _truth, closed = lived(seed=1, months=2)
    told = closed[1].statements  # behind the last month everybody is there
    assert any("more than one may be its record" in text for text in told.unmatched)
    assert [one.wrong for one in closed] == [()] * 3
    store.close()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM aggregate_sale WHERE amount_fen <> 777", "verified sales"),
        ("UPDATE acquirer_stated SET order_no = order_no || 'x'", "lines of no order"),
    ],
)
def test_a_statement_that_is_not_so_is_told(often, sql, said):
    store = LedgerStore.open(":memory:")
    staff = Staff(store, START_S)
    campus = Campus(store, 50, 1, staff.clerk)
    list(campus.live(6))
    tamper(store, [sql])
    told = campus.visitors.statements(START_S + 7 * 86_400)
    assert any(text.startswith(said) for text in told.wrong), told.wrong
    store.close()


def test_a_fen_too_much_is_told(often):
    store, truth, closed = lived(seed=1, months=1)
    what = 50, 1, 9, closed, 9
    right = Months(*what, truth.differences(store.balances()), broken(store.database))
    assert right.is_right and "9 accounts are equal to the fen" in right.text()
    tamper(store, ["UPDATE account SET balance_fen = balance_fen + 1 WHERE kind = 15"])
    wrong = Months(*what, truth.differences(store.balances()), broken(store.database))
    assert not wrong.is_right and "WRONG: remittance 71: 0.01 in the books" in wrong.text()
    assert "NOT SO: a remittance on its way to a bank is what no bank has paid" in wrong.text()
    store.close()


def test_a_record_that_truth_knows_as_late_and_no_line_is_told(often):
    store = LedgerStore.open(":memory:")
    staff = Staff(store, START_S)
    campus = Campus(store, 50, 1, staff.clerk)
    office = Office(store, campus, staff, month_days=6, after_days=1)
    closed = []
    for day in campus.live(office.days(2)):
        if day == 11:
            campus.truth.late[1001, 4_000_000] = 71, 2, 600
        closed += office.evening(day)
    assert closed[-1].wrong == ("record 1001/4000000 came late, and is no line",)
    store.close()


def test_the_command_refuses_books_of_others(tmp_path):
    path = tmp_path / "months.sqlite"
    store = LedgerStore.open(str(path))
    Campus(store, 2, 1)
    store.close()
    done = CliRunner().invoke(app, ["sim", "months", "--cards", "2", "--database", str(path)])
    assert done.exit_code == 2 and "there are readers in these books already" in done.output
