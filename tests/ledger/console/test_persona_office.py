"""The jobs of a minute of the accountant, of General Affairs and of auditors in a real Chromium.

By the keyboard alone; each tells how many actions and keys it took.
"""

import io
import time

import openpyxl
import pytest

from tests.ledger.console.business import STRANGE, TILL
from tests.ledger.readers import CANTEEN, KIOSK
from tests.ledger.staff import log_in

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect
expect.set_options(timeout=30_000)
ACCOUNTANT, SECOND = "结算会计", "财务复核"
STEWARD, ENGINEER = "总务处", "图书信息中心"
GOOD = ".notice.good"


def test_does_it_balance_and_where_not(sit_down, repo_root):
    """今日是否平账: one key; the line is red and names the reader and the record."""
    hands = sit_down("clara")
    hands.go("Alt+b")
    expect(hands.page.locator("#verdict")).to_contain_text("不平")
    row = hands.page.get_by_role("row").filter(has_text=str(STRANGE[0]))
    expect(row.first).to_contain_text(str(STRANGE[1]))
    hands.told(ACCOUNTANT, "今日是否平账")
    hands.shoot(repo_root, "console-balance")


def test_a_case_is_settled_by_two(campus, sit_down, repo_root):
    """差错: from the red line to both records; proposed by one, approved by another."""
    _console, store = campus
    hands = sit_down("clara", "/balance")
    hands.follow(hands.page.locator("main a[href^='/cases/']"))
    expect(hands.page.get_by_role("columnheader", name="差错记录")).to_be_visible()
    hands.reach(hands.page.locator("#bearer"))
    hands.press("c", "Tab", "Tab", "Tab")
    hands.type("卡已收回")
    hands.go("Enter")
    expect(hands.page.locator(GOOD)).to_contain_text("已提议")
    hands.told(ACCOUNTANT, "差错：看两条记录、提议")
    other = sit_down("tian")
    other.go("Alt+2")
    expect(other.page.get_by_role("cell", name="卡已收回")).to_be_visible()
    other.shoot(repo_root, "console-waiting")
    other.follow(other.page.locator("main a[href^='/cases/']"))
    other.shoot(repo_root, "console-case")
    other.follow(other.page.get_by_role("button", name="同意并入账"))
    expect(other.page.locator(GOOD)).to_contain_text("已批准并入账")
    case = store.corrections.case(331, *STRANGE)
    assert store.corrections.approved(case)[1] == "tian"
    other.told(SECOND, "差错：批准并入账")


def test_a_settlement_sheet_with_words(sit_down, repo_root):
    """结算单: from the menu to the workbook, and to the page that is printed."""
    hands = sit_down("clara")
    hands.go("Alt+p")
    hands.follow(hands.page.get_by_role("link", name="1 · first"))
    file = hands.taken(hands.page.get_by_role("link", name="下载结算单"))
    assert file.suggested_filename == "period-1.xlsx"
    hands.told(ACCOUNTANT, "结算单 Excel")
    hands.follow(hands.page.get_by_role("link", name="打印结算单"))
    expect(hands.page.get_by_text("人民币（大写）壹拾肆元整")).to_be_visible()
    hands.told(ACCOUNTANT, "结算单打印，大写")
    hands.page.emulate_media(media="print")
    expect(hands.page.locator("nav")).to_be_hidden()
    hands.shoot(repo_root, "console-sheet")


def test_a_statement_and_what_matches_nothing(sit_down, tmp_path, repo_root):
    """聚合码账单: choose the file, send it, see what is of no record."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    file = tmp_path / "wechat.csv"
    file.write_text(
        f"channel,order_no,merchant_no,amount,time\nwechat,4200009,{CANTEEN},7.70,{now}\n"
    )
    hands = sit_down("clara")
    hands.go("Alt+a")
    hands.choose(hands.page.locator("#statement"), file)
    hands.follow(hands.page.get_by_role("button", name="导入"))
    expect(hands.page.locator(GOOD)).to_contain_text("已导入")
    expect(hands.page.get_by_role("cell", name="4200009")).to_be_visible()
    hands.told(ACCOUNTANT, "导入聚合码账单，看没对上的")
    hands.shoot(repo_root, "console-statements")


def test_a_report_is_approved_by_four_and_the_merchants_are_paid(
    campus, sit_down, tmp_path, repo_root
):
    """审批、付款: each of four from what waits; the file for the bank; the bank's answer."""
    _console, store = campus
    clerk = log_in(store, "chen", int(time.time()))
    for merchant_no in (CANTEEN, KIOSK):
        what = merchant_no, "6222021000000001", "Canteen Ltd", clerk, int(time.time())
        store.periods.payments.register(*what)
    for login, who in (
        ("stella", STEWARD),
        ("hua", "总务处负责人"),
        ("lin", "分管校领导"),
        ("tian", SECOND),
    ):
        hands = sit_down(login)
        hands.follow(hands.page.get_by_role("link", name="份结算报告等您审批"))
        if login == "tian":
            hands.shoot(repo_root, "console-period")
        hands.follow(hands.page.get_by_role("button", name="同意这份报告"))
        expect(hands.page.locator(GOOD)).to_contain_text("已同意")
        hands.told(who, "结算报告：审批")
    assert [who for _step, who, _s in store.periods.period(1).approvals][-1] == "tian"
    hands.page.goto(hands.page.url.partition("/periods")[0] + "/payments")
    hands.reach(hands.page.locator("#file"))
    hands.type("2026-11")
    file = hands.taken(hands.page.get_by_role("button", name="生成付款文件"))
    lines = file.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 3 and sum(float(line.split(",")[3]) for line in lines[1:]) == 14
    hands.told(SECOND, "付款文件")
    # The page stays where it is, and so the same form serves again: for people, and once more.
    sheet = hands.taken(hands.page.get_by_role("button", name="同一批付款的表格"))
    assert openpyxl.load_workbook(io.BytesIO(sheet.path().read_bytes())).active.max_row == 3
    again = hands.taken(hands.page.get_by_role("button", name="生成付款文件"))
    assert again.path().read_bytes() == file.path().read_bytes()
    answer = tmp_path / "answer.csv"
    answer.write_text("付款号,结果,原因\n1,成功,\n2,失败,账号不存在\n")
    hands = sit_down("clara", "/payments")
    hands.choose(hands.page.locator("#results"), answer)
    hands.follow(hands.page.get_by_role("button", name="登记"))
    expect(hands.page.locator(GOOD)).to_contain_text("已登记")
    expect(hands.page.locator("#unpaid")).to_contain_text("1")
    hands.told(ACCOUNTANT, "银行回单")


def test_a_merchants_day_is_signed(sit_down, repo_root):
    """日合计: two totals side by side, and one signature."""
    hands = sit_down("stella")
    hands.go("Alt+c")
    hands.follow(hands.page.get_by_role("link", name="Canteen 1"))
    hands.follow(hands.page.get_by_role("link", name="今天的日合计与签字"))
    expect(hands.page.locator("#verdict")).to_contain_text("一致")
    hands.go("Enter")  # the button has the focus already
    expect(hands.page.locator(GOOD).first).to_contain_text("已签字")
    hands.told(STEWARD, "商户日合计签字")
    hands.shoot(repo_root, "console-day")


def test_a_ticket_is_handed_on(campus, sit_down):
    """工单: what is due first, take it up; the information centre sees it waiting."""
    _console, store = campus
    hands = sit_down("stella")
    hands.follow(hands.page.get_by_role("link", name="件手续或工单等您办"))
    hands.follow(hands.page.get_by_role("button", name="受理 (归口管理部门)"))
    expect(hands.page.locator(GOOD)).to_contain_text("已办")
    assert store.merchants.dossiers.dossier(1).state == "accepted"
    hands.told(STEWARD, "报修工单转下一步")
    hands = sit_down("eng")
    hands.go("Alt+h")
    expect(hands.page.get_by_role("link", name="报修 R-1")).to_be_visible()
    hands.told(ENGINEER, "看到这张工单")


def test_inspections_of_today_and_a_round(campus, sit_down):
    """巡检: which readers nobody has looked at today; who was named goes round and notes it."""
    _console, store = campus
    hands = sit_down("stella")
    hands.go("Alt+y")
    expect(hands.page.locator("#verdict")).to_contain_text("未巡检")
    hands.told(STEWARD, "今天哪些终端没有巡检")
    store.merchants.duties.name("General Affairs", "campus", "stella", 7, _today(), _head(store),
                                int(time.time()))  # fmt: skip
    hands = sit_down("stella", "/rounds")
    hands.reach(hands.page.locator("select").first)
    hands.press("Tab", "Tab", "Tab", "Tab")  # all three are in order; nothing to say
    hands.go("Enter")
    expect(hands.page.locator(GOOD)).to_contain_text("检查已登记")
    hands.told(STEWARD, "登记定期检查")


def _head(store):
    return log_in(store, "hua", int(time.time()))


def _today():
    return (int(time.time()) + 28_800) // 86_400


def test_a_month_of_attendance(sit_down):
    """考勤: the month as a workbook, masked."""
    hands = sit_down("stella")
    hands.go("Alt+k")
    file = hands.taken(hands.page.get_by_role("button", name="下载 Excel 月报"))
    assert file.suggested_filename.startswith("attendance-")
    book = openpyxl.load_workbook(io.BytesIO(file.path().read_bytes()))
    assert len(book.sheetnames) >= 1 and book.worksheets[0].max_row >= 1
    hands.told(STEWARD, "物业考勤月报 Excel")


def test_the_chart_says_what_it_shows_to_everybody(sit_down, repo_root):
    hands = sit_down("stella", "/takings")
    assert hands.page.locator("svg rect title").count() >= 3
    expect(hands.page.locator("svg[role=img]")).to_have_attribute("aria-labelledby", "chart")
    hands.shoot(repo_root, "console-takings")


def test_an_auditor_verifies_a_chain_and_follows_one_yuan(sit_down, repo_root):
    """审计: the first broken link of a reader, and a tap to the bank."""
    hands = sit_down("eng")
    hands.go("Alt+j")
    hands.reach(hands.page.locator("#reader"))
    hands.type(str(TILL))
    hands.go("Enter")
    expect(hands.page.locator(".notice").first).to_contain_text("✓")
    hands.told("审计", "核对一台终端的链")
    hands.reach(hands.page.locator("#device"))
    hands.type(str(TILL))
    hands.press("Tab")
    hands.type("1")
    hands.go("Enter")
    expect(hands.page.locator("#tap")).to_be_visible()
    hands.told("审计", "跟一元钱从刷卡到结算")
    hands.shoot(repo_root, "console-audit")


def test_on_a_phone_the_menu_is_one_tap_away_and_words_stay_whole(sit_down):
    hands = sit_down("stella", "/inspections", window={"width": 390, "height": 844})
    state = hands.page.locator("td .state").first
    assert state.bounding_box()["height"] < 40  # a line, not a word a line
    root = "document.documentElement"
    assert hands.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    hands.page.get_by_role("link", name="菜单").click()
    expect(hands.page.get_by_role("link", name="分餐段营业额")).to_be_in_viewport()
