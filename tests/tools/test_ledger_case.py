"""`onecard ledger case`: what two persons do with a case, beside a ledger that has the books."""

import json
import re

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from ledger.watch import Watch
from tests.ledger.readers import CARD, Reader, open_ledger
from tools.cli import app


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", "case", *map(str, words)])


@pytest.fixture
def store(tmp_path):
    """Books that a ledger has open: a spend of nobody's card, and a copied one."""
    one, other = Reader(1001), Reader(1002)
    one.spend(card_no=99)
    one.spend(card_no=CARD)
    other.spend(card_no=CARD, amount_fen=200)
    store = open_ledger(one, other, path=str(tmp_path / "ledger.sqlite"))
    store.book([one.records, other.records])
    Watch(store, lambda: 60, {}).look()
    yield store
    store.close()


def test_two_persons_and_what_each_is_shown(store, tmp_path):
    path = tmp_path / "ledger.sqlite"
    listed = onecard("list", path)
    assert listed.exit_code == 1
    names = [line.split()[0] for line in listed.output.splitlines()]
    assert names[2] == "331/1001/1" and names[3].startswith("430/1002/1/")
    shown = onecard("show", path, names[3]).output
    assert "  amount_fen: 200\n" in shown
    assert f"  card {CARD}, against record 1001/3:\n" in shown
    assert "two debits at one counter; found 1970-01-01T00:01:00Z\n" in shown
    why = "--because", "a copy"
    proposed = onecard("propose", path, names[3], "--bearer", "card-centre", *why, "--by", "wang")
    assert proposed.exit_code == 0
    assert "proposal 1: card centre bears 2.00\n    from loss 430 to holder 7\n" in proposed.output
    mark = re.search(r"its mark, for who approves: (\w{12})\n", proposed.output)[1]
    approve = "approve", path, "--proposal", 1, "--mark"
    same = onecard(*approve, mark, "--by", "wang")
    assert same.exit_code == 2 and "another person has to approve it" in same.output
    assert onecard(*approve, "0" * 12, "--by", "li").exit_code == 2
    booked = onecard(*approve, mark, "--by", "li")
    assert (booked.exit_code, booked.output) == (
        0,
        "proposal 1 is booked: card centre bears 200 fen\n",
    )
    assert onecard(*approve, mark, "--by", "li").exit_code == 2
    assert names[3] not in onecard("list", path).output
    # The copy's record contradicts the other one too: that case is made good with this one.
    assert "321/1002/1 " in listed.output and "321/1002/1 " not in onecard("list", path).output
    shown = onecard("show", path, "321/1002/1").output
    assert "  by proposal 1, of another case of its sale, approved by li, " in shown
    everything = json.loads(onecard("list", path, "--all", "--json").output)
    (told,) = [case for case in everything if case["case"] == names[3]]
    assert (told["state"], told["approval"]["person"], told["mark"]) == ("corrected", "li", None)
    assert check(store) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("331/1001/2", "no such case"),
        ("331/1001", "is called reason/device/record"),
        ("331/x/1", "is called reason/device/record"),
    ],
)
def test_a_case_that_is_none(store, tmp_path, name, text):
    shown = onecard("show", tmp_path / "ledger.sqlite", name)
    assert shown.exit_code == 2 and text in shown.output


def test_nothing_waits_and_no_books(tmp_path):
    path = tmp_path / "ledger.sqlite"
    open_ledger(Reader(1001), path=str(path)).close()
    listed = onecard("list", path)
    assert (listed.exit_code, listed.output) == (0, "nothing waits\n")
    (tmp_path / "none").write_text("")
    assert onecard("list", tmp_path / "none").exit_code == 2
