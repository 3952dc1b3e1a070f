"""What the books ask a merchant by themselves, and what he sees of it (R19.1)."""

from ledger.invariants import check
from ledger.procedures import QUESTION, Act
from ledger.questions import ask, exhibits, found
from ledger.splits import report
from ledger.watch import Watch
from tests.ledger.campus import NOW_S
from tests.ledger.readers import CANTEEN, CARD, KIOSK, OTHER_CARD, Reader, open_ledger
from tests.ledger.test_splits import NOON_S, pay, rich
from tests.rules.test_split import LIMIT_FEN

NORTH, SOUTH = 1001, 1002
WALKS = {frozenset(("north", "south")): 240}


def asked(store, person="zhao"):
    return [ask(store, one, person, NOW_S) for one in found(store, LIMIT_FEN)]


def test_a_split_that_is_sure_is_asked_about_once_with_its_records():
    reader, beside, card, other = Reader(NORTH), Reader(SOUTH), rich(CARD), rich(OTHER_CARD)
    ids = [pay(reader, card, at_s) for at_s in (0, 10, 20)]
    pay(reader, other, 30, 3_000)
    pay(beside, other, 30, 3_000, span=(NOON_S + 90, NOON_S + 290))  # possible, by its clock
    store = open_ledger(reader, beside)
    store.book([reader.records, beside.records])
    assert [one.is_sure for one in report(store, LIMIT_FEN).splits].count(False) == 1
    assert len(list(found(store, LIMIT_FEN))) == 1
    assert asked(store) == [(1, True)]
    assert asked(store, "another") == [(1, False)]
    question = store.merchants.dossiers.dossier(1)
    assert (question.kind, question.merchant_no) == (QUESTION, CANTEEN)
    assert question.records == tuple(ids)
    assert "3 charges of one card within" in question.steps[0].by.said
    seen = list(exhibits(store, question.records))
    assert [(one.device, one.seq, one.amount_fen) for one in seen] == [
        (*place, 2_000) for place in ids
    ]
    assert not any(one.has_pin for one in seen)
    answer = Act("merchant", "wu", said="three friends, one card")
    assert store.merchants.dossiers.say(1, "answer", answer, NOW_S) == "answered"
    assert asked(store) == [(1, False)]
    assert check(store) == []


def walked(merchants):
    """One card at two sites within a minute, at readers of these merchants."""
    readers = [Reader(NORTH, merchants[0]), Reader(SOUTH, merchants[1])]
    store, card = open_ledger(), rich(CARD)
    for reader, site in zip(readers, ("north", "south"), strict=True):
        store.register_device(reader.device, reader.key, reader.merchant_no, site)
    ids = [pay(readers[0], card, 0, fen=300), pay(readers[1], card, 60, fen=300)]
    store.book([reader.records for reader in readers])
    assert Watch(store, lambda: NOW_S, WALKS).look()
    return store, ids


def test_who_was_paid_sooner_than_anybody_walks_is_asked_about_his_own_records():
    store, (first, second) = walked((CANTEEN, KIOSK))
    assert asked(store) == [(1, True)]
    question = store.merchants.dossiers.dossier(1)
    assert (question.merchant_no, question.records) == (KIOSK, (second,))
    assert "record {}/{}".format(*first) in question.steps[0].by.said
    store, ids = walked((CANTEEN, CANTEEN))
    asked(store)
    assert store.merchants.dossiers.dossier(1).records == tuple(ids)
    assert check(store) == []


def test_honest_books_ask_nothing():
    reader, card = Reader(NORTH), rich(CARD)
    pay(reader, card, 0)
    pay(reader, card, 2_000)
    store = open_ledger(reader)
    store.book([reader.records])
    assert asked(store) == []
