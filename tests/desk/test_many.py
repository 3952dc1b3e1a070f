"""A campus of 200 in a real Chromium: what the page weighs, how it runs, and what it says of lag.

ONECARD_DESK_DEVICES=2000 does the same with another campus.
"""

import json
import os
import time

import pytest

from simulator.desk.many import CAMPUS, DEVICES_MAX, campus_of
from simulator.scenario import parse
from tests.desk.served import served

DEVICES = int(os.environ.get("ONECARD_DESK_DEVICES", "200"))
SHOTS = os.environ.get("ONECARD_SHOTS") == "1"
PATIENCE_MS = 1000 * max(60, DEVICES // 4)

MEASURED = """async () => {
  const own = ["resource", "navigation"].flatMap(kind => performance.getEntriesByType(kind));
  const frames = await new Promise(done => { let n = 0; const begun = performance.now();
    (function next() { n += 1; const ms = performance.now() - begun;
      ms < 2000 ? requestAnimationFrame(next) : done(n * 1000 / ms) })() });
  const view = document.body.classList.contains("wall") ? "wall" : "campus";
  const told = await new Promise(done => { let events = 0, parts = 0;
    const source = new EventSource(`events?view=${view}`);
    source.onmessage = one => { if (events++) parts += Object.keys(JSON.parse(one.data)).length };
    setTimeout(() => { source.close(); done([Math.max(events - 1, 0) / 3, parts / 3]) }, 3000) });
  return { kib: own.reduce((sum, one) => sum + one.encodedBodySize, 0) / 1024,
    requests: own.filter(one => !one.name.includes("events")).length,
    interactive_ms: performance.getEntriesByType("navigation")[0].domInteractive,
    frames, events: told[0], parts: told[1] } }"""


@pytest.mark.parametrize("devices", [8, 9, 200, 501, DEVICES_MAX])
def test_a_campus_has_as_many_devices_as_were_asked_for(devices):
    scenario = parse(campus_of(devices), CAMPUS)
    names = [one["name"] for one in scenario.readers]
    assert len(names) == len(set(names)) == devices
    assert len({one["device"] for one in scenario.readers}) == devices
    assert {one["site"] for one in scenario.readers} == set(scenario.sites)
    assert len(scenario.sites) <= 25, "each is a broker, a process"


@pytest.mark.parametrize("devices", [-1, 0, 7, DEVICES_MAX + 1])
def test_no_campus_is_smaller_or_larger_than_it_says(devices):
    with pytest.raises(ValueError, match=f"8 to {DEVICES_MAX}"):
        campus_of(devices)


@pytest.fixture(scope="module")
def desk():
    with served(campus_of(DEVICES), CAMPUS) as desk:
        yield desk


def said(what, found):
    size = f"{found['kib']:.0f} KiB in {found['requests']} requests"
    pace = f"{found['frames']:.0f} frames a second"
    told = f"{found['events']:.1f} events a second with {found['parts']:.0f} parts"
    print(f"\n{what}: {size}, interactive {found['interactive_ms']:.0f} ms, {pace}, {told}")
    return found


def until(is_so, what):
    until_s = time.monotonic() + PATIENCE_MS / 1000
    while not is_so():
        assert time.monotonic() < until_s, what
        time.sleep(0.05)


def test_the_wall_shows_who_is_starting_and_then_how_they_are(desk, open_page):
    page = open_page(f"{desk[1]}/wall?lang=en")
    glyphs = page.locator("a.glyph")
    assert glyphs.count() == DEVICES
    of_look = {look: page.locator(f"a.glyph.{look}").count() for look in ("starting", "fine")}
    print(f"\nwhen the wall is there {of_look['starting']} devices are still starting")
    found = said(f"wall of {DEVICES}", page.evaluate(MEASURED))
    assert found["kib"] < 1024 and found["requests"] <= 8
    starting, fine = page.locator("a.glyph.starting, a.glyph.unseen"), page.locator("a.glyph.fine")
    until(lambda: starting.count() == 0, "somebody is never switched on")
    until(lambda: fine.count() > DEVICES * 9 // 10, "most never serve")


def test_the_desk_of_many_is_one_page_that_moves(desk, open_page):
    stage, url = desk
    page = open_page(f"{url}/?lang=en")
    assert page.locator("article.device").count() == DEVICES
    windows = [one["name"] for one in parse(campus_of(DEVICES), CAMPUS).readers]
    busy = [name for name in windows if name.startswith("pos-")][:20]
    for name in busy:
        assert stage.act({"do": "press", "reader": name, "keys": "12.50\r"}).result() == ""
    found = said(f"desk of {DEVICES}", page.evaluate(MEASURED))
    assert found["kib"] < 5 * DEVICES and found["requests"] <= 14
    shown = page.locator(f'article[data-reader="{busy[-1]}"] .pole')
    shown.scroll_into_view_if_needed()
    until(lambda: "12.50" in shown.inner_text(), "a window shows what was keyed")


def test_a_machine_that_does_not_keep_up_says_so(desk, open_page, monkeypatch):
    """Of each frame nothing is left to play in: time falls behind, and the page says how far."""
    stage, url = desk
    monkeypatch.setattr("simulator.desk.stage._BUSY_SHARE", 0)
    page = open_page(f"{url}/?lang=en")
    stage.set_time({"speed": 60}).result()
    pace = page.locator("#pace")
    until(lambda: "behind" in pace.inner_text() and "really ×" in pace.inner_text(), "it is said")
    assert json.loads(stage.shown["time"])["lag_s"] > 0
    monkeypatch.undo()
    stage.set_time({"speed": 1}).result()
    before_s = json.loads(stage.shown["time"])["local_s"]
    until(lambda: json.loads(stage.shown["time"])["local_s"] > before_s, "time goes on")
