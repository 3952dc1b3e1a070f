"""Whose a card is: one person, one card, from its order to its end."""

from dataclasses import replace

import pytest

from ledger import card_validity
from ledger.card_status import CardRefused
from ledger.card_validity import Validity
from ledger.dialect import ConstraintBroken
from ledger.holders import Holder, open_for
from ledger.invariants import check
from ledger.lifecycle import CENTRE, Act
from protocols.rules.card_status import ACTIVE, SUSPENDED
from protocols.rules.spending import STAFF, STUDENT, TEMPORARY
from tests.ledger.readers import CARD, open_ledger
from tests.ledger.replaced import NEW_CARD, books

NOW_S = 1_790_000_000
FIRST, LAST = 20_000, 21_000
STUDENT_NO = "2026010203"
WHO = Holder(STUDENT_NO, STUDENT, "Nursing")
SOMEBODY_ELSE = Holder("2026010204", STUDENT, "Nursing")
BY = Act(evidence="id-card", person="wang")
THREE_PAPERS = "id-card+hr-notice+bank-card"


def opened(card_no=50, who=WHO, store=None):
    store = store or open_ledger()
    store.holders.issue(card_no, NOW_S)
    by = replace(BY, evidence=THREE_PAPERS) if who.kind == STAFF else BY
    store.holders.open(card_no, who, (FIRST, LAST), NOW_S, by)
    return store


def test_from_the_order_to_the_first_day():
    store = open_ledger()
    for _ in range(2):  # each again: nothing
        store.holders.order(50, NOW_S)
        assert (store.cards.state(50), store.cards.status(50)) == ("ordered", SUSPENDED)
    for _ in range(2):
        store.holders.issue(50, NOW_S)
        assert (store.cards.state(50), store.cards.status(50)) == ("issued", SUSPENDED)
    for _ in range(2):
        store.holders.open(50, WHO, (FIRST, LAST), NOW_S, BY)
        assert (store.cards.state(50), store.cards.status(50)) == ("active", ACTIVE)
    assert store.cards.epoch() == 3 and store.holders.of(50) == WHO
    assert store.holders.card_of(STUDENT_NO) == 50
    assert card_validity.of(store.database, 50) == Validity(50, STUDENT, FIRST, LAST)
    acts = list(store.database.rows("SELECT role, channel, person FROM card_act ORDER BY epoch"))
    assert acts == [
        ("clerk", "counter", ""),
        ("clerk", "counter", ""),
        ("clerk", "counter", "wang"),
    ]
    assert check(store) == []


@pytest.mark.parametrize(
    ("shown", "lacking"),
    [
        ("id-card", "hr-notice, bank-card"),
        ("bank-card+hr-notice", "id-card or passport or residence-permit"),
        ("passport+bank-card", "hr-notice"),
        ("admission-notice+hr-notice+bank-card", "id-card or passport or residence-permit"),
    ],
)
def test_new_staff_show_three_papers_and_which_is_missing_is_said(shown, lacking):
    """R12.1: the ID, the notice of the personnel office, and the card of the bank."""
    store, who = open_ledger(), Holder("S1001", STAFF, "Library")
    store.holders.issue(50, NOW_S)
    before = store.dump()
    with pytest.raises(CardRefused) as refusal:
        store.holders.open(50, who, (FIRST, LAST), NOW_S, replace(BY, evidence=shown))
    assert refusal.value.reason == 414 and f"also takes {lacking} (" in str(refusal.value)
    assert store.dump() == before
    store.holders.open(50, who, (FIRST, LAST), NOW_S, replace(BY, evidence=THREE_PAPERS))
    assert store.cards.history(50)[-1][4] == THREE_PAPERS  # each stands in the books
    assert check(store) == []


@pytest.mark.parametrize("shown", ["id-card+", "id-card+nothing", "+", "id-card hr-notice"])
def test_what_is_no_paper_is_none(shown):
    store = open_ledger()
    store.holders.issue(50, NOW_S)
    with pytest.raises(CardRefused):
        store.holders.open(50, WHO, (FIRST, LAST), NOW_S, replace(BY, evidence=shown))
    assert store.cards.state(50) == "issued"


def test_a_card_of_before_gets_a_holder():
    """The register had cards in use before there were holders."""
    store = open_ledger()
    store.holders.open(CARD, WHO, (FIRST, LAST), NOW_S, BY)
    assert (store.holders.of(CARD), store.cards.epoch()) == (WHO, 0)
    assert store.cards.state(CARD) == "active" and check(store) == []


REFUSED = {
    "evidence": lambda store: store.holders.open(51, SOMEBODY_ELSE, (1, 2), NOW_S, CENTRE),
    "this person has card 50": lambda store: store.holders.open(51, WHO, (1, 2), NOW_S, BY),
    "somebody else's": lambda store: store.holders.open(50, SOMEBODY_ELSE, (1, 2), NOW_S, BY),
    "no such time": lambda store: store.holders.open(51, SOMEBODY_ELSE, (2, 1), NOW_S, BY),
    "takes an application": lambda store: store.holders.open(
        51, Holder("T1", TEMPORARY, "Nursing"), (1, 2), NOW_S, BY
    ),
    "of staff, a student": lambda store: store.holders.open(
        51, Holder("X1", 4, "Nursing"), (1, 2), NOW_S, BY
    ),
    "A-Z": lambda store: store.holders.open(
        51, Holder("张三", STAFF, "Nursing"), (1, 2), NOW_S, BY
    ),
    "a department has a name": lambda store: store.holders.open(
        51, Holder("X1", STAFF, ""), (1, 2), NOW_S, BY
    ),
    "is absent|never issued": lambda store: store.holders.open(
        99, SOMEBODY_ELSE, (1, 2), NOW_S, BY
    ),
    "numbers are 0 to": lambda store: store.holders.issue(1 << 24, NOW_S),
    "cannot issue it": lambda store: store.holders.issue(CARD, NOW_S),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_is_refused_without_saying_who(said):
    store = opened()
    store.holders.issue(51, NOW_S)
    before = store.dump()
    with pytest.raises(CardRefused, match=said) as refused:
        REFUSED[said](store)
    assert STUDENT_NO not in str(refused.value)
    assert store.dump() == before


def test_the_number_of_a_person_is_in_no_log():
    assert STUDENT_NO not in repr(WHO) and STUDENT_NO not in str(WHO)
    assert STUDENT_NO.encode() not in opened().dump()


def test_the_database_itself_keeps_one_card_for_one_person():
    store = opened()
    store.holders.issue(51, NOW_S)
    for sql in (
        "INSERT INTO holding VALUES (51, 1, 1)",
        "INSERT INTO holding VALUES (50, 1, 0)",
        "UPDATE holding SET holder = 2",
        "DELETE FROM holding",
        "DELETE FROM holder",
        "UPDATE holder SET person_no = 'X'",
        "UPDATE card_act SET person = 'li'",
    ):
        with pytest.raises(ConstraintBroken), store.database.transaction():
            store.database.rows(sql)
    assert check(store) == []


@pytest.mark.parametrize("verb", ["close", "terminate"])
def test_who_has_none_any_more_gets_another(verb):
    store = opened()
    shown = {"close": "id-card", "terminate": "leaving-notice"}[verb]
    store.cards.set(verb, 50, NOW_S, shown)
    assert store.holders.card_of(STUDENT_NO) is None and store.holders.of(50) == WHO
    opened(51, Holder(STUDENT_NO, STAFF, "Library"), store)
    assert store.holders.card_of(STUDENT_NO) == 51
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows("UPDATE holding SET is_current = 1 WHERE card_no = 50")
    assert check(store) == []


@pytest.mark.parametrize("verb", ["reissue", "swap"])
def test_what_takes_a_card_s_place_is_its_holder_s_and_valid_as_long(verb):
    store = books()
    store.holders.open(CARD, WHO, (FIRST, LAST), NOW_S, BY)
    if verb == "reissue":
        store.cards.set("lose", CARD, NOW_S)
        with pytest.raises(CardRefused, match=f"has card {CARD}"):
            opened(50, WHO, store)
    getattr(store.reissues, verb)(CARD, NEW_CARD, NOW_S, "id-card")
    assert store.holders.card_of(STUDENT_NO) == NEW_CARD
    assert store.holders.of(NEW_CARD) == WHO
    assert card_validity.of(store.database, NEW_CARD) == Validity(NEW_CARD, STUDENT, FIRST, LAST)
    assert check(store) == []


def test_a_card_that_was_only_issued_is_opened_by_taking_a_place():
    store = books()
    store.holders.open(CARD, WHO, (FIRST, LAST), NOW_S, BY)
    store.holders.issue(51, NOW_S)
    store.cards.set("lose", CARD, NOW_S)
    store.reissues.reissue(CARD, 51, NOW_S, "passport")
    assert store.cards.state(51) == "active" and store.holders.card_of(STUDENT_NO) == 51
    assert check(store) == []


def test_the_last_day_is_the_last_and_what_is_worse_stays():
    store = opened(53)
    for card_no in (50, 51, 52):
        store.holders.issue(card_no, NOW_S)
        with store.database.transaction():
            who = Holder(f"T{card_no}", TEMPORARY, "Nursing")
            open_for(store.database, card_no, who, (FIRST, LAST), NOW_S, BY)
    store.cards.set("lose", 51, NOW_S)
    store.cards.set("suspend", 52, NOW_S)
    assert store.holders.expire(LAST, NOW_S) == []
    assert store.holders.expire(LAST + 1, NOW_S) == [50, 52]
    assert store.holders.expire(LAST + 1, NOW_S) == []
    assert [store.cards.state(card_no) for card_no in (50, 51, 52)] == [
        "expired",
        "lost",
        "expired",
    ]
    assert store.cards.state(53) == "active"  # the days of a student are not its end (R13)
    assert store.holders.card_of("T50") == 50  # until it is closed
    assert check(store) == []
