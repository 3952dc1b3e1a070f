"""Sessions in the console: how they begin and end, and what the browser is told to keep."""

import asyncio
import time
from dataclasses import replace

import pytest

from ledger import people
from ledger.api.books import Books
from ledger.api.limits import BURST_S
from ledger.config_listen import ConsoleLine
from ledger.console import app, pages, refusals
from ledger.console.app import _long, _Request
from ledger.console.asked import EN, ZH, Settings
from ledger.console.session import path_of
from ledger.operators import ENROL, TRIES, Wanted
from ledger.signatures import DISPLAY_S, IDLE_S, SESSION_S, NotAllowed, hash_of, session_of
from ledger.store import LedgerStore
from tests.ledger.console.campus import Console, Visitor, books_in, configure, visitor
from tests.ledger.staff import log_in, password_of


def test_in_and_out(campus):
    console, _store = campus
    me = Visitor(console)
    assert me.get("/").headers["location"] == "/login"
    there = me.get("/password?to=/x")
    assert there.status == 200
    answer = me.send("/login?to=/password", "/login", login="clara", password=password_of("clara"))
    assert (answer.status, answer.headers["location"]) == (303, "/password")
    (cookie,) = answer.cookies
    for flag in ("HttpOnly", "Path=/", "SameSite=strict"):
        assert flag in cookie
    assert "Max-Age" not in cookie and "expires" not in cookie
    token = me.cookies["session"]
    assert "clara" in me.get("/").text
    assert token not in me.get("/").text
    out = me.send("/logout", "/logout")
    assert (out.status, out.headers["location"]) == (303, "/login?done=logout")
    assert "session" not in me.cookies
    me.cookies["session"] = token
    assert me.get("/").status == 303


@pytest.mark.parametrize(
    ("login", "password"), [("clara", "wrong horse"), ("nobody", "wrong horse"), ("clara", "")]
)
def test_a_wrong_password_tells_nothing_else(campus, login, password):
    console, _store = campus
    answer = Visitor(console).send("/login", "/login", login=login, password=password)
    assert (answer.status, answer.reason) == (401, people.WRONG_LOGIN)
    assert not answer.cookies
    assert not password or password not in answer.text


@pytest.mark.parametrize(
    "to", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere", "x", "/a?b=c", ""]
)
def test_the_login_leads_nowhere_else(campus, to):
    assert path_of(to) == "/"
    console, _store = campus
    typed = {"login": "chen", "password": password_of("chen"), "to": to}
    answer = Visitor(console).send("/login", "/login", **typed)
    if answer.status == 429:  # the pace of logins, which is its own test
        time.sleep(1)
        answer = Visitor(console).send("/login", "/login", **typed)
    assert answer.headers["location"] == "/"


def test_a_first_password_serves_to_choose_another(campus):
    console, store = campus
    now_s = int(time.time())
    one, other = (log_in(store, login, now_s) for login in ("anna", "bao"))
    wanted = Wanted(ENROL, "newcomer", people.FINANCE, (people.CLERK,))
    first = store.operators.approve(store.operators.propose(wanted, one, now_s), other, now_s)
    me = Visitor(console)
    answer = _patient(me, "/login", "/login", login="newcomer", password=first)
    assert (answer.status, answer.reason) == (403, people.INITIAL_PASSWORD)
    typed = {"login": "newcomer", "password": first, "new": "a better horse 7"}
    answer = _patient(me, "/password", "/password", **typed, again="a better horse 8")
    assert (answer.status, answer.reason) == (422, people.WEAK_PASSWORD)
    assert "a better horse" not in answer.text
    answer = _patient(me, "/password", "/password", **typed, again="a better horse 7")
    assert answer.headers["location"] == "/login?done=password"
    answer = _patient(me, "/login", "/login", login="newcomer", password="a better horse 7")
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_another_password_ends_every_session(campus):
    console, store = campus
    me, elsewhere = (visitor(console, store, "sun") for _ in range(2))
    typed = {"password": password_of("sun"), "new": "a better horse 9", "again": ""}
    typed["again"] = typed["new"]
    answer = _patient(me, "/password", "/password", **typed)
    assert answer.headers["location"] == "/login?done=password"
    assert elsewhere.get("/").status == 303


def test_five_wrong_ones_lock_it(campus):
    console, _store = campus
    for _ in range(TRIES):
        _patient(Visitor(console), "/login", "/login", login="gu", password="wrong")
    answer = _patient(Visitor(console), "/login", "/login", login="gu", password=password_of("gu"))
    assert (answer.status, answer.reason) == (401, people.WRONG_LOGIN)


def _patient(me, page, path, **typed):
    """As Visitor.send, again as long as the pace of logins says so."""
    while True:
        answer = me.send(page, path, **typed)
        if answer.status != 429:
            return answer
        assert answer.reason == refusals.TOO_OFTEN
        time.sleep(0.3)


def test_looking_keeps_a_session_for_half_an_hour_and_eight_hours_end_it(campus):
    _console, store = campus
    now_s = int(time.time())
    person = log_in(store, "tian", now_s)
    for later_s in range(0, SESSION_S, IDLE_S - 60):
        store.operators.seen(person, now_s + later_s)
        assert _is_in(store, person, now_s + later_s + IDLE_S - 1) == (
            later_s + IDLE_S - 1 < SESSION_S
        )
    store.operators.seen(person, now_s + SESSION_S - 1)
    assert not _is_in(store, person, now_s + SESSION_S)


def test_a_screen_on_a_wall_shows_it_for_a_month_and_may_do_nothing_else(campus):
    console, store = campus
    now_s = int(time.time())
    wall = log_in(store, "wall", now_s)
    assert _is_in(store, wall, now_s + DISPLAY_S - 1) and not _is_in(
        store, wall, now_s + DISPLAY_S
    )
    token = store.operators.log_in("wall", password_of("wall"), now_s - SESSION_S - IDLE_S)
    me = Visitor(console)
    me.cookies["session"] = token
    assert me.get("/wall").status == 200, "although nobody was there"
    for path in ("/search", "/readers", "/doors", "/audit"):
        assert me.get(path).status == 404, path
    roles = people.check_roles(people.INFORMATION, (people.DISPLAY, people.ENGINEER))
    assert roles == people.ROLES_APART
    store.operators.disable("wall", log_in(store, "anna", now_s), now_s)
    assert me.get("/wall").status == 303


def test_a_long_page_is_one_for_whoever_asks_again_and_nobody_else_s():
    (page,) = [one for one in pages.PAGES if one.path == "/periods/{period}/sheet"]
    asked = _Request(page, "/periods/1/sheet", "GET", "a", ZH, {}, {"x": "1"}, {}, {}, 9)
    name = _long(asked)
    assert name and _long(replace(asked, now_s=99)) == name
    others = ("token", "b"), ("language", EN), ("query", {"x": "2"}), ("here", "/periods/2/sheet")
    assert all(_long(replace(asked, **dict([other]))) != name for other in others)
    (short,) = [one for one in pages.PAGES if one.path == "/wall"]
    assert _long(replace(asked, page=short)) == _long(replace(asked, method="POST")) == ""


def _is_in(store, person, now_s):
    try:
        session_of(store.database, person.token_hash, now_s)
    except NotAllowed:
        return False
    return True


def test_who_looks_is_seen_and_who_is_disabled_is_out(campus):
    console, store = campus
    now_s = int(time.time())
    me = Visitor(console)
    token = store.operators.log_in("lip", password_of("lip"), now_s - IDLE_S + 100)
    me.cookies["session"] = token
    assert me.get("/").status == 200
    sql = "SELECT seen_s FROM operator_session WHERE token_hash = ?"
    ((seen_s,),) = store.database.rows(sql, (hash_of(token),))
    assert seen_s >= now_s
    store.operators.disable("lip", log_in(store, "anna", now_s), now_s)
    assert me.get("/").status == 303


def test_books_without_operators_let_nobody_in(tmp_path):
    config = configure(tmp_path)
    LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite")).close()
    console = Console(config)
    me = Visitor(console)
    assert "operator found" in me.get("/login").text
    answer = me.send("/login", "/login", login="anna", password="wrong")
    assert (answer.status, answer.reason) == (409, people.NOT_FOUNDED)
    console.close()


def test_whoever_asks_too_often_waits(tmp_path):
    config = configure(tmp_path, console="requests_per_s = 1")
    books_in(tmp_path).close()
    console = Console(config)
    statuses = [Visitor(console).get("/login").status for _ in range(6)]
    assert statuses[:2] == [200, 200] and 429 in statuses
    assert Visitor(console).get("/login").reason == refusals.TOO_OFTEN
    console.close()


def _tries(application, address):
    """The status of a login with a password that is wrong, by somebody at this address."""
    body = b"login=clara&password=guess"
    headers = {"host": "127.0.0.1:80", "origin": "http://127.0.0.1:80"}
    headers["content-type"] = "application/x-www-form-urlencoded"
    scope = {"type": "http", "method": "POST", "path": "/login", "query_string": b""}
    scope["headers"] = [(name.encode(), text.encode()) for name, text in headers.items()]
    said = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        said.append(message)

    asyncio.run(application(scope | {"client": (address, 5)}, receive, send))
    return said[0]["status"]


def test_guesses_of_one_host_are_one_pace_whichever_of_its_addresses_they_have(tmp_path):
    """A host has a network of IPv6 addresses; each of them had a pace of its own."""
    configure(tmp_path)
    books_in(tmp_path).close()
    books = Books(lambda: LedgerStore.open(str(tmp_path / "books" / "ledger.sqlite")))
    line = ConsoleLine("127.0.0.1", 80, "", 100, None, None)
    clocks = lambda: int(time.time()), lambda: 0
    console = app.Console(books, Settings(259_200, 28_800), line, 80, *clocks)
    at_once = app.LOGINS_PER_S * BURST_S
    try:
        for network in ("2001:db8::{}", "2001:db8:0:1::{}", "10.0.0.1"):
            statuses = [_tries(console.application(), network.format(n)) for n in range(1, 7)]
            assert statuses == [401] * at_once + [429] * (6 - at_once), network
    finally:
        books.close()


def test_no_token_name_or_word_comes_into_the_log(tmp_path):
    config = configure(tmp_path)
    store = books_in(tmp_path)
    console = Console(config)
    me = Visitor(console)
    me.send("/login", "/login", login="clara", password=password_of("clara"))
    token = me.cookies["session"]
    me.get("/?q=zhang-san")
    store.close()
    log = console.close()
    assert "GET /: 200" in log
    for secret in (token, password_of("clara"), "clara", "zhang-san"):
        assert secret not in log
