"""The counter's jobs of a minute in a real Chromium, by the keyboard alone.

Each tells how many actions and keys it took; ONECARD_SHOTS=1 writes the pictures of the documents
into docs/img.
"""

import time
from datetime import UTC, datetime, timedelta

import pytest

from ledger import names
from ledger.map_news import behind
from ledger.people import GENERAL
from tests.ledger.console.campus import IN_USE, LOST, NEW, PEOPLE
from tests.ledger.console.test_temporary import day
from tests.ledger.staff import log_in, token_of

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect
expect.set_options(timeout=30_000)
CLERK = "一卡通中心柜员"
ACCOUNT = "430102199001011"


def test_a_loss_is_reported_and_undone(campus, sit_down, repo_root):
    """挂失: `sxm`, one key; the page names the readers that have not said they know."""
    _console, store = campus
    clerk = sit_down("clara")
    clerk.find("sxm")
    clerk.go("Alt+l")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已挂失")
    expect(clerk.page.locator("#behind")).to_contain_text(f"({len(behind(store.database))})")
    expect(clerk.page.get_by_role("cell", name="Canteen 1").first).to_be_visible()
    assert store.cards.state(IN_USE) == "lost"
    clerk.told(CLERK, "挂失")
    clerk.shoot(repo_root, "console-loss")
    clerk.find(str(IN_USE))
    clerk.go("Alt+u")
    clerk.press("Space")  # the ID card, which lies there
    clerk.go("Enter")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已解挂")
    assert store.cards.state(IN_USE) == "active"
    clerk.told(CLERK, "解挂")


def test_another_card_in_the_place_of_a_lost_one(campus, sit_down, repo_root):
    """补卡: the new card on the reader, the hours that are left and what will go on."""
    _console, store = campus
    clerk = sit_down("clara")
    clerk.find("zs")
    clerk.go("Alt+r")
    clerk.tap(f"{NEW[0]:010}")  # its Enter leads on to the papers
    clerk.press("Space")
    clerk.go("Enter")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已补卡")
    expect(clerk.page.get_by_text("¥ 68.20")).to_be_visible()
    assert store.cards.state(LOST) == "reissued"
    clerk.told(CLERK, "补卡")
    clerk.shoot(repo_root, "console-account")
    clerk.follow(clerk.page.locator(f"main a[href='/cards/{LOST}/loss']"))
    expect(clerk.page.locator("#left")).to_contain_text("70 小时")
    expect(clerk.page.locator("#amount")).to_have_text("¥ 68.20")
    clerk.told(CLERK, "还有几小时、结转多少")
    clerk.shoot(repo_root, "console-reissued")


def test_a_temporary_card_from_its_form_to_its_receipt(campus, sit_down, repo_root):
    """临时卡: the form of annex 1, two signatures of others, the fee, the receipt."""
    clerk = sit_down("clara")
    clerk.go("Alt+n")
    for text in ("S12345678", "T87654321", "employer", GENERAL):
        clerk.press("Tab")
        clerk.type(text)
    clerk.press("Escape")  # the list of departments
    for days in (0, 60):
        clerk.press("Tab")
        _type_day(clerk, day(days))
        clerk.press("Tab")  # the field's own calendar
    clerk.press("Tab")  # without end
    clerk.go("Enter")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已登记")
    number = clerk.page.url.partition("?")[0].rpartition("/")[2]
    clerk.told(CLERK, "临时卡：录入附表一", at_most=20)
    for login, who, text in (
        ("hua", "部门负责人", "等您签字"),
        ("tian", "财务复核", "等财务签字"),
    ):
        other = sit_down(login)
        other.follow(other.page.get_by_role("link", name=text))
        expect(other.page.locator(".big")).to_have_text(number)
        if login == "tian":
            other.shoot(repo_root, "console-form")
        other.go("Alt+g")
        other.told(who, "临时卡：签字")
    clerk = sit_down("clara")
    clerk.follow(clerk.page.get_by_role("link", name="可以发卡"))
    clerk.tap(f"{NEW[1]:010}")
    clerk.press("Space", "Tab", "Space", "Tab")
    if clerk.page.locator("button.main").evaluate("one => one !== document.activeElement"):
        clerk.reach(clerk.page.get_by_role("button", name="工本费"))
    clerk.go("Enter")
    expect(clerk.page.get_by_text("贰拾元整")).to_be_visible()
    clerk.told(CLERK, "临时卡：收费、发卡、收据")
    clerk.shoot(repo_root, "console-receipt")


def _type_day(keyboard, text):
    """A day as the browser's own field takes it, in the order that it has."""
    year, month, number = text.split("-")
    field = keyboard.page.evaluate_handle("document.activeElement")
    order = "MMDDYYYY"  # of en-US, which Playwright's Chromium has
    keyboard.type({"MMDDYYYY": month + number + year}[order])
    assert field.evaluate("one => one.value") == text


def test_lists_of_new_students_and_of_graduates(campus, sit_down, tmp_path, repo_root):
    """批量开卡、毕业: look at it, sign, the other signs, do it; one line is contradicted."""
    _console, store = campus
    issue = tmp_path / "issue.csv"
    days = day(0), (datetime.now(UTC) + timedelta(days=900)).date().isoformat()
    heads = "卡号,学工号,类别,部门,起始日,截止日\n"
    line = "{},{},student,Nursing,{},{}\n"
    known = PEOPLE[1][1]  # who has a card already
    lines = [line.format(70_001, "2026010001", *days), line.format(70_002, known, *days)]
    issue.write_text(heads + "".join(lines))
    _list(sit_down, issue, "批量开卡", repo_root, "issue")
    assert (store.cards.state(70_001), store.cards.state(70_002)) == ("active", "absent")
    names.enter(store.database, 70_001, "李梅", log_in(store, "clara", _now()), _now())
    graduates = tmp_path / "graduates.csv"
    graduates.write_text(f"卡号,学工号,银行账号,户名\n70001,2026010001,{ACCOUNT},李梅\n")
    _list(sit_down, graduates, "毕业离校", repo_root, "graduation")
    assert store.cards.state(70_001) == "closed"


def _list(sit_down, file, job, repo_root, kind):
    clerk = sit_down("clara", "/lists")
    if kind == "graduation":
        clerk.reach(clerk.page.locator("#kind"))
        clerk.press("ArrowDown")
    clerk.choose(clerk.page.locator("#file"), file)
    clerk.follow(clerk.page.get_by_role("button", name="核对"))
    expect(clerk.page.locator("#result")).to_contain_text("核对结果")
    clerk.choose(clerk.page.locator("#same"), file)
    clerk.follow(clerk.page.locator("#same + button"))
    expect(clerk.page.get_by_role("definition").filter(has_text="clara")).to_be_visible()
    clerk.told(CLERK, f"{job}：核对、签字", at_most=16)
    other = sit_down("tian", "/waiting")
    other.follow(other.page.locator("main a[href='/lists']"))
    if kind == "graduation":
        other.reach(other.page.locator("#kind"))
        other.press("ArrowDown")
    other.choose(other.page.locator("#file"), file)
    other.follow(other.page.get_by_role("button", name="核对"))
    other.shoot(repo_root, f"console-list-{kind}")
    other.choose(other.page.locator("#same"), file)
    other.follow(other.page.locator("#same + button"))
    other.told("财务复核", f"{job}：核对、签第二个字", at_most=18)
    clerk.begin()
    clerk.choose(clerk.page.locator("#file"), file)
    clerk.follow(clerk.page.get_by_role("button", name="核对"))
    clerk.choose(clerk.page.locator("#same"), file)
    clerk.follow(clerk.page.locator("#same + button"))
    expect(clerk.page.locator("#result")).to_contain_text("办理结果")
    clerk.told(CLERK, f"{job}：办理", at_most=16)


def test_an_operator_is_let_in_by_two(sit_down, repo_root):
    """操作员: proposed by one administrator, approved by another; the password is told once."""
    one = sit_down("anna")
    one.go("Alt+i")
    one.reach(one.page.locator("#login"))
    one.type("dora")
    one.press("Escape", "Tab")
    one.type("Finance")
    one.press("Escape")
    one.reach(one.page.get_by_role("checkbox", name="柜员"))
    one.press("Space")
    one.follow(one.page.locator("form[action='/operators'] button"))
    expect(one.page.locator(".notice.good")).to_contain_text("已提议")
    one.told("管理员", "登记操作员", at_most=24)
    one.shoot(repo_root, "console-operators")
    other = sit_down("bao")
    other.follow(other.page.get_by_role("link", name="操作员提议"))
    other.follow(other.page.get_by_role("button", name="同意 dora"))
    expect(other.page.locator("#first")).to_be_visible()
    other.told("管理员", "批准，交初始密码")


def test_the_skip_link_the_focus_and_the_way_without_scripts(campus, chromium):
    console, store = campus
    context = chromium.new_context(java_script_enabled=False)
    token = token_of(store, "clara", _now())
    context.add_cookies([{"name": "session", "value": token, "url": console.url}])
    page = context.new_page()
    page.goto(console.url)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("跳到正文")
    page.locator("#search").fill("zs")
    page.locator("#search").press("Enter")
    expect(page.locator("h1")).to_have_text("账户")
    context.close()


def _now():
    return int(time.time())
