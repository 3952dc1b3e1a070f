"""A small campus, sessions of it, and pages in a real Chromium."""

import shutil
from urllib.parse import urlsplit

import pytest

from simulator.desk.session import Session

SMALL = """
name = "small"
title = "One window and a gate"
seed = 5
timeout_s = 600
site = "canteen-1"
sites = ["dorm-3"]
drain = "00:05:00"
carry_over = "00:10:00"
doze = 1
[[merchant]]
name = "noodles"
no = 71
[[reader]]
name = "pos-1"
device = 1001
merchant = "noodles"
card_map = 1
load_cards = 1
[[reader]]
name = "gate"
device = 2001
role = "door"
site = "dorm-3"
merchant = "noodles"
scope = "dorm"
card_map = 1
[[cards]]
name = "zhang-san"
first_no = 20001
balance = "68.20"
enters = 1
[[cards]]
name = "new"
first_no = 20101
chip = "desfire"
balance = "0.00"
[[step]]
at = "00:00:05"
do = "wait"
[assert]
lost = 0
taps = 0
"""
SECOND_US = 1_000_000
PATIENCE_MS = 30_000


@pytest.fixture
def open_session(tmp_path):
    """Opens sessions of a campus; they are closed behind the test."""
    opened = []

    def open_one(text=SMALL, **options):
        directory = tmp_path / f"session-{len(opened)}"
        directory.mkdir()
        session = Session(text, tmp_path / "campus.toml", directory, **options)
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture(scope="module")
def chromium():
    """Debian's browser; Playwright only drives it."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("needs chromium (Debian package)")
    with api.sync_playwright() as playwright:
        # In a container root has no sandbox; every page here is ours.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens pages that must keep to themselves: one origin, and nothing in the console."""
    opened, wrong = [], []

    def open_one(url, **options):
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, **options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        home = urlsplit(url).netloc

        def is_wrong(said):
            # The desk's own "no", which the page shows: Chromium counts it among its errors.
            return said.type == "error" and "409 (Conflict)" not in said.text

        def look(request):
            if urlsplit(request.url).netloc != home:
                wrong.append(request.url)

        page.on("request", look)
        page.on("console", lambda said: wrong.append(said.text) if is_wrong(said) else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        page.wait_for_selector("body[data-ready]")
        opened.append(context)
        return page

    yield open_one
    for context in opened:
        context.close()
    assert wrong == []
