"""PIN tries between spends: they take nothing, and what became of a spend is told all the same."""

import random

import pytest

from ledger import reasons
from ledger.evidence import State
from ledger.forks import forks
from ledger.invariants import check
from ledger.lost import lost_spends
from protocols.rules.reasons import IDENTITY_CHECK
from protocols.wire import messages
from protocols.wire.messages import COMMITTED, FLAG_PIN, FLAG_TRY, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, Reader, lost, open_ledger


class Card:
    """A card that moves on by one with whatever changes it, and names what that was."""

    def __init__(self):
        self.counter, self.last, self.balance_fen = 0, (0, 0), OPENING_FEN

    def intent(self, reader, amount_fen, flags):
        return reader.intent(
            counter=self.counter,
            last=self.last,
            amount_fen=amount_fen,
            before_fen=self.balance_fen,
            flags=flags,
        )

    def change(self, record_id, amount_fen=0):
        self.counter, self.last = self.counter + 1, record_id
        self.balance_fen -= amount_fen


def take(card, reader, amount_fen, is_done=True, result=COMMITTED, flags=0):
    """A spend, or a try where `amount_fen` is 0; the record id. `result` None: no OUTCOME."""
    record_id = card.intent(reader, amount_fen, flags if amount_fen else FLAG_TRY)
    if is_done:
        card.change(record_id, amount_fen)
    if result is not None:
        reader.outcome(record_id, result)
    return record_id


def test_a_try_is_settled_and_moves_no_money():
    reader, card = Reader(1001), Card()
    first = take(card, reader, 0)
    paid = take(card, reader, 6000, flags=FLAG_PIN)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*first) is store.state(*paid) is State.COMMITTED
    assert store.takings(CANTEEN) == 6000 and store.cases() == []
    assert list(store.booked_ids()) == [(1001, 3, 6000, CARD)]
    assert check(store) == [] and list(forks(store)) == []


@pytest.mark.parametrize("result", [None, UNKNOWN])
@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("amount_fen", [0, 700])
@pytest.mark.parametrize("next_fen", [0, 700])
def test_a_try_settles_what_came_before_and_is_settled_by_what_follows(
    result, is_done, amount_fen, next_fen
):
    reader, other, card = Reader(1001), Reader(1002), Card()
    open_end = take(card, reader, amount_fen, is_done, result)
    take(card, other, next_fen)
    store = open_ledger(reader, other)
    store.book([reader.records, other.records])
    assert store.state(*open_end) is (State.COMMITTED if is_done else State.NOT_COMMITTED)
    assert store.takings(CANTEEN) == amount_fen * is_done + next_fen
    assert check(store) == [] and store.cases() == [] and list(forks(store)) == []


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("is_early", [False, True])
def test_tries_that_the_card_centre_gives_back_hide_nothing(is_done, is_early):
    """The step has no record anywhere: the card names the last one as it did before."""
    reader, other, card = Reader(1001), Reader(1002), Card()
    take(card, reader, 0)
    torn = take(card, reader, 700, is_done, UNKNOWN)
    card.change(card.last)
    take(card, other, 300)
    store = open_ledger(reader, other)
    deliveries = [other.records, reader.records] if is_early else [reader.records, other.records]
    for delivery in deliveries:
        store.book([delivery])
    assert store.state(*torn) is (State.COMMITTED if is_done else State.NOT_COMMITTED)
    assert store.takings(CANTEEN) == 700 * is_done + 300
    assert check(store) == [] and store.cases() == [] and list(forks(store)) == []


@pytest.mark.parametrize("seed", range(60))
def test_a_life_with_tries_is_told_whole(seed):
    """Torn or not, told or not, at three readers, in any order: what happened is booked."""
    print("seed", seed)
    draw, card = random.Random(seed), Card()
    readers = [Reader(device) for device in (1001, 1002, 1003)]
    take(card, readers[0], 0)
    truth, has_tries = {}, True
    for _ in range(20):
        if has_tries and draw.random() < 0.3:
            card.change(card.last)  # given back at the desk
            has_tries = False
        amount_fen, is_done = draw.choice((0, 0, 100, 250)), draw.random() < 0.6
        told = COMMITTED if is_done else NOT_COMMITTED
        result = draw.choice((None, UNKNOWN, told))
        record_id = take(card, draw.choice(readers), amount_fen, is_done, result)
        truth[record_id] = (is_done, amount_fen)
        has_tries |= is_done and not amount_fen
    take(card, readers[0], 1)
    store = open_ledger(*readers)
    deliveries = [sealed for reader in readers for sealed in reader.records]
    draw.shuffle(deliveries)
    for sealed in deliveries:
        store.book([[sealed]])
    for record_id, (is_done, _) in truth.items():
        state = store.state(*record_id)
        assert (state is State.COMMITTED) == is_done, record_id
    paid_fen = sum(amount_fen for is_done, amount_fen in truth.values() if is_done)
    assert store.takings(CANTEEN) == paid_fen + 1
    assert check(store) == [] and store.cases() == []
    assert list(forks(store)) == []


def test_a_try_whose_record_is_lost_cost_nothing():
    reader, other, card = Reader(1001), Reader(1002), Card()
    take(card, reader, 700)
    attempt = take(card, reader, 0)
    take(card, other, 100)
    store = open_ledger(reader, other)
    gone = lost(reader.key, 1001, attempt[1], reader.records[attempt[1]])
    records = [*reader.records[: attempt[1] - 1], gone, *reader.records[attempt[1] :]]
    store.book([records, other.records])
    (found,) = lost_spends(store)
    assert (found.device, found.seq, found.amount_fen) == (*attempt, 0)
    assert store.takings(CANTEEN) == 800 and check(store) == []


def test_a_try_that_takes_money_is_somebodys_case():
    reader = Reader(1001)
    spend = reader.spend(amount_fen=500, flags=FLAG_TRY)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.cases() == [(reasons.TRY_OF_MONEY, *spend)]
    assert store.takings(CANTEEN) == 500 and check(store) == []


def test_a_spend_of_nothing_that_is_no_try_still_is():
    reader = Reader(1001)
    spend = reader.spend(amount_fen=0)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.cases() == [(reasons.NO_AMOUNT, *spend)]


def test_a_withheld_card_is_a_case_for_the_card_centre():
    reader = Reader(1001)
    reader.write(messages.CAPTURE, card_no=CARD, reason=IDENTITY_CHECK)
    store = open_ledger(reader)
    for _ in range(2):  # delivered twice, opened once
        store.book([reader.records])
    assert store.cases() == [(reasons.CARD_CAPTURED, 1001, 1)]
    assert check(store) == []
