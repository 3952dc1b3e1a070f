"""The wall: every device as a glyph, told by differences, in a look that has an end."""

import pytest

from protocols.rules.posture_texts import TEXTS
from simulator.desk.look import Looker
from simulator.desk.server import CAMPUS
from simulator.desk.wall import GLYPHS, WallLooker
from tests.desk.conftest import SECOND_US, SMALL
from tests.desk.pictures import shoot
from tests.desk.served import served

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = api.expect


def test_every_posture_has_a_glyph():
    assert GLYPHS.keys() == TEXTS.keys()


def test_a_glyph_says_what_has_become_of_a_device(open_session):
    session = open_session(SMALL)
    looker = WallLooker(session.run, Looker(session.run, None))
    session.advance(6 * SECOND_US)
    assert looker.parts(60) == {
        "wall:pos-1": ["fine", "serving", 1, 0],
        "wall:gate": ["fine", "secured", 1, 0],
    }
    session.act({"do": "cut", "what": "reader-network", "site": "canteen-1"})
    tap = {"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "3.00"}
    session.act(tap)
    session.advance(session.now_us + 5 * SECOND_US)
    assert looker.parts(60)["wall:pos-1"] == ["limited", "serving-offline", 0, 2]
    session.advance(session.act({"do": "kill", "reader": "pos-1"}).at_us)
    assert looker.parts(60)["wall:pos-1"][:3] == ["dark", "dark", 0]


def test_a_look_without_time_goes_on_where_the_last_has_stopped(open_session):
    session = open_session(SMALL)
    looker = WallLooker(session.run, Looker(session.run, None))
    session.advance(6 * SECOND_US)
    assert looker.parts(-1) == {}
    assert len(looker.parts(60)) == 2
    before = looker.parts(60)
    assert looker.parts(-1) == before, "nothing has changed, so nothing takes time"


def test_the_wall_of_the_campus(open_page, repo_root):
    with served(CAMPUS.read_text(encoding="utf-8"), CAMPUS) as (_, url):
        page = open_page(f"{url}/wall")
        expect(page.locator("#online")).to_contain_text("/ 8")
        pos = page.locator('a[data-name="pos-1"]')
        expect(pos).to_have_class("glyph pos fine")
        axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
        found = axe.Axe().run(page).response["violations"]
        assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found] == []
        weight, frames = page.evaluate(
            """async () => [performance.getEntriesByType("resource").concat(
                   performance.getEntriesByType("navigation"))
                   .reduce((sum, one) => sum + one.encodedBodySize, 0),
               await new Promise(done => { let n = 0; const begun = performance.now();
                 (function next() { n += 1; const ms = performance.now() - begun;
                   ms < 1000 ? requestAnimationFrame(next) : done(n * 1000 / ms) })() })]"""
        )
        print(f"\nwall: {weight / 1024:.0f} KiB, {frames:.0f} frames a second")
        assert 0 < weight < 128 * 1024
        pos.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/device?reader=pos-1&lang=zh")
        page.locator("[data-cable]").click()
        page.go_back()
        expect(page.locator('a[data-name="pos-1"]')).to_have_class("glyph pos limited offline")
        expect(page.locator('[data-sum="limited"]')).to_have_text("1")
        shoot(page, repo_root, "desk-wall")
        page.context.close()
