"""Who may ask the desk for something, and that nobody who asks can hold it up."""

import asyncio
import http.client
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from simulator.desk import words
from simulator.desk.server import _Desk
from tests.desk.conftest import SMALL
from tests.desk.served import PATIENCE_S, TOKEN, served


@pytest.fixture(scope="module")
def desk():
    with served(SMALL) as (stage, url):
        yield stage, urlsplit(url).netloc


def ask(netloc, method, path, body=b"", **headers):
    """(status, headers, body) of one request with just these headers."""
    connection = http.client.HTTPConnection(netloc, timeout=PATIENCE_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    found = answer.status, answer.headers, answer.read().decode()
    connection.close()
    return found


def post(netloc, path, body, **changes):
    headers = {"Origin": f"http://{netloc}", "X_Desk_Token": TOKEN}
    headers |= {"Content_Type": "application/json"} | changes
    headers = {name: value for name, value in headers.items() if value}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, text = ask(netloc, "POST", path, data, **headers)
    return status, json.loads(text)


WAIT = {"do": "wait"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"Origin": "http://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Host": "desk.example.org"}, 403),
        ({"X_Desk_Token": ""}, 403),
        ({"X_Desk_Token": TOKEN + "x"}, 403),
        ({"X_Desk_Token": "\xe9"}, 403),
        ({"Content_Type": "text/plain"}, 415),
    ],
)
def test_who_may_do_something(desk, changes, status):
    stage, netloc = desk
    before = stage.recording().result().count("[[step]]")
    assert post(netloc, "/act", WAIT, **changes)[0] == status
    assert stage.recording().result().count("[[step]]") == before + (status == 200)


@pytest.mark.parametrize("path", ["/", "/events", "/recording.toml", "/web/desk.js"])
def test_a_name_that_was_rebound_reads_nothing(desk, path):
    _, netloc = desk
    status, _, text = ask(netloc, "GET", path, Host="rebound.example.org")
    assert status == 403
    assert "token" not in text


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        (b"{", 400, "JSON"),
        (b"[1]", 400, "JSON"),
        (b" " * 300_000, 413, "bytes"),
        (b"[" * 200_000, 400, "JSON"),
        (b'{"do": "press", "reader": "pos-1", "keys": "\\ud800"}', 400, "JSON"),
        ({"do": "fly"}, 409, "fly"),
        ({"do": "tap", "card": "nobody", "reader": "pos-1", "amount": "1.00"}, 409, "nobody"),
        ({"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "-1"}, 409, "amount"),
        ({"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": 1.5}, 409, "1.5"),
        ({"do": "wait", "at": "00:00:00"}, 409, "verb"),
        ({"do": "wait", 'x = 1\n[[reader]]\nname="y"': 1}, 409, "field"),
        ({"do": "press", "reader": "pos-1", "keys": '1"\n[[step]]'}, 409, "keys"),
        ({"do": "unlose", "card": "zhang-san"}, 409, ""),
        ({"do": "cut", "what": "mains", "site": "nowhere"}, 409, "nowhere"),
    ],
)
def test_what_is_no_step_is_refused_and_not_recorded(desk, body, status, word):
    stage, netloc = desk
    before = stage.recording().result()
    answered, said = post(netloc, "/act", body)
    assert answered == status, said
    assert word in said["refused"]
    assert stage.recording().result() == before


OTHER = (None, True, 1, -1, 1.5, 10**30, "", "x", "\0", [], ["x"], [[1]], {}, {"x": {"y": 1}})
FIELDS = {
    "/act": ("do", "card", "reader", "amount", "keys", "hold_ms", "with", "what", "site", "over"),
    "/time": ("speed", "paused", "jump_s", "step"),
    "/home": ("reader", "home"),
    "/load": ("name", "text"),
}
FITTING = {
    "/act": ({"do": "tap", "card": "zhang-san", "reader": "pos-1", "amount": "1.00"}, {}),
    "/time": ({},),
    "/home": ({"reader": "pos-1", "home": "vm"}, {"reader": "pos-9", "home": "vm"}),
    "/load": ({},),
}
# Nothing that stands there: it is asked for what it can do.
FINE = [("/time", "paused", True), ("/time", "step", ...), ("/time", "jump_s", 1)]
FINE += [("/time", "speed", 1), ("/load", "name", ""), ("/act", "amount", 1)]
FINE += [("/act", "hold_ms", 1), ("/act", "with", [])]


def is_fine(path, key, value):
    return any(
        (path, key) == fine[:2]
        and (fine[2] is ... or (type(value), value) == (type(fine[2]), fine[2]))
        for fine in FINE
    )


@pytest.mark.parametrize("path", list(FIELDS))
def test_what_has_another_type_is_refused_in_words_and_the_play_goes_on(path):
    """Whatever stands where something else should: 4xx, and nothing falls over."""
    with served(SMALL) as (stage, url):
        netloc = urlsplit(url).netloc
        asked = 0
        for fitting in FITTING[path]:
            for key in FIELDS[path]:
                for value in OTHER:
                    body = {**fitting, key: value}
                    if is_fine(path, key, value) or body in FITTING[path]:
                        continue
                    status, said = post(netloc, path, body)
                    assert 400 <= status < 500 and said["refused"], (key, value, status, said)
                    asked += 1
        assert asked > 20
        assert json.loads(stage.shown["time"])["fault"] == ""
        assert stage.recording().result().count("[[step]]") == SMALL.count("[[step]]")
        assert post(netloc, "/act", WAIT)[0] == 200


@pytest.mark.parametrize("path", ["/act", "/time", "/home", "/finish", "/load"])
@pytest.mark.parametrize("origin", ["", "null", "http://example.org", "http://127.0.0.1"])
def test_no_page_of_elsewhere_asks_for_anything(desk, path, origin):
    _, netloc = desk
    assert post(netloc, path, WAIT, Origin=origin)[0] == 403


@pytest.mark.parametrize("path", ["/", "/wall", "/device", "/events", "/recording.toml"])
def test_what_is_read_is_not_written_to(desk, path):
    _, netloc = desk
    headers = {"Origin": f"http://{netloc}", "X_Desk_Token": TOKEN}
    headers["Content_Type"] = "application/json"
    for method in ("POST", "PUT", "DELETE"):
        assert ask(netloc, method, path, b"{}", **headers)[0] == 405


@pytest.mark.parametrize("reader", ["", "pos-9", "%00", "%ff", "../x", "pos-1%0a", "x" * 4000])
def test_a_device_that_is_not_there_has_no_page(desk, reader):
    _, netloc = desk
    status, _, text = ask(netloc, "GET", f"/device?reader={reader}")
    assert (status, json.loads(text)) == (404, {"refused": "no such reader"})


def test_headers_forbid_everything_from_elsewhere(desk):
    _, netloc = desk
    for path in ("/", "/web/desk.js", "/no-such-page"):
        _, headers, _ = ask(netloc, "GET", path)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["access-control-allow-origin"] is None


def test_the_page_has_no_inline_script_and_both_languages(desk):
    _, netloc = desk
    for lang, word in (("zh", "卡包"), ("en", "Wallet")):
        _, _, page = ask(netloc, "GET", f"/?lang={lang}")
        assert word in page
        assert page.count("<script") == page.count('<script type="module" src="web/') == 1
        assert not re.search(r"\s(on\w+|style)=", page)
    assert all(len(text) == 2 and all(text) for text in words.TEXTS.values())


def test_a_browser_that_does_not_read_holds_nobody_up(desk):
    stage, netloc = desk
    host, port = netloc.split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(f"GET /events HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode())
        before = json.loads(stage.shown["time"])["local_s"]
        until_s = time.monotonic() + PATIENCE_S
        while json.loads(stage.shown["time"])["local_s"] < before + 3:
            assert time.monotonic() < until_s, "time stands still"
            time.sleep(0.02)
        assert post(netloc, "/act", WAIT)[0] == 200


@contextmanager
def busy(stage):
    """The stage is at something long, and what is asked for meanwhile waits."""
    began, over = threading.Event(), threading.Event()
    stage._ask(lambda: began.set() or over.wait(PATIENCE_S))
    assert began.wait(PATIENCE_S)
    yield
    over.set()


def test_whoever_goes_before_the_answer_ends_nobodys_play(desk):
    """A bug that was found: the answer to nobody ended the stage, and with it every later one."""
    stage, netloc = desk
    before = stage.recording().result()
    with busy(stage):
        gone = stage.act(WAIT)
        assert gone.cancel()
    assert stage.recording().result(PATIENCE_S) == before, "what was cancelled is not done"
    assert post(netloc, "/act", WAIT)[0] == 200


@pytest.mark.parametrize("is_begun", [False, True], ids=["before", "in the middle"])
def test_a_browser_that_goes_before_it_is_shown_anything_is_forgotten(desk, is_begun, monkeypatch):
    """Else what only it looked at would be put together for ever."""
    stage, _ = desk
    view, began, over = "device:gate", threading.Event(), threading.Event()
    watch = stage._watch
    monkeypatch.setattr(
        stage, "_watch", lambda seen: (began.set(), over.wait(PATIENCE_S), watch(seen))
    )
    changes = _Desk(stage, TOKEN, lambda: False)._changes(view)

    async def go_away():
        first = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)  # it has asked
        if is_begun:
            await asyncio.to_thread(began.wait, PATIENCE_S)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        over.set()

    if is_begun:
        asyncio.run(go_away())
    else:
        with busy(stage):
            asyncio.run(go_away())
    assert "[[step]]" in stage.recording().result(PATIENCE_S)
    assert not stage._watched[view]
    assert not [key for key in stage.shown if key.startswith(("posture:", "journal:"))]


def test_every_browser_is_told_everything_at_first(desk):
    _, netloc = desk
    for _ in range(2):
        connection = http.client.HTTPConnection(netloc, timeout=PATIENCE_S)
        connection.request("GET", "/events")
        line = connection.getresponse().readline().decode()
        connection.close()
        parts = json.loads(line.removeprefix("data: "))
        wanted = {"time", "sites", "reader:pos-1", "reader:gate", "card:zhang-san", "money"}
        assert wanted <= parts.keys()
        assert parts["money"]["conserved"] is True


def test_another_scenario_starts_paused_and_goes_step_by_step():
    with served(SMALL) as (_, url):
        netloc = urlsplit(url).netloc
        assert post(netloc, "/load", {"name": "no-such"})[0] == 404
        assert post(netloc, "/load", {"text": "seed = 1"})[0] == 409
        told = SMALL.replace(
            "[assert]",
            '[[step]]\nat = "00:00:20"\ndo = "press"\nreader = "pos-1"\nkeys = "F5"\n'
            'shows = "SOMETHING ELSE"\n[assert]',
        )
        assert post(netloc, "/load", {"text": told})[0] == 200
        for _ in range(2):
            assert post(netloc, "/time", {"step": 1})[0] == 200
        assert post(netloc, "/time", {"step": 1}) == (409, {"refused": "no step is left"})
        connection = http.client.HTTPConnection(netloc, timeout=PATIENCE_S)
        connection.request("GET", "/events")
        told, parts, until_s = connection.getresponse(), {}, time.monotonic() + PATIENCE_S
        # What is shown follows what was done, part by part.
        while "time" not in parts or [one["fine"] for one in parts["steps"]][1:] != [False]:
            assert time.monotonic() < until_s, parts
            line = told.readline().decode()
            parts |= json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
        connection.close()
        assert parts["time"]["paused"] is True
        first, second = parts["steps"]
        assert (first["done"], second["done"]) == (True, True)
        assert second["expected"] == "SOMETHING ELSE" and second["happened"]
