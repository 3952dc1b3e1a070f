"""`onecard ledger card reissue`, `carry-over` and `subsidy`, beside a ledger at work."""

import re
import time

import pytest
from typer.testing import CliRunner

from ledger.carry_over import AFTER_S
from ledger.invariants import check
from protocols.rules.card_status import CLOSED
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.replaced import NEW_CARD, books, lose
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
    assert onecard("subsidy", path, path, "--batch", "b").exit_code == 2


# --- subsidies --------------------------------------------------------------------------------


def a_file(tmp_path, text):
    file = tmp_path / "batch.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_batch_is_booked_once_line_by_line(store, path, tmp_path):
    file = a_file(tmp_path, f"card_no,amount\n{CARD},50.00\n\n{OTHER_CARD}, 7.5\n{CARD},50.00\n")
    for _ in range(2):
        done = onecard("subsidy", path, file, "--batch", "2026-11")
        assert (done.exit_code, done.output) == (
            0,
            "batch 2026-11: 3 lines, 107.50 yuan, are booked; 0 refused\n",
        )
    balances = store.balances()
    assert (balances["pending", CARD], balances["pending", OTHER_CARD]) == (10_000, 750)
    assert check(store) == []


def test_a_line_that_cannot_be_booked_keeps_no_other_from_it(store, path, tmp_path):
    lose(store)
    store.reissues.reissue(CARD, NEW_CARD, 2_000_000, "id-card")
    file = a_file(tmp_path, f"card_no,amount\n{CARD},1.00\n999,1.00\n{OTHER_CARD},1.00\n")
    done = onecard("subsidy", path, file, "--batch", "b")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        f"line 2: card {CARD} was replaced by card {NEW_CARD}",
        "line 3: card 999 was never issued",
        "batch b: 1 lines, 1.00 yuan, are booked; 2 refused",
    ]
    # Put right, it is run again under the same name.
    file = a_file(tmp_path, f"card_no,amount\n{NEW_CARD},1.00\n{CARD},1.00\n{OTHER_CARD},1.00\n")
    assert onecard("subsidy", path, file, "--batch", "b").output.splitlines()[-1] == (
        "batch b: 2 lines, 2.00 yuan, are booked; 1 refused"
    )
    changed = a_file(tmp_path, f"card_no,amount\n{NEW_CARD},2.00\n")
    done = onecard("subsidy", path, changed, "--batch", "b")
    assert done.exit_code == 1 and "booked already, and differently" in done.output
    assert store.balances()["pending", NEW_CARD] == 100


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("card,fen\n7,1\n", "first line"),
        ("card_no,amount\n7,1.00\n7,1.005\n", "line 3"),
        ("card_no,amount\n7,-1\n", "line 2"),
        ("card_no,amount\n7,0.00\n", "line 2"),
        ("card_no,amount\n7\n", "line 2"),
        ("card_no,amount\n7,1,1\n", "line 2"),
        ("\ufeffcard_no,amount\n٧,1\n", "line 2"),
    ],
)
def test_a_file_with_a_mistake_books_nothing(store, path, tmp_path, text, said):
    before = store.dump()
    done = onecard("subsidy", path, a_file(tmp_path, text), "--batch", "b")
    assert done.exit_code == 2 and said in done.output
    assert onecard("subsidy", path, a_file(tmp_path, text), "--batch", "a/b").exit_code == 2
    assert store.dump() == before
