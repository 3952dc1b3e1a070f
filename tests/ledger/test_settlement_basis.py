"""What an ended card's money rests on: a proof, or a person who has named who is passed over."""

import hashlib

import pytest

from ledger.card_status import CardRefused
from ledger.carry_over import AFTER_S
from ledger.certificates import release
from ledger.invariants import check
from ledger.quiescence import Bar, examine, statement
from ledger.settlement_basis import Decision
from protocols.wire.messages import NOT_COMMITTED
from tests.ledger.readers import CARD, OPENING_FEN, Reader, open_ledger
from tests.ledger.replaced import NEW_CARD, books
from tests.ledger.test_quiescence import inspect

END_S = 1_000_000
DUE_S = END_S + AFTER_S
BASIS = "SELECT number, before_s, sha256, person, because FROM settlement_basis ORDER BY number"
DESPITE = "SELECT number, device, seq, bar FROM settlement_despite ORDER BY number, device, seq"


@pytest.fixture
def counter():
    """CARD is closed; two readers, of which the first has told what it took."""
    one, other = Reader(1001), Reader(1002)
    store = books(one, other)
    store.cards.set("close", CARD, END_S, "id-card")
    inspect(one, END_S)
    store.book([one.records])
    return store, one, other


def despite(*places):
    return Decision("zhou", "scrapped, its merchant says", frozenset(places))


def amounts(settled):
    return [(one.card_no, one.amount_fen) for one in settled]


def barring(store):
    return [
        (one.bar, one.device) for card in store.settlements.waiting(DUE_S) for one in card.blocking
    ]


def test_hours_alone_move_nothing(counter):
    store, _one, other = counter
    before = store.dump()
    assert store.settlements.settle(DUE_S) == []
    assert barring(store) == [(Bar.NEVER_HEARD, 1002)]
    assert store.settlements.settle(DUE_S + 100 * AFTER_S) == []
    assert store.dump() == before
    # Its spend of before was still under way: it leaves the card before the money does.
    other.spend(amount_fen=700, earliest_s=END_S - 9, latest_s=END_S - 8)
    inspect(other, END_S)
    store.book([other.records])
    assert store.settlements.waiting(DUE_S) == []
    assert store.settlements.settle(DUE_S - 1) == []
    assert amounts(store.settlements.settle(DUE_S)) == [(CARD, OPENING_FEN - 700)]
    assert store.cases() == [] and check(store) == []


def test_a_proof_stands_in_the_books_with_its_hash(counter):
    store, _one, other = counter
    inspect(other, END_S)
    store.book([other.records])
    found = examine(store.database, CARD, END_S)
    store.settlements.settle(DUE_S)
    digest = hashlib.sha256(statement(found)).digest()
    assert list(store.database.rows(BASIS)) == [(1, END_S, digest, "", "")]
    assert list(store.database.rows(DESPITE)) == []


def test_a_person_passes_over_those_they_name_and_no_other(counter):
    store, _one, other = counter
    open_intent = other.intent(earliest_s=END_S - 9, latest_s=END_S - 8)
    store.book([other.records])
    assert barring(store) == [(Bar.SILENT, 1002), (Bar.UNFINISHED, 1002)]
    for places in ([(1002, 0)], [open_intent], [(1001, 0)]):
        assert store.settlements.settle(DUE_S, decision=despite(*places)) == []
    both = despite((1002, 0), open_intent)
    assert store.settlements.settle(DUE_S - 1, decision=both) == []  # the hours stay
    assert amounts(store.settlements.settle(DUE_S, decision=both)) == [(CARD, OPENING_FEN)]
    assert store.settlements.settle(DUE_S, decision=both) == []
    ((number, _before_s, _sha256, *who),) = store.database.rows(BASIS)
    assert who == ["zhou", "scrapped, its merchant says"]
    assert list(store.database.rows(DESPITE)) == [
        (number, 1002, 0, "silent"),
        (number, *open_intent, "unfinished"),
    ]
    # It was not so: the card had been debited, and its holder owes it.
    other.outcome(open_intent)
    store.book([other.records])
    assert store.balances()["holder", CARD] == -100
    assert [case[0] for case in store.cases()] == [419]
    assert check(store) == []


def test_a_decision_that_nothing_needed_is_a_proof(counter):
    store, _one, other = counter
    inspect(other, END_S)
    store.book([other.records])
    store.settlements.settle(DUE_S, decision=despite((1002, 0)))
    assert [row[3] for row in store.database.rows(BASIS)] == [""]


def test_a_released_reader_keeps_nothing_back(counter):
    store, _one, _other = counter
    release(store.database, 1002, 0, DUE_S, "zhou", "scrapped")
    assert amounts(store.settlements.settle(DUE_S)) == [(CARD, OPENING_FEN)]


def test_each_card_of_a_chain_counts_to_its_own_day():
    """The old one to its loss, the new one to its end: marks of between let the old one go."""
    reader = Reader(1001)
    store = books(reader)
    store.cards.set("lose", CARD, END_S - 3_600)
    store.reissues.reissue(CARD, NEW_CARD, END_S - 3_000, "id-card")
    store.top_ups.top_up(NEW_CARD, 500, "a")
    store.cards.set("close", NEW_CARD, END_S, "id-card")
    inspect(reader, END_S - 3_600)
    store.book([reader.records])
    assert amounts(store.settlements.settle(DUE_S)) == [(CARD, OPENING_FEN)]
    assert barring(store) == [(Bar.SILENT, 1001)]
    inspect(reader, END_S)
    store.book([reader.records])
    assert amounts(store.settlements.settle(DUE_S)) == [(NEW_CARD, 500)]
    assert check(store) == []


def test_marks_that_were_found_for_one_card_do_not_hide_another_s_bar():
    """Looked for once for a whole list; what is of the card alone is asked for each."""
    reader = Reader(1001)
    store = open_ledger(reader)
    cards = range(50, 54)
    store.issue_cards([(card_no, 1_000) for card_no in cards])
    for card_no in cards:
        store.cards.set("close", card_no, END_S, "id-card")
    torn = reader.intent(card_no=52, earliest_s=END_S - 9, latest_s=END_S - 8, before_fen=1_000)
    inspect(reader, END_S)
    store.book([reader.records])
    assert [card_no for card_no, _fen in amounts(store.settlements.settle(DUE_S))] == [50, 51, 53]
    assert [found.card_no for found in store.settlements.waiting(DUE_S)] == [52]
    reader.outcome(torn, NOT_COMMITTED)
    store.book([reader.records])
    assert amounts(store.settlements.settle(DUE_S)) == [(52, 1_000)]


@pytest.mark.parametrize(
    ("person", "because", "places"),
    [("", "gone", [(1002, 0)]), ("zhou", "", [(1002, 0)]), ("zhou", "gone", [])],
)
def test_a_decision_has_a_name_a_reason_and_readers(person, because, places):
    with pytest.raises(CardRefused):
        Decision(person, because, frozenset(places))
