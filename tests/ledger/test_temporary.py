"""Temporary cards (annex 1): two signatures, one fee, and ten days in which a term is extended."""

from dataclasses import replace

import pytest

from ledger import card_validity
from ledger.card_fees import FEE_FEN
from ledger.card_status import CardRefused
from ledger.dialect import ConstraintBroken
from ledger.holders import DAY_MAX
from ledger.invariants import check
from ledger.lifecycle import CENTRE, NOT_NOW, Act
from ledger.temporary import CATEGORIES, DAY_S, LAST_DAYS, STEPS, Application
from tests.ledger.replaced import NEW_CARD, books

NOW_S = 1_790_000_000
FIRST, LAST = 20_700, 20_790
FORM = Application("T2026001", "S1001", "canteen cook", 1, "General Affairs", FIRST, LAST)
BY = Act(evidence="application", person="wang")
PROOF = Act(evidence="renewal-proof", person="wang")
HEAD, FINANCE = STEPS["department"], STEPS["finance"]
CARD = 50


def applied(form=FORM):
    store = books()
    store.holders.issue(CARD, NOW_S)
    assert store.temporaries.apply(form, NOW_S) == 1
    return store


def approved(form=FORM):
    store = applied(form)
    assert store.temporaries.approve(1, HEAD, "zhao", NOW_S) == 1
    assert store.temporaries.approve(1, FINANCE, "qian", NOW_S) == 2
    return store


def handed(form=FORM):
    store = approved(form)
    store.temporaries.hand_out(1, CARD, NOW_S, BY)
    return store


def fees(store):
    assert check(store) == []
    return store.balances()["fees", 0]


def test_one_card_one_fee_however_often_it_is_said():
    store = approved()
    for _ in range(3):
        store.temporaries.hand_out(1, CARD, NOW_S, BY)
        assert (fees(store), store.cards.state(CARD)) == (FEE_FEN, "active")
    assert FEE_FEN == 2_000  # R12.3
    assert store.holders.card_of("T2026001") == CARD
    assert card_validity.of(store.database, CARD).valid_to == LAST


@pytest.mark.parametrize("steps", [(), ((HEAD, "zhao"),)])
def test_without_two_signatures_there_is_no_card_and_no_fee(steps):
    store = applied()
    for step, person in steps:
        store.temporaries.approve(1, step, person, NOW_S)
    before = store.dump()
    with pytest.raises(CardRefused, match="not approved by two persons"):
        store.temporaries.hand_out(1, CARD, NOW_S, BY)
    row = "INSERT INTO temporary_card VALUES (1, 50)"
    with pytest.raises(ConstraintBroken, match="one signature"), store.database.transaction():
        store.database.many(row.replace("1, 50", "?, ?"), [(1, CARD)])
    assert store.dump() == before


def test_the_department_first_and_then_another_person():
    store = applied()
    approve = store.temporaries.approve
    with pytest.raises(CardRefused, match="department comes first"):
        approve(1, FINANCE, "qian", NOW_S)
    assert [approve(1, HEAD, "zhao", NOW_S) for _ in range(2)] == [1, 1]
    with pytest.raises(CardRefused, match="takes another person"):
        approve(1, FINANCE, "zhao", NOW_S)
    with pytest.raises(CardRefused, match="another person has done this step"):
        approve(1, HEAD, "sun", NOW_S)
    assert approve(1, FINANCE, "qian", NOW_S) == 2
    with pytest.raises(CardRefused, match="no application 2"):
        approve(2, HEAD, "zhao", NOW_S)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"person_no": ""}, "a person's number"),
        ({"applicant_no": "张"}, "who applies has a number"),
        ({"relation": ""}, "the relation"),
        ({"category": 0}, "category 0"),
        ({"department": "x" * 33}, "a department"),
        ({"valid_to": FIRST - 1}, "no such time"),
    ],
)
def test_a_form_that_says_too_little(change, said):
    with pytest.raises(CardRefused, match=said):
        applied(replace(FORM, **change))


@pytest.mark.parametrize("today", [None, LAST, LAST + 1])
def test_no_card_is_handed_out_behind_its_term(today):
    """Nor a fee taken; but who has it hears so as ever."""
    store = approved()
    late_s = (LAST + (today is None)) * DAY_S
    before = store.dump()
    if today == LAST:
        for at in (LAST, LAST + 9):
            store.temporaries.hand_out(1, CARD, late_s, BY, at)
            assert fees(store) == FEE_FEN
        return
    with pytest.raises(CardRefused, match="its term is over") as refused:
        store.temporaries.hand_out(1, CARD, late_s, BY, today)
    assert refused.value.reason == NOT_NOW
    assert store.dump() == before


@pytest.mark.parametrize("category", CATEGORIES)
def test_who_comes_from_outside_states_a_term(category):
    form = replace(FORM, category=CATEGORIES[category], valid_to=DAY_MAX)
    if category == "family":
        assert applied(form).temporaries.application(1) == form
    else:
        with pytest.raises(CardRefused, match="states a term"):
            applied(form)


def test_who_takes_the_fee_says_so_and_a_card_goes_to_one_application():
    store = approved()
    with pytest.raises(CardRefused, match="by name"):
        store.temporaries.hand_out(1, CARD, NOW_S, replace(BY, person=""))
    with pytest.raises(CardRefused, match="evidence"):
        store.temporaries.hand_out(1, CARD, NOW_S, CENTRE)
    store.temporaries.hand_out(1, CARD, NOW_S, BY)
    store.holders.issue(51, NOW_S)
    with pytest.raises(CardRefused, match=f"card {CARD} was handed out for it"):
        store.temporaries.hand_out(1, 51, NOW_S, BY)
    store.temporaries.apply(replace(FORM, person_no="T2"), NOW_S)
    store.temporaries.approve(2, HEAD, "zhao", NOW_S)
    store.temporaries.approve(2, FINANCE, "qian", NOW_S)
    with pytest.raises(CardRefused, match="in use already"):
        store.temporaries.hand_out(2, CARD, NOW_S, BY)
    assert fees(store) == FEE_FEN


@pytest.mark.parametrize("today", [LAST - LAST_DAYS - 1, LAST - LAST_DAYS, LAST, LAST + 1])
def test_the_ten_days(today):
    """Annex 1, note 2: within ten days before the end, both days inside."""
    store = handed()
    is_in = LAST - LAST_DAYS <= today <= LAST
    assert (store.temporaries.ending(today) != []) == is_in
    extend = (CARD, "General Affairs", LAST + 90, today, NOW_S, PROOF)
    if is_in:
        for _ in range(2):  # again, the same day: nothing
            store.temporaries.extend(*extend)
        assert len(list(store.database.rows("SELECT 1 FROM temporary_extension"))) == 1
    else:
        with pytest.raises(CardRefused, match="last 10 days only"):
            store.temporaries.extend(*extend)
    valid = card_validity.of(store.database, CARD)
    assert valid.valid_to == (LAST + 90 if is_in else LAST)
    assert fees(store) == FEE_FEN  # an extension costs nothing


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ((CARD, "Nursing", LAST + 9, LAST, NOW_S, PROOF), "another department"),
        ((CARD, "General Affairs", LAST - 1, LAST, NOW_S, PROOF), "no later day"),
        ((CARD, "General Affairs", DAY_MAX, LAST, NOW_S, PROOF), "no later day"),
        ((CARD, "General Affairs", LAST + 9, LAST, NOW_S, BY), "evidence"),
        ((7, "General Affairs", LAST + 9, LAST, NOW_S, PROOF), "no temporary card"),
        ((99, "General Affairs", LAST + 9, LAST, NOW_S, PROOF), "never issued"),
    ],
)
def test_an_extension_that_cannot_be(what, said):
    store = handed()
    before = store.dump()
    with pytest.raises(CardRefused, match=said):
        store.temporaries.extend(*what)
    assert store.dump() == before


def test_an_expired_card_is_not_extended_and_its_holder_applies_anew():
    store = handed()
    assert store.holders.expire(LAST + 1, NOW_S) == [CARD]
    with pytest.raises(CardRefused, match="is expired: cannot extend"):
        store.temporaries.extend(CARD, "General Affairs", LAST + 9, LAST + 1, NOW_S, PROOF)


def test_one_that_was_lost_costs_another_fee_and_is_extended_by_the_same_department():
    store = handed()
    store.cards.set("lose", CARD, NOW_S)
    with pytest.raises(CardRefused, match="by name"):
        store.reissues.reissue(CARD, NEW_CARD, NOW_S, "id-card")
    for _ in range(2):
        store.reissues.reissue(CARD, NEW_CARD, NOW_S, "id-card", BY)
        assert fees(store) == 2 * FEE_FEN
    store.temporaries.extend(NEW_CARD, "General Affairs", LAST + 9, LAST, NOW_S, PROOF)
    assert card_validity.of(store.database, NEW_CARD).valid_to == LAST + 9


def test_the_form_says_what_became_of_it_so_far():
    store = applied()
    form = store.temporaries.form(1)
    assert (form.application, form.applied_s, form.signed) == (FORM, NOW_S, {})
    assert (form.card_no, form.extensions) == (None, ())
    store.temporaries.approve(1, HEAD, "zhao", NOW_S + 1)
    store.temporaries.approve(1, FINANCE, "qian", NOW_S + 2)
    store.temporaries.hand_out(1, CARD, NOW_S, BY)
    for last, today in ((LAST + 30, LAST), (LAST + 60, LAST + 25)):
        store.temporaries.extend(CARD, "General Affairs", last, today, NOW_S + 3, PROOF)
    form = store.temporaries.form(1)
    assert form.signed == {HEAD: ("zhao", NOW_S + 1), FINANCE: ("qian", NOW_S + 2)}
    assert form.card_no == CARD and [(e.was_to, e.valid_to) for e in form.extensions] == [
        (LAST, LAST + 30),
        (LAST + 30, LAST + 60),
    ]
    with pytest.raises(CardRefused, match="no application 2"):
        store.temporaries.form(2)
