"""Annex 2 from the books: what they have stands where the original has it, the rest is blank."""

import stat
import time

import pytest
from typer.testing import CliRunner

from ledger.onboarding import Form
from ledger.procedures import Act
from tests.ledger.campus import BAKERY, SIGNERS, TILL, campus
from tests.tools.test_annex_form import Cells
from tools.cli import app
from tools.device_form import OPINIONS, TITLE

NOON_S = 20_783 * 86_400 + 4 * 3600  # 2026-11-26, noon in Changsha
SCRIPT = "<script>x</script>"
FORM = Form("麦香面包房", "总务处", "图书信息中心", 2, 600_000)
HEADS = ["申请单位", "联系人及电话", "管理部门", "联系人及电话", "数量", "金额", "必要性说明"]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOON_S)
    store = campus(str(tmp_path / "ledger.sqlite"))
    store.path = tmp_path / "ledger.sqlite"
    yield store
    store.close()


def applied(store, form=FORM, necessity="东门没有早餐"):
    apply = store.merchants.onboarding.apply
    return apply("merchant", "2026-1", BAKERY, form, necessity, "wu", NOON_S)


def said(store, number, verb, role, days=0, text=""):
    by = Act(role, SIGNERS.get(role, "wu"), said=text)
    store.merchants.dossiers.say(number, verb, by, NOON_S + days * 86_400)


def form_of(store, number, *words, code=0):
    out = store.path.with_name("form.html")
    about = ["--dossier", str(number), "--out", str(out)]
    command = ["ledger", "merchant", "form", str(store.path), *about, *words]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == code, done.output
    if code:
        assert not out.exists()
        return done.output
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    return Cells(out.read_text(encoding="utf-8"))


def by_head(found):
    return dict(zip(found.cells, found.cells[1:], strict=False))


def test_what_nobody_has_signed_is_a_form_to_sign(store):
    found = form_of(store, applied(store), "--school", "某学院")
    assert found.cells[0] == f"某学院{TITLE}"
    assert found.cells[1] == "申请编号：2026-1 登记日期：2026年11月26日"
    order = [cell for cell in found.cells if cell in (*HEADS, *OPINIONS.values())]
    assert order == [*HEADS, *OPINIONS.values()]  # as annex 2 has them
    has = by_head(found)
    assert has["申请单位"] == f"麦香面包房(商户号 {BAKERY})" and has["管理部门"] == "总务处"
    assert has["联系人及电话"] == ""
    assert (has["数量"], has["金额"]) == ("2", "6000.00 元陆仟元整")
    assert has["必要性说明"] == "东门没有早餐 申请人：wu 2026年11月26日"
    for head in OPINIONS.values():
        assert has[head].endswith("签字(盖章)：＿＿＿＿＿＿ 年 月 日") and "同意" not in has[head]
    assert "办理结果" not in found.cells and "登记设备" not in found.cells


def test_each_signature_stands_in_its_own_field_with_its_day(store):
    number = applied(store)
    for days, (role, head) in enumerate(OPINIONS.items(), start=1):
        said(store, number, "sign", role, days, "尽快安装" if role == "project" else "")
        has = by_head(form_of(store, number))
        assert f"签字(盖章)：{SIGNERS[role]} " in has[head] and "同意" in has[head]
        open_ones = [one for one in OPINIONS.values() if "＿" in has[one]]
        assert open_ones == list(OPINIONS.values())[days:]
    days = ["11月27日", "11月28日", "11月29日", "11月30日", "12月1日"]
    for head, day in zip(OPINIONS.values(), days, strict=True):
        assert has[head].endswith(f"2026年{day}")
    assert has["项目管理部门意见"] == "图书信息中心同意：尽快安装签字(盖章)：sun 2026年11月29日"
    store.merchants.onboarding.admit(number, [2001, 2002], "wang", NOON_S)
    assert by_head(form_of(store, number))["登记设备"] == "2001、2002"


def test_a_refusal_stands_where_the_opinion_does(store):
    number = applied(store)
    said(store, number, "sign", "department", 1)
    said(store, number, "reject", "department-leader", 2, "已有两家")
    has = by_head(form_of(store, number))
    assert has["管理部门分管校领导意见"] == "不同意：已有两家签字(盖章)：qian 2026年11月28日"
    assert has["办理结果"] == "未获批准，2026年11月28日"
    assert "＿" in has["项目管理部门意见"]


def test_what_was_withdrawn_says_so(store):
    number = applied(store)
    said(store, number, "withdraw", "merchant", 3)
    assert by_head(form_of(store, number))["办理结果"] == "申请人已撤回，2026年11月29日"


def test_what_people_have_written_is_text(store):
    number = applied(store, Form(SCRIPT, SCRIPT, SCRIPT, 1, 1), SCRIPT)
    found = form_of(store, number, "--school", SCRIPT)
    assert "script" not in found.elements and found.cells[0] == SCRIPT + TITLE
    assert by_head(found)["管理部门"] == SCRIPT


def test_another_dossier_is_no_such_form_and_writes_nothing(store):
    move = store.merchants.tickets.move("M-1", TILL, "north", "wu", "rebuilt", NOON_S)
    assert "is no form of annex 2 (441, R18.2)" in form_of(store, move, code=2)
    assert "there is no dossier 9 (441)" in form_of(store, 9, code=2)
