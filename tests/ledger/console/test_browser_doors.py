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
from tests.desk.conftest import chromium, open_page
from tests.ledger.console import dorm
from tests.ledger.console.campus import Console, books_in, configure
from tests.ledger.staff import token_of

__all__ = ["chromium", "open_page"]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
SCHOOL_S = 28_800


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """(console, store) of these tests alone: what one of them does, no other looks at."""
    folder = tmp_path_factory.mktemp("doors")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    yield console, store
    log = console.close()
    store.close()
    assert "Traceback" not in log, log


class Hands:
    """Somebody at the keyboard of a browser; `actions` counts what they do."""

    def __init__(self, page):
        self.page = page
        self.actions = 0
        self._since = time.monotonic()

    def press(self, *keys):
        for key in keys:
            self.actions += 1
            self.page.keyboard.press(key)

    def go(self, key):
        """A key that leads to another page."""
        self.actions += 1
        with self.page.expect_navigation():
            self.page.keyboard.press(key)
        self.page.wait_for_selector("body[data-ready]")

    def type(self, text):
        self.actions += 1
        self.page.keyboard.type(text)

    def sees(self, text):
        assert text in self.page.inner_text("main"), self.page.inner_text("main")

    def tell(self, job):
        took_s = time.monotonic() - self._since
        print(f"{job}: {took_s:.1f} s, {self.actions} actions")


@pytest.fixture
def sit(own, open_page):
    """Somebody with a session, on the first page."""
    console, store = own

    def sit_down(login, path="/", window=DESK):
        page = open_page(console.url + "/login")
        page.set_viewport_size(window)
        token = token_of(store, login, int(time.time()))
        page.context.add_cookies([{"name": "session", "value": token, "url": console.url}])
        page.goto(console.url + path)
        page.wait_for_selector("body[data-ready]")
        return Hands(page)

    return sit_down


def clean(page, where):
    """Nothing that axe finds, and nothing wider than the window."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page).response["violations"]
    assert found == [], (where, [(one["id"], one["nodes"][0]["html"]) for one in found])
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, where


# --- 宿管 ----


def test_a_warden_finds_out_why_a_door_does_not_open(sit):
    hands = sit("wen", window=PHONE)
    hands.go("Alt+d")
    hands.type(str(dorm.EMPTY))
    hands.go("Enter")
    hands.sees("耗尽 · 0 %")
    hands.sees("电池不足")
    hands.sees("用钥匙开门，记一次钥匙开门，然后换电池。")
    hands.tell("门打不开")


def test_a_warden_lists_the_weak_cells_of_a_building(sit):
    hands = sit("wen", window=PHONE)
    hands.go("Alt+v")
    hands.sees(str(dorm.EMPTY))
    text = hands.page.inner_text("main")
    assert text.index(str(dorm.EMPTY)) < text.index(str(dorm.WEAK)) and "偏低 · 12 %" in text
    hands.tell("低电量清单")


def test_a_warden_gives_a_right_until_a_date_and_logs_a_key(sit, own):
    _console, store = own
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
    hands.sees("已授权")
    assert access.whole(store.access.access_map(dorm.ROOM)).group(dorm.STRANGER) == 1
    (until_s,) = store.access.terms(dorm.ROOM).values()
    last = datetime.fromtimestamp(until_s - 1 + SCHOOL_S, UTC)
    assert last.date() == until.date()
    hands.tell("授权到某日")
    hands = Hands(hands.page)
    hands.press("Alt+7")
    hands.type("电量耗尽")
    hands.go("Enter")
    hands.sees("已记下钥匙开门")
    (one,) = key_openings.of(store.database, dorm.ROOM, 9)
    assert (one.person, one.because) == ("wen", "电量耗尽")
    hands.tell("记一次钥匙开门")


# --- 保卫部值班 ----


def test_whoever_keeps_a_door_asks_who_was_there_and_is_noted(sit, own):
    _console, store = own
    hands = sit("wen", window=PHONE)
    hands.go("Alt+d")
    hands.type(str(dorm.HALL))
    hands.go("Enter")
    hands.go("Alt+8")
    hands.press("Alt+5")
    hands.type("丢了一台电脑")
    hands.go("Enter")
    hands.sees(str(dorm.LOST_CARD))
    hands.sees("这次查询和用途已记入账簿")
    assert DoorLog(store.database).questions()[-1].purpose == "丢了一台电脑"
    hands.tell("谁开过这扇门")


def test_a_guard_sees_which_doors_a_mains_failure_has_released(sit):
    hands = sit("gu", window=PHONE)
    hands.go("Alt+m")
    hands.sees(str(dorm.GATE))
    hands.sees("派人看守或用钥匙锁门")
    hands.tell("停电：哪些门开着")


def test_a_guard_blocks_a_card_at_all_doors(sit, own):
    _console, store = own
    hands = sit("gu", window=PHONE)
    hands.go("Alt+x")
    hands.type(str(dorm.GRANTED))
    hands.go("Enter")
    hands.press("t", "Tab")  # the cause has the focus
    hands.go("Enter")
    hands.sees("已停用")
    hands.sees(str(dorm.ROOM))
    assert store.cards.status(dorm.GRANTED) == SUSPENDED
    hands.tell("立即停用一张卡")


# --- 图书信息中心 ----


def test_the_information_centre_sees_who_is_behind(sit):
    hands = sit("eng")
    hands.go("Alt+w")
    hands.sees("从没有消息")
    hands.sees("1001")
    size = hands.page.eval_on_selector(".tile b", "each => getComputedStyle(each).fontSize")
    assert float(size.removesuffix("px")) >= 72, "read from two metres"
    hands.tell("哪些机具落后")


def test_a_number_is_explained(sit):
    hands = sit("eng")
    hands.go("Alt+e")
    hands.type("271")
    hands.go("Enter")
    hands.sees("此卡已挂失")
    hands.sees("R14.2")
    hands.tell("编号是什么意思")


# --- every page ----


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("window", [PHONE, DESK], ids=["phone", "desk"])
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
