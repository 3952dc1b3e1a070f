"""A card in the place of a lost one: who may be replaced, by what, and that it is for good."""

import pytest

from ledger.card_status import CardRefused
from ledger.invariants import check
from ledger.issuing import issue
from ledger.store import LedgerStore
from protocols.rules.card_status import ACTIVE, CLOSED
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.replaced import (
    DUE_S,
    HOUR_S,
    LOST_S,
    NEW_CARD,
    NEWER_CARD,
    books,
    lose,
    replace,
    replaced,
)


def test_the_old_card_is_closed_in_the_map_and_the_new_one_is_not():
    store = replaced()
    assert (store.cards.status(CARD), store.cards.status(NEW_CARD)) == (CLOSED, ACTIVE)
    assert store.cards.history(CARD)[-1][1:] == (CLOSED, LOST_S + HOUR_S, "reissue", "id-card")
    assert store.cards.epoch() == 2
    assert store.reissues.successor(CARD) == NEW_CARD and store.reissues.heir(CARD) == NEW_CARD
    assert store.reissues.before(NEW_CARD) == [(CARD, LOST_S)]
    assert check(store) == []


def test_again_is_nothing():
    store = replaced()
    before = store.dump()
    replace(store, time_s=LOST_S + 9 * HOUR_S)
    assert store.dump() == before and store.cards.epoch() == 2


def test_found_again_it_stays_dead():
    store = replaced()
    for verb in ("unlose", "resume", "lose", "suspend"):
        with pytest.raises(CardRefused, match="is reissued"):
            store.cards.set(verb, CARD, LOST_S + 5 * HOUR_S, "id-card")
    assert store.cards.status(CARD) == CLOSED


def test_a_leave_of_absence_goes_on_with_the_next_card():
    """R15.2: it ends in person, with the registrar's proof, and not because a card was lost."""
    store = books()
    store.cards.set("suspend", CARD, LOST_S - 9)
    lose(store)
    replace(store)
    assert store.cards.state(NEW_CARD) == "suspended" and check(store) == []
    assert store.carry_overs.claim(NEW_CARD, DUE_S) == []
    store.cards.set("resume", NEW_CARD, DUE_S, "reinstatement")
    assert [load.amount_fen for load in store.carry_overs.claim(NEW_CARD, DUE_S)] == [OPENING_FEN]


def test_one_that_was_found_is_not_replaced():
    store = books()
    lose(store)
    store.cards.set("unlose", CARD, LOST_S + 1, "id-card")
    with pytest.raises(CardRefused, match="is active: only one that is reported lost"):
        replace(store)


@pytest.mark.parametrize("verb", [None, "suspend", "close"])
def test_only_a_card_that_is_reported_lost_is_replaced(verb):
    store = books()
    if verb:
        store.cards.set(verb, CARD, LOST_S, "id-card")
    before = store.dump()
    with pytest.raises(CardRefused, match="only one that is reported lost is replaced"):
        replace(store)
    assert store.dump() == before


@pytest.mark.parametrize(
    ("old_card", "new_card", "said"),
    [
        (99, NEW_CARD, "card 99 was never issued"),
        (CARD, 99, "card 99 was never issued"),
        (CARD, CARD, "is in use already"),
        (CARD, OTHER_CARD, "with money on it"),
        (CARD, 0xFFFFFFFF, "the map ends at"),
    ],
)
def test_a_card_that_cannot_take_its_place(old_card, new_card, said):
    store = books()
    with store.database.transaction():
        issue(store.database, {0xFFFFFFFF: 0})
    lose(store)
    before = store.dump()
    with pytest.raises(CardRefused, match=said):
        replace(store, old_card, new_card)
    assert store.dump() == before


@pytest.mark.parametrize("use", ["topped up", "tapped", "lost", "taken"])
def test_a_card_that_somebody_uses_takes_no_place(use):
    reader = Reader(1001)
    store = books(reader)
    lose(store)
    if use == "topped up":
        store.top_ups.top_up(NEW_CARD, 500, "order-1")
    elif use == "tapped":
        reader.intent(card_no=NEW_CARD)
        store.book([reader.records])
    elif use == "lost":
        lose(store, NEW_CARD)
    else:
        lose(store, OTHER_CARD)
        replace(store, OTHER_CARD, NEW_CARD)
    before = store.dump()
    with pytest.raises(CardRefused, match="is in use already"):
        replace(store)
    assert store.dump() == before


def test_a_card_has_one_successor():
    store = replaced()
    with pytest.raises(CardRefused, match=f"was replaced by card {NEW_CARD}"):
        replace(store, CARD, NEWER_CARD)
    lose(store, NEW_CARD, LOST_S + 2 * HOUR_S)
    replace(store, NEW_CARD, NEWER_CARD, LOST_S + 3 * HOUR_S)
    assert store.reissues.heir(CARD) == NEWER_CARD
    assert store.reissues.before(NEWER_CARD) == [(CARD, LOST_S), (NEW_CARD, LOST_S + 2 * HOUR_S)]
    with pytest.raises(CardRefused, match="is in use already"):
        lose(store, OTHER_CARD)
        replace(store, OTHER_CARD, CARD)
    assert check(store) == []


@pytest.mark.parametrize("evidence", ["", "ID card", "4301", "x" * 33])
def test_it_takes_evidence_shown_in_person(evidence):
    store = books()
    lose(store)
    with pytest.raises(CardRefused, match="evidence"):
        store.reissues.reissue(CARD, NEW_CARD, LOST_S, evidence)
    assert store.reissues.successor(CARD) is None


def test_what_returned_is_on_the_disk(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    store = replaced(path=path)
    before = store.dump()
    store.close()
    again = LedgerStore.open(path)
    assert again.dump() == before and again.reissues.successor(CARD) == NEW_CARD
