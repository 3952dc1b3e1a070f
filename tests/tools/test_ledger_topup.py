"""`onecard ledger topup`: an order is booked once, beside a ledger that has the books open."""

import sqlite3
import time

import pytest
from typer.testing import CliRunner

from ledger import people
from ledger.invariants import check
from ledger.reentry import NUMBERS_APART, enter_again
from ledger.schema import MIGRATIONS
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import cheap, staffed, token_of
from tools import session
from tools.cli import app

__all__ = ["cheap"]


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "topup", *map(str, words)])


@pytest.fixture
def store(tmp_path):
    """Books that a ledger has open."""
    store = open_ledger(Reader(1001), path=str(tmp_path / "ledger.sqlite"))
    yield store
    store.close()


def test_it_is_booked_once(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    for _ in range(2):
        done = onecard(path, "--card", CARD, "--fen", 5_000, "--order", "A-1")
        assert (done.exit_code, done.output) == (0, f"credit 1: 5000 fen wait for card {CARD}\n")
    assert store.balances()["pending", CARD] == 5_000
    assert check(store) == []


@pytest.mark.parametrize(
    ("card_no", "fen", "order", "said"),
    [
        (99, 5_000, "A-2", "card 99 was never issued"),
        (CARD, 0, "A-2", "not in 1.."),
        (CARD, 4_999, "A-1", "booked already, and differently"),
        (CARD, 5_000, "", "an order number has"),
    ],
)
def test_what_cannot_be_is_refused(store, tmp_path, card_no, fen, order, said):
    path = tmp_path / "ledger.sqlite"
    assert onecard(path, "--card", CARD, "--fen", 5_000, "--order", "A-1").exit_code == 0
    before = store.dump()
    done = onecard(path, "--card", card_no, "--fen", fen, "--order", order)
    assert done.exit_code == 2
    assert said in done.output
    assert store.dump() == before


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    assert onecard(path, "--card", 7, "--fen", 1, "--order", "A").exit_code == 2


def test_books_of_another_version_are_not_migrated_by_the_way(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    older = len(MIGRATIONS) - 1
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {older}")
    done = onecard(path, "--card", CARD, "--fen", 1, "--order", "A")
    assert done.exit_code == 2 and f"has schema {older}" in done.output


def test_behind_a_restore_a_credit_gets_the_number_that_it_had(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    enter_again(store, ())
    for order, number, said in (
        ("A-1", 5, "credit 5: 100 fen wait"),
        ("A-1", 5, "credit 5: 100 fen wait"),
        ("A-1", 6, "booked already, and differently"),
        ("A-2", 5, "credit 5 is another order's"),
        ("A-2", 0, f"credit {NUMBERS_APART + 1}: 100 fen wait"),
    ):
        what = "--card", CARD, "--fen", 100, "--order", order, "--number", number
        assert said in onecard(path, *what).output
    assert check(store) == []


def test_where_the_books_have_operators_a_clerk_proposes_and_a_treasurer_books(
    store, tmp_path, monkeypatch, cheap
):
    path, now_s = tmp_path / "ledger.sqlite", int(time.time())
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    what = path, "--card", CARD, "--fen", 100, "--order", "A-1"
    alone = onecard(*what, "--propose", "--by", "li")
    assert alone.exit_code == 2 and "no operators: nobody proposes" in alone.output
    staffed(store, now_s)
    for login, words, code, said in (
        ("tian", (), 2, f"({people.NO_PROPOSAL})"),
        ("tian", ("--propose",), 2, f"({people.NOT_FOR_ROLE})"),
        ("clara", (), 2, f"({people.NOT_FOR_ROLE})"),
        ("clara", ("--propose",), 0, "order A-1: a treasurer books 100 fen"),
        ("tian", (), 0, "credit 1: 100 fen wait"),
        ("tian", (), 0, "credit 1: 100 fen wait"),
    ):
        session.keep(token_of(store, login, now_s))
        done = onecard(*what, *words)
        assert (done.exit_code, said in done.output) == (code, True), done.output
    assert store.balances()["pending", CARD] == 100 and check(store) == []
