"""`onecard ledger aggregate import` and `list`, and `onecard aggregate-code`."""

import json
import time

import pytest
from typer.testing import CliRunner

from ledger import people, signatures
from ledger.invariants import check
from tests.ledger.readers import CANTEEN, Reader, open_ledger
from tests.ledger.staff import cheap, staffed, token_of
from tools import session
from tools.cli import app

__all__ = ["cheap"]

NOON_S = 1_788_235_200
HEAD = "channel,order_no,merchant_no,amount,time"
PAID = f"wechat,A1,{CANTEEN},12.50,2026-09-01T12:00:00+08:00"


def onecard(*words):
    return CliRunner().invoke(app, [*map(str, words)], env={"COLUMNS": "200"})


@pytest.fixture
def books(tmp_path):
    """Books that a ledger has open, with three records: 12.50, 12.50 an hour later, 6.00."""
    reader = Reader(1001)
    for amount_fen, time_s in ((1250, NOON_S), (1250, NOON_S + 3_600), (600, NOON_S)):
        reader.aggregate(amount_fen, earliest_s=time_s, latest_s=time_s + 2)
    store = open_ledger(reader, path=str(tmp_path / "ledger.sqlite"))
    store.book([reader.records])
    yield store
    store.close()


def write(tmp_path, *rows):
    path = tmp_path / "statement.csv"
    path.write_text("\n".join((HEAD, *rows, "")), encoding="utf-8")
    return path


def test_a_statement_verifies_beside_a_ledger_that_is_open(books, tmp_path):
    path = tmp_path / "ledger.sqlite"
    other = f"alipay,B1,{CANTEEN},7.00,2026-09-01T12:00:00+08:00"
    statement = write(tmp_path, PAID, other)
    for said in ("2 lines are new, 0 were known\n", "0 lines are new, 2 were known\n"):
        done = onecard("ledger", "aggregate", "import", path, statement)
        assert (done.exit_code, done.output) == (0, said)
    done = onecard("ledger", "aggregate", "list", path, "--json")
    assert done.exit_code == 1
    found = json.loads(done.output)
    assert found["records"][0] == {
        "device": 1001,
        "seq": 1,
        "merchant_no": CANTEEN,
        "amount_fen": 1250,
        "earliest_s": NOON_S,
        "latest_s": NOON_S + 2,
        "status": "verified",
        "line": "wechat A1",
    }
    assert [one["status"] for one in found["records"][1:]] == ["unverified"] * 2
    assert [one["status"] for one in found["lines"]] == ["unverified", "verified"]
    text = onecard("ledger", "aggregate", "list", path).output
    assert "record 1001/1" not in text and "record 1001/2" in text and "no record" in text
    assert "records verified: 1, in all: 12.50" in text
    assert "records unverified: 2, in all: 18.50" in text
    assert "statement lines: 2, of them without a record of their own: 1, in all: 7.00" in text
    assert "wechat A1" in onecard("ledger", "aggregate", "list", path, "--all").output
    assert check(books) == []


def test_when_all_is_verified_it_says_so(books, tmp_path):
    path = tmp_path / "ledger.sqlite"
    rows = (
        PAID,
        f"wechat,A2,{CANTEEN},12.50,2026-09-01T13:00:00+08:00",
        f"wechat,A3,{CANTEEN},6.00,2026-09-01T11:55:00+08:00",
    )
    onecard("ledger", "aggregate", "import", path, write(tmp_path, *rows))
    assert onecard("ledger", "aggregate", "list", path).exit_code == 0
    done = onecard("ledger", "aggregate", "list", path, "--before-s", 299)
    assert done.exit_code == 1, "the third was paid 300 s before its record"


def test_each_bad_line_is_named_and_nothing_is_imported(books, tmp_path):
    path, before = tmp_path / "ledger.sqlite", books.dump()
    statement = write(tmp_path, PAID, "wechat,A2,12,0,now", PAID.replace("A1", "A3"), "x")
    done = onecard("ledger", "aggregate", "import", path, statement)
    assert done.exit_code == 2
    assert "line 3: '0' is no amount" in done.output and "line 5: 1 fields" in done.output
    assert "2 bad lines, nothing is imported" in done.output
    assert books.dump() == before


def test_where_the_books_have_operators_a_clerk_imports_and_stands_beside_it(
    books, tmp_path, monkeypatch, cheap
):
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    now_s = int(time.time())
    staffed(books, now_s)
    words = "ledger", "aggregate", "import", tmp_path / "ledger.sqlite", write(tmp_path, PAID)
    verb, before = "aggregate.enter", books.dump()
    for by in ((), ("--by", "clara")):
        done = onecard(*words, *by)
        assert done.exit_code == 2 and f"({people.NO_SESSION})" in done.output
    assert books.dump() == before
    for login, code in (("tian", 2), ("clara", 0)):
        session.keep(token_of(books, login, now_s))
        assert onecard(*words).exit_code == code
    acts = [one for one in signatures.acts(books.database, 1_000) if one.verb == verb]
    assert [(one.login, one.reason) for one in acts] == [
        ("tian", people.NOT_FOR_ROLE),
        ("clara", 0),
    ]


@pytest.mark.parametrize("verb", ["import", "list"])
def test_a_file_that_is_no_database(tmp_path, verb):
    path = tmp_path / "x"
    path.write_bytes(b"no database, but long enough to be read as the first page of one" * 20)
    words = [path, write(tmp_path, PAID)] if verb == "import" else [path]
    done = onecard("ledger", "aggregate", verb, *words)
    assert done.exit_code == 2 and done.output.startswith("onecard: ")


def test_a_code_is_drawn_into_a_file(tmp_path):
    path = tmp_path / "code.bin"
    done = onecard("aggregate-code", "https://pay.example/q/71", path)
    assert (done.exit_code, len(path.read_bytes())) == (0, 128)
    assert done.output == f"{path}: version 2, error correction M\n"
    long = onecard("aggregate-code", "https://pay.example/" + "x" * 40, tmp_path / "long.bin")
    assert long.exit_code == 2 and "60 characters do not fit the display: 53 do" in long.output
    assert not (tmp_path / "long.bin").exists()
