"""The clerk's three jobs of a minute in a real Chromium, by the keyboard alone; axe on every page.

Each prints how long it took and how many actions it was: a key, or a text typed at once, as
a reader at the counter does. Time is printed and not asserted. ONECARD_SHOTS=1 writes the pictures
of the documents into docs/img.
"""

import time

import pytest

from ledger.console import pages
from ledger.map_news import behind
from ledger.people import GENERAL
from tests.ledger.console.campus import (
    IN_USE,
    LOST,
    NEW,
    example,
)
from tests.ledger.console.hands import FILES
from tests.ledger.console.test_temporary import day
from tests.ledger.staff import OF_ROLE, token_of

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect
expect.set_options(timeout=30_000)


def test_a_loss_is_reported_and_undone(campus, sit_down, repo_root):
    """挂失: `sxm`, one key; the page names the readers that have not said they know."""
    _console, store = campus
    clerk = sit_down("clara")
    clerk.find("sxm")
    clerk.go("Alt+l")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已挂失")
    expect(clerk.page.locator("#behind")).to_contain_text(f"({len(behind(store.database))})")
    expect(clerk.page.get_by_role("cell", name="Canteen 1").first).to_be_visible()
    clerk.shoot(repo_root, "console-loss")
    assert store.cards.state(IN_USE) == "lost"
    clerk.told("挂失 (report a loss)")
    clerk = sit_down("clara")
    clerk.find(str(IN_USE))
    clerk.go("Alt+u")
    clerk.press("Space")  # the ID card, which lies there
    clerk.go("Enter")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已解挂")
    assert store.cards.state(IN_USE) == "active"
    clerk.told("解挂 (cancel it)")


def test_another_card_in_the_place_of_a_lost_one(campus, sit_down, repo_root):
    """补卡: the new card on the reader, the hours that are left and what will go on."""
    _console, store = campus
    clerk = sit_down("clara")
    clerk.find("zs")
    clerk.go("Alt+r")
    clerk.type(f"{NEW[0]:010}")  # as the reader types it
    clerk.press("Enter", "Space")  # its Enter leads on to the papers
    clerk.go("Enter")
    expect(clerk.page.locator(".notice.good")).to_contain_text("已补卡")
    expect(clerk.page.get_by_text("¥ 68.20")).to_be_visible()
    clerk.shoot(repo_root, "console-account")
    clerk.page.get_by_role("link", name=str(LOST), exact=True).first.focus()
    clerk.go("Enter")
    expect(clerk.page.locator("#left")).to_contain_text("70 小时")
    expect(clerk.page.locator("#amount")).to_have_text("¥ 68.20")
    assert store.cards.state(LOST) == "reissued"
    clerk.told("补卡 (reissue, with its 72 hours)")


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
    path = clerk.page.url.partition("?")[0]
    clerk.told("临时卡 (temporary card): the form")
    for login in ("hua", "tian"):
        other = sit_down(login)
        other.page.get_by_role("link", name="等").first.focus()
        other.go("Enter")
        other.page.get_by_role("link", name=path.rpartition("/")[2], exact=True).focus()
        other.go("Enter")
        other.go("Alt+g")
        other.told(f"临时卡: the signature of {login}")
    clerk = sit_down("clara", path="/temporary")
    clerk.page.get_by_role("link", name=path.rpartition("/")[2], exact=True).focus()
    clerk.go("Enter")
    clerk.type(f"{NEW[1]:010}")
    clerk.press("Enter", "Space", "Tab", "Space")
    clerk.go("Enter")
    expect(clerk.page.get_by_text("贰拾元整")).to_be_visible()
    clerk.shoot(repo_root, "console-receipt")
    clerk.told("临时卡: fee, card and receipt")


def _type_day(keyboard, text):
    """A day as the browser's own field takes it, in the order that it has."""
    year, month, number = text.split("-")
    field = keyboard.page.evaluate_handle("document.activeElement")
    order = "MMDDYYYY"  # of en-US, which Playwright's Chromium has
    keyboard.type({"MMDDYYYY": month + number + year}[order])
    assert field.evaluate("one => one.value") == text


def test_every_page_can_be_read_by_all(campus, sit_down):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    console, _store = campus
    wrong = []
    seats = {}
    for page in pages.PAGES:
        if page.path.endswith(FILES):
            continue
        roles = [role for role in OF_ROLE if page.is_for((role,))]
        login = "clara" if "clerk" in roles else OF_ROLE[roles[0]]
        seat = seats.get(login) or seats.setdefault(login, sit_down(login))
        seat.page.goto(console.url + example(page.path))
        found = axe.Axe().run(seat.page).response["violations"]
        wrong += [f"{page.path}: {one['id']}: {one['nodes'][0]['html']}" for one in found]
    assert wrong == []


def test_the_skip_link_the_focus_and_the_way_without_scripts(campus, chromium):
    console, store = campus
    context = chromium.new_context(java_script_enabled=False)
    token = token_of(store, "clara", int(time.time()))
    context.add_cookies([{"name": "session", "value": token, "url": console.url}])
    page = context.new_page()
    page.goto(console.url)
    page.keyboard.press("Tab")
    assert page.evaluate("1") == 1
    expect(page.locator(":focus")).to_have_text("跳到正文")
    page.locator("#search").fill("zs")
    page.locator("#search").press("Enter")
    expect(page.locator("h1")).to_have_text("账户")
    context.close()
