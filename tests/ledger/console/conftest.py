"""One console on one set of books for the tests that only look; browsers for those that click."""

import time

import pytest

from tests.desk.conftest import chromium, open_page
from tests.ledger.console.campus import Console, books_in, configure
from tests.ledger.console.hands import JOB, Hands
from tests.ledger.staff import token_of

__all__ = ["chromium", "open_page"]


@pytest.fixture(scope="module")
def campus(tmp_path_factory):
    """(console, store) for a module; the store is the test's own connection."""
    folder = tmp_path_factory.mktemp("console")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    yield console, store
    log = console.close()
    store.close()
    assert "Traceback" not in log, log


@pytest.fixture
def sit_down(campus, open_page, record_property):
    """Somebody at a browser who has logged in, at `path`; `window`: {"width", "height"}."""
    console, store = campus

    def at(login, path="/", lang="zh", window=None):
        page = open_page(f"{console.url}/login?lang={lang}")
        if window:
            page.set_viewport_size(window)
        token = token_of(store, login, int(time.time()))
        page.context.add_cookies([{"name": "session", "value": token, "url": console.url}])
        page.goto(console.url + path)
        page.wait_for_selector("body[data-ready]")
        return Hands(page, record_property)

    return at


def pytest_terminal_summary(terminalreporter):
    """The table of what personas did: pytest tests/ledger/console -k persona."""
    jobs = [
        took
        for report in terminalreporter.getreports("passed")
        for name, took in getattr(report, "user_properties", ())
        if name == JOB and report.when == "call"
    ]
    if not jobs:
        return
    terminalreporter.write_sep("-", "personas, by keyboard alone (seconds are this machine's)")
    for line in table(jobs):
        terminalreporter.write_line(line)


def table(jobs):
    """Lines of Markdown: persona, job, actions, keys, seconds."""
    yield "| 谁 | 办什么 | actions | keys | s |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for persona, job, actions, keys, taken_s in jobs:
        yield f"| {persona} | {job} | {actions} | {keys} | {taken_s:.1f} |"
