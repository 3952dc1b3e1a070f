"""An app binds its holder's phone: once for each request, one phone a card, one card a phone."""

import random
from dataclasses import replace

import pytest

from ledger import api_reasons as why
from ledger.channel_topups import ChannelRefused
from ledger.dialect import ConstraintBroken
from ledger.holders import Holder
from ledger.invariants import check
from ledger.lifecycle import Act
from ledger.phone_apps import BINDINGS_PER_DAY_MAX, DAY_S, TELL_AGAIN_S, Asked, PhoneApps
from ledger.phone_schema import PHONE_JOURNALS
from ledger.phones import Phones
from protocols.rules.spending import STUDENT
from tests.ledger.checkout import CODE_KEY, PROOF
from tests.ledger.readers import CARD, OTHER_CARD, Reader, open_ledger

NOW_S = 1_790_000_000
PERSON_NO, OTHER_NO = "2021010042", "2021010043"
ASKED = Asked("ecode", "R-1", "wx:77", "a" * 22, PERSON_NO)
BY = Act(evidence="id-card", person="wang")


@pytest.fixture
def store():
    store = open_ledger(Reader(1001))
    for card_no, person_no in ((CARD, PERSON_NO), (OTHER_CARD, OTHER_NO)):
        holder = Holder(person_no, STUDENT, "Nursing")
        store.holders.open(card_no, holder, (0, 65_535), NOW_S, BY)
    yield store
    assert check(store) == []
    store.close()


@pytest.fixture
def phones(store):
    return Phones(store.database, CODE_KEY, random.Random(4).randbytes)


@pytest.fixture
def apps(store, phones):
    return PhoneApps(store.database, phones)


def fill(store):
    """Something in both tables: a card that one has tried for, and its holder has bound."""
    store.issue_cards([(71, 0)])
    store.holders.open(71, Holder(PERSON_NO, STUDENT, "Nursing"), (0, 65_535), NOW_S, BY)
    apps = PhoneApps(store.database, Phones(store.database, CODE_KEY, random.Random(4).randbytes))
    with refused(why.NOT_THE_HOLDER):
        apps.bind(71, replace(ASKED, person_no=OTHER_NO), NOW_S)
    apps.bind(71, ASKED, NOW_S)


def refused(reason):
    return pytest.raises(ChannelRefused, check=lambda error: error.reason == reason)


def test_a_request_is_done_once_and_told_again(apps, phones, store):
    first = apps.bind(CARD, ASKED, NOW_S)
    before = store.dump()
    for later_s in (0, 9, TELL_AGAIN_S):  # the answer was lost
        assert apps.bind(CARD, ASKED, NOW_S + later_s) == first
    assert store.dump() == before
    assert first == (1, phones.seed_of(CARD))
    assert phones.proof(CARD) == ("real-name", "ecode", NOW_S)
    for late_s in (TELL_AGAIN_S + 1, -1):  # or a clock that went back
        with refused(why.TOLD_BEFORE):
            apps.bind(CARD, ASKED, NOW_S + late_s)


@pytest.mark.parametrize(
    ("card_no", "other"),
    [
        (CARD, {"phone": "b" * 22}),
        (CARD, {"reference": "wx:78"}),
        (CARD, {"person_no": OTHER_NO}),
        (OTHER_CARD, {}),
    ],
)
def test_its_number_stands_for_no_other_request(apps, card_no, other):
    apps.bind(CARD, ASKED, NOW_S)
    with refused(why.REQUEST_DIFFERS):
        apps.bind(card_no, replace(ASKED, **other), NOW_S)
    # Another app has numbers of its own.
    apps.bind(CARD, replace(ASKED, client="today", phone="c" * 22), NOW_S)


def test_another_phone_ends_the_one_before_at_once(apps, phones):
    _binding, seed = apps.bind(CARD, ASKED, NOW_S)
    other = replace(ASKED, request_no="R-2", phone="b" * 22)
    binding, new_seed = apps.bind(CARD, other, NOW_S + 1)
    assert (binding, phones.seed_of(CARD)) == (2, new_seed) and new_seed != seed
    with refused(why.TOLD_BEFORE):  # the first request comes late: it ends nothing
        apps.bind(CARD, ASKED, NOW_S + 2)
    assert phones.seed_of(CARD) == new_seed


def test_a_phone_has_one_card_until_that_ends(apps):
    apps.bind(CARD, ASKED, NOW_S)
    theirs = replace(ASKED, request_no="R-2", person_no=OTHER_NO)
    with refused(why.PHONE_HAS_CARD):
        apps.bind(OTHER_CARD, theirs, NOW_S)
    for _ in range(2):
        apps.end(CARD, "ecode", NOW_S)
    assert apps.bind(OTHER_CARD, theirs, NOW_S)[0] == 1


def test_a_clerk_binds_another_and_the_app_s_is_bound_no_more(apps, phones):
    apps.bind(CARD, ASKED, NOW_S)
    phones.bind(CARD, replace(PROOF, person_no=PERSON_NO), NOW_S)
    with refused(why.TOLD_BEFORE):
        apps.bind(CARD, ASKED, NOW_S + 1)
    theirs = replace(ASKED, request_no="R-2", person_no=OTHER_NO)
    assert apps.bind(OTHER_CARD, theirs, NOW_S)[0] == 1  # its phone has no card


def test_who_is_not_the_holder_is_counted_whoever_asks(apps, phones, store):
    wrong = replace(ASKED, person_no=OTHER_NO)
    for at in range(5):
        with refused(why.NOT_THE_HOLDER):
            apps.bind(CARD, replace(wrong, client=f"app-{'ab'[at % 2]}"), NOW_S + at)
    for asked in (wrong, ASKED):
        with refused(why.TOO_MANY_TRIES):
            apps.bind(CARD, asked, NOW_S + 9)
    theirs = replace(wrong, request_no="R-5", phone="b" * 22)
    apps.bind(OTHER_CARD, theirs, NOW_S)  # of another card nobody has tried
    assert phones.binding(CARD) == 0
    assert apps.bind(CARD, ASKED, NOW_S + DAY_S + 9)[0] == 1


def test_a_card_that_is_nobody_s_is_bound_by_no_app(apps, store):
    store.issue_cards([(70, 0)])
    with refused(why.NOT_THE_HOLDER):
        apps.bind(70, replace(ASKED, person_no=""), NOW_S)


def test_phones_are_not_changed_all_day(apps):
    for at in range(BINDINGS_PER_DAY_MAX):
        apps.bind(CARD, replace(ASKED, request_no=f"R-{at}", phone=f"{at}" * 22), NOW_S)
    more = replace(ASKED, request_no="R-9")
    with refused(why.TOO_MANY_TRIES):
        apps.bind(CARD, more, NOW_S + 1)
    assert apps.bind(CARD, more, NOW_S + DAY_S)[0] == BINDINGS_PER_DAY_MAX + 1


@pytest.mark.parametrize("verb", ["lose", "suspend", "freeze"])
def test_only_a_card_in_use_is_bound_and_one_that_ends_has_no_phone(apps, phones, store, verb):
    if verb == "lose":
        apps.bind(CARD, ASKED, NOW_S)
    store.cards.set(verb, CARD, NOW_S, "withdrawal-notice" if verb == "freeze" else "")
    with refused(why.CARD_NOT_IN_USE):
        apps.bind(CARD, replace(ASKED, request_no="R-2"), NOW_S)
    if verb == "lose":
        store.holders.issue(40, NOW_S)
        store.reissues.reissue(CARD, 40, NOW_S, "id-card", BY)
        assert phones.binding(CARD) == 0
        # The next card is bound anew, by the same phone.
        assert apps.bind(40, replace(ASKED, request_no="R-3"), NOW_S)[0] == 1


def test_no_name_of_a_person_or_phone_stands_in_the_books(apps, store):
    apps.bind(CARD, ASKED, NOW_S)
    (row,) = list(store.database.rows("SELECT * FROM phone_app"))
    assert ASKED.phone not in map(str, row) and PERSON_NO not in map(str, row)
    assert PERSON_NO not in repr(ASKED) and ASKED.phone not in repr(ASKED)


def test_journals_are_append_only(apps, store):
    apps.bind(CARD, ASKED, NOW_S)
    with refused(why.NOT_THE_HOLDER):
        apps.bind(OTHER_CARD, replace(ASKED, request_no="R-2", phone="b" * 22), NOW_S)
    for table in PHONE_JOURNALS:
        for sql in (f"DELETE FROM {table}", f"UPDATE {table} SET client = client"):
            with (
                pytest.raises(ConstraintBroken, match="append-only"),
                store.database.transaction(),
            ):
                store.database.rows(sql)
