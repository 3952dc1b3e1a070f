"""The page in a real Chromium: the first five minutes, the keyboard, accessibility, its weight.

ONECARD_SHOTS=1 writes the pictures of the README into docs/img.
"""

import re
import time

import pytest

from simulator.desk.server import CAMPUS
from tests.desk.conftest import PATIENCE_MS, SMALL
from tests.desk.pictures import shoot
from tests.desk.served import served

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect
expect.set_options(timeout=30_000)

# One window, and the card that takes the place of a lost one.
LATER = re.sub(r'\[\[reader\]\]\nname = "gate".*?(?=\[\[cards)', "", SMALL, flags=re.DOTALL)
# Three days of a POS are a minute of two cores and more: here the money goes on after ten minutes.
LATER = LATER.replace('name = "new"', 'name = "zhang-san-new"')


@pytest.fixture(scope="module")
def campus():
    """(stage, url) of the campus that `onecard sim desk` shows."""
    with served(CAMPUS.read_text(encoding="utf-8"), CAMPUS) as desk:
        yield desk


def device(page, name):
    return page.locator(f'article[data-reader="{name}"]')


def plug(page, site, what):
    return page.locator(f'section[data-site="{site}"] [data-plug="{what}"]')


def dark_dots(page, name):
    """How many dots of a display are dark, as the canvas has them."""
    return (
        device(page, name)
        .locator(".lcd")
        .evaluate(
            "c => { const d = c.getContext('2d').getImageData(0, 0, 128, 64).data;"
            " let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] < 60 && d[i + 3];"
            " return n }"
        )
    )


def all_holds(page):
    for name in ("balanced", "duplicates", "lost", "constant"):
        expect(page.locator(f'[data-holds="{name}"]')).to_have_class("good")


def test_the_first_five_minutes(campus, open_page, repo_root):
    _, url = campus
    began_s = time.monotonic()
    page = open_page(f"{url}/")
    window, student = device(page, "pos-1"), page.locator('[data-card="zhang-san"]')
    expect(window.locator('[data-of="link"]')).to_have_text("联网")
    assert dark_dots(page, "pos-1") > 50

    student.drag_to(window)
    expect(window.locator(".pole")).to_contain_text("PAID 12.50")
    expect(window.locator('[data-of="green"]')).to_have_class("led green on")
    expect(student.locator('[data-of="fen"]')).to_have_text("¥55.70")
    shoot(page, repo_root, "desk")

    plug(page, "canteen-1", "reader-network").click()
    expect(window.locator('[data-of="link"]')).to_have_text("脱机")
    expect(window.locator(".pole")).to_contain_text("WELCOME")
    window.locator("[data-tap]").click()
    expect(window.locator(".pole")).to_contain_text("PAID 12.50")
    expect(window.locator('[data-of="waiting"]')).to_contain_text("待上传")
    expect(page.locator('[data-fen="flight_fen"]')).to_have_text("¥12.50")
    all_holds(page)

    plug(page, "canteen-1", "reader-network").click()
    expect(page.locator('[data-fen="flight_fen"]')).to_have_text("¥0.00")
    expect(page.locator('[data-fen="booked_fen"]')).to_have_text("¥25.00")

    plug(page, "dorm-3", "mains").click()
    gate = device(page, "gate")
    expect(gate.locator('[data-of="held"]')).to_have_text("已释放")
    gate.locator("[data-tap]").click()
    expect(gate.locator('[data-of="open"]')).to_have_text("开着")
    plug(page, "dorm-3", "mains").click()
    expect(gate.locator('[data-of="held"]')).to_have_text("吸合")

    page.locator('[data-verb="lose"]').click()
    expect(student.locator('[data-of="state"]')).to_have_text("已挂失")
    all_holds(page)
    print(f"\nthe story took {time.monotonic() - began_s:.1f} s")


def test_when_the_wait_is_over_the_money_is_on_the_new_card(open_page):
    with served(LATER) as (_, url):
        page = open_page(f"{url}/?lang=en")
        page.locator('[data-verb="lose"]').click()
        page.locator('[data-verb="reissue"]').click()
        new, window = page.locator('[data-card="zhang-san-new"]'), device(page, "pos-1")
        new.click()
        window.locator("[data-tap]").click()
        expect(window.locator('[data-of="red"]')).to_have_class("led red on")
        jumped_s = time.monotonic()
        page.locator('[data-jump="day-end"]').click()
        expect(page.locator("#date")).to_have_text("2026-09-02", timeout=200_000)
        expect(page.locator("#pace")).to_have_text("", timeout=4 * PATIENCE_MS)
        print(f"\nthe rest of the day took {time.monotonic() - jumped_s:.1f} s")
        page.locator('input[value="long"]').check()  # it is loaded first, which takes a while
        window.locator("[data-tap]").click()
        expect(window.locator(".pole")).to_contain_text("PAID 12.50")
        expect(new.locator('[data-of="fen"]')).to_have_text("¥55.70")
        all_holds(page)
        page.context.close()


def test_the_keyboard_alone(campus, open_page):
    _, url = campus
    page = open_page(f"{url}/?lang=en")
    page.keyboard.press("2")
    card = page.locator('[data-card="li-laoshi"]')
    expect(card).to_have_attribute("aria-pressed", "true")
    expect(card).to_be_focused()
    tap = device(page, "punch-clock").locator("[data-tap]")
    for _ in range(120):
        page.keyboard.press("Tab")
        if tap.evaluate("button => button === document.activeElement"):
            break
    else:
        pytest.fail("Tab never reaches it")
    page.keyboard.press("Enter")
    expect(device(page, "punch-clock").locator(".pole")).to_contain_text("PUNCHED")


def test_axe_finds_nothing(campus, open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    _, url = campus
    for lang in ("zh", "en"):
        page = open_page(f"{url}/?lang={lang}")
        # It is put there by the debugger, as the page itself may load no script but its own.
        for state in (
            "resting",
            "busy",
        ):  # a card at a reader looks otherwise, for as long as it is there
            page.evaluate(
                "s => document.querySelectorAll('.card').forEach(c => c.classList.add(s))", state
            )
            results = axe.Axe().run(page)
            found = results.response["violations"]
            assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found] == []


@pytest.mark.parametrize("path", ["/", "/wall", "/device?reader=pos-1", "/device?reader=gate"])
def test_on_a_phone_nothing_stands_beside_the_screen(campus, open_page, path):
    _, url = campus
    page = open_page(url + path)
    page.set_viewport_size({"width": 390, "height": 844})
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0


def test_motion_is_left_out_for_who_wants_none(campus, open_page):
    _, url = campus
    page = open_page(f"{url}/", reduced_motion="reduce")
    moves = "leaf => getComputedStyle(leaf).transitionDuration"
    assert device(page, "gate").locator(".leaf").evaluate(moves) == "0s"


def test_two_browsers_see_one_campus(campus, open_page):
    _, url = campus
    first, second = open_page(f"{url}/"), open_page(f"{url}/?lang=en")
    first.locator("#pause").click()
    expect(second.locator("#pause")).to_have_text("Go on")
    second.locator("#pause").click()
    expect(first.locator("#pause")).to_have_text("暂停")


def test_a_key_of_the_pos_is_a_step_and_the_recording_has_it(open_page):
    with served(SMALL) as (stage, url):
        page = open_page(f"{url}/")
        for key in "750":
            device(page, "pos-1").locator(f'[data-keys="{key}"]').click()
        expect(device(page, "pos-1").locator(".pole")).to_contain_text("750")
        # A CR in an attribute is a LF to a browser: the OK key has to say what it means.
        device(page, "pos-1").locator(".ok").click()
        expect(device(page, "pos-1").locator(".pole")).to_contain_text("CARD PLEASE")
        stage.set_time({"paused": True}).result()  # what is read a second later is written there
        with page.expect_download() as download:
            page.locator("#record").click()
        text = download.value.path().read_text(encoding="utf-8")
        assert text == stage.recording().result()
        assert text.count('do = "press"') == 4
        page.context.close()


def test_what_it_costs_is_printed(campus, open_page):
    _, url = campus
    page = open_page(f"{url}/")
    timing, weight = page.evaluate(
        """() => [performance.getEntriesByType("navigation")[0].domInteractive,
                  performance.getEntriesByType("resource").concat(
                      performance.getEntriesByType("navigation"))
                      .reduce((sum, one) => sum + one.encodedBodySize, 0)]"""
    )
    frames = page.evaluate(
        """() => new Promise(done => { let n = 0; const begun = performance.now();
           (function next() { n += 1; const ms = performance.now() - begun;
             ms < 2000 ? requestAnimationFrame(next) : done(n * 1000 / ms) })() })"""
    )
    size = f"page {weight / 1024:.0f} KiB, interactive {timing:.0f} ms"
    print(f"\n{size}, {frames:.0f} frames a second")
    assert 0 < weight < 512 * 1024
