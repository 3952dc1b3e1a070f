"""`onecard ledger attendance shift`, `staff` and `roster`: what property staff are entered by."""

import stat
import time
from contextlib import closing

import openpyxl
import pytest

from ledger import people, signatures, timesheet_book
from ledger.holders import Holder
from ledger.rosters import Rosters, Shift
from protocols.rules.spending import STAFF
from tests.adapters.test_spreadsheet import book
from tests.ledger.departments import DAY
from tests.ledger.lives import STAFF_BY
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import cheap, staffed, token_of  # noqa: F401 - cheap is a fixture
from tests.ledger.test_attendance import at
from tests.tools.test_ledger_attendance import onecard
from tools.session import keep

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
    assert shown == "On 2026-11-26:\n  P**1, 保洁, 早班: mon-fri 08:00-17:00\n"
    shown = onecard("roster", path, "--because", "who is absent", *BY).output
    assert shown == "On 2026-11-26:\n  P001, 保洁, 早班: mon-fri 08:00-17:00\n"
    nobody = onecard("roster", path, "--because", "who is absent")
    assert nobody.exit_code == 2 and "P001" not in nobody.output
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
    said = onecard("shift", path, *words, "mon-fri 20:00-22:00,00:30-06:00")
    assert said.exit_code == 0 and "mon-fri 20:00-22:00,00:30-06:00 from" in said.output
    for hours in (
        "mon 08:00-12:00,11:00-17:00",
        "mon 08:00-12:00,",
        "mon 08:00-12:00 13:00-17:00",
    ):
        assert onecard("shift", path, *words, hours).exit_code == 2
    for hours in ("22:00-06:00", "mon-fri 8-17", "fri-mon 08:00-09:00", "mon 25:00-26:00", "mon"):
        assert onecard("shift", path, *words, hours).exit_code == 2
    assert onecard("shift", path, *words, "mon 00:00-23:00").exit_code == 2


# --- the month -----------------------------------------------------------------------------------


def sheets(path):
    """The sheets of a workbook, read by the library that has not written it."""
    found = openpyxl.load_workbook(path)
    return {
        sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in found
    }


@pytest.fixture
def worked(path, tmp_path, monkeypatch):
    """P007 has card 7 and came on two days; card 8 is nobody's on the roster."""
    clock = Reader(3002)
    store = open_ledger(clock, path=str(path))
    store.holders.open(CARD, Holder("P007", STAFF, "Property"), (0, 65_535), 1, STAFF_BY)
    for card_no, *when in ((CARD, at(2, 8, 20)), (CARD, at(2, 17)), (8, at(2, 9))):
        clock.punch(card_no, *when)
    clock.punch(CARD, at(4, 16, 50))
    clock.punch(CARD, 0, 0xFFFFFFFF)
    store.book([clock.records])
    store.close()
    file = tmp_path / "staff.xlsx"
    file.write_bytes(book(HEADS, ["P007", "保洁", "早班", "2026-11-01"]))
    assert onecard("staff", path, file, *BY).exit_code == 0
    words = ("--card", CARD, "--at", "2026-11-04T08:00:00+08:00", *BY, "--because", "=1+1")
    assert onecard("enter", path, *words).exit_code == 0
    monkeypatch.setattr(time, "time", lambda: at(9, 0))
    return path


def test_a_month_is_a_workbook_in_which_hand_work_is_marked(worked, tmp_path):
    out = tmp_path / "2026-11.xlsx"
    done = onecard("report", worked, "2026-11", "--out", out, "--because", "pay", *BY)
    assert done.exit_code == 0, done.output
    said = "1 people, days: 2 present, 0 one, 1 absent, 2 unclear, 16 open, 0 extra"
    assert done.output == f"{out}: {said}; 1 late, 0 early\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    found = sheets(out)
    days = {row[1]: row for row in found["逐日"][1:]}
    came = "2026-11-02 08:20:00", "2026-11-02 17:00:00"
    hours = "mon-fri 08:00-17:00"
    assert days["2026-11-02"] == [
        *("P007", "2026-11-02", "保洁", "早班", hours, *came, "出勤", 20, 0, "")
    ]
    assert days["2026-11-04"][7:] == ["出勤", 0, 0, "手工：到"]
    # Whose day nobody knows was behind the one on the 4th: that evening, or on a day behind it.
    assert [days[f"2026-11-0{day}"][7] for day in (3, 5, 6)] == ["缺勤", "待核实", "待核实"]
    assert days["2026-11-09"][7] == "未结束"
    summary = dict(zip(found["汇总"][1], found["汇总"][2], strict=True))
    assert (summary["工号"], summary["出勤"], summary["手工补录"]) == ("P007", 2, 1)
    assert (summary["迟到分钟"], summary["早退次数"]) == (20, 0)
    # The reason is a text, whatever it looks like.
    assert found["手工补录"][1][1:] == [
        *("P007", CARD, "2026-11-04 08:00:00", "2026-11-26 08:00:00", "li", "=1+1", "")
    ]
    (sheet,) = (one for one in openpyxl.load_workbook(out) if one.title == "手工补录")
    assert sheet["G2"].data_type == "s"
    assert [row[1:4] for row in found["名册外打卡"][1:]] == [[8, 3002, 3]]
    assert found["日期不明"][1][:4] == ["P007", CARD, 3002, 5]
    assert found["考勤机"][1] == [3002, 5, "-"]


def test_the_summary_of_a_month_is_that_of_its_workbook(worked):
    with closing(open_ledger(path=str(worked))) as store:
        what = store, "2026-11", 28_800, str, at(9, 0)
        summed, report = timesheet_book.summary(*what), timesheet_book.read(*what)[0]
    assert summed == report.sheets[0] and summed[2][0][0] == "P007"


def test_without_a_reason_no_number_of_a_person_is_in_the_workbook(worked, tmp_path):
    out = tmp_path / "2026-11.xlsx"
    assert onecard("report", worked, "2026-11", "--out", out).exit_code == 0
    cells = [str(cell) for rows in sheets(out).values() for row in rows for cell in row]
    assert "P007" not in " ".join(cells)
    assert cells.count("P**7") >= 5, "summary, days, what was entered by hand, what is undated"


@pytest.mark.usefixtures("cheap")
def test_a_month_is_unmasked_for_a_steward_who_says_why(worked, tmp_path, monkeypatch):
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    store = open_ledger(path=str(worked))
    staffed(store, int(time.time()))
    out, why = tmp_path / "2026-11.xlsx", ("--because", "pay of November")
    for login, code in (("clara", 2), ("stella", 0)):
        keep(token_of(store, login, int(time.time())))
        done = onecard("report", worked, "2026-11", "--out", out, *why)
        assert done.exit_code == code, done.output
        assert out.exists() is (code == 0)
    acts = [one for one in signatures.acts(store.database, 1_000) if "roster" in one.verb]
    assert [(one.login, one.subject, one.reason) for one in acts] == [
        ("clara", "month 2026-11", people.NOT_FOR_ROLE),
        ("stella", "month 2026-11", 0),
    ]
    assert acts[1].evidence == why[1]
    store.close()


def test_the_same_books_make_the_same_workbook(worked, tmp_path):
    for name in "ab":
        assert onecard("report", worked, "2026-11", "--out", tmp_path / name).exit_code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_report_that_cannot_be_leaves_the_one_that_was_there(worked, tmp_path):
    out = tmp_path / "out.xlsx"
    out.write_text("before")
    for month in ("2026-13", "9999-12"):
        done = onecard("report", worked, month, "--out", out)
        assert done.exit_code == 2 and "not a month" in done.output
        assert out.read_text() == "before"
    done = onecard("report", worked, "2026-11", "--out", tmp_path / "none" / "out.xlsx")
    assert done.exit_code == 2 and "No such file" in done.output
