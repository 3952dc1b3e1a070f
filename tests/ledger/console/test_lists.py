"""Lists in the console: looked at, signed by two who each have the file, and done once."""

import secrets

import pytest

from ledger import lifecycle
from ledger.console import lists, refusals
from ledger.invariants import check
from tests.ledger.console.campus import Console, books_in, configure, visitor

HEAD = "卡号,学工号,类别,部门,起始日,截止日\r\n"
LINES = "".join(
    f"{100 + at},20269{at:05},student,Nursing,2026-09-01,2030-08-31\r\n" for at in range(20)
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lists")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    logins = ("clara", "chen", "tian", "gu")
    yield {login: visitor(console, store, login) for login in logins}, store
    log = console.close()
    assert check(store) == []
    store.close()
    assert "Traceback" not in log, log


def send(me, step, text, sha256="", kind="issue"):
    """A file with the form of the page, as a browser packs it."""
    fields = me.get("/lists").form("/lists") | {"kind": kind, "step": step, "sha256": sha256}
    fields.pop("file", None)
    mark = secrets.token_hex(8)
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="list.csv"\r\n'
        f"Content-Type: text/csv\r\n\r\n{text}\r\n--{mark}--\r\n"
    )
    kind_of = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    return me.say("POST", "/lists", "".join(parts).encode(), kind_of)


def test_two_who_have_the_file_and_once(desk):
    who, store = desk
    text = HEAD + LINES
    seen = send(who["clara"], lists.LOOK, text)
    assert seen.status == 200 and "核对结果" in seen.text
    sha256 = next(fields["sha256"] for _action, fields in seen.page.forms if "sha256" in fields)
    assert store.cards.state(100) == lifecycle.ABSENT
    answer = send(who["clara"], lists.RUN, text, sha256)
    assert answer.reason == lifecycle.NO_EVIDENCE  # nobody has signed it
    assert send(who["clara"], lists.SIGN, text, sha256).status == 200
    assert "1</b> 份名单等您复核签字" in who["tian"].get("/").text
    answer = send(who["chen"], lists.SIGN, text, sha256)
    assert answer.status == 403  # a second clerk is no second person of this
    other = text.replace("Nursing", "Social Work")
    assert send(who["tian"], lists.SIGN, other, sha256).reason == lifecycle.NO_EVIDENCE
    assert send(who["tian"], lists.SIGN, text, sha256).status == 200
    assert "1</b> 份名单已签好" in who["clara"].get("/").text
    for _ in range(2):
        answer = send(who["clara"], lists.RUN, text, sha256)
        assert answer.status == 200 and "办理结果" in answer.text
    assert all(store.cards.state(100 + at) == "active" for at in range(20))
    assert len(store.cards.history(100)) == 2  # issued and opened, once
    assert "20 / 20" in who["clara"].get("/lists").text


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("", "issue", lists.NO_FILE),
        (HEAD, "issue", refusals.BAD_FIELDS),
        (HEAD + LINES.replace("100,", "x,", 1), "issue", refusals.BAD_FIELDS),
        (HEAD + LINES, "graduation", refusals.BAD_FIELDS),
        (HEAD + LINES, "nothing", refusals.BAD_FIELDS),
        ("\x00\x01", "issue", refusals.BAD_FIELDS),
        ("x" * 9_000_000, "issue", refusals.TOO_LARGE),
    ],
)
def test_what_is_no_list_is_refused_whole(desk, text, kind, reason):
    who, store = desk
    before = store.dump()
    answer = send(who["clara"], lists.LOOK, text, kind=kind)
    assert answer.reason == reason
    assert store.dump() == before


def test_nobody_else_sees_it(desk):
    who, _store = desk
    assert who["gu"].get("/lists").status == 404
