"""A merchant's end by commands: what is open, the statement to sign, and the close of it."""

import re
import stat
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from ledger.invariants import check
from ledger.retirement import every
from tests.ledger.ended import POS, SILENT, settled
from tests.ledger.months import NEXT_END_S
from tests.ledger.test_debts import in_periods, ready
from tests.tools.test_annex_form import Cells
from tools.cli import app
from tools.closing_sheet import PERIOD_HEADS, TITLE


@pytest.fixture
def books(tmp_path):
    store, *_rest, number = settled(str(tmp_path / "ledger.sqlite"))
    yield store, tmp_path / "ledger.sqlite", number
    assert check(store) == []
    store.close()


def onecard(group, command, path, *words, code=0):
    done = CliRunner().invoke(app, ["ledger", group, command, str(path), *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def say(path, number, verb, role, by, *words, group="merchant", code=0):
    about = ["--dossier", number, "--verb", verb, "--as", role, "--by", by]
    return onecard(group, "say", path, *about, *words, code=code)


def test_from_what_is_open_to_the_close(books):
    store, path, number = books
    out = path.with_name("statement.html")
    about = ["--dossier", number, "--out", out, "--school", "某学院<b>"]
    assert "is no closing that was settled (475" in onecard(
        "merchant", "statement", path, *about, code=2
    )
    assert "open: nothing" in onecard("merchant", "show", path, "--dossier", number)
    say(path, number, "settle", "card-centre", "yang")
    shown = onecard("merchant", "show", path, "--dossier", number)
    (mark,) = re.findall(r"statement (\w{12})", shown)
    onecard("merchant", "statement", path, *about)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    page = out.read_text(encoding="utf-8")
    cells = Cells(page).cells
    assert cells[0] == f"某学院<b>{TITLE}" and "b" not in Cells(page).elements
    assert f"校验码：{mark}" in cells[1]
    has = dict(zip(cells, pairwise(cells[1:]), strict=False))
    assert has["消费收入"] == ("9.00 元", "玖元整") and has["已付商户"][0] == "9.00 元"
    assert has["一卡通中心结算"][0].startswith("签字(盖章)：yang")
    assert has["一卡通中心复核"][0].startswith("签字(盖章)：＿")
    row = cells[cells.index(PERIOD_HEADS[-1]) + 1 :][:6]
    assert row[:5] == ["2026-09", "9.00", "0.00", "0.00", "0.00"] and row[5].startswith("9.00")
    (reader,) = every(store.database)
    assert has[str(POS)] == (str(reader.head_seq), f"记录 {reader.mark_seq} 为证，第 2 号")
    say(path, number, "close", "card-centre", "chen", "--shown", mark)
    onecard("merchant", "statement", path, *about)
    assert "签字(盖章)：chen" in out.read_text(encoding="utf-8")
    say(path, number, "reopen", "card-centre", "yang", "--said", "its heirs were asked")
    say(path, number, "settle", "card-centre", "yang", "--said", "nothing came")
    onecard("merchant", "statement", path, *about)
    has = dict(
        zip(cells, pairwise(Cells(out.read_text(encoding="utf-8")).cells[1:]), strict=False)
    )
    assert has["一卡通中心复核"][0].startswith("签字(盖章)：＿")  # nobody has closed this one


def test_another_merchant_is_thrown_out_and_its_reader_passed_over(books):
    store, path, _number = books
    about = ["--ref", "X-1", "--merchant", 13, "--as", "security", "--by", "han"]
    said = onecard("merchant", "leave", path, *about, "--said", "a case was broken open")
    assert said == "dossier 3: closing X-1, merchant 13: expelled\n"
    say(path, 3, "sign", "department-leader", "qian")
    shown = onecard("merchant", "show", path, "--dossier", 3)
    assert f"open: reader {SILENT} is in use" in shown
    about = ["--ref", "E-9", "--device", SILENT, "--shown", "lost", "--as", "merchant"]
    onecard("device", "retire", path, *about, "--by", "wu")
    say(path, 4, "sign", "department", "zhao", group="device")
    shown = onecard("device", "show", path, "--dossier", 4)
    head_seq = store.heads()[SILENT]
    assert f"newest booked record: {head_seq}" in shown and "bars its end: no booked" in shown
    assert "(473, R20)" in say(path, 4, "end", "centre", "feng", group="device", code=2)
    why = ["--shown", head_seq, "--said", "burnt with the stall"]
    say(path, 4, "pass-over", "centre", "feng", *why, group="device")
    assert "ended by dossier 4" in onecard("device", "registry", path)


def test_a_debt_is_written_off_by_two_and_stands_on_the_page(tmp_path):
    path = tmp_path / "ledger.sqlite"
    store, number = ready(str(path))
    about = ["--shown", "department", "--said", "it is insolvent"]
    say(path, number, "propose", "card-centre", "yang", *about)
    shown = onecard("merchant", "show", path, "--dossier", number)
    assert "to be written off: 600 fen, borne by the department" in shown
    refused = say(path, number, "write-off", "finance", "tian", "--shown", 599, code=2)
    assert "(640, " in refused
    say(path, number, "write-off", "finance", "tian", "--shown", 600)
    in_periods(store, NEXT_END_S + 60)
    say(path, number, "settle", "card-centre", "yang")
    out = path.with_name("statement.html")
    onecard("merchant", "statement", path, "--dossier", number, "--out", out)
    cells = Cells(out.read_text(encoding="utf-8")).cells
    has = dict(zip(cells, pairwise(cells[1:]), strict=False))
    assert has["欠款核销（归口管理部门承担）"] == ("6.00 元", "陆元整")
    assert has["财务处核销"][0].startswith("签字(盖章)：tian")
    assert check(store) == []
    store.close()
