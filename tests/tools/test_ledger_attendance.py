"""`onecard ledger attendance`, on books that a ledger has open."""

import csv
import io
import json
import time

import pytest
from typer.testing import CliRunner

from ledger.store import LedgerStore
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.test_attendance import NEVER, at
from tools.cli import app


def onecard(*words):
    words = ["ledger", "attendance", *map(str, words)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "200"})


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: at(5, 9))
    path, gate = tmp_path / "ledger.sqlite", Reader(3001)
    open_ledger(gate, path=str(path)).close()
    gate.punch(CARD, at(3, 7, 58))
    gate.punch(CARD, at(3, 18, 2), at(3, 18, 9))
    store = LedgerStore.open(str(path))  # stays open, as a ledger that runs has it
    store.book([gate.records])
    yield path
    store.close()


def test_a_month_for_people(path):
    done = onecard("month", path, "2026-11")
    assert done.exit_code == 0
    row = done.output.splitlines()[2].split()
    assert row == [str(CARD), "2026-11-03", "07:58:00", "18:02:00~18:09:00", "2", "0"]
    assert onecard("month", path, "2026-10").output.splitlines()[1] == "Nobody punched."


def test_a_month_for_a_spreadsheet_and_for_programs(path):
    rows = list(csv.reader(io.StringIO(onecard("month", path, "2026-11", "--csv").output)))
    assert rows[0][:4] == ["card", "day", "came", "left"]
    assert rows[1][:4] == [str(CARD), "2026-11-03", "07:58:00", "18:02:00~18:09:00"]
    found = json.loads(onecard("month", path, "2026-11", "--json").output)
    (day,) = found["days"]
    assert (day["came"]["earliest_s"], day["left"]["latest_s"]) == (at(3, 7, 58), at(3, 18, 9))
    assert found["undated"] == []


def test_an_entry_by_hand_is_marked_and_withdrawn(path):
    words = ("--card", CARD, "--at", "2026-11-04T08:00:00+08:00", "--by", "Wang", "--because")
    done = onecard("enter", path, *words, "card forgotten")
    assert done.output == f"entry 1: card {CARD} at 2026-11-04T08:00:00+08:00\n"
    assert onecard("month", path, "2026-11").output.splitlines()[3].endswith("came")
    assert "entered 2026-11-05 09:00:00 by Wang: card forgotten" in onecard("entries", path).output
    done = onecard("withdraw", path, "--number", 1, "--by", "Li", "--because", "on leave")
    assert done.output == "entry 1 is withdrawn\n"
    assert len(onecard("month", path, "2026-11").output.splitlines()) == 3
    assert "2: withdraws 1, entered 2026-11-05 09:00:00 by Li: on leave" in (
        onecard("entries", path).output
    )


def test_what_has_no_day_is_told(tmp_path):
    path, gate = tmp_path / "ledger.sqlite", Reader(3001)
    gate.punch(CARD, *NEVER)
    store = open_ledger(gate, path=str(path))
    store.book([gate.records])
    store.close()
    shown = onecard("month", path, "2026-11").output
    assert f"card {CARD}, record 3001/1: 1970-01-01 08:00:00 ~ -" in shown
    assert onecard("entries", path).output == "Nothing was entered by hand.\n"


def test_night_shifts_have_one_day(tmp_path):
    path, gate = tmp_path / "ledger.sqlite", Reader(3001)
    gate.punch(CARD, at(3, 20))
    gate.punch(CARD, at(4, 8))
    store = open_ledger(gate, path=str(path))
    store.book([gate.records])
    store.close()
    shown = onecard("month", path, "2026-11", "--day-begins", "12:00").output.splitlines()
    assert shown[2].split()[1:4] == ["2026-11-03", "20:00:00", "08:00:00+1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("month", "2026-13"), "'2026-13' is not a month such as 2026-11"),
        (("month", "9999-12"), "'9999-12' is not a month such as 2026-11"),
        (("month", "1969-12"), "'1969-12' is not a month such as 2026-11"),
        (("month", "2026-11", "--day-begins", "25:00"), "is not a time of day such as 05:00"),
    ],
)
def test_a_month_that_cannot_be_is_refused(path, words, said):
    verb, *rest = words
    done = onecard(verb, path, *rest)
    assert done.exit_code == 2 and said in done.output


@pytest.mark.parametrize(
    ("at_text", "said"),
    [
        ("yesterday", "'yesterday' is not a time as in ISO 8601"),
        ("2026-11-04T08:00:00", "needs its zone, such as +08:00"),
        ("2026-11-30T08:00:00+08:00", "nobody has punched in the future"),
        ("0001-01-01T00:00:00+08:00", "nobody has punched before 1970"),
    ],
)
def test_a_time_that_cannot_be_is_refused(path, at_text, said):
    words = ("--card", CARD, "--at", at_text, "--by", "Wang", "--because", "card forgotten")
    done = onecard("enter", path, *words)
    assert done.exit_code == 2 and said in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("enter", "--card", 1 << 70, "--at", "2026-11-04T08:00:00+08:00"),
        ("withdraw", "--number", 1 << 70),
    ],
)
def test_a_number_that_the_books_cannot_have_is_refused(path, words):
    verb, *rest = words
    assert onecard(verb, path, *rest, "--by", "Wang", "--because", "x").exit_code == 2


def test_what_is_no_ledger_is_refused(tmp_path):
    path = tmp_path / "other"
    path.write_text("nothing")
    for words in (("month", path, "2026-11"), ("entries", path)):
        assert onecard(*words).exit_code == 2
