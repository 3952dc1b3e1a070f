"""Every click is a verb: a walk over whatever can be clicked, chosen or posted, page by page.

The walk presses each thing with the page's own code and looks at what that would send, without
sending it. A new button that no row here names fails; so does a step that no scenario file takes.
"""

import pytest
from starlette.routing import Mount, Route

from simulator.desk.server import CAMPUS, app_of
from simulator.desk.verbs import step_of
from simulator.scenario_words import VERBS
from tests.desk.served import served

pytest.importorskip("playwright.sync_api", reason="needs playwright")
CARD_VERBS = ("lose", "unlose", "suspend", "resume", "reissue", "topup")
HANDS = {"tap", "present", "enter", "punch", "ask"}
SWITCH = {"cut", "plug"}
# What a thing may ask for: verbs of steps, "/PATH" of a wish that is no step, or nothing.
# The first row that fits counts.
ROWS = (
    ("[data-verb]", set(CARD_VERBS)),
    ("[data-tap], #tap", HANDS),
    ("[data-scan]", {"phone", "scan", "report"}),
    ("[data-keys]", {"press"}),
    ("[data-handheld], [data-cable], [data-mains], [data-plug], #phone-net", SWITCH),
    ("[data-power]", {"kill", "revive"}),
    ("[data-do]", {"leave", "fire", "rearm", "force", "key"}),
    ("[data-case]", {"open", "shut"}),
    ("[data-slow]", {"slow"}),
    ("[data-dark]", {"dark", "plug"}),
    ("[data-code=picture]", set()),  # the last code again: a step is only what is done with it
    ("[data-code]", {"code"}),
    ("#other-code", {"code", ""}),  # another's code is shown only by the next click
    ("[data-card], #glass", set()),  # chosen, and done by the next click or a drop
    ("[data-speed], #pause, #next-step", {"/time"}),  # how fast one looks: not in a scenario
    ("[data-jump]", {"/time"}),  # the step `rest`, see below
    ("[data-home]", {"/home", ""}),  # the steps `kill` and `revive`, see below
    ("#finish", {"/finish"}),
    ("#scenario", {"/load"}),
    ("#sound, #open-file, input[name=hold], #pull, #with, #card, #amount, [data-amount]", set()),
    ("a[href], [tabindex], summary", set()),  # they lead somewhere, or only show
)
THINGS = "button, select, input, a, summary, [draggable], [tabindex], [role=button]"
WALK = """([things, rows]) => {
  let asked = [];
  window.fetch = async (path, options) => {
    asked.push(["/" + path, JSON.parse(options.body)]);
    return new Response("{}", { headers: { "Content-Type": "application/json" } });
  };
  document.addEventListener("click", (event) => event.preventDefault());
  const found = [];
  for (const thing of document.querySelectorAll(things)) {
    document.querySelector("[data-card]")?.click();  // its holder has a phone
    if (thing.closest("[hidden]")) continue;
    const values = thing.matches("select") ? [...thing.options].map((one) => one.value) : [null];
    for (const value of values) {
      asked = [];
      if (value !== null) {
        thing.value = value;
        thing.dispatchEvent(new Event("change", { bubbles: true }));
      } else if (!thing.matches("input[type=file]")) thing.click();
      const row = rows.findIndex((selector) => thing.matches(selector));
      found.push([thing.cloneNode(false).outerHTML, row, asked]);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def campus():
    """(text, url) of the campus that `onecard sim desk` shows; nothing happens in it."""
    text = CAMPUS.read_text(encoding="utf-8")
    with served(text, CAMPUS) as (stage, url):
        yield text, url, stage


PAGES = ["", "wall"] + [
    f"device?reader={name}" for name in ("pos-1", "gate", "room-412", "kiosk", "lending-desk")
]


def walked(page, text):
    """The verbs that a page has; every one is a step of this campus."""
    verbs = set()
    found = page.evaluate(WALK, [THINGS, [selector for selector, _ in ROWS]])
    assert len(found) > 3
    for thing, row, asked in found:
        assert row >= 0, f"no row names {thing}"
        selector, may = ROWS[row]
        for path, body in asked:
            what = body["do"] if path == "/act" else path
            assert what in may, f"{thing} asks for {path} {body}, {selector} for {may}"
            if path == "/act":
                step_of(text, body, 60_000_000, len(text.splitlines()) + 1)
                verbs.add(what)
        if may and "" not in may and "#" not in selector:
            assert len(asked) == 1, f"{thing} asks for nothing"
    return verbs


def test_whatever_can_be_clicked_is_a_verb_of_scenarios(campus, open_page):
    text, url, stage = campus
    seen = {}
    for path in PAGES:
        page = open_page(f"{url}/{path}")
        seen[path] = walked(page, text)
        page.context.close()
    print({path: sorted(verbs) for path, verbs in seen.items()})
    assert seen["wall"] == set()
    everywhere = set().union(*seen.values())
    assert everywhere <= set(VERBS)
    named = set().union(*(may for _, may in ROWS)) - {"/time", "/home", "/finish", "/load", ""}
    # Of some switches the other side shows only once they were thrown.
    assert named - everywhere <= {"present", "plug", "cut", "revive", "shut"}
    assert "[[step]]" not in stage.recording().result().split("[assert]")[-1]


def test_a_wish_that_moves_the_campus_is_in_the_recording_as_steps(campus):
    _text, _, stage = campus
    before = stage.recording().result()
    for wish in ({"paused": True}, {"speed": 10}, {"speed": 1}, {"paused": False}):
        assert stage.set_time(wish).result() == ""
    assert stage.recording().result() == before
    assert stage.set_time({"jump_s": 60}).result() == ""
    after = stage.recording().result()
    assert after.count('do = "rest"') == before.count('do = "rest"') + 1
    assert after.count("[[step]]") == before.count("[[step]]") + 1


def test_nothing_else_can_be_posted(campus):
    """Each path that takes a POST, and how a scenario says it."""
    says = {
        "/act": "the step itself",
        "/time": "rest, or nothing",
        "/home": "kill, revive",  # tests/desk/test_homes.py compares books and event log
        "/finish": "wait, and the assertions",
        "/load": "another scenario from its start",
    }
    routes = app_of(campus[2], 1)._inner.routes
    posted = {one.path for one in routes if isinstance(one, Route) and "POST" in one.methods}
    assert posted == set(says)
    assert all(isinstance(one, Route | Mount) for one in routes)
