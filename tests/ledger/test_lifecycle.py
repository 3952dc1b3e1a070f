"""The life of a card: a table that answers everything, and books that follow it."""

import random
from itertools import product

import pytest

from ledger import lifecycle, lifecycle_texts
from ledger.card_status import CardRefused, change_status, standing, states_of
from ledger.invariants import check
from ledger.lifecycle import (
    APP,
    BATCH,
    CHANNELS,
    CLERK,
    COUNTER,
    DEAD,
    HOLDER,
    KIOSK,
    MAP_STATUS,
    ROLES,
    RULES,
    STATES,
    Act,
    answer,
    states_after,
)
from protocols.rules.card_status import CLOSED
from tests.ledger.readers import CARD, open_ledger
from tests.ledger.replaced import NEW_CARD, books

NOW_S = 1_790_000_000
DAY_S = 86_400
# The seven operations of R6.4, and what may become of a card that nobody holds any more.
SEVEN = ("open", "lose", "unlose", "swap", "reissue", "unfreeze", "close")


def shown(verb):
    return RULES[verb].evidence[0] if RULES[verb].evidence else ""


def every():
    return product(STATES, RULES, ROLES, CHANNELS)


def test_every_state_verb_role_and_channel_has_an_answer():
    """A next state or a number with its article, and never both."""
    for state, verb, role, channel in every():
        act = Act(role, channel, shown(verb), persons=2)
        said = answer(["active", state], verb, act)
        if said.reason:
            assert said.reason in lifecycle.TEXTS and said.state == state and not said.is_new
            assert f"({said.reason}, {RULES[verb].article})" in said.because
        else:
            assert said.state in STATES and (role, channel) in RULES[verb].who


def test_what_is_dead_stays_dead():
    for state, verb, role, channel in every():
        if state in DEAD:
            said = answer(["active", state], verb, Act(role, channel, shown(verb), persons=2))
            assert said.state == state and not said.is_new


def test_the_seven_operations_are_there_and_the_others_too():
    assert {*SEVEN, "suspend", "resume", "terminate", "extend"} <= RULES.keys()


@pytest.mark.parametrize("verb", RULES)
def test_only_a_report_of_a_loss_is_for_the_holder_to_say(verb):
    """R14.2a and R14.3: from anywhere, and undone only in person at the card centre."""
    places = {channel for role, channel in RULES[verb].who if role == HOLDER}
    assert places == ({APP, KIOSK, COUNTER} if verb == "lose" else set())


@pytest.mark.parametrize("verb", [verb for verb in RULES if RULES[verb].evidence])
def test_without_what_has_to_be_shown_nothing_is_done(verb):
    for word in ("", "nothing", "identity-code"):
        said = answer(["active", RULES[verb].before[0]], verb, Act(CLERK, COUNTER, word, 2))
        assert said.reason == lifecycle.NO_EVIDENCE


@pytest.mark.parametrize("verb", [verb for verb in RULES if (CLERK, BATCH) in RULES[verb].who])
def test_a_list_takes_two_persons(verb):
    before = RULES[verb].before[0]
    for persons, reason in ((1, lifecycle.ONE_PERSON), (2, 0)):
        act = Act(CLERK, BATCH, shown(verb), persons)
        assert answer(["active", before], verb, act).reason == reason


def test_every_state_is_reached_and_every_verb_leads_somewhere():
    assert {state for row in lifecycle_texts.rows() for state in row if "→" in state} == {
        f"→ {state}" for state in STATES if state != "absent"
    }
    reached, ways = {"absent", "active"}, lifecycle_texts.diagram()
    assert len(ways) > len(STATES)
    for state in STATES:
        reached |= {said for verb in RULES if (said := _after(state, verb))}
    assert reached == set(STATES)


def _after(state, verb):
    role, channel = RULES[verb].who[0]
    said = answer(["active", state], verb, Act(role, channel, shown(verb), persons=2))
    return said.state if said.is_new else ""


@pytest.mark.parametrize("verbs", [["unlose"], ["lose", "suspend"], ["close", "lose"], ["gone"]])
def test_a_history_that_nobody_here_has_written_is_noticed(verbs):
    with pytest.raises(ValueError, match="does not follow"):
        states_after(verbs)


def test_the_books_go_through_the_table_and_keep_nothing_else():
    """2,000 verbs on one card after another, said by anybody: books and table agree."""
    seed = 39
    print("seed", seed)
    draw, store = random.Random(seed), open_ledger()
    for card_no in range(500, 540):
        store.issue_cards([(card_no, 0)])
        states = ["active"]
        for _ in range(50):
            verb = draw.choice(list(RULES))
            role, channel = draw.choice([(CLERK, COUNTER), draw.choice(RULES[verb].who)])
            act = Act(role, channel, draw.choice((shown(verb), "id-card")))
            said = answer(states, verb, act)
            try:
                with store.database.transaction():
                    change_status(store.database, verb, card_no, NOW_S, act)
            except CardRefused as refused:
                assert refused.reason == said.reason != 0
            else:
                assert not said.reason
                states += [said.state] if said.state != states[-1] else []
            assert states_of(store.database, card_no) == states
            assert standing(store.database, card_no)[0] == MAP_STATUS[states[-1]]
    assert check(store) == []


@pytest.mark.parametrize("verbs", [["suspend"], []])
def test_a_withdrawal_that_is_withdrawn_ends_nothing_else(verbs):
    states = states_after([*verbs, "freeze", "unfreeze"])
    assert states[-1] == states[-3] == ("suspended" if verbs else "active")


# --- a card that was handed in (换卡) ----------------------------------------------------------


def test_a_card_that_is_swapped_is_dead_and_its_money_goes_on_after_the_hours():
    store = books()
    store.reissues.swap(CARD, NEW_CARD, NOW_S, "id-card")
    store.reissues.swap(CARD, NEW_CARD, NOW_S + 9, "id-card")  # again: nothing
    assert store.cards.state(CARD) == "swapped" and store.cards.status(CARD) == CLOSED
    before_fen = store.holder_balance(CARD)
    assert store.carry_overs.claim(NEW_CARD, NOW_S + 3 * DAY_S - 1) == []
    (load,) = store.carry_overs.claim(NEW_CARD, NOW_S + 3 * DAY_S)
    assert (load.amount_fen, store.holder_balance(CARD)) == (before_fen, 0)
    assert check(store) == []


@pytest.mark.parametrize("verb", ["lose", "close"])
def test_only_a_card_that_is_there_is_swapped(verb):
    store = books()
    store.cards.set(verb, CARD, NOW_S, "id-card")
    before = store.dump()
    with pytest.raises(CardRefused, match="cannot swap it"):
        store.reissues.swap(CARD, NEW_CARD, NOW_S, "id-card")
    assert store.dump() == before


def test_a_leave_of_absence_does_not_end_because_its_card_was_lost():
    store = books()
    for verb in ("suspend", "lose"):
        store.cards.set(verb, CARD, NOW_S)
    store.reissues.reissue(CARD, NEW_CARD, NOW_S + 1, "id-card")
    assert store.cards.state(NEW_CARD) == "suspended"
    assert store.carry_overs.claim(NEW_CARD, NOW_S + 3 * DAY_S) == []
    store.cards.set("resume", NEW_CARD, NOW_S + 3 * DAY_S, "reinstatement")
    assert len(store.carry_overs.claim(NEW_CARD, NOW_S + 3 * DAY_S)) == 1
    assert check(store) == []
