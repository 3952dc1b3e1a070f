"""`onecard ledger subsidy`: a list from its file to the cards, beside a ledger that is at work."""

import pytest

from ledger.invariants import check
from tests.ledger.readers import CARD, OTHER_CARD, open_ledger
from tests.tools.test_ledger_lives import good, onecard

HEAD = "card_no,person_no,amount\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store(path):
    store = open_ledger(path=str(path))
    yield store
    assert check(store) == []
    store.close()


def a_file(tmp_path, text):
    file = tmp_path / "batch.csv"
    file.write_text(text, encoding="utf-8-sig")
    return file


def test_a_list_from_its_dry_run_to_its_reconciliation(store, path, tmp_path):
    file = a_file(tmp_path, f"{HEAD}{CARD},,50.00\n\n{OTHER_CARD},, 7.5\n999,,1\n")
    words = path, file, "--batch", "2026-11"
    done = onecard("subsidy", "dry-run", *words)
    *said, signed, sha256 = done.output.splitlines()
    assert (done.exit_code, signed) == (1, "signed by: nobody")
    assert said == [
        "line 5, card 999, 1.00: is not in the books (410)",
        "2 of 3 lines would be paid in, 57.50 of 58.50 yuan",
    ]
    words = (*words, "--sha256", sha256.split()[1])
    assert onecard("subsidy", "run", *words, "--by", "li").exit_code == 2
    for total in ("58.50", "x"):
        done = onecard("subsidy", "sign", *words, "--total", total, "--by", "sun")
        assert done.exit_code == 2, total
    for person in ("sun", "qian"):
        good("subsidy", "sign", *words, "--total", "57.50", "--by", person)
    for _ in range(2):
        done = onecard("subsidy", "run", *words, "--by", "li")
        assert done.exit_code == 1
        assert done.output.endswith("2 lines, 57.50 yuan, are paid in; 1 are left\n")
    balances = store.balances()
    assert (balances["pending", CARD], balances["pending", OTHER_CARD]) == (5_000, 750)
    done = onecard("subsidy", "show", path, "--batch", "2026-11")
    assert done.output.splitlines() == [
        "on cards, or gone on to the next: 0 lines, 0.00 yuan",
        "waiting for their cards: 2 lines, 57.50 yuan",
        "not begun: 0 lines, 0.00 yuan",
        "left: 1 lines, 1.00 yuan",
    ]
    assert onecard("subsidy", "show", path, "--batch", "2026-12").exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("card,fen\n7,1\n", "first line"),
        (f"{HEAD}7,,1.00\n7,,1.005\n", "line 3"),
        (f"{HEAD}7,,-1\n", "line 2"),
        (f"{HEAD}7,,0.00\n", "line 2"),
        (f"{HEAD}7,1\n", "line 2"),
        (f"{HEAD}\u0667,,1\n", "line 2"),
        (f"{HEAD}7,,167772.16\n", "line 2"),
        (f"{HEAD}7,=1,1\n", "B2 is a formula"),
        (f"{HEAD}7,N 1,1\n", "line 2 has no number of a person"),
        (HEAD, "no lines"),
    ],
)
def test_a_file_with_a_mistake_does_nothing(store, path, tmp_path, text, said):
    before = store.dump()
    file = a_file(tmp_path, text)
    done = onecard("subsidy", "dry-run", path, file, "--batch", "b")
    assert done.exit_code == 2 and said in done.output
    good_file = a_file(tmp_path, f"{HEAD}7,,1\n")
    assert onecard("subsidy", "dry-run", path, good_file, "--batch", "a/b").exit_code == 2
    assert store.dump() == before
