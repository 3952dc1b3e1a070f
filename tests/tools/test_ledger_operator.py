"""`onecard ledger operator`, and what every other command does once there are operators."""

import json
import stat
import time

import pytest
from typer.testing import CliRunner

from ledger import people, retention
from ledger.signatures import IDLE_S
from tests.ledger.api.served import PERSON_NO
from tests.ledger.readers import CARD, Reader, open_ledger
from tests.ledger.staff import cheap, password_of, staffed
from tools import ledger_operator
from tools.cli import app

__all__ = ["cheap"]
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Books that a ledger has open; nobody is logged in here."""
    monkeypatch.setenv("ONECARD_SESSION", str(tmp_path / "here" / "session"))
    path = tmp_path / "ledger.sqlite"
    store = open_ledger(Reader(1001), path=str(path))
    yield path
    store.close()


@pytest.fixture
def staff(path):
    """The same, with everybody of tests/ledger/staff.py let in just now."""
    store = open_ledger(Reader(1001), path=str(path))
    staffed(store, int(time.time()))
    store.close()
    return path


def onecard(*words, typed=""):
    return CliRunner().invoke(app, ["ledger", *map(str, words)], input=typed)


def good(*words, typed=""):
    done = onecard(*words, typed=typed)
    assert done.exit_code == 0, done.output
    return done.output


def refused(reason, *words, typed=""):
    done = onecard(*words, typed=typed)
    assert done.exit_code == 2, done.output
    assert f"({reason})" in done.output, done.output


def log_in(path, login):
    good("operator", "login", path, login, typed=f"{password_of(login)}\n")


def test_two_let_a_clerk_in_who_then_signs(path, tmp_path):
    said = good("operator", "found", path, "anna", "bao")
    firsts = dict(line.split(": ") for line in said.splitlines())
    for login, first in firsts.items():
        new = password_of(login)
        good("operator", "password", path, login, typed=f"{first}\n{new}\n")
    log_in(path, "anna")
    words = "clara", "--department", people.FINANCE, "--role", "clerk"
    assert "proposal 1" in good("operator", "propose", path, "enrol", *words)
    mark = good("operator", "list", path).rpartition("(mark ")[2].partition(")")[0]
    said = "operator", "approve", path, "--proposal", 1, "--mark", mark
    refused(people.SAME_PERSON, *said)
    log_in(path, "bao")
    for other in ((), ("--mark", "00000000")):
        shown = CliRunner().invoke(app, ["ledger", *map(str, (*said[:5], *other))])
        text = " ".join(shown.output.split())
        assert shown.exit_code == 2 and "enrol clara, Finance, clerk, by anna" in text, text
    first = good(*said).split()[-1]
    good("operator", "password", path, "clara", typed=f"{first}\n{password_of('clara')}\n")
    log_in(path, "clara")
    good("card", "lose", path, "--card", CARD)
    listed = good("operator", "list", path)
    assert "clara, Finance: clerk\n" in listed and "proposal" not in listed
    acts = good("operator", "acts", path)
    assert f"clara: card.lose card {CARD}" in acts
    assert f"anna: operator.approve proposal 1: refused, {people.TEXTS[754]} (754)" in acts


def test_typed_names_end_with_the_first_two(staff):
    lose = "card", "lose", staff, "--card", CARD
    refused(people.NO_SESSION, *lose, "--by", "wang")
    refused(people.NO_SESSION, *lose, "--as", "holder", "--channel", "app")
    log_in(staff, "tian")
    refused(people.NOT_FOR_ROLE, *lose)
    log_in(staff, "clara")
    refused(people.TYPED_NAME, *lose, "--by", "wang")
    refused(people.NOT_FOR_ROLE, *lose, "--as", "security")
    assert good(*lose, "--by", "clara") == f"card {CARD} is lost\n"
    good("operator", "logout", staff)
    refused(people.NO_SESSION, "card", "unlose", staff, "--card", CARD, "--evidence", "id-card")


def test_without_operators_names_are_typed_and_that_is_said(path):
    assert "prove nothing" in good("operator", "list", path)
    good("card", "lose", path, "--card", CARD, "--by", "wang")
    assert good("operator", "acts", path) == "nothing was said since\n"


def test_the_session_s_file_is_its_owner_s_alone(staff, tmp_path):
    log_in(staff, "clara")
    file = tmp_path / "here" / "session"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    done = onecard("card", "lose", staff, "--card", CARD)
    assert done.exit_code == 2 and "others may read it" in done.output
    file.chmod(0o600)
    file.write_text("op_" + "A" * 43)
    refused(people.NO_SESSION, "card", "lose", staff, "--card", CARD)
    good("operator", "logout", staff)
    assert not file.exists()


def test_a_desk_that_is_left_is_nobody_s(staff, monkeypatch):
    log_in(staff, "clara")
    now = time.time
    monkeypatch.setattr("time.time", lambda: now() + IDLE_S + 1)
    refused(people.NO_SESSION, "card", "lose", staff, "--card", CARD)


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ("tian", "card warn B --card 7"),
        ("clara", "access appoint B --site campus --scope dorm --person wen"),
        ("clara", "quiescence release B --device 1001 --because scrapped"),
        ("clara", "attendance enter B --card 7 --at 2026-09-01T08:00+08:00 --because ill"),
        ("clara", "batch settle B --despite 1001 --because gone"),
        ("tian", f"refunds sign B --file a --total 1.00 --sha256 {'0' * 64}"),
        ("clara", f"refunds make B --file a --out a.csv --sha256 {'0' * 64}"),
        ("stella", "period rate B --merchant 12 --basis-points 60"),
        ("stella", "period close B --name a --until 2026-01-01T00:00:00Z"),
        ("clara", "period pay B --file a --out a.csv"),
        ("clara", "device report B --ref a --device 1001 --as centre --said dark"),
        ("clara", "device move B --ref a --device 1001 --site north --said rebuilt"),
        ("clara", "device admit B --application 1 --device 2001"),
        (
            "clara",
            "device duty B --department Finance --site campus --person chen --every-days 7",
        ),
        ("clara", "operator disable B anna"),
        ("clara", "operator unlock B anna"),
    ],
)
def test_a_role_that_may_not_is_refused_by_the_command_too(staff, login, words):
    """What is written is nothing but that it was tried."""
    log_in(staff, login)
    before = good("operator", "acts", staff)
    refused(people.NOT_FOR_ROLE, *(staff if word == "B" else word for word in words.split()))
    after = good("operator", "acts", staff).removeprefix(before)
    assert after.count("\n") == 1 and f" {login}: " in after and ": refused, " in after


def test_behind_a_restore_nobody_is_logged_in(staff, tmp_path):
    log_in(staff, "clara")
    copy, books = tmp_path / "copy.sqlite", tmp_path / "books.sqlite"
    good("backup", staff, copy)
    done = onecard("restore", copy, books)
    assert done.exit_code in (0, 1), done.output
    refused(people.NO_SESSION, "card", "lose", books, "--card", CARD)
    log_in(books, "clara")
    good("card", "lose", books, "--card", CARD)


def test_a_wrong_password_and_a_wrong_login_are_told_alike(staff):
    said = {
        onecard("operator", "login", staff, login, typed="wrong\n").output
        for login in ("clara", "nobody")
    }
    assert len(said) == 1


def test_the_matrix_is_printed_whole():
    printed = good("operator", "matrix").splitlines()
    assert [line.split()[0] for line in printed] == list(people.VERBS)
    assert list(ledger_operator.matrix()) == printed


# --- personal data -------------------------------------------------------------------------------


def held(path):
    """CARD is somebody's, by a clerk who is logged in."""
    log_in(path, "clara")
    words = [
        "--kind",
        "student",
        "--department",
        "Nursing",
        "--from",
        "2026-09-01",
        "--to",
        "2029-07-01",
    ]
    opened = "card", "open", path, "--card", CARD, *words, "--evidence", "id-card"
    good(*opened, typed=f"{PERSON_NO}\n")


def test_whose_a_card_is_stands_there_masked(staff):
    held(staff)
    assert good("person", "show", staff, "--card", CARD).endswith("Nursing, 20******42\n")
    why = "--because", "was found"
    assert PERSON_NO in good("person", "show", staff, "--card", CARD, *why)
    assert f"clara: personal.show card {CARD} (was found)" in good("operator", "acts", staff)
    log_in(staff, "hua")
    refused(people.NOT_FOR_ROLE, "person", "show", staff, "--card", CARD, *why)
    refused(people.NO_HOLDER, "person", "show", staff, "--card", 8)


def test_all_of_a_person_goes_into_a_file_of_its_owner_s(staff, tmp_path):
    held(staff)
    out = tmp_path / "person.json"
    words = "person", "export", staff, "--out", out, "--because", "asked for it"
    assert "cards 1" in good(*words, typed=f"{PERSON_NO}\n")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert json.loads(out.read_text())["cards"] == [{"card_no": CARD, "is_current": 1}]
    log_in(staff, "tian")
    out.unlink()
    refused(people.NOT_FOR_ROLE, *words, typed=f"{PERSON_NO}\n")
    assert not out.exists()


def test_retention_says_what_it_would_do_before_it_does(staff):
    told = good("retention", staff)
    assert [line.split(":")[0] for line in told.splitlines()] == list(retention.RULES)
    assert "would be blanked" in told
    log_in(staff, "clara")
    refused(people.NOT_FOR_ROLE, "retention", staff, "--do")
    log_in(staff, "eng")
    assert "session: 0 is blanked" in good("retention", staff, "--do")
