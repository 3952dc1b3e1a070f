"""The jobs of wardens, guards and the information centre, in a real Chromium, by keyboard alone.

Each prints how long it took and with how many actions: a key, or a text that is typed. The time is
told and not held: it is this machine's.
"""

import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from ledger import key_openings
from ledger.door_log import DoorLog
from protocols.rules import access
from protocols.rules.card_status import SUSPENDED
from tests.ledger.console import dorm

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
SCHOOL_S = 28_800


@pytest.fixture
def sit(sit_down):
    """Somebody with a session, on the first page, at a desk if not with a phone."""
    return lambda login, path="/", window=DESK: sit_down(login, path, window=window)


def sees(hands, text):
    said = hands.page.inner_text("main")
    assert text in said, said


def clean(page, where):
    """Nothing that axe finds, and nothing wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page).response["violations"]
    assert found == [], (where, [(one["id"], one["nodes"][0]["html"]) for one in found])
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, where


# --- 宿管 ----


def test_a_warden_finds_out_why_a_door_does_not_open(sit, repo_root):
    hands = sit("wen", window=PHONE)
    hands.go("Alt+d")
    hands.type(str(dorm.EMPTY))
    hands.go("Enter")
    sees(hands, "耗尽 · 0 %")
    sees(hands, "电池不足")
    sees(hands, "用钥匙开门，记一次钥匙开门，然后换电池。")
    hands.told("宿管", "门打不开")
    hands.shoot(repo_root, "console-door", PHONE)


def test_a_warden_lists_the_weak_cells_of_a_building(sit, repo_root):
    hands = sit("wen", window=PHONE)
    hands.go("Alt+v")
    sees(hands, str(dorm.EMPTY))
    text = hands.page.inner_text("main")
    assert text.index(str(dorm.EMPTY)) < text.index(str(dorm.WEAK)) and "偏低 · 12 %" in text
    hands.told("宿管", "低电量清单")
    hands.shoot(repo_root, "console-batteries", PHONE)


def test_a_warden_gives_a_right_until_a_date_and_logs_a_key(sit, campus):
    _console, store = campus
    hands = sit("wen", window=PHONE)
    hands.go("Alt+d")
    hands.type(str(dorm.ROOM))
    hands.go("Enter")
    hands.press("Alt+5")
    hands.type(str(dorm.STRANGER))
    hands.press("Tab")
    until = datetime.fromtimestamp(time.time() + SCHOOL_S + 7 * 86_400, UTC)
    hands.type(until.strftime("%m%d%Y"))
    hands.go("Enter")
    sees(hands, "已授权")
    assert access.whole(store.access.access_map(dorm.ROOM)).group(dorm.STRANGER) == 1
    (until_s,) = store.access.terms(dorm.ROOM).values()
    last = datetime.fromtimestamp(until_s - 1 + SCHOOL_S, UTC)
    assert last.date() == until.date()
    hands.told("宿管", "授权到某日")
    hands.press("Alt+7")
    hands.type("电量耗尽")
    hands.go("Enter")
    sees(hands, "已记下钥匙开门")
    (one,) = key_openings.of(store.database, dorm.ROOM, 9)
    assert (one.person, one.because) == ("wen", "电量耗尽")
    hands.told("宿管", "记一次钥匙开门")


# --- 保卫部值班 ----


def test_whoever_keeps_a_door_asks_who_was_there_and_is_noted(sit, campus):
    _console, store = campus
    hands = sit("wen", window=PHONE)
    hands.go("Alt+d")
    hands.type(str(dorm.HALL))
    hands.go("Enter")
    hands.go("Alt+8")
    hands.press("Alt+5")
    hands.type("丢了一台电脑")
    hands.go("Enter")
    sees(hands, str(dorm.LOST_CARD))
    sees(hands, "这次查询和用途已记入账簿")
    assert DoorLog(store.database).questions()[-1].purpose == "丢了一台电脑"
    hands.told("保卫部值班", "谁开过这扇门")


def test_a_guard_sees_which_doors_a_mains_failure_has_released(sit):
    hands = sit("gu", window=PHONE)
    hands.go("Alt+m")
    sees(hands, str(dorm.GATE))
    sees(hands, "派人看守或用钥匙锁门")
    hands.told("保卫部值班", "停电：哪些门开着")


def test_a_guard_blocks_a_card_at_all_doors(sit, campus):
    _console, store = campus
    hands = sit("gu", window=PHONE)
    hands.go("Alt+x")
    hands.type(str(dorm.GRANTED))
    hands.go("Enter")
    hands.press("t", "Tab")  # the cause has the focus
    hands.go("Enter")
    sees(hands, "已停用")
    sees(hands, str(dorm.ROOM))
    assert store.cards.status(dorm.GRANTED) == SUSPENDED
    hands.told("保卫部值班", "立即停用一张卡")


# --- 图书信息中心 ----


def test_the_information_centre_sees_who_is_behind(sit, repo_root):
    hands = sit("eng")
    hands.go("Alt+w")
    sees(hands, "从没有消息")
    sees(hands, "1001")
    size = hands.page.eval_on_selector(".tile b", "each => getComputedStyle(each).fontSize")
    assert float(size.removesuffix("px")) >= 72, "read from two metres"
    hands.told("图书信息中心", "哪些机具落后")
    hands.shoot(repo_root, "console-wall")


def test_a_number_is_explained(sit):
    hands = sit("eng")
    hands.go("Alt+e")
    hands.type("271")
    hands.go("Enter")
    sees(hands, "此卡已挂失")
    sees(hands, "R14.2")
    hands.told("图书信息中心", "编号是什么意思")


# --- every page ----


@pytest.mark.parametrize(("language", "window"), [("zh", PHONE), ("en", DESK)])
def test_axe_finds_nothing_on_the_pages_of_doors(sit, language, window):
    hands = sit("wen", f"/?lang={language}", window)
    for path in (
        "/doors",
        f"/doors?site={dorm.SITE}",
        f"/doors/{dorm.EMPTY}",
        f"/doors/{dorm.HALL}?card={dorm.LOST_CARD}",
        f"/doors/{dorm.HALL}/who",
        f"/doors/{dorm.ROOM}/give",
        "/batteries",
        "/mains",
        f"/block?card={dorm.GRANTED}",
        f"/block?card={dorm.LOST_CARD}",
        "/explain?number=271",
    ):
        go(hands.page, path)
        clean(hands.page, path)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_axe_finds_nothing_on_the_wall_and_in_the_audit(sit, language):
    hands = sit("eng", f"/?lang={language}")
    for path in ("/wall", "/wall?still=1", f"/audit?reader={dorm.HALL}"):
        go(hands.page, path)
        clean(hands.page, path)


def go(page, path):
    parts = urlsplit(page.url)
    page.goto(f"{parts.scheme}://{parts.netloc}{path}")
    page.wait_for_selector("body[data-ready]")
