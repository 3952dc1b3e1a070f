"""`onecard ledger quiescence` and `maps`, as the card centre runs them."""

import json

import pytest
from typer.testing import CliRunner

from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.replaced import BEFORE, LOST_S, lose
from tests.ledger.test_quiescence import inspect
from tools.cli import app


def onecard(*words):
    result = CliRunner().invoke(app, ["ledger", *map(str, words)])
    return result.exit_code, result.output


@pytest.fixture
def books(tmp_path):
    """A ledger's folder: a lost card, a reader that has told all, and one that was never used."""
    (tmp_path / "signing.key").write_text("07" * 32)
    (tmp_path / "signing.key").chmod(0o600)
    path = tmp_path / "ledger.toml"
    path.write_text('data_dir = "."\nsigning_key_file = "signing.key"\n[broker]\n')
    one, other = Reader(1001), Reader(1002)
    store = open_ledger(one, other, path=str(tmp_path / "ledger.sqlite"))
    lose(store)
    one.spend(**BEFORE)
    inspect(one, map_epoch=store.cards.epoch())
    store.book([one.records])
    store.close()
    return path


def test_prove_release_and_verify(books, tmp_path):
    file = tmp_path / "certificate.json"
    code, said = onecard("quiescence", "prove", books, "--card", CARD)
    assert code == 1 and "reader 1002: no record of it is booked" in said, said
    words = "--device", 1002, "--by", "wang", "--because", "never-used"
    assert onecard("quiescence", "release", books, *words) == (
        0,
        "reader 1002: released by wang\n",
    )
    code, said = onecard("quiescence", "prove", books, "--card", CARD, "--out", file)
    assert code == 0 and "proven: none is missing" in said, said
    assert "released by wang" in said and "before it knew of the loss" in said
    assert onecard("quiescence", "verify", file, books) == (0, "the books bear it out\n")
    assert onecard("quiescence", "prove", books, "--card", CARD, "--out", file)[0] == 2
    whole = json.loads(file.read_text())
    whole["found"]["card_no"] += 1
    file.write_text(json.dumps(whole))
    code, said = onecard("quiescence", "verify", file, books)
    assert code == 1 and "its signature does not hold" in said


def test_what_cannot_be_asked(books, tmp_path):
    assert onecard("quiescence", "prove", books, "--card", 8)[0] == 2
    for time in ("yesterday", "2026-11-26T08:00:00"):
        assert onecard("quiescence", "prove", books, "--card", 8, "--before", time)[0] == 2
    words = "--device", 1009, "--by", "wang", "--because", "scrapped"
    assert onecard("quiescence", "release", books, *words)[0] == 2
    noise = tmp_path / "noise"
    noise.write_bytes(b"\xff")
    assert onecard("quiescence", "verify", noise, books)[0] == 2
    # A bare file of the books has no key: the certificate is not signed.
    code, said = onecard(
        "quiescence", "prove", tmp_path / "ledger.sqlite", "--card", CARD, "--json"
    )
    assert code == 1 and "signature" not in json.loads(said)


def test_maps(books):
    code, said = onecard("maps", books, "--json")
    assert code == 1
    assert json.loads(said) == {
        "epoch": 1,
        "behind": [{"device": 1002, "site": "campus", "epoch": 0, "said_s": 0, "since_s": LOST_S}],
    }
    assert "reader 1002, campus: has told of none" in onecard("maps", books)[1]
