"""`onecard ledger splits`: what the office for merchants gets to read, and how it is refused."""

import hashlib
import json

import pytest
from typer.testing import CliRunner

from protocols.rules import split
from protocols.wire.messages import FLAG_OFFLINE, FLAG_PIN
from tests.ledger.readers import CANTEEN, CARD, OTHER_CARD, Reader, open_ledger
from tests.ledger.test_splits import A, B, pay, rich
from tools.cli import app

DAY = ("--since", "2026-09-21T00:00:00+08:00", "--until", "2026-09-22T00:00:00+08:00")


def onecard(path, *words):
    return CliRunner().invoke(app, ["ledger", "splits", str(path), "--limit-fen", "5000", *words])


@pytest.fixture
def readers():
    """Sixty yuan over two windows, one of them offline; a PIN behind it; and an honest lunch."""
    one, other = Reader(A), Reader(B)
    card, honest = rich(CARD), rich(OTHER_CARD)
    pay(one, card, 0)
    pay(other, card, 30, flags=FLAG_OFFLINE)
    pay(one, honest, 40, 1500)
    pay(one, card, 60)
    pay(one, card, 80, 6000, FLAG_PIN)
    return one, other


@pytest.fixture
def books(tmp_path, readers):
    path = tmp_path / "ledger.sqlite"
    store = open_ledger(*readers, path=str(path))
    store.book([reader.records for reader in readers])
    store.close()
    return path


def test_a_split_purchase_as_people_read_it(books, readers):
    done = onecard(books, *DAY)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert "within 180 s" in lines[0] and lines[0].endswith("together above 50.00")
    records = sum(reader.seq for reader in readers)
    assert lines[1].startswith(f"books: {records} records of 2 readers, state ")
    assert lines[2] == "spends from 2026-09-20 16:00:00 to 2026-09-21 16:00:00"
    assert lines[4] == (
        f"merchant {CANTEEN} Canteen: 1 purchases split, 1 of them surely; 5 spends"
    )
    assert lines[5] == (
        f"  card {CARD}: SURE, 60.00 in 3 parts; no reader could know: each saw its own part only"
    )
    rows = [line.split() for line in lines[7:11]]
    when = ("2026-09-21", "14:13:50", "2026-09-21", "14:13:51")
    assert rows[1] == ["1002/1", "20.00", *when, "offline", "no", "PIN"]
    assert [row[0] for row in rows] == ["1001/1", "1002/1", "1001/5", "1001/7"]
    assert rows[3][-2:] == ["online", "PIN"]


def test_json_has_everything_to_check_it(books, readers):
    done = onecard(books, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    (found,) = told["splits"]
    assert (found["card_no"], found["merchant_no"], found["is_sure"]) == (CARD, CANTEEN, True)
    assert found["total_fen"] == sum(part["amount_fen"] for part in found["charges"]) == 6000
    assert found["seen_by"] == []
    assert [part["is_offline"] for part in found["charges"]] == [False, True, False]
    assert [(one["holder"], one["amount_fen"]) for one in found["proven"]] == [("PIN", 6000)]
    sealed = {reader.device: reader.records for reader in readers}
    for part in (*found["charges"], *found["proven"]):
        record = sealed[part["device"]][part["seq"] - 1]
        assert part["sha256"] == hashlib.sha256(record).hexdigest()
    heads = {head["device"]: head["seq"] for head in told["books"]["heads"]}
    assert heads == {reader.device: reader.seq for reader in readers}


def test_the_same_books_give_the_same_bytes_and_are_not_changed(books):
    before = books.read_bytes()
    assert onecard(books).stdout == onecard(books).stdout
    assert onecard(books, "--json").stdout == onecard(books, "--json").stdout
    assert books.read_bytes() == before


def test_no_finding_exits_0(books):
    done = onecard(books, "--window-s", "5")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "No purchase was split.")
    assert "0 purchases split" in done.stdout
    # Another day: nobody paid anything then.
    done = onecard(books, "--until", "2026-09-01T00:00:00Z", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["splits"], told["merchants"]) == (0, [], [])


@pytest.mark.parametrize("time", ["noon", "2026-09-21T00:00:00"])
def test_a_time_without_its_zone_is_refused(books, time):
    done = onecard(books, "--since", time)
    assert done.exit_code == 2
    assert time in done.stderr and "Traceback" not in done.output


def test_a_file_that_is_no_database_and_a_limit_that_is_missing(tmp_path, books):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    assert onecard(path).exit_code == 2
    assert CliRunner().invoke(app, ["ledger", "splits", str(books)]).exit_code == 2


def test_the_window_of_the_command_is_that_of_the_rule(books):
    told = json.loads(onecard(books, "--json").stdout)
    assert told["window_s"] == split.WINDOW_S
