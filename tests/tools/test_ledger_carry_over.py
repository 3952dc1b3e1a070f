"""`onecard ledger card reissue`, `carry-over` and `subsidy`, beside a ledger at work."""

import re
import time

import pytest
from typer.testing import CliRunner

from ledger.carry_over import AFTER_S
from ledger.invariants import check
from ledger.steady_clock import KEEP
from protocols.rules.card_status import CLOSED
from tests.ledger.readers import CARD, OPENING_FEN, Reader
from tests.ledger.replaced import NEW_CARD, books, lose, replace
from tools.cli import app


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", *map(str, words)])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store(path):
    """Books that a ledger has open."""
    store = books(Reader(1001), path=str(path))
    yield store
    store.close()


def test_a_lost_card_is_replaced_and_what_is_left_goes_on(store, path):
    now_s = int(time.time())
    lose(store, time_s=now_s - AFTER_S + 1000)
    words = ("card", "reissue", path, "--card", CARD, "--new", NEW_CARD, "--evidence", "id-card")
    for _ in range(2):
        done = onecard(*words)
        said = f"card {NEW_CARD} is in the place of card {CARD}, which is closed\n"
        assert (done.exit_code, done.output) == (0, said)
    assert store.cards.status(CARD) == CLOSED
    for card_no in (CARD, NEW_CARD):
        shown = onecard("card", "show", path, "--card", card_no).output.splitlines()
        said = rf"  of card {CARD} for card {NEW_CARD}: 100\.00 frozen, carried over from"
        assert re.fullmatch(said + r" \d{4}-\d\d-\d\dT[\d:]{8}Z on; 0\.00 at once", shown[-1])
    assert onecard("carry-over", path).output == "nothing is due\n"
    done = onecard("carry-over", path, "--after-h", 71)
    assert (done.exit_code, done.output) == (0, f"credit 1: 10000 fen wait for card {NEW_CARD}\n")
    assert onecard("carry-over", path, "--after-h", 71).output == "nothing is due\n"
    assert store.balances()["pending", NEW_CARD] == OPENING_FEN
    assert "0.00 frozen" in onecard("card", "show", path, "--card", CARD).output
    assert check(store) == []


def test_a_wall_that_was_set_is_told_and_does_not_count(store, path):
    now_s = int(time.time())
    lose(store, time_s=now_s - 2 * AFTER_S)
    replace(store, time_s=now_s - 2 * AFTER_S)
    steady = now_s - 2 * AFTER_S + 60  # the wall was set ahead a minute behind the report
    store.database.many(KEEP, [(now_s, steady, 0), (now_s, now_s, 0)])
    said = r"the clock here is 14[34] h \d+ min ahead of the ledger's own, .*\n"
    assert re.fullmatch(said + "nothing is due\n", onecard("carry-over", path).output)
    settled = onecard("batch", "settle", path)
    assert re.fullmatch(said + "nothing is due\n", settled.output) and settled.exit_code == 0
    assert store.balances()["holder", CARD] == OPENING_FEN


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--new", NEW_CARD, "--evidence", "id-card"), "only one that is reported lost"),
        (("--evidence", "id-card"), "--new"),
        (("--new", NEW_CARD), "shown in person"),
    ],
)
def test_what_cannot_be_is_refused(store, path, words, said):
    before = store.dump()
    done = onecard("card", "reissue", path, "--card", CARD, *words)
    assert done.exit_code == 2 and said in done.output
    assert store.dump() == before


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    assert onecard("carry-over", path).exit_code == 2
    assert onecard("subsidy", "dry-run", path, path, "--batch", "b").exit_code == 2
