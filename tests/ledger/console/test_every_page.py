"""Every page of the table: axe finds nothing, and Tab leads through all of it in its order."""

import pytest

from ledger.console import pages
from tests.ledger.console.campus import example
from tests.ledger.console.hands import FILES
from tests.ledger.staff import OF_ROLE

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
LOOKED_AT = [page for page in pages.PAGES if not page.path.endswith(FILES)]
# What takes the focus inside of `where`, in the order in which it stands there.
_FOCUSABLE = """where => [...where.querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, [tabindex='0'], summary")]
    .filter(one => !one.disabled && one.getClientRects().length)"""
# Told by each element that gets the focus: its place, whether that shows, and is in sight.
_LISTEN = f"""where => {{
    const all = ({_FOCUSABLE})(where);
    window.walked = [];
    document.addEventListener("focusin", event => {{
        const one = event.target, style = getComputedStyle(one), box = one.getBoundingClientRect();
        window.walked.push([all.indexOf(one), style.outlineStyle !== "none"
            && parseFloat(style.outlineWidth) >= 2, box.bottom > 0 && box.top < innerHeight
            && box.right > 0 && box.left < innerWidth]);
    }});
    return all.length;
}}"""


def login_of(page):
    """Who looks at a page: the clerk where it is hers."""
    if page.is_for(("clerk",)):
        return "clara"
    return next(OF_ROLE[role] for role in OF_ROLE if page.is_for((role,)))


# Who looks at which pages in one test: a few, so that none is long on a slow machine.
AT_ONCE = 6
OF_LOGIN = {login: [page for page in LOOKED_AT if login_of(page) == login]
            for login in sorted(map(login_of, LOOKED_AT))}  # fmt: skip
LOOKS = [(login, mine[at : at + AT_ONCE]) for login, mine in OF_LOGIN.items()
         for at in range(0, len(mine), AT_ONCE)]  # fmt: skip


def walk(page, where, name):
    """Tab from where the page begins until the focus leaves `where`; what is wrong with it."""
    page.evaluate("document.getElementById('main').focus()")  # where it begins, if no field has it
    count = page.evaluate_handle(f"document.querySelector('{where}')").evaluate(_LISTEN)
    for _ in range(6 * count + 12):  # a field of a day has parts of its own
        page.keyboard.press("Tab")
        if page.evaluate("window.walked.some(([at]) => at < 0)"):
            break
    else:
        return [f"{name}: no way out of it"]
    seen = page.evaluate("window.walked.filter(([at]) => at >= 0)")
    order = [at for at, _shows, _is_there in seen]
    wrong = [] if order == list(range(count)) else [f"{name}: {order} of {count}"]
    return wrong + [f"{name}: {at} has no outline or is not in sight"
                    for at, shows, is_there in seen if not (shows and is_there)]  # fmt: skip


def walk_all(page, name):
    """From the way past the menu on through head, menu and page, once around."""
    page.evaluate("document.querySelector('.skip').focus()")
    count = page.evaluate_handle("document.body").evaluate(_LISTEN)
    for _ in range(count - 1):
        page.keyboard.press("Tab")
    order = [at for at, _shows, _is_there in page.evaluate("window.walked")]
    return [] if order == list(range(1, count)) else [f"{name}: {order} of {count}"]


@pytest.mark.parametrize(
    ("login", "mine"), LOOKS, ids=[f"{login}{mine[0].path}" for login, mine in LOOKS]
)
def test_axe_and_the_keyboard_find_nothing(campus, sit_down, login, mine):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    console, _store = campus
    seat, wrong = sit_down(login), []
    for page in mine:
        language = ("zh", "en")[LOOKED_AT.index(page) % 2]
        seat.page.goto(f"{console.url}{example(page.path)}?lang={language}")
        seat.page.wait_for_selector("body[data-ready]")
        found = axe.Axe().run(seat.page).response["violations"]
        wrong += [f"{page.path}: {one['id']}: {one['nodes'][0]['html']}" for one in found]
        wrong += walk(seat.page, "main", page.path)
    assert wrong == []


@pytest.mark.parametrize("login", OF_LOGIN)
def test_head_and_menu_are_reached_once_around(campus, sit_down, login):
    seat = sit_down(login, "/logout")
    assert walk_all(seat.page, "/logout") == []
