"""The clerk at the counter: find, lose, undo, reissue, swap, open; refused with its reason."""

import time
from datetime import UTC, datetime

import pytest

from ledger import lifecycle, people
from ledger.carry_over import AFTER_S
from ledger.console import loss, refusals, search
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.names import BadName, enter, masked_name
from ledger.privacy import masked
from ledger.signatures import acts
from protocols.rules.card_number import FORMATS, PERSON, number
from protocols.rules.spending import STUDENT
from tests.ledger.console.campus import (
    IN_USE,
    LOST,
    LOST_AGO_S,
    NEW,
    PEOPLE,
    Console,
    books_in,
    configure,
    visitor,
)
from tests.ledger.staff import log_in

ANOTHER = 23  # a card that nobody else has here
UID = bytes.fromhex("04a1b2c3d4e5f6")
ID = {"paper_id-card": "1"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """(console, store) of books that a test may change."""
    folder = tmp_path_factory.mktemp("counter")
    config = configure(folder)
    store = books_in(folder)
    console = Console(config)
    yield console, store
    log = console.close()
    assert check(store) == []
    store.close()
    assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def clerk(desk):
    console, store = desk
    return visitor(console, store, "clara", "en")


def found(me, text):
    """Where a search leads, or the cards that it lists."""
    answer = me.send("/", "/search", q=text)
    if answer.status == 303:
        return answer.headers["location"]
    return [int(said["href"].rpartition("/")[2]) for tag, said in answer.page.elements
            if tag == "a" and said.get("href", "").startswith("/cards/")]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "card_no"),
    [
        (str(LOST), LOST),
        (f"{LOST:010}", LOST),  # a reader at the counter, in the format "card"
        ("2021010042", LOST),
        ("张三", LOST),
        ("zs", LOST),
        ("ZhangSan", LOST),
        (" zhang san ", LOST),
        ("单小", IN_USE),
        ("sxm", IN_USE),
        ("shanxiaoming", IN_USE),
        ("dxm", IN_USE),
    ],
)
def test_a_card_is_found(clerk, text, card_no):
    assert found(clerk, text) == f"/cards/{card_no}"


@pytest.mark.parametrize("text", ["4711", "nobody", "zsx", "%", "'", "2021010"])
def test_what_is_not_there_is_not_found(clerk, text):
    assert found(clerk, text) == []


def test_a_question_of_nothing_is_refused(clerk):
    for text in ("", "   ", "x" * 65, "a\x07"):
        answer = clerk.send("/", "/search", q=text)
        assert (answer.status, answer.reason) == (422, search.TOO_SHORT)


def test_a_tap_is_found_in_every_format(desk, clerk):
    _console, store = desk
    store.know_chips([(IN_USE, UID)])
    for form in FORMATS:
        if form != PERSON:
            assert found(clerk, number(form, UID, IN_USE)) == f"/cards/{IN_USE}", form


def test_names_are_for_clerks_and_stand_in_no_address(desk, clerk):
    console, store = desk
    guard = visitor(console, store, "gu")
    assert found(guard, "zs") == []
    assert found(guard, str(LOST)) == f"/cards/{LOST}"
    page = guard.get(f"/cards/{LOST}")
    for text in (PEOPLE[0][1], PEOPLE[0][2], "¥"):
        assert text not in page.text
    assert masked(PEOPLE[0][1]) in page.text


def test_whose_it_is_takes_a_reason_which_is_an_act(desk, clerk):
    _console, store = desk
    path = f"/cards/{LOST}/reveal"
    answer = clerk.send(path, path, because=" ")
    assert (answer.status, answer.reason) == (422, people.NO_REASON_GIVEN)
    assert PEOPLE[0][1] not in answer.text
    answer = clerk.send(path, path, because="he is here")
    assert PEOPLE[0][1] in answer.text and PEOPLE[0][2] in answer.text
    said = acts(store.database, 10_000)[-1]
    assert (said.verb, said.evidence, said.login) == ("personal.show", "he is here", "clara")


def test_the_account_has_what_was_done_by_whom_and_what_can_be_done(clerk):
    page = clerk.get(f"/cards/{LOST}?lang=zh")
    for text in ("已挂失", "张*", "本人 · 柜台 · clara", "解挂", "补卡", "¥ 68.20"):
        assert text in page.text, text
    for verb in ("swap", "suspend", "open", "lose", "resume"):
        assert f'href="/cards/{LOST}/{verb}"' not in page.text
    clerk.get("/?lang=en")


def test_a_loss_has_its_hours_its_amount_and_the_readers_that_bar_it(desk, clerk):
    page = clerk.get(f"/cards/{LOST}/loss")
    left_h = (AFTER_S - LOST_AGO_S) // 3_600
    assert f"{left_h - 1} h" in page.text or f"{left_h} h" in page.text
    assert "¥ 68.20" in page.text
    ((lost_s,),) = desk[1].database.rows(
        "SELECT time_s FROM card_change WHERE card_no = ? AND cause = 'lose'", (LOST,)
    )
    due = datetime.fromtimestamp(lost_s + AFTER_S + 28_800, UTC).strftime("%Y-%m-%d %H:%M")
    assert f'<p class="big">{due}</p>' in page.text
    assert page.text.count("<td>1001</td>") == 2  # it has not said its map, and was never heard
    assert "Canteen 1" in page.text
    answer = clerk.get(f"/cards/{IN_USE}/loss")
    assert (answer.status, answer.reason) == (409, loss.NEVER_LOST)


def test_lost_found_and_lost_again(desk, clerk):
    _console, store = desk
    account, path = f"/cards/{IN_USE}", f"/cards/{IN_USE}/lose"
    opened = clerk.get(account).form(path)
    for _ in range(2):  # the second is the same form: a double click
        assert clerk.post(path, opened).headers["location"] == f"/cards/{IN_USE}/loss?done=lose"
    assert store.cards.state(IN_USE) == "lost"
    assert len(store.cards.history(IN_USE)) == 1
    undo = f"/cards/{IN_USE}/unlose"
    answer = clerk.send(undo, undo)
    assert (answer.status, answer.reason) == (422, lifecycle.NO_EVIDENCE)
    assert clerk.send(undo, undo, **ID).headers["location"] == f"{account}?done=unlose"
    assert store.cards.state(IN_USE) == "active"
    page = clerk.get(f"/cards/{IN_USE}/loss")
    assert loss.TEXTS["loss_over"][1] in page.text, "nothing waits for 72 hours any more"
    assert 'id="left"' not in page.text and 'id="amount"' not in page.text
    assert clerk.post(path, opened).status == 303  # an old form does nothing more
    assert store.cards.state(IN_USE) == "active"
    answer = clerk.send(undo, undo, **ID)
    assert (answer.status, answer.reason) == (409, lifecycle.WRONG_STATE)
    swap = f"/cards/{IN_USE}/reissue"
    answer = clerk.send(swap, swap, **ID, new_card=str(NEW[0]))
    assert answer.status == 409  # only one that is lost is replaced
    assert 'value="20"' in answer.text  # what was typed stands there yet


def test_reissue_with_its_wrong_numbers(desk, clerk):
    _console, store = desk
    path = f"/cards/{LOST}/reissue"
    for typed, reason in (
        ({"new_card": "x", **ID}, refusals.BAD_FIELDS),
        ({"new_card": "4711", **ID}, refusals.BAD_FIELDS),
        ({"new_card": str(IN_USE), **ID}, refusals.BAD_FIELDS),
        ({"new_card": str(NEW[0])}, lifecycle.NO_EVIDENCE),
    ):
        before = store.dump()
        answer = clerk.send(path, path, **typed)
        assert answer.reason == reason, typed
        assert store.dump() == before
    answer = clerk.send(path, path, new_card=str(NEW[0]), **ID)
    assert answer.headers["location"] == f"/cards/{NEW[0]}?done=reissue"
    assert store.cards.state(LOST) == "reissued" and store.cards.state(NEW[0]) == "active"
    page = clerk.get(f"/cards/{NEW[0]}")
    assert "¥ 68.20" in page.text and f'href="/cards/{LOST}/loss"' in page.text
    assert found(clerk, "zs") == f"/cards/{NEW[0]}"  # the name goes along
    assert "¥ 68.20" in clerk.get(f"/cards/{LOST}/loss").text


def test_swap_and_open_and_close(desk, clerk):
    _console, store = desk
    path = f"/cards/{NEW[1]}/open"
    typed = {
        "person_no": "2021010077",
        "name": "曾仇",
        "kind": "student",
        "department": "Nursing",
        "valid_from": "2026-09-01",
        "valid_to": "2030-08-31",
        "paper_admission-notice": "1",
    }
    answer = clerk.send(path, path, **(typed | {"valid_to": ""}))
    assert (answer.status, answer.reason) == (422, refusals.BAD_FIELDS)
    answer = clerk.send(path, path, **(typed | {"person_no": PEOPLE[1][1]}))
    assert (answer.status, answer.reason) == (409, lifecycle.HAS_A_CARD)
    assert clerk.send(path, path, **typed).status == 303
    assert found(clerk, "zq") == f"/cards/{NEW[1]}"
    swap = f"/cards/{NEW[1]}/swap"
    assert clerk.send(swap, swap, new_card=str(NEW[2]), **ID).status == 303
    close = f"/cards/{NEW[2]}/close"
    assert clerk.send(close, close, **ID).status == 303
    assert store.cards.state(NEW[2]) == "closed"
    assert found(clerk, "zq") == f"/cards/{NEW[2]}"  # the last one, where none is in use


def test_a_head_reports_a_loss_for_the_department_and_does_nothing_else(desk):
    console, store = desk
    head = visitor(console, store, "hes")
    page = head.get(f"/cards/{IN_USE}")
    assert f'action="/cards/{IN_USE}/lose"' in page.text
    assert f"/cards/{IN_USE}/close" not in page.text
    path = f"/cards/{IN_USE}/lose"
    assert head.send(f"/cards/{IN_USE}", path).status == 303
    ((role, person),) = store.database.rows(
        "SELECT role, person FROM card_act ORDER BY epoch DESC LIMIT 1"
    )
    assert (role, person) == (lifecycle.DEPARTMENT, "hes")


def test_a_name_may_be_taken_out_and_is_no_name_of_nobody(desk):
    _console, store = desk
    now_s = int(time.time())
    clerk = log_in(store, "chen", now_s)
    with pytest.raises(BadName):
        enter(store.database, 4711, "张三", clerk, now_s)
    enter(store.database, IN_USE, "", clerk, now_s)
    assert list(store.database.rows("SELECT 1 FROM name_key WHERE key = 'sxm'")) == []


def test_a_list_of_several_has_no_name_and_no_number_as_they_stand(desk, clerk):
    """What leads to one person alone is masked too, where there are two of them."""
    _console, store = desk
    now_s = int(time.time())
    by = Act(evidence="admission-notice+id-card+bank-card", person=log_in(store, "clara", now_s))
    person_no, name = "2021010099", "张三丰"
    store.holders.issue(ANOTHER, now_s, Act(person=by.person))
    days = now_s // 86_400, now_s // 86_400 + 9
    store.holders.open(ANOTHER, Holder(person_no, STUDENT, "Nursing"), days, now_s, by)
    enter(store.database, ANOTHER, name, by.person, now_s)
    answer = clerk.send("/", "/search", q="张三")
    assert len(found(clerk, "张三")) > 1 and ANOTHER in found(clerk, "张三")
    for text in (name, person_no, PEOPLE[0][1], PEOPLE[0][2] + "</td>"):
        assert text not in answer.text, text
    assert masked(person_no) in answer.text and masked_name(name) in answer.text
