"""Each row of the table of pages: who sees it, what protects it, in both languages."""

import inspect
import re
from urllib.parse import urlsplit

import pytest

from ledger import people
from ledger.config_listen import ConsoleLine
from ledger.console import pages, refusals
from ledger.console.asked import EN, LANGUAGES, ZH, Download
from ledger.console.door import headers_of
from ledger.console.looks import WEB
from tests.ledger.console.campus import Visitor, example, visitor
from tests.ledger.staff import OF_ROLE

HEADERS = headers_of(ConsoleLine("127.0.0.1", 0, "", 1, None, None))
BY_PATH = pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.path)
_HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def staff(campus):
    """role -> somebody who has logged in and has that role alone."""
    console, store = campus
    return {role: visitor(console, store, OF_ROLE[role]) for role in people.ROLES}


@BY_PATH
def test_roles_decide_what_exists(campus, staff, page):
    console, _store = campus
    for role in people.ROLES:
        answer = staff[role].get(example(page.path))
        is_there = page.is_open or page.is_for((role,))
        assert answer.status == (200 if is_there else 404), (role, answer.text)
        assert answer.reason == (None if is_there else refusals.NOTHING_HERE)
        if page.menu:
            is_shown = f'href="{page.path}"' in staff[role].get("/").text
            assert is_shown == is_there, role
    answer = Visitor(console).get(example(page.path))
    assert answer.status == (200 if page.is_open else 303)
    if not page.is_open:
        assert urlsplit(answer.headers["location"]).path == "/login"
        assert page.title[0] not in answer.text


@BY_PATH
def test_a_form_from_elsewhere_or_of_nobody_does_nothing(campus, staff, page):
    console, store = campus
    path = example(page.path)
    role = next(role for role in people.ROLES if page.is_open or page.is_for((role,)))
    before = store.dump()
    for headers in ({"Origin": "http://elsewhere.example"}, {"Origin": None}, {"Host": "x:1"}):
        answer = staff[role].post(path, {}, **headers)
        assert (answer.status, answer.reason) == (403, refusals.OTHER_ORIGIN)
    if page.do is None:
        assert staff[role].post(path, {}).status == 405
    elif not page.is_open:
        assert (Visitor(console).post(path, {}).status) == 401
        for fields in ({}, {"form_no": "00" * 16, "form_seal": "00" * 32}):
            answer = staff[role].post(path, fields)
            assert (answer.status, answer.reason) == (403, refusals.FORM_FORGED)
        for other in people.ROLES:
            if not page.is_for((other,)):
                assert staff[other].post(path, {}).status == 404, other
    assert store.dump() == before or page.verbs, "a refusal is an act, and nothing else"


@BY_PATH
def test_nothing_on_a_page_is_inline_or_from_elsewhere(staff, page):
    role = next(role for role in people.ROLES if page.is_open or page.is_for((role,)))
    for language in LANGUAGES:
        answer = staff[role].get(f"{example(page.path)}?lang={language}")
        for name, text in HEADERS.items():
            assert answer.headers[name.lower()] == text, name
        if "content-disposition" in answer.headers:
            assert answer.headers["content-disposition"].startswith("attachment; ")
            continue
        assert answer.page.inline == []
        for tag, said in answer.page.elements:
            assert tag != "style" and "style" not in said
            assert not [name for name in said if name.startswith("on")]
            for name in ("src", "href", "action"):
                assert not re.match(r"\w+:|//", said.get(name) or ""), said
        for action, fields in answer.page.forms:
            assert "form_seal" in fields or action == "/login", action
        ((_tag, said),) = [each for each in answer.page.elements if each[0] == "html"]
        assert said["lang"] == {ZH: "zh-Hans", EN: "en"}[language]
        column = LANGUAGES.index(language)
        assert f"<title>{page.title[column]} ·" in answer.text.replace("&#39;", "'")
    staff[role].get("/?lang=zh")


def test_what_is_not_there_says_so_with_the_same_headers(campus):
    console, _store = campus
    for path in ("/nothing", "/login/", "/static/nothing.css", "/static/../layout.html"):
        answer = Visitor(console).get(path)
        assert (answer.status, answer.reason) == (404, refusals.NOTHING_HERE), path
        assert {name.lower(): answer.headers[name.lower()] for name in HEADERS} == {
            name.lower(): text for name, text in HEADERS.items()
        }
    for path in ("/static/console.css", "/static/console.js", "/static/icon.svg"):
        assert Visitor(console).get(path).status == 200
    assert Visitor(console).say("DELETE", "/").status == 405


def test_what_no_database_takes_gets_no_further(campus):
    """A NUL, which PostgreSQL has not, and half a character; it was our fault, and in its log."""
    console, _store = campus
    for path in ("/doors?site=%00", "/readers?site=a%00b", "/refunds?file=%00", "/login?to=%00"):
        answer = Visitor(console).get(path)
        assert (answer.status, answer.reason) == (422, refusals.BAD_FIELDS), path
    for body in ("login=a%00&password=b", "log%00in=a&password=b"):
        answer = Visitor(console).say("POST", "/login", body)
        assert (answer.status, answer.reason) == (422, refusals.BAD_FIELDS)
    part = '--x\r\nContent-Disposition: form-data; name="login"\r\n\r\n\\ud800\r\n--x--\r\n'
    kind = {"Content-Type": "multipart/form-data; charset=unicode_escape; boundary=x"}
    answer = Visitor(console).say("POST", "/login", part, kind)
    assert (answer.status, answer.reason) == (422, refusals.BAD_FIELDS)


def test_every_text_is_there_in_both_languages():
    for key, (zh, en) in pages.TEXTS.items():
        assert zh and en, key
        assert _HAN.search(zh) or key == "language", key
    for page in pages.PAGES:
        assert _HAN.search(page.title[0]) and page.title[1]
    for number, words in pages.REASONS.items():
        assert _HAN.search(words.text[0]) and words.text[1], number
        assert all(words.advice), number
    for numbers in (people.TEXTS, refusals.OWN):
        assert set(numbers) <= set(pages.REASONS)


def test_every_text_that_a_template_names_is_there():
    named = set()
    for template in WEB.glob("*.html"):
        named |= set(re.findall(r"\bt\.(\w+)", template.read_text(encoding="utf-8")))
    assert named <= set(pages.TEXTS), named - set(pages.TEXTS)


def test_a_form_that_gives_a_file_is_told_apart_from_one_that_leads_on():
    """The page stays behind a download: held for sent, its form had served once."""
    given = {
        page.path
        for page in pages.PAGES
        if page.do and inspect.signature(page.do).return_annotation is Download
    }
    forms = [
        re.search(r'action="([^"]+)"', form)
        for template in WEB.glob("*.html")
        for form in re.findall(r"<form[^>]* data-file[^>]*>", template.read_text(encoding="utf-8"))
    ]
    assert {form[1] for form in forms if form} == given and len(forms) == len(given) >= 3


def test_access_keys_and_paths_are_used_once():
    keys = [page.access_key for page in pages.PAGES if page.access_key]
    assert len(set(keys)) == len(keys)
    assert len({page.path for page in pages.PAGES}) == len(pages.PAGES)
    for page in pages.PAGES:
        assert set(page.verbs) <= set(people.VERBS) and set(page.roles) <= set(people.ROLES)


def test_two_subjects_with_one_text_are_told(monkeypatch):
    first, *_rest = pages.SUBJECTS
    monkeypatch.setattr(first, "TEXTS", {"console": ("一", "one")})
    with pytest.raises(ValueError, match="console"):
        pages._merged("TEXTS", {"console": ("二", "two")})
