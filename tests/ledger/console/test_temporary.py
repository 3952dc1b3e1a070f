"""A temporary card in the console: entered, signed by two, handed out for its fee, renewed."""

import time
from datetime import date, timedelta

import pytest

from ledger import lifecycle, people, signatures
from ledger.console import refusals
from ledger.invariants import check
from tests.ledger.console.campus import NEW, TEMPORARY, Console, books_in, configure, visitor

PAPERS = {"paper_id-card": "1", "paper_application": "1"}
_SCHOOL_S = 28_800
_TODAY = (int(time.time()) + _SCHOOL_S) // 86_400  # once: midnight may come while it runs


def day(days):
    """So many days from the day on which this began, at the school."""
    return (date(1970, 1, 1) + timedelta(days=_TODAY + days)).isoformat()


FORM = {
    "category": "casual-worker",
    "applicant_no": "S12345678",
    "person_no": "T87654321",
    "relation": "雇员",
    "department": people.GENERAL,
    "valid_from": day(0),
    "valid_to": day(60),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """login -> who sits there; the books."""
    folder = tmp_path_factory.mktemp("temporary")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    logins = ("clara", "hua", "hes", "tian")
    yield {login: visitor(console, store, login) for login in logins}, store
    log = console.close()
    assert check(store) == []
    store.close()
    assert "Traceback" not in log, log


def entered(desk, **typed):
    """The path of a new application."""
    people_of, _store = desk
    answer = people_of["clara"].send("/temporary/new", "/temporary/new", **(FORM | typed))
    assert answer.status == 303, answer.text
    return answer.headers["location"].partition("?")[0]


def test_from_the_form_to_the_receipt(desk):
    who, store = desk
    path = entered(desk)
    made = [
        one for one in signatures.acts(store.database, 10_000) if one.verb == "temporary.apply"
    ]
    number = path.rpartition("/")[2]
    assert (made[-1].login, made[-1].subject) == ("clara", f"application {number}")
    assert "1</b> 份临时卡申请等您签字" in who["hua"].get("/").text
    assert "等您签字" not in who["hes"].get("/").text
    assert who["hes"].get(path).status == 404  # of another department
    assert f"{path}/sign" not in who["tian"].get(path).text  # the department comes first
    for login in ("hua", "tian"):
        assert who[login].send(path, f"{path}/sign").headers["location"] == f"{path}?done=signed"
    assert "1</b> 份临时卡申请可以发卡" in who["clara"].get("/").text
    answer = who["clara"].send(path, f"{path}/hand-out", new_card=str(NEW[0]))
    assert (answer.status, answer.reason) == (422, lifecycle.NO_EVIDENCE)
    assert store.cards.state(NEW[0]) == "issued"
    opened = who["clara"].get(path).form(f"{path}/hand-out")
    for _ in range(2):  # a double click takes one fee
        answer = who["clara"].post(f"{path}/hand-out", opened | {"new_card": NEW[0]} | PAPERS)
        assert answer.headers["location"] == f"{path}/receipt?done=handed_out"
    receipt = who["clara"].get(f"{path}/receipt")
    for text in ("¥ 20.00", "贰拾元整", "clara", day(60)):
        assert text in receipt.text, text
    ((count,),) = store.database.rows("SELECT COUNT(*) FROM card_fee WHERE card_no = ?", NEW[:1])
    assert count == 1 and store.cards.state(NEW[0]) == "active"


def test_a_form_signs_only_the_application_that_it_has_shown(desk):
    """Books that came back from a backup give its number to somebody else's."""
    who, store = desk
    path = entered(desk)
    for login, act in (("hua", "sign"), ("tian", "sign"), ("clara", "hand-out")):
        action, before = f"{path}/{act}", store.dump()
        for mark in ("0" * 8, ""):
            form = who[login].get(path).form(action)
            assert len(form["mark"]) == 8
            answer = who[login].post(action, form | {"mark": mark, "new_card": str(NEW[0])})
            assert (answer.status, answer.reason) == (404, people.NO_PROPOSAL)
        assert [one for one in store.dump() if one not in before] == []
        if act == "sign":
            who[login].send(path, action)


def test_numbers_are_masked_and_whoever_signs_says_why(desk):
    who, _store = desk
    path = entered(desk)
    for login in ("clara", "hua", "tian"):
        page = who[login].get(path)
        assert FORM["person_no"] not in page.text and FORM["applicant_no"] not in page.text
        answer = who[login].send(path, f"{path}/reveal", because="")
        assert (answer.status, answer.reason) == (422, people.NO_REASON_GIVEN)
        answer = who[login].send(path, f"{path}/reveal", because="to sign")
        assert FORM["person_no"] in answer.text and FORM["applicant_no"] in answer.text


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ({"category": "nobody"}, refusals.BAD_FIELDS),
        ({"person_no": ""}, refusals.BAD_FIELDS),
        ({"valid_to": ""}, refusals.BAD_FIELDS),
        ({"is_endless": "1"}, lifecycle.NOT_NOW),  # who comes from outside states a term
        ({"relation": "x" * 40}, refusals.BAD_FIELDS),
    ],
)
def test_a_form_that_is_wrong_is_refused_and_stays_filled_in(desk, typed, reason):
    who, store = desk
    before = store.dump()
    answer = who["clara"].send("/temporary/new", "/temporary/new", **(FORM | typed))
    assert answer.reason == reason
    assert FORM["applicant_no"] in answer.text
    assert store.dump() == before


def test_a_family_may_have_it_without_end(desk):
    who, _store = desk
    path = entered(desk, category="family", is_endless="1", valid_to="")
    assert "长期" in who["clara"].get(path).text


def test_ten_days_before_its_end_it_is_on_the_list_and_renewed(desk):
    who, _store = desk
    assert "1</b> 张临时卡十天内到期" in who["clara"].get("/").text
    page = who["clara"].get("/temporary")
    path = f"/cards/{TEMPORARY}/extend"
    assert f'href="{path}"' in page.text
    proof = {"paper_renewal-proof": "1", "valid_to": day(90)}
    answer = who["clara"].send(path, path, department="Nursing", **proof)
    assert (answer.status, answer.reason) == (409, lifecycle.NOT_NOW)
    answer = who["clara"].send(path, path, department=people.GENERAL, **proof)
    assert answer.headers["location"] == f"/cards/{TEMPORARY}?done=extend"
    assert f'href="{path}"' not in who["clara"].get("/temporary").text
    assert day(90) in who["clara"].get(f"/cards/{TEMPORARY}").text


def test_an_application_that_was_declined_is_not_told_as_one_under_way(desk):
    """It stays in the list, with who has said no and why: the clerk tells whoever has applied."""
    who, _store = desk
    path = entered(desk)
    number = path.rpartition("/")[2]
    there = f"/waiting/decline?kind=temporary&subject=application%20{number}"
    answer = who["hua"].send(there, there, because="nobody of ours")
    assert answer.headers["location"] == "/waiting?done=declined", answer.text
    row = who["clara"].get("/temporary").text.partition(f'href="{path}"')[2].partition("</tr>")[0]
    assert "nobody of ours" in row and "hua" in row and "0 / 2" not in row
    for login in ("hua", "tian", "clara"):
        forms = [where for where, _fields in who[login].get(path).page.forms]
        assert f"{path}/sign" not in forms and f"{path}/hand-out" not in forms, login


def test_the_list_goes_on_by_number(desk):
    who, store = desk
    for _ in range(55):
        entered(desk)
    page = who["clara"].get("/temporary")
    more = [said["href"] for tag, said in page.page.elements
            if tag == "a" and "behind=" in said.get("href", "")]  # fmt: skip
    assert len(more) == 1
    following = who["clara"].get(more[0])

    def numbers(answer):
        return [said["href"] for tag, said in answer.page.elements
                if tag == "a" and said.get("href", "").startswith("/temporary/") and
                said["href"] != "/temporary/new"]  # fmt: skip

    assert len(numbers(page)) == 50 and numbers(following)
    assert not set(numbers(page)) & set(numbers(following))
    for wrong in ("x", "-1", "9" * 30):
        assert who["clara"].get(f"/temporary?behind={wrong}").status == 200
    assert who["clara"].get("/temporary/4711").status == 404
    assert store.temporaries.ending(0) == []
