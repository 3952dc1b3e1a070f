"""docs/for: one page a person, whose screens and commands are there by these names."""

import re

import pytest

from ledger.console.pages import PAGES
from protocols.rules import charging_texts
from tests.project.test_docs import INLINE, complaint
from tests.project.test_makefile import phony

PERSONS = ("clerk", "merchant", "warden", "guard", "campus-it", "installer")
PERSONS += ("firmware-developer", "auditor")
TITLES = {page.path: page.title[0] for page in PAGES}
LINES_MAX = 80


@pytest.fixture(params=PERSONS)
def page(request, repo_root):
    return (repo_root / "docs" / "for" / f"{request.param}.md").read_text(encoding="utf-8")


def test_a_page_is_short_and_says_what_to_do_when_it_goes_wrong(page):
    assert len(page.splitlines()) <= LINES_MAX
    assert "## 出问题时" in page or "## When it goes wrong" in page
    assert page.count("\n- **") >= 4


def test_its_screens_are_screens_of_the_console_with_their_titles(page):
    paths = set(re.findall(r"`(/[a-z/]+)`", page))
    assert paths <= set(TITLES)
    # In a cell of its own, and in brackets, the menu's title stands behind the address.
    for path, title in re.findall(r"[|（] `(/[a-z/]+)` ([^|，,;）]+?)\s*[|，,;）]", page):
        assert TITLES[path] == title


def test_its_inline_commands_are_there(page, repo_root):
    targets = phony(repo_root)
    wrong = {command: complaint(command, targets) for command in INLINE.findall(page)}
    assert {one: said for one, said in wrong.items() if said not in ("", "half a command")} == {}


def test_keys_of_the_merchant_are_those_of_the_pos(repo_root):
    text = (repo_root / "docs" / "for" / "merchant.md").read_text(encoding="utf-8")
    named = {int(number) for number in re.findall(r"FN (\d)", text)}
    assert named == {2, 5, 6, 7, 8} and named <= set(charging_texts.FUNCTIONS)


def test_every_page_is_listed_and_linked(repo_root):
    listed = (repo_root / "docs" / "for" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (repo_root / "docs" / "for").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\(([a-z-]+\.md)\)", listed)) == pages == {f"{p}.md" for p in PERSONS}
    for name in ("README.md", "README.zh-CN.md"):
        assert "docs/for/README.md" in (repo_root / name).read_text(encoding="utf-8")
