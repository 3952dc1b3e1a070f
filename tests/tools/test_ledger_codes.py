"""`onecard ledger phone`, `codes` and `settle`, on books that a ledger has open."""

import json
import time
from datetime import date

import pytest
from typer.testing import CliRunner

from ledger.acquirer import StatementLine
from ledger.invariants import check
from ledger.phones import Phones
from tests.ledger.acquiring import Acquiring
from tests.ledger.checkout import CODE_KEY, NOW_S, Checkout
from tests.ledger.readers import CARD, Reader, lost
from tools.cli import app
from tools.ledger_acquirer import HOLES_SHOWN

SHOWN = "--shown", "passport", "--by", "li"


def onecard(*words):
    return CliRunner().invoke(app, ["ledger", *map(str, words)], env={"COLUMNS": "200"})


@pytest.fixture
def reader():
    return Reader(1001)


@pytest.fixture
def checkout(reader, tmp_path):
    checkout = Checkout(reader, path=str(tmp_path / "ledger.sqlite"))
    (tmp_path / "codes.key").write_text(CODE_KEY.hex())
    (tmp_path / "codes.key").chmod(0o600)
    (tmp_path / "ledger.toml").write_text(
        'data_dir = "."\nsigning_key_file = "none"\n[codes]\nkey_file = "codes.key"\n'
    )
    yield checkout
    checkout.store.close()


def test_a_seed_is_printed_once_and_pays(checkout, reader, tmp_path):
    config = tmp_path / "ledger.toml"
    before = onecard("phone", "show", config, "--card", CARD).output
    assert before == f"card {CARD}: binding 1, id-card shown to wang on 1970-01-01\n"
    done = onecard("phone", "bind", config, "--card", CARD, *SHOWN)
    said = dict(line.split() for line in done.output.splitlines())
    assert (done.exit_code, said["card_no"], said["binding"]) == (0, str(CARD), "2")
    assert checkout.ask(reader)["reason"] != 0, "the phone of before"
    checkout.seed = bytes.fromhex(said["seed"])
    assert checkout.ask(reader)["reason"] == 0
    shown = onecard("phone", "show", config, "--card", CARD).output
    assert shown.startswith(f"card {CARD}: binding 2, passport shown to li on 20")
    assert onecard("phone", "unbind", config, "--card", CARD).exit_code == 2, "nobody says so"
    assert onecard("phone", "unbind", config, "--card", CARD, "--by", "li").exit_code == 0
    assert onecard("phone", "show", config, "--card", CARD).output == f"card {CARD}: no phone\n"
    assert Phones(checkout.store.database, CODE_KEY, bytes).seed_of(CARD) is None


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "id-card, passport, residence-permit"),
        (("--shown", "library-card", "--by", "li"), "id-card, passport, residence-permit"),
        (("--shown", "passport"), "id-card, passport, residence-permit"),
        ((*SHOWN, "--person", "2026010203"), f"card {CARD} is not that of the person"),
    ],
)
def test_nobody_gets_a_phone_without_a_proof(checkout, tmp_path, words, why):
    before = checkout.store.dump()
    done = onecard("phone", "bind", tmp_path / "ledger.toml", "--card", CARD, *words)
    assert done.exit_code == 2
    assert why in done.output
    assert "2026010203" not in done.output
    assert checkout.store.dump() == before


@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_a_card_that_was_never_issued_gets_no_phone(checkout, tmp_path, verb):
    done = onecard("phone", verb, tmp_path / "ledger.toml", "--card", 99, *SHOWN)
    assert (done.exit_code, done.output) == (2, "onecard: card 99 was never issued (651)\n")


def test_a_ledger_without_a_key_for_seeds_binds_none(checkout, tmp_path):
    config = tmp_path / "other.toml"
    config.write_text('data_dir = "."\nsigning_key_file = "none"\n')
    done = onecard("phone", "bind", config, "--card", CARD)
    assert done.exit_code == 2 and "codes.key_file: missing" in done.output


def test_what_is_open_is_listed_and_settled_once(checkout, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW_S + 7_200)
    path = tmp_path / "ledger.sqlite"
    assert onecard("codes", path).exit_code == 0
    checkout.ask(reader, amount_fen=1_250)
    reader.code_sale(1, 1_250)
    reader.boot()
    rest = reader.records[1:]
    checkout.store.book([[lost(reader.key, 1001, 1, rest[0]), *rest]])
    assert onecard("codes", path, "--older-s", 7_200).exit_code == 0, "not that old"
    found = onecard("codes", path, "--json")
    assert found.exit_code == 1
    listed = json.loads(found.output)
    mark = listed[0].pop("mark")
    assert listed == [
        {
            "device": 1001,
            "site": "campus",
            "merchant_no": 12,
            "number": 1,
            "seq": 1,
            "amount_fen": 1_250,
            "asked_s": NOW_S,
            "is_mute": True,
        }
    ]
    text = onecard("codes", path).output
    assert "1001/1" in text and "12.50" in text and f"{mark}  a person" in text
    assert "open: 1, readers: 1, in all: 12.50" in text
    for wrong in ((), ("--mark", "0" * 8)):  # behind a restore 1 may be another payment
        for words in ((), ("--propose",)):
            shown = onecard("settle", path, "--number", 1, "--as", "void", *wrong, *words)
            told = shown.output.replace("\n", " ")
            assert shown.exit_code == 2 and f"say its mark {mark}" in told
            assert "payment 1: record 1001/1, 1250 fen" in told
    marked = "settle", path, "--number", 1, "--mark", mark
    for _ in range(2):
        done = onecard(*marked, "--as", "void")
        assert (done.exit_code, done.output) == (0, "payment 1 of 1250 fen is void\n")
    refused = onecard(*marked, "--as", "sold")
    assert refused.exit_code == 2 and "payment" not in refused.output
    for number in (2, 10**30):
        none = onecard("settle", path, "--number", number, "--as", "sold")
        assert none.exit_code == 2 and isinstance(none.exception, SystemExit)
    assert check(checkout.store) == []


# --- what an acquirer takes -------------------------------------------------------------------


@pytest.fixture
def counter(reader, tmp_path):
    counter = Acquiring(reader, path=str(tmp_path / "acquired.sqlite"))
    yield counter
    counter.store.close()


def test_an_order_that_nothing_settles_is_listed_and_settled_beside_the_others(
    counter, reader, tmp_path
):
    books = tmp_path / "acquired.sqlite"
    counter.heard(reader, counter.asked(reader))
    listed = onecard("codes", books, "--older-s", 0)
    assert (listed.exit_code, "1001/1" in listed.output) == (1, True)
    mark = json.loads(onecard("codes", books, "--older-s", 0, "--json").output)[0]["mark"]
    marked = "settle", books, "--number", 1, "--mark", mark
    assert onecard(*marked[:-1], "0" * 8, "--as", "sold").exit_code == 2
    done = onecard(*marked, "--as", "sold")
    assert (done.exit_code, done.output) == (0, "payment 1 of 100 fen is sold\n")
    again = onecard(*marked, "--as", "void")
    assert (again.exit_code, again.output) == (2, "onecard: order 1 is settled: sold\n")
    assert onecard("codes", books, "--older-s", 0).exit_code == 0
    counter.run(count=3)
    assert set(counter.payments.states().values()) == {"confirmed"}


def test_what_does_not_match_is_listed(counter, tmp_path):
    books = tmp_path / "acquired.sqlite"
    none = onecard("acquirer", books)
    assert (none.exit_code, none.output.splitlines()[-1]) == (0, "No statement is entered.")
    counter.store.acquirer_statements.enter(20_782, [StatementLine("nobody-s", 1250)], 1)
    listed = onecard("acquirer", books)
    assert listed.exit_code == 1
    assert "2026-11-25      12.50  no order of ours" in listed.output
    assert listed.output.endswith("Statements are entered up to 2026-11-25.\n")
    (line,) = json.loads(onecard("acquirer", books, "--json").output)
    assert line["order_no"] == "nobody-s"
    assert (line["day"], line["amount_fen"]) == ("2026-11-25", 1250)
    assert onecard("acquirer", tmp_path / "codes.toml").exit_code == 2


def test_a_corrected_statement_and_a_day_without_one_are_listed(counter, tmp_path):
    """Of some days ago: the command asks what day it is."""
    books, enter = tmp_path / "acquired.sqlite", counter.store.acquirer_statements.enter
    first = int(time.time()) // 86_400 - 12
    for day, fen in ((first, 1250), (first, 1251), (first + 2, 7)):
        enter(day, [StatementLine("nobody-s", fen)], 1)
    listed = onecard("acquirer", books).output
    days = [date.fromordinal(date(1970, 1, 1).toordinal() + first + n) for n in range(3)]
    assert f"{days[0]} was corrected: version 2.\nStatements are entered up to {days[2]}" in listed
    assert f"{days[1]}       0.00  no statement of this day" in listed
    assert f"{days[2]}       0.07  on another day already        nobody-s" in listed


def test_of_many_days_without_a_statement_the_newest_are_listed_and_the_rest_is_counted(
    counter, tmp_path
):
    books = tmp_path / "acquired.sqlite"
    today = int(time.time()) // 86_400
    for day in (today - 102, today - 1):
        counter.store.acquirer_statements.enter(day, [], 1)
    listed = onecard("acquirer", books).output.splitlines()
    shown = [line for line in listed if "no statement of this day" in line]
    holes = json.loads(onecard("acquirer", books, "--json").output)
    assert len(shown) == HOLES_SHOWN == 31 and len(holes) > 90
    first, rest = holes[0]["day"], len(holes) - len(shown)
    assert f"and {rest} days before, from {first} on, without one: --json has them" in listed
    assert f"unmatched: {len(holes)}" in listed
