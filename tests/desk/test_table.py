"""What lies on the table beside the readers, in a real Chromium: phones, links, a PC, recordings.

Every click is a step: what the page has recorded of each story is looked at too.
"""

import re
import time

import pytest

from simulator.desk.server import CAMPUS
from tests.desk.conftest import SMALL
from tests.desk.served import served
from tests.desk.test_page import device, plug

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect


@pytest.fixture(scope="module")
def campus():
    """(stage, url) of the campus that `onecard sim desk` shows."""
    with served(CAMPUS.read_text(encoding="utf-8"), CAMPUS) as desk:
        yield desk


@pytest.fixture
def page(campus, open_page):
    return open_page(f"{campus[1]}/")


def pole(page, name):
    return device(page, name).locator(".pole")


def test_a_phone_pays_once_and_a_picture_of_its_code_does_not(campus, page):
    phone, life = page.locator("#phone"), page.locator("#code-life")
    page.locator('[data-verb="topup"]').click()
    phone.locator('[data-code="payment"]').click()
    expect(life).to_contain_text("付款码 · 还剩")
    dots = page.locator("#code").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.width)"
        ".data.filter(byte => byte == 20).length"
    )
    assert dots > 150
    scan = device(page, "pos-1").locator("[data-scan]")
    # Its parts by hand: a mouse that drags across two screens scrolls to something else.
    held = {"dataTransfer": page.evaluate_handle("() => new DataTransfer()")}
    page.locator("#glass").dispatch_event("dragstart", held)
    device(page, "pos-1").dispatch_event("drop", held)
    told = page.locator("#told")
    expect(told).to_contain_text("zhang-san at pos-1: PAID 12.50")
    expect(life).to_have_text("付款码 · 已用过一次")
    phone.locator('[data-code="picture"]').click()
    scan.click()
    expect(told).to_contain_text("zhang-san at pos-1: CODE ALREADY USED")
    phone.locator('[data-code="identity"]').click()
    expect(life).to_contain_text("身份码 · 还剩")
    scan.click()
    expect(told).to_contain_text("zhang-san at pos-1: SHOW PAYMENT CODE")
    recorded = campus[0].recording().result()
    for line in ('do = "code"', 'shows = "picture"', 'sees = "PAID 12.50"'):
        assert line in recorded


def test_a_code_of_a_minute_ago_is_refused(page):
    page.locator('[data-code="payment"]').click()
    expect(page.locator("#code-life")).to_contain_text("还剩")
    page.locator('[data-speed="10"]').click()
    expect(page.locator("#code-life")).to_contain_text("已过期", timeout=120_000)
    page.locator('[data-speed="1"]').click()
    page.locator('[data-code="picture"]').click()
    device(page, "pos-1").locator("[data-scan]").click()
    expect(page.locator("#told")).to_contain_text("zhang-san at pos-1: CODE TOO OLD")


def test_an_identity_code_opens_the_gate_and_no_other_code_does(campus, page):
    gate, told = device(page, "campus-gate"), page.locator("#told")
    for code, said in (
        ("identity", "zhang-san enters campus-gate"),
        ("picture", "campus-gate stays shut for zhang-san"),
        ("payment", "campus-gate stays shut for zhang-san"),
    ):
        page.locator(f'[data-code="{code}"]').click()
        expect(gate.locator('[data-of="open"]')).to_have_text("关着")
        before = told.inner_text().count(said)
        gate.locator("[data-scan]").click()
        expect(told).to_contain_text(re.compile(f"({said}.*){{{before + 1}}}", re.DOTALL))
        expect(gate.locator('[data-of="held"]')).to_have_text("吸合")
    recorded = campus[0].recording().result()
    for line in ('do = "scan"', 'sees = "door open"', 'sees = "door shut"'):
        assert line in recorded


def test_without_network_a_phone_pays_nothing_in(page):
    net, money = page.locator("#phone-net"), page.locator('[data-verb="topup"]')
    net.click()
    expect(net).to_have_attribute("aria-pressed", "false")
    money.click()
    expect(page.locator("#notice")).to_contain_text("the phone of zhang-san has no network")
    net.click()
    expect(net).to_have_attribute("aria-pressed", "true")
    money.click()
    expect(page.locator("#notice")).to_be_hidden()


def test_without_network_a_phone_still_shows_codes(page):
    net = page.locator("#phone-net")
    net.click()
    expect(net).to_have_attribute("aria-pressed", "false")
    page.locator('[data-code="payment"]').click()
    expect(page.locator("#code-life")).to_contain_text("还剩")
    net.click()
    expect(net).to_have_attribute("aria-pressed", "true")


def test_a_library_desk_types_the_holder_s_number(page):
    desk = device(page, "lending-desk")
    desk.locator("[data-tap]").click()
    expect(desk.locator(".pc output")).to_have_text("2026020001")
    cable = desk.locator('[data-plug="desk"]')
    cable.click()
    expect(cable).to_have_attribute("aria-pressed", "false")
    cable.click()
    expect(cable).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("other-campus", "NOT OUR CARD"),
        ("forged", "NOT OUR CARD"),
        ("expired", "CARD EXPIRED"),
        ("suspended", "CARD SUSPENDED"),
        ("torn", "PAID 12.50"),
    ],
)
def test_good_cards_and_bad_ones(page, card, said):
    expect(pole(page, "pos-2")).to_contain_text("WELCOME")  # whoever was there before has gone
    page.locator(f'[data-card="{card}"]').click()
    device(page, "pos-2").locator("[data-tap]").click()
    expect(pole(page, "pos-2")).to_contain_text(said)


def test_two_cards_at_once_are_one_too_many(page):
    page.locator("#with").select_option("li-laoshi")
    device(page, "punch-clock").locator("[data-tap]").click()
    expect(pole(page, "punch-clock")).to_contain_text("ONE CARD PLEASE")
    page.locator("#with").select_option("")


def test_links_go_and_come(campus, page):
    site = page.locator('section[data-site="canteen-1"]')
    summary = site.locator(".links summary")
    summary.click()
    for what in ("reader-network", "upstream"):
        line = site.locator(f'[data-line="{what}"]')
        line.locator('[data-slow="delay_ms"]').select_option("300")
        line.locator('[data-slow="loss_percent"]').select_option("20")
        expect(site.locator(".links")).to_have_class("links bad")
        for field in ("delay_ms", "loss_percent"):
            line.locator(f'[data-slow="{field}"]').select_option("0")
        expect(site.locator(".links")).to_have_class("links")
        dark = line.locator("[data-dark]")
        dark.click()
        expect(dark).to_have_attribute("aria-pressed", "true")
        dark.click()
        expect(dark).to_have_attribute("aria-pressed", "false")
    for button in (
        plug(page, "canteen-1", "broker"),
        *(page.locator(f'[data-plug="{what}"]') for what in ("ledger", "centre")),
    ):
        button.click()
        expect(button).to_have_attribute("aria-pressed", "false")
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
    recorded = campus[0].recording().result()
    steps = ('do = "slow"', "delay_ms = 300", 'do = "dark"', 'what = "broker"', 'what = "ledger"')
    steps += ('what = "upstream"', 'what = "reader-network"', "loss_percent = 20")
    assert all(line in recorded for line in steps)


def test_axe_finds_nothing_with_everything_open(campus, open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    for lang in ("zh", "en"):
        page = open_page(f"{campus[1]}/?lang={lang}")
        page.locator('[data-code="payment"]').click()
        page.locator(".links summary").first.click()
        found = axe.Axe().run(page).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found] == []


def test_what_stands_on_a_key_fits_it(page):
    wide = page.locator(".keypad button").evaluate_all(
        "keys => keys.filter(key => key.scrollWidth > key.clientWidth).map(key => key.textContent)"
    )
    assert wide == []


def test_a_recording_is_opened_and_goes_step_by_step(open_page, tmp_path):
    with served(SMALL) as (stage, url):
        page = open_page(f"{url}/")
        window = device(page, "pos-1")
        window.locator("[data-tap]").click()
        expect(window.locator(".pole")).to_contain_text("PAID 12.50")
        until_s = time.monotonic() + 30
        while "sees" not in stage.recording().result() and time.monotonic() < until_s:
            page.wait_for_timeout(50)
        with page.expect_download() as download:
            page.locator("#record").click()
        text = download.value.path().read_text(encoding="utf-8")
        file = tmp_path / "mine.toml"
        file.write_text(text.replace('balance = "68.20"', 'balance = "8.20"'), encoding="utf-8")
        page.locator("#open-file").set_input_files(file)
        steps = page.locator("#steps li")
        expect(steps).to_have_count(2)
        for _ in range(2):
            page.locator("#next-step").click()
            expect(page.locator("#steps li.next")).to_have_count(1 if _ == 0 else 0)
        page.locator("#pause").click()
        spent = steps.filter(has_text="tap")  # before the step of the file or behind it
        expect(spent).to_contain_text("预期: PAID 12.50")
        expect(spent).to_contain_text("实际: BALANCE TOO LOW")
        expect(spent).to_have_class(re.compile("unlike"))
        page.context.close()
