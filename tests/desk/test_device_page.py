"""The page of one device in a real Chromium, and its firmware in a real MicroPython.

ONECARD_SHOTS=1 writes the picture of the README into docs/img.
"""

import json
import time
from urllib.parse import urlsplit

import pytest

from simulator import homes
from simulator.desk.server import CAMPUS
from tests.desk.conftest import PATIENCE_MS, SMALL
from tests.desk.pictures import shoot
from tests.desk.served import served
from tests.desk.test_server import ask, post

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect


@pytest.fixture(scope="module")
def desk():
    with served(CAMPUS.read_text(encoding="utf-8"), CAMPUS) as (stage, url):
        yield stage, url


def of(page, name):
    return page.locator(f'#device [data-of="{name}"]')


def test_a_device_is_opened_by_key_and_closed_by_key(desk, open_page):
    _, url = desk
    page = open_page(f"{url}/")
    page.locator('article[data-reader="pos-1"] h3 a').focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/device?reader=pos-1&lang=zh")
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("h1")).to_have_text("一号窗")
    page.keyboard.press("Escape")
    page.wait_for_url("**/?lang=zh")
    expect(page.locator('article[data-reader="pos-1"]')).to_be_visible()


def test_what_happens_to_it_is_seen_inside(open_page):
    with served(SMALL) as (_, url):
        page = open_page(f"{url}/device?reader=pos-1&lang=en")
        records, posture = page.locator("#records tbody tr"), of(page, "posture")
        expect(posture).to_have_text("serving")
        before = records.count()
        page.locator("#tap").click()
        expect(page.locator(".pole")).to_contain_text("PAID 12.50")
        expect(records).to_have_count(before + 2)
        expect(records.first.locator("td").nth(1)).to_have_text("outcome")
        expect(records.first.locator("td").nth(5)).to_have_text("✓")
        expect(of(page, "chain")).to_have_text("The chain holds")

        page.locator("[data-cable]").click()
        expect(of(page, "link")).to_have_text("Offline")
        expect(posture).to_have_text("serving-offline")
        expect(page.locator(".fits td").last).to_have_text("serving-offline")
        for key in "350":
            page.locator(f'[data-keys="{key}"]').click()
        expect(page.locator(".pole")).to_contain_text("350")
        page.locator('[data-keys="%1B"]').click()
        page.locator("#tap").click()
        expect(records.first.locator("td").nth(5)).to_have_text("…")
        expect(of(page, "waiting")).not_to_have_text("0")
        page.locator("[data-cable]").click()
        expect(of(page, "waiting")).to_have_text("0")
        expect(posture).to_have_text("serving")

        page.locator("[data-power]").click()
        expect(posture).to_have_text("dark")
        page.locator("[data-power]").click()
        expect(posture).to_have_text("serving")
        expect(of(page, "boots")).to_have_text("2")
        page.context.close()


def test_it_moves_into_a_real_micropython_and_goes_on_there(desk, open_page, repo_root):
    pytest.importorskip("micropython_run", reason="needs MicroPython")
    stage, url = desk
    page = open_page(f"{url}/device?reader=pos-1")
    expect(of(page, "heap-sum")).to_contain_text("没有自己的堆")
    page.locator('[data-home="vm"]').click()
    expect(page.locator('[data-home="vm"]')).to_have_attribute(
        "aria-pressed", "true", timeout=4 * PATIENCE_MS
    )
    expect(of(page, "heap-sum")).to_contain_text("KiB · 在用")
    expect(of(page, "calls")).to_contain_text("次硬件调用")
    expect(page.locator("#console")).to_contain_text("没有打印任何内容")
    expect(of(page, "posture")).to_have_text("正常服务")
    page.locator("#tap").click()
    expect(page.locator(".pole")).to_contain_text("PAID 12.50")
    expect(page.get_by_text("amount_fen=1250").first).to_be_visible()  # its record is there too
    expect(of(page, "chain")).to_have_text("链完整")
    shoot(page, repo_root, "desk-device")
    for speed in (1, 10):
        page.locator(f'[data-speed="{speed}"]').click()
        began_s, before = time.monotonic(), json.loads(stage.shown["time"])["local_s"]
        page.wait_for_timeout(2000)
        took_s = time.monotonic() - began_s
        passed_s = json.loads(stage.shown["time"])["local_s"] - before
        print(f"\nwith pos-1 in a MicroPython x{speed} goes x{passed_s / took_s:.1f}")
        assert passed_s
    page.locator('[data-speed="1"]').click()
    page.locator('[data-home="cpython"]').click()
    expect(of(page, "heap-sum")).to_contain_text("没有自己的堆")
    expect(of(page, "boots")).to_have_text("3")


@pytest.mark.parametrize("name", ["pos-2", "gate", "kiosk"])
def test_axe_finds_nothing(desk, open_page, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    _, url = desk
    for lang in ("zh", "en"):
        page = open_page(f"{url}/device?reader={name}&lang={lang}")
        found = axe.Axe().run(page).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found] == []


def test_a_console_has_the_traceback_of_a_firmware_that_has_ended(open_page, monkeypatch):
    """It does not fit into the heap of a far smaller board."""
    pytest.importorskip("micropython_run", reason="needs MicroPython")
    program, _, circuit = homes._BOARDS["pos", False]
    monkeypatch.setitem(homes._BOARDS, ("pos", False), (program, 48 * 1024, circuit))
    with served(SMALL) as (_, url):
        page = open_page(f"{url}/device?reader=pos-1")
        page.locator('[data-home="vm"]').click()
        expect(page.locator("#console")).to_contain_text("MemoryError", timeout=4 * PATIENCE_MS)
        expect(page.locator("#console")).to_contain_text("Traceback")
        expect(page.locator("#notice")).to_contain_text("已停止")
        page.context.close()


def test_who_asks_for_no_device_or_no_home_is_told_so():
    with served(SMALL) as (stage, url):
        netloc = urlsplit(url).netloc
        assert ask(netloc, "GET", "/device?reader=pos-9")[0] == 404
        assert ask(netloc, "GET", "/device")[0] == 404
        for wish, word in (
            ({"reader": "pos-1", "home": "esp32"}, "esp32"),
            ({"reader": "pos-9", "home": "vm"}, "pos-9"),
            ({"home": "cpython"}, "no reader"),
        ):
            status, said = post(netloc, "/home", wish)
            assert status == 409 and word in said["refused"]
        assert stage.recording().result() == SMALL
        assert post(netloc, "/home", {"reader": "pos-1", "home": "vm"}, Origin="")[0] == 403


def test_what_nobody_looks_at_is_not_put_up(open_page):
    with served(SMALL) as (stage, url):
        assert not any(key.startswith("journal:") for key in stage.shown)
        page = open_page(f"{url}/device?reader=pos-1")
        assert "journal:pos-1" in stage.shown and "journal:gate" not in stage.shown
        page.context.close()
        until_s = time.monotonic() + 30
        while "journal:pos-1" in stage.shown:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        assert "reader:pos-1" in stage.shown
