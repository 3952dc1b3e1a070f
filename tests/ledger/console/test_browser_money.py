"""The jobs of a minute of the accountant and of General Affairs in a real Chromium.

By the keyboard alone. Each prints how long it took and how many actions it was (a key, or a text
typed at once); time is printed and not asserted. axe looks at every page of these subjects.
"""

import time

import pytest

from ledger.console import pages
from tests.ledger.console.business import STRANGE
from tests.ledger.console.campus import example
from tests.ledger.console.hands import FILES
from tests.ledger.readers import CANTEEN
from tests.ledger.staff import OF_ROLE

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect
expect.set_options(timeout=30_000)
SUBJECTS = (
    "/balance",
    "/statements",
    "/periods",
    "/payments",
    "/takings",
    "/merchants",
    "/readers",
    "/dossiers",
    "/inspections",
    "/rounds",
    "/cases",
    "/attendance",
)
OURS = [page for page in pages.PAGES if page.path.startswith(SUBJECTS)]
TAB_MAX = 120


def reach(hands, locator):
    """Tab until that has the focus: it can be reached by the keyboard."""
    element = locator.first
    expect(element).to_be_visible()
    if hands.page.evaluate("document.activeElement === document.body"):
        hands.press("Tab", "Enter")  # past the menu, by the first link there is
    for _ in range(TAB_MAX):
        if element.evaluate("one => one === document.activeElement"):
            return
        hands.press("Tab")
    raise AssertionError("no key leads there")


def test_does_it_balance_and_where_not(sit_down, repo_root):
    """今日是否平账: one key; the line is red and names the reader and the record."""
    hands = sit_down("clara")
    hands.go("Alt+b")
    expect(hands.page.locator("#verdict")).to_contain_text("不平")
    row = hands.page.get_by_role("row").filter(has_text=str(STRANGE[0]))
    expect(row.first).to_contain_text(str(STRANGE[1]))
    hands.told("今日是否平账 (does it balance)")
    hands.shoot(repo_root, "console-balance")
    reach(hands, hands.page.locator("a[href^='/cases/']"))
    hands.go("Enter")
    expect(hands.page.get_by_role("columnheader", name="差错记录")).to_be_visible()
    hands.told("and the case with both records")
    hands.shoot(repo_root, "console-case")


def test_a_settlement_sheet_with_words(sit_down, repo_root):
    """结算单: from the menu to the page that is printed, and the workbook."""
    hands = sit_down("clara")
    hands.go("Alt+p")
    reach(hands, hands.page.get_by_role("link", name="1 · first"))
    hands.go("Enter")
    reach(hands, hands.page.get_by_role("link", name="下载结算单"))
    with hands.page.expect_download() as download:
        hands.press("Enter")
    assert download.value.suggested_filename == "period-1.xlsx"
    hands.shoot(repo_root, "console-period")
    reach(hands, hands.page.get_by_role("link", name="打印结算单"))
    hands.go("Enter")
    expect(hands.page.get_by_text("人民币（大写）壹拾肆元整")).to_be_visible()
    hands.told("结算单 (sheet as xlsx and to print)")
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
    reach(hands, hands.page.locator("#statement"))
    with hands.page.expect_file_chooser() as chooser:
        hands.press("Space")
    chooser.value.set_files(file)
    reach(hands, hands.page.get_by_role("button", name="导入"))
    hands.go("Enter")
    expect(hands.page.locator(".notice.good")).to_contain_text("已导入")
    expect(hands.page.get_by_role("cell", name="4200009")).to_be_visible()
    hands.told("导入账单 (a statement, and what matches nothing)")
    hands.shoot(repo_root, "console-statements")


def test_a_merchants_day_is_signed(sit_down, campus, repo_root):
    """日合计: two totals side by side, and one signature."""
    _console, store = campus
    hands = sit_down("stella")
    hands.go("Alt+c")
    reach(hands, hands.page.get_by_role("link", name="Canteen 1"))
    hands.go("Enter")
    reach(hands, hands.page.get_by_role("link", name="今天的日合计与签字"))
    hands.go("Enter")
    expect(hands.page.locator("#verdict")).to_contain_text("一致")
    hands.go("Enter")  # the button has the focus already
    expect(hands.page.locator(".notice.good").first).to_contain_text("已签字")
    hands.told("日合计签字 (a merchant's day)")
    hands.shoot(repo_root, "console-day")
    del store


def test_a_ticket_is_handed_on(sit_down, campus):
    """工单: what is due first, take it up; the information centre sees it waiting."""
    _console, store = campus
    hands = sit_down("stella")
    hands.go("Alt+h")
    reach(hands, hands.page.get_by_role("link", name="报修 R-1"))
    hands.go("Enter")
    reach(hands, hands.page.get_by_role("button", name="受理 (归口管理部门)"))
    hands.go("Enter")
    expect(hands.page.locator(".notice.good")).to_contain_text("已办")
    assert store.merchants.dossiers.dossier(1).state == "accepted"
    hands.told("工单 (a ticket is taken up)")
    hands = sit_down("eng")
    hands.go("Alt+h")
    expect(hands.page.get_by_role("link", name="报修 R-1")).to_be_visible()


def test_a_month_of_attendance(sit_down):
    """考勤: the month as a workbook, masked."""
    hands = sit_down("stella")
    hands.go("Alt+k")
    reach(hands, hands.page.get_by_role("button", name="下载 Excel 月报"))
    with hands.page.expect_download() as download:
        hands.press("Enter")
    assert download.value.suggested_filename.startswith("attendance-")
    hands.told("考勤月报 (attendance of a month)")


def test_a_report_is_approved_and_the_chart_is_there(sit_down, campus, repo_root):
    """审批: from what waits, one look and Enter; the chart says what it shows to everybody."""
    _console, store = campus
    hands = sit_down("stella")
    reach(hands, hands.page.get_by_role("link", name="份结算报告等您审批"))
    hands.go("Enter")
    reach(hands, hands.page.get_by_role("button", name="同意这份报告"))
    hands.go("Enter")
    expect(hands.page.locator(".notice.good")).to_contain_text("已同意")
    assert [who for _step, who, _s in store.periods.period(1).approvals] == ["stella"]
    hands.told("审批 (approve a report)")
    hands = sit_down("stella", "/takings")
    assert hands.page.locator("svg rect title").count() >= 3
    expect(hands.page.locator("svg[role=img]")).to_have_attribute("aria-labelledby", "chart")
    hands.shoot(repo_root, "console-takings")


LOOKED_AT = [page for page in OURS if not page.path.endswith(FILES)]


@pytest.mark.parametrize("page", LOOKED_AT, ids=lambda page: page.path)
def test_axe_finds_nothing(sit_down, page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    role = next(role for role in OF_ROLE if page.is_for((role,)))
    hands = sit_down(OF_ROLE[role], example(page.path), "en")
    found = axe.Axe().run(hands.page).response["violations"]
    assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found] == []
