"""The pages of doors: why one does not open, rights, keys, who was there; and who may not."""

import time
from datetime import UTC, datetime

import pytest

from ledger import door_states, key_openings, people, signatures
from ledger.access import AccessRefused
from ledger.console import doors
from ledger.console.asked import EN, Asked, Settings
from ledger.console.doors import BAD_TIMES, NOT_IN_OFFICE
from ledger.console.refusals import BAD_FIELDS, NOTHING_HERE
from ledger.door_log import DoorLog
from ledger.lifecycle import NO_CARD
from ledger.people import NO_REASON_GIVEN, NOT_FOUNDED
from ledger.privacy import masked
from ledger.signatures import NotAllowed, Proven
from protocols.rules import access, reasons
from tests.ledger.console import dorm
from tests.ledger.console.campus import visitor
from tests.ledger.readers import open_ledger

SCHOOL_S = 28_800


@pytest.fixture(scope="module")
def warden(campus):
    console, store = campus
    return visitor(console, store, "wen")


@pytest.fixture(scope="module")
def guard(campus):
    console, store = campus
    return visitor(console, store, "gu")


def group(store, door, card_no):
    return access.whole(store.access.access_map(door)).group(card_no)


def day_of(time_s):
    return datetime.fromtimestamp(time_s + SCHOOL_S, UTC).strftime("%Y-%m-%d")


# --- why ----


def test_a_number_or_a_building_leads_to_the_door(warden):
    assert f"/doors/{dorm.ROOM}" in warden.get(f"/doors?door={dorm.ROOM}").text
    for site, there, elsewhere in (
        (dorm.SITE, dorm.HALL, dorm.GATE),
        (dorm.GATES, dorm.GATE, dorm.HALL),
    ):
        text = warden.get(f"/doors?site={site}").text
        assert f'href="/doors/{there}"' in text and f'href="/doors/{elsewhere}"' not in text
    assert "没有这个门号" in warden.get("/doors?door=99999").text
    assert "没有这个门号" in warden.get("/doors?door=1x").text
    assert warden.get("/doors/99999").reason == NOTHING_HERE
    assert warden.get("/doors/none").reason == NOTHING_HERE


def test_a_long_building_goes_on_behind_its_last_door(campus):
    _console, store = campus
    listed, behind = [], 0
    while page := door_states.at(store.database, dorm.SITE, 2, behind):
        listed += [one.device for one in page]
        behind = page[-1].device
    assert listed == sorted((dorm.ROOM, dorm.WEAK, dorm.EMPTY, dorm.HALL))


@pytest.mark.parametrize(
    ("door", "words"),
    [
        (dorm.ROOM, ("此卡无此门权限", str(access.NO_ACCESS), "门本身没有问题")),
        (dorm.WEAK, ("偏低 · 12 %", "几周内换电池")),
        (dorm.EMPTY, ("耗尽 · 0 %", "电池不足", str(reasons.BATTERY_EMPTY), "用钥匙开门")),
        (dorm.HALL, ("此卡已挂失", str(reasons.CARD_LOST), "已开门")),
    ],
)
def test_a_door_says_why_it_stays_shut_and_what_to_do(warden, door, words):
    text = warden.get(f"/doors/{door}").text
    for one in words:
        assert one in text, one


def test_a_door_that_nobody_has_appointed_somebody_for_tells_no_taps(guard, warden, campus):
    """The guard may look at the door itself, and hears of no tap there; nor does the head."""
    console, store = campus
    for who in (guard, visitor(console, store, "hes"), visitor(console, store, "eng")):
        text = who.get(f"/doors/{dorm.EMPTY}").text
        assert "耗尽" in text and "刷卡记录和授权只给" in text
        assert "最近刷卡" not in text and "电池不足" not in text
    assert "没有电，电磁锁已释放" in warden.get(f"/doors/{dorm.GATE}").text


def test_last_taps_name_nobody(warden):
    for door in (dorm.ROOM, dorm.EMPTY, dorm.HALL):
        text = warden.get(f"/doors/{door}").text
        for card_no in (dorm.GRANTED, dorm.LOST_CARD, dorm.STRANGER):
            assert str(card_no) not in text
        assert dorm.PERSON_NO not in text


@pytest.mark.parametrize(
    ("door", "card_no", "reason"),
    [
        (dorm.HALL, dorm.GRANTED, None),
        (dorm.HALL, dorm.LOST_CARD, reasons.CARD_LOST),
        (dorm.HALL, dorm.STRANGER, access.NO_ACCESS),
        (dorm.HALL, 999_999, NO_CARD),
    ],
)
def test_a_card_before_a_door_is_judged_by_the_door_s_own_rule(warden, door, card_no, reason):
    answer = warden.get(f"/doors/{door}?card={card_no}")
    assert answer.status == 200
    assert ("此卡现在可以开这扇门" in answer.text) == (reason is None)
    if reason:
        assert f'<span class="soft">{reason}</span>' in answer.text
    if card_no < 999_999:
        at = card_no - dorm.GRANTED
        whole = str(int(dorm.PERSON_NO) + at)
        assert masked(whole) in answer.text and whole not in answer.text


def test_a_right_that_has_not_reached_a_lock_yet_says_so(warden, campus):
    _console, store = campus
    warden.send(f"/doors/{dorm.WEAK}", f"/doors/{dorm.WEAK}/give", card_no=dorm.STRANGER)
    text = warden.get(f"/doors/{dorm.WEAK}?card={dorm.STRANGER}").text
    assert "最近的授权变更还没有到锁上" in text and "此卡现在可以开" not in text
    assert door_states.of(store.database, dorm.WEAK).held_epoch is None


# --- rights ----


def test_a_right_is_given_until_a_day_once_and_taken_back(warden, campus):
    _console, store = campus
    page, path = f"/doors/{dorm.ROOM}", f"/doors/{dorm.ROOM}/give"
    tomorrow = day_of(int(time.time()) + 86_400)
    form = warden.get(page).form(path) | {"card_no": str(dorm.STRANGER), "until": tomorrow}
    before = store.access.newest()
    for _ in range(2):  # a double click
        answer = warden.post(path, form)
        assert answer.headers["location"] == f"{page}?card={dorm.STRANGER}&done=given"
    assert store.access.newest() == before + 1
    assert group(store, dorm.ROOM, dorm.STRANGER) == 1
    (until_s,) = store.access.terms(dorm.ROOM).values()
    assert day_of(until_s - 1) == tomorrow and day_of(until_s) > tomorrow
    assert store.access.changes(dorm.ROOM)[-1].person == "wen"
    warden.send(page, f"/doors/{dorm.ROOM}/take", card_no=dorm.STRANGER)
    assert group(store, dorm.ROOM, dorm.STRANGER) == 0


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"card_no": "999999"}, NO_CARD),
        ({"card_no": ""}, BAD_FIELDS),
        ({"card_no": "seven"}, BAD_FIELDS),
        ({"card_no": str(dorm.STRANGER), "until": "2001-01-01"}, BAD_TIMES),
        ({"card_no": str(dorm.STRANGER), "until": "soon"}, BAD_TIMES),
        ({"card_no": str(dorm.STRANGER), "until": "9999-12-31"}, doors.DOOR_REFUSES),
    ],
)
def test_what_cannot_be_given_changes_nothing_and_says_why(warden, campus, fields, reason):
    _console, store = campus
    before = store.dump()
    answer = warden.send(f"/doors/{dorm.ROOM}", f"/doors/{dorm.ROOM}/give", **fields)
    assert answer.reason == reason, answer.text
    assert fields["card_no"] in answer.text
    assert store.dump() == before


@pytest.mark.parametrize("act", ["give", "take", "key", "who"])
def test_who_keeps_another_door_does_nothing_here(guard, campus, act):
    _console, store = campus
    path = f"/doors/{dorm.ROOM}/{act}"
    page = guard.get(path)
    others = [to for to, _fields in page.page.forms if to != "/search"]
    assert page.status == 200 and not others, "no form where nothing can be done"
    number, seal = forms_of(guard, path)
    fields = {"card_no": str(dorm.STRANGER), "because": "x", "purpose": "x"}
    fields |= {"from": "2026-11-27T00:00", "to": "2026-11-27T01:00"}
    before = store.dump()
    answer = guard.post(path, fields | {"form_no": number, "form_seal": seal})
    assert (answer.status, answer.reason) == (403, NOT_IN_OFFICE)
    assert store.dump() == before


def forms_of(who, path):
    """A form that the page itself does not show: sealed as it would be."""
    from ledger.console import forms

    return forms.opened(who.cookies["session"], path)


def test_a_door_of_another_department_is_another_s_even_if_appointed(campus, guard):
    """An appointment for a dormitory by name does not make a guard a warden."""
    _console, store = campus
    door = door_states.of(store.database, dorm.HALL)
    assert not store.access.is_in_office(door.site, "public", "gu")
    path = f"/doors/{dorm.HALL}/give"
    number, seal = forms_of(guard, path)
    said = {"card_no": str(dorm.STRANGER), "form_no": number, "form_seal": seal}
    assert guard.post(path, said).reason == NOT_IN_OFFICE


def test_who_has_been_given_another_role_keeps_no_door(campus):
    """An appointment outlasts a role; the taps of a door are for whoever has both."""
    _console, store = campus
    door = door_states.of(store.database, dorm.HALL)
    assert store.access.is_in_office(door.site, door.scope, "wen")
    for role, is_in in ((people.WARDEN, True), (people.ENGINEER, False), (people.HEAD, False)):
        who = Proven("wen", b""), people.STUDENTS, (role,)
        asked = Asked(store, Settings(259_200, SCHOOL_S), *who, now_s(), EN, {}, {})
        assert doors.is_in_office(asked, door) == is_in, role


# --- keys ----


def test_a_key_opening_is_an_act_of_who_did_it(warden, campus):
    _console, store = campus
    page = f"/doors/{dorm.EMPTY}"
    form = warden.get(page).form(f"{page}/key") | {"because": "电量耗尽"}
    for _ in range(2):
        assert warden.post(f"{page}/key", form).headers["location"] == f"{page}?done=key"
    (one,) = key_openings.of(store.database, dorm.EMPTY, 9)
    assert (one.person, one.because) == ("wen", "电量耗尽")
    assert "已记下钥匙开门" in warden.get(f"{page}?done=key").text
    assert "电量耗尽" in warden.get(page).text
    for because in ("", " ", "a" * 65):
        answer = warden.send(page, f"{page}/key", because=because)
        assert answer.reason == NO_REASON_GIVEN
    assert len(key_openings.of(store.database, dorm.EMPTY, 9)) == 1


def test_a_key_opening_needs_a_door_an_office_and_somebody_proven(campus):
    _console, store = campus
    who = store.operators.prove(visitor(campus[0], store, "wen").cookies["session"], now_s())
    for device in (dorm.GATE, 99_999):
        with pytest.raises((AccessRefused, NotAllowed)):
            key_openings.enter(store.database, device, "x", who, now_s())
    with pytest.raises(NotAllowed) as caught:
        key_openings.enter(open_ledger().database, 1, "x", "somebody", now_s())
    assert caught.value.reason == NOT_FOUNDED


def now_s():
    return int(time.time())


# --- who was there ----


def local(time_s):
    return datetime.fromtimestamp(time_s + SCHOOL_S, UTC).strftime("%Y-%m-%dT%H:%M")


def test_who_was_at_a_door_is_told_behind_a_purpose_that_is_noted(warden, campus):
    _console, store = campus
    page = f"/doors/{dorm.HALL}/who"
    asks = {"from": local(now_s() - 10_800), "to": local(now_s() + 60), "purpose": "丢了一台电脑"}
    answer = warden.send(page, page, **asks)
    assert answer.status == 200
    assert str(dorm.LOST_CARD) in answer.text and "此卡已挂失" in answer.text
    assert masked(dorm.PERSON_NO) in answer.text and dorm.PERSON_NO not in answer.text
    question = DoorLog(store.database).questions()[-1]
    assert (question.device, question.purpose, question.person) == (
        dorm.HALL,
        "丢了一台电脑",
        "wen",
    )
    whole = warden.send(page, page, **asks, whole="1")
    assert dorm.PERSON_NO in whole.text
    last = signatures.acts(store.database, 10_000)[-1]
    assert (last.login, last.verb, last.evidence) == ("wen", "access.dorm", "丢了一台电脑")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"purpose": ""}, NO_REASON_GIVEN),
        ({"from": "2026-11-27T10:00", "to": "2026-11-27T09:00"}, BAD_TIMES),
        ({"from": "2026-01-01T10:00", "to": "2026-11-27T09:00"}, BAD_TIMES),
        ({"from": "yesterday"}, BAD_TIMES),
        ({"from": "1960-01-01T10:00", "to": "1960-01-01T11:00"}, BAD_TIMES),
        ({"purpose": "x" * 65}, doors.DOOR_REFUSES),
    ],
)
def test_a_question_that_cannot_be_is_told_nothing_and_not_noted(warden, campus, fields, reason):
    _console, store = campus
    page, before = f"/doors/{dorm.HALL}/who", store.dump()
    said = {"from": "2026-11-27T08:00", "to": "2026-11-27T09:00", "purpose": "a wallet"}
    answer = warden.send(page, page, **(said | fields))
    assert answer.reason == reason
    assert "a wallet" in answer.text or "purpose" in fields
    assert store.dump() == before


def test_the_verb_of_keys_is_a_warden_s_and_a_guard_s():
    assert people.VERBS[key_openings.VERB].roles == (people.WARDEN, people.GUARD)
