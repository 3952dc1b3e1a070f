"""`onecard ledger period`: a month from its close to its payment, by commands and on paper."""

import hashlib
import io
import json
import re
import zipfile
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from ledger.chart import KIND_NAMES
from ledger.invariants import check
from ledger.period_sheet import ACCOUNTS, BARS
from ledger.quiescence import Bar
from ledger.store import LedgerStore
from tests.ledger.months import ACCOUNT, END_S, NEXT_END_S, SIGNERS, month
from tests.ledger.readers import CANTEEN
from tests.ledger.staff import cheap, password_of, staffed
from tools.cli import app

__all__ = ["cheap"]
UNTIL, NEXT_UNTIL = "2026-10-01T00:00:00+08:00", "2026-11-01T00:00:00+08:00"
EVIL = '=HYPERLINK("http://x","<b>食堂</b>")'
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
def office(tmp_path, monkeypatch):
    """What runs a command on the books of a month; the clock says November."""
    path = tmp_path / "ledger.sqlite"
    store, *_ = month(str(path))
    store.close()
    monkeypatch.setattr("tools.cli_period._now_s", lambda: NEXT_END_S)

    def run(verb, *words, code=0, stdin=None):
        words = ["ledger", "period", verb, *map(str, words)]
        words.insert(3, str(path))
        done = CliRunner().invoke(app, words, input=stdin)
        assert done.exit_code == code, done.output
        return done.output

    run.path = path
    return run


def approve(office, number, sha256):
    for step, person in SIGNERS.items():
        words = "--period", number, "--step", step, "--sha256", sha256, "--by", person
        said = office("approve", *words)
    return said


def closed(office, name="2026-09", until=UNTIL):
    said = office("close", "--name", name, "--until", until, "--by", "chen")
    return re.search(r"sha256 (\w{64})\n", said)[1]


def test_from_the_close_to_the_payment(office, tmp_path):
    assert "2 of 2 readers have a mark" in office("quiet", "--until", UNTIL)
    office("rate", "--merchant", CANTEEN, "--basis-points", 60, "--by", "wang")
    office("account", "--merchant", CANTEEN, "--by", "qian", stdin=f"{ACCOUNT}\n食堂有限公司\n")
    sha256 = closed(office)
    report = office("show", "--period", 1, "--json")
    assert hashlib.sha256(report.encode()).hexdigest() == sha256
    assert json.loads(report)["merchants"][0]["due_fen"] == 895
    assert "4 of 4 approvals" in approve(office, 1, sha256)
    shown = office("show", "--period", 1)
    assert "merchant 12: due 8.95; turnover 9.00" in shown
    assert "commission 0.05 (0.60%)" in shown and "leader: zhao" in shown
    out = tmp_path / "bank.csv"
    for _ in range(2):
        said = office("pay", "--file", "2026-09", "--out", out, "--by", "sun")
        assert said == f"1 payments, 8.95 yuan, are in {out}\n"
        assert ACCOUNT in out.read_text("utf-8-sig") and out.stat().st_mode & 0o777 == 0o600
    assert "merchant 13 period 1: 5.00 yuan, no account" in office("unpaid", code=1)
    answer = tmp_path / "answer.csv"
    answer.write_text("payment,result,because\n1,paid,\n")
    assert office("results", answer, "--by", "sun") == "1 payments, 1 of them news\n"
    assert sha256 in office("verify", "--period", 1)
    assert "2026-09-01  merchant 12: 1 lines, sales 6.00" in office("days", "--period", 1)
    assert office("readers", "--period", 1).splitlines() == [
        "merchant 12, reader 1001: 2 lines, 9.00",
        "merchant 13, reader 1002: 1 lines, 5.00",
    ]
    balance = office("balance").splitlines()
    assert balance[-1].split()[0] == "all" and balance[-1].split()[-1] == "0.00"
    assert office("list").startswith("period 1 2026-09, 4 of 4 approvals, sha256 ")
    store = LedgerStore.open(str(office.path))
    assert check(store) == []
    store.close()


def test_a_settlement_is_the_word_of_who_has_logged_in(office, tmp_path, monkeypatch, cheap):
    """Typed names settle until there are operators; what they had approved is refused then."""
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "session"))
    monkeypatch.setattr("tools.cli_operator._now_s", lambda: NEXT_END_S)
    sha256 = closed(office)
    seen = "--period", 1, "--sha256", sha256
    office("approve", *seen, "--step", "audit", "--by", "wang")
    store = LedgerStore.open(str(office.path))
    staffed(store, NEXT_END_S)
    store.close()

    def log_in(login):
        words = ["ledger", "operator", "login", str(office.path), login]
        done = CliRunner().invoke(app, words, input=f"{password_of(login)}\n")
        assert done.exit_code == 0, done.output

    assert "(750)" in office("approve", *seen, "--step", "head", "--by", "hua", code=2)
    log_in("hua")
    assert "(759)" in office("approve", *seen, "--step", "head", "--by", "li", code=2)
    said = office("approve", *seen, "--step", "head", code=2)
    assert "wang approved it by a typed name" in said and "(759, R7.1)" in said
    office("refuse", *seen, "--step", "head", "--because", "approved by nobody who is known")
    opened = "--open", 1001, "--open", 1002, "--because", "power cut"
    log_in("tian")
    said = office("decide", "--until", NEXT_UNTIL, *opened)
    assert said.startswith("tian has decided about 1001, 1002")
    log_in("clara")
    office("account", "--merchant", CANTEEN, stdin=f"{ACCOUNT}\n食堂有限公司\n")
    said = office("close", "--name", "2026-10", "--until", NEXT_UNTIL)
    seen = "--period", 2, "--sha256", re.search(r"sha256 (\w{64})\n", said)[1]
    for step, login in (("audit", "stella"), ("head", "hua"), ("leader", "lin")):
        log_in(login)
        assert "(753)" in office("approve", *seen, "--step", "centre", code=2)
        office("approve", *seen, "--step", step)
    log_in("tian")
    assert "4 of 4 approvals" in office("approve", *seen, "--step", "centre")
    out = tmp_path / "bank.csv"
    assert "1 payments, 9.00 yuan" in office("pay", "--file", "2026-10", "--out", out)


def test_what_bars_it_is_named_and_somebody_decides(office):
    told = office("quiet", "--until", NEXT_UNTIL, code=1)
    assert "reader 1001 bars it: no booked record of it is surely of that time" in told
    assert told.endswith("2 bar it\n")
    sha256 = closed(office)
    approve(office, 1, sha256)
    words = "--name", "2026-10", "--until", NEXT_UNTIL, "--by", "chen"
    assert "(450, R7.1)" in office("close", *words, code=2)
    opened = "--open", 1001, "--open", 1002, "--because", "power cut", "--by", "zhou"
    office("decide", "--until", NEXT_UNTIL, *opened)
    assert "reader 1001 is decided about" in office("quiet", "--until", NEXT_UNTIL)
    sha256 = closed(office, "2026-10", NEXT_UNTIL)
    assert "closed with reader 1001 open: zhou: power cut" in office("show", "--period", 2)
    words = "--period", 2, "--step", "audit", "--sha256", sha256, "--by", "wang"
    said = office("refuse", *words, "--because", "wait for them")
    assert said.startswith("period 2 2026-10, refused by wang")
    assert office("late", "--period", 2) == "nothing came late\n"


def test_bad_words_are_refused_and_no_account_is_repeated(office):
    for until in ("2026-10-01", "2026-10-01T00:00:00", "soon", "1960-01-01T00:00:00Z"):
        assert "no time with its zone" in office("quiet", "--until", until, code=2)
    words = "--because", "x", "--by", "zhou", "--open", "1001/x"
    assert "a reader's number" in office("decide", "--until", UNTIL, *words, code=2)
    said = office("account", "--merchant", CANTEEN, "--by", "a", code=2, stdin="12345x678\nx\n")
    assert "12345x678" not in said
    assert "there is no period 7" in office("show", "--period", 7, code=2)
    assert "--xlsx, --html" in office("sheet", "--period", 1, code=2)


# --- on paper ----------------------------------------------------------------------------------


def cells(data):
    """Sheet -> {cell: value} of a workbook; texts as text, numbers as float; no formula in it."""
    book = zipfile.ZipFile(io.BytesIO(data))
    texts = [
        "".join(part.text or "" for part in item.iter(f"{_MAIN}t"))
        for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
    ]
    names = [one.get("name") for one in ElementTree.fromstring(book.read("xl/workbook.xml"))[3]]
    found = {}
    for number, name in enumerate(names, 1):
        sheet = book.read(f"xl/worksheets/sheet{number}.xml")
        assert b"<f>" not in sheet and b"hyperlink" not in sheet
        values = {}
        for cell in ElementTree.fromstring(sheet).iter(f"{_MAIN}c"):
            value = cell.find(f"{_MAIN}v").text
            values[cell.get("r")] = texts[int(value)] if cell.get("t") == "s" else float(value)
        found[name] = values
    return found


def test_the_sheet_says_what_the_report_says(office, tmp_path):
    store = LedgerStore.open(str(office.path))
    store.register_merchant(14, EVIL)
    store.periods.set_rate(CANTEEN, 60, "wang", 1)
    store.close()
    sha256 = closed(office)
    approve(office, 1, sha256)
    xlsx, html = tmp_path / "a.xlsx", tmp_path / "a.html"
    said = office("sheet", "--period", 1, "--xlsx", xlsx, "--html", html)
    assert said == f"{xlsx} and {html}: 13.95 yuan, 壹拾叁元玖角伍分\n"
    first = xlsx.read_bytes()
    office("sheet", "--period", 1, "--xlsx", xlsx)
    assert xlsx.read_bytes() == first
    found = cells(first)
    summary = found["结算汇总"]
    rows = {value: int(cell[1:]) for cell, value in summary.items() if cell[0] == "A"}
    row = rows[float(CANTEEN)]
    assert [summary[f"{column}{row}"] for column in "BCDKL"] == [
        "Canteen",
        2,
        9.0,
        8.95,
        "捌元玖角伍分",
    ]
    assert sha256 in summary.values()
    assert [found["终端合计"][f"{column}2"] for column in "ABCD"] == [12.0, "1001", 2.0, 9.0]
    assert [found["审批"][f"B{line}"] for line in range(2, 6)] == list(SIGNERS.values())
    text = html.read_text()
    assert "人民币（大写）壹拾叁元玖角伍分" in text and sha256 in text
    assert text.count('<section class="own">') == 2


def test_every_kind_and_every_bar_has_a_word(office, tmp_path):
    assert set(ACCOUNTS) == set(KIND_NAMES.values())
    assert set(BARS) == set(Bar) - {Bar.UNFINISHED, Bar.NAMED}  # of one card
    approve(office, 1, closed(office))
    opened = "--open", 1001, "--open", 1002, "--because", "power cut", "--by", "zhou"
    office("decide", "--until", NEXT_UNTIL, *opened)
    closed(office, "2026-10", NEXT_UNTIL)
    xlsx = tmp_path / "b.xlsx"
    said = office("sheet", "--period", 2, "--xlsx", xlsx)
    assert said == f"{xlsx}: 0.00 yuan, 零元整\n"
    found = cells(xlsx.read_bytes())
    row = [found["未到终端"][f"{column}2"] for column in "ABCDE"]
    assert row == [1001, "全部", "期末后无记录", "zhou", "power cut"]
    assert found["试算平衡"]["D2"] == 186.0


def test_a_name_is_a_text_whatever_it_looks_like(office, tmp_path):
    """It is in the register, and may be chosen by whoever applies to be a merchant."""
    store = LedgerStore.open(str(office.path))
    store.database.rows("DROP TRIGGER merchant_UPDATE")
    store.database.rows("UPDATE merchant SET name = ?", (EVIL,))
    store.close()
    closed(office)
    xlsx, html = tmp_path / "a.xlsx", tmp_path / "a.html"
    office("sheet", "--period", 1, "--xlsx", xlsx, "--html", html)
    assert EVIL in cells(xlsx.read_bytes())["结算汇总"].values()
    assert "<b>" not in html.read_text() and "&lt;b&gt;食堂" in html.read_text()


def test_the_end_of_a_month_is_where_the_tests_think():
    from tools.ledger_period import seconds

    assert (seconds(UNTIL), seconds(NEXT_UNTIL)) == (END_S, NEXT_END_S)
