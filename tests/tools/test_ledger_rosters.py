"""`onecard ledger attendance shift`, `staff` and `roster`: what property staff are entered by."""

import time

import pytest

from ledger.rosters import Rosters, Shift
from tests.adapters.test_spreadsheet import book
from tests.ledger.departments import DAY
from tests.ledger.readers import Reader, open_ledger
from tests.tools.test_ledger_attendance import onecard

HEADS = ["工号", "班组", "班次", "起始日"]
BY = ("--by", "li")


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: DAY * 86_400)
    path = tmp_path / "ledger.sqlite"
    store = open_ledger(Reader(3001), path=str(path))  # stays open, as a ledger that runs has it
    words = ("--name", "早班", "--hours", "mon-fri 08:00-17:00", "--from", "2026-11-01", *BY)
    done = onecard("shift", path, *words, "--grace-min", 5)
    assert done.output == "shift 早班: mon-fri 08:00-17:00 from 2026-11-01 on\n"
    yield path
    store.close()


def test_staff_are_entered_from_a_spreadsheet_once(path, tmp_path):
    file = tmp_path / "staff.xlsx"
    file.write_bytes(book(HEADS, ["P001", "保洁", "早班", "2026-11-01"]))
    assert onecard("staff", path, file, *BY).output == "1 lines, 1 of them news\n"
    assert onecard("staff", path, file, *BY).output == "1 lines, 0 of them news\n"
    shown = onecard("roster", path).output
    assert shown == "On 2026-11-26:\n  P001, 保洁, 早班: mon-fri 08:00-17:00\n"
    assert "need not come" in onecard("roster", path, "--day", "2026-11-28").output
    left = tmp_path / "left.csv"
    left.write_bytes("工号,班组,班次,起始日\nP001,,离职,2026-11-26\n".encode("gb18030"))
    assert onecard("staff", path, left, *BY).output == "1 lines, 1 of them news\n"
    assert onecard("roster", path).output == "On 2026-11-26:\nnobody\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["P001", "保洁", "中班", "2026-11-01"], "line 2: no shift of this name"),
        (["P001", "保洁", "早班", "1 Nov"], "line 2: a day is a date"),
        (["P001", "保洁", "早班", "=TODAY()"], "D2 is a formula"),
        (["张三", "保洁", "早班", "2026-11-01"], "line 2: no number of a person"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_entered(path, tmp_path, row, said):
    file = tmp_path / "staff.xlsx"
    file.write_bytes(book(HEADS, row, ["P002", "保洁", "早班", "2026-11-01"]))
    done = onecard("staff", path, file, *BY)
    assert done.exit_code == 2 and said in done.output and "张三" not in done.output
    assert onecard("roster", path).output.endswith("nobody\n")


def test_a_night_shift_ends_on_the_next_day(path):
    words = ("--name", "夜班", "--from", "2026-11-01", *BY, "--hours")
    assert "mon-sun 22:00-06:00" in onecard("shift", path, *words, "mon-sun 22:00-06:00").output
    store = open_ledger(path=str(path))
    night = Rosters(store.database).shifts()[-1]
    store.close()
    assert night == Shift("夜班", DAY - 25, 127, 1320, 1800, 0)
    for hours in ("22:00-06:00", "mon-fri 8-17", "fri-mon 08:00-09:00", "mon 25:00-26:00", "mon"):
        assert onecard("shift", path, *words, hours).exit_code == 2
    assert onecard("shift", path, *words, "mon 00:00-23:00").exit_code == 2
