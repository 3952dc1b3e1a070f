"""Spends, loss, reissue, asks and late records in any order: what there was is somewhere, once."""

import random

import pytest

from ledger.invariants import check
from protocols.card.purse import CARD_CENTRE
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CARD, OPENING_FEN, Reader
from tests.ledger.replaced import (
    ACROSS,
    AFTER,
    BEFORE,
    DUE_S,
    HOUR_S,
    LOST_S,
    NEW_CARD,
    NEWER_CARD,
    books,
    held,
)

CARDS = (CARD, NEW_CARD, NEWER_CARD)


class Life:
    """One holder with one card after another, finders, and two readers that tell late."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.readers = [Reader(1001), Reader(1002)]
        self.store = books(*self.readers)
        self.told = [0, 0]
        self.now_s = LOST_S - 10 * HOUR_S
        self.card = 0  # of CARDS
        self.counter, self.last = [1, 1, 1], [(0, 0)] * 3
        self.paid_in_fen = OPENING_FEN
        self.orders = 0

    def spend(self):
        reader, card = self.draw.choice(self.readers), self.draw.randrange(self.card + 1)
        width_s = self.draw.choice((0, 0, 120))
        when = {"earliest_s": self.now_s - width_s, "latest_s": self.now_s + width_s}
        fen = self.draw.choice((100, 700, 2_500))
        sale = reader.intent(CARDS[card], self.counter[card], fen, self.last[card], **when)
        result = self.draw.choice((COMMITTED, COMMITTED, COMMITTED, NOT_COMMITTED, UNKNOWN))
        reader.outcome(sale, result)
        if result == COMMITTED or (result == UNKNOWN and self.draw.random() < 0.5):
            self.counter[card] += 1
            self.last[card] = sale
        if result == COMMITTED and self.draw.random() < 0.3:
            reader.cancel(sale, CARDS[card], fen)

    def lie(self):
        """A reader makes up a sale that no card has seen, and its cancellation."""
        reader, card = self.draw.choice(self.readers), self.draw.randrange(self.card + 1)
        when = {"earliest_s": self.now_s, "latest_s": self.now_s}
        fen = self.draw.choice((2_000, 40_000))
        sale = reader.intent(CARDS[card], self.counter[card] + 5, fen, (7, 7), **when)
        reader.outcome(sale)
        reader.cancel(sale, CARDS[card], fen)

    def top_up(self):
        self.orders += 1
        fen = self.draw.choice((300, 4_000))
        self.store.top_ups.top_up(CARDS[self.card], fen, f"order-{self.orders}")
        self.paid_in_fen += fen

    def ask(self):
        """The card in hand lies at a reader online: what is due is offered, tried, maybe done."""
        card = self.card
        if self.store.cards.status(CARDS[card]) != 0:
            assert self.store.carry_overs.claim(CARDS[card], self.now_s) == []
            return
        for _ in range(self.draw.choice((1, 2))):
            self.store.carry_overs.claim(CARDS[card], self.now_s)
        pending = self.store.top_ups.next_of(CARDS[card], self.counter[card])
        if pending is None:
            return
        number, at = pending.load.number, self.counter[card]
        if any(tried != at for tried in pending.tries):
            return
        self.store.top_ups.note_try(number, at, 1001)
        reader, fen = self.draw.choice(self.readers), pending.load.amount_fen
        credit = reader.credit(CARDS[card], at, number, fen, self.last[card])
        result = self.draw.choice((COMMITTED, COMMITTED, UNKNOWN, NOT_COMMITTED))
        if result == COMMITTED or (result == UNKNOWN and self.draw.random() < 0.5):
            self.counter[card] += 1
            self.last[card] = (CARD_CENTRE, number)
        reader.outcome(credit, result)

    def deliver(self):
        at = self.draw.randrange(2)
        records = self.readers[at].records
        upto = self.draw.randrange(self.told[at], len(records) + 1)
        self.told[at] = max(upto, self.told[at])
        self.store.book([records[max(0, upto - 4) : upto]])

    def lose(self):
        self.store.cards.set("lose", CARDS[self.card], self.now_s)

    def reissue(self):
        if self.card == 2 or self.store.cards.status(CARDS[self.card]) != 1:
            return
        self.store.reissues.reissue(*CARDS[self.card : self.card + 2], self.now_s, "id-card")
        self.card += 1

    def sweep(self):
        self.store.carry_overs.sweep(self.now_s)

    def wait(self):
        self.now_s += self.draw.choice((60, HOUR_S, 30 * HOUR_S, 80 * HOUR_S))

    def go_on(self):
        """Any one thing happens."""
        acts = [self.spend, self.spend, self.top_up, self.ask, self.ask, self.deliver]
        acts += [self.deliver, self.lose, self.reissue, self.sweep, self.wait]
        acts += [self.lie] if self.draw.random() < 0.3 else []
        self.draw.choice(acts)()

    def tell_everything(self):
        for reader in self.readers:
            self.store.book([reader.records])
        self.now_s += 100 * HOUR_S
        for _ in range(2):
            self.sweep()


# What was carried over from a card, less what was paid in for it or carried over to it.
_CAME_AND_WENT = """
SELECT card, SUM(fen) FROM (
    SELECT debit_account & 4294967295 AS card, amount_fen AS fen FROM transfer WHERE kind = 9
    UNION ALL
    SELECT credit_account & 4294967295, -amount_fen FROM transfer WHERE kind IN (2, 3, 9))
GROUP BY card"""


def _total(store):
    return -store.balances()["clearing", 0]


@pytest.mark.parametrize("seed", range(40))
def test_what_there_was_is_somewhere_once(seed):
    print(f"replay: pytest tests/ledger/test_carry_over_any_order.py -k '[{seed}]'")
    life = Life(seed)
    opened_fen = _total(life.store) - OPENING_FEN
    for _ in range(60):
        life.go_on()
        assert check(life.store) == []
    life.tell_everything()
    assert check(life.store) == []
    balances = life.store.balances()
    assert -balances["clearing", 0] - opened_fen == life.paid_in_fen
    loss_fen = balances["loss", 342] + balances["loss", 343]
    assert balances["loss", 342] <= 0 and balances["loss", 343] <= 0
    # What the holder has, in whatever place, the merchants and the losses are what was paid in.
    held_fen = sum(
        balances.get((kind, card), 0) for kind in ("holder", "pending") for card in CARDS
    )
    assert held_fen + balances["merchant", 12] + loss_fen == life.paid_in_fen
    # No card hands on more than has come to it, whatever its readers tell.
    sums = dict(life.store.database.rows(_CAME_AND_WENT))
    for card in CARDS[:2]:
        assert sums.get(card, 0) <= 0, f"card {card} has handed on {sums[card]} fen too much"
    # Nothing stays behind on a replaced card.
    if life.store.cards.status(CARDS[life.card]) == 0:
        for card in CARDS[: life.card]:
            assert balances.get(("pending", card), 0) == 0
            assert balances["holder", card] <= 0
    # The same books, told again from the start, change nothing.
    before = life.store.dump()
    life.tell_everything()
    assert life.store.dump() == before


def test_these_lives_meet_what_they_are_for():
    """Most things that can happen to a replaced card happen in some of them."""
    kinds, reasons = set(), set()
    for seed in range(40):
        life = Life(seed)
        for _ in range(60):
            life.go_on()
        life.tell_everything()
        kinds |= {kind for (kind,) in life.store.database.rows("SELECT kind FROM transfer")}
        reasons |= {reason for reason, _, _ in life.store.cases()}
    assert kinds >= {1, 3, 4, 5, 9, 10, 11, 12, 13}
    assert reasons >= {342, 343, 344}


def test_what_is_told_late_comes_to_the_same_in_whatever_order():
    """Of the same records behind the same carry-over each has the same bearer."""
    here, there = Reader(1001), Reader(1002)
    sale = here.spend(amount_fen=200, counter=1, **BEFORE)
    there.spend(amount_fen=300, counter=2, last=sale, **AFTER)
    here.cancel(sale, amount_fen=200)
    there.outcome(there.credit(counter=3, number=1, amount_fen=500, last=(1002, 1)))
    here.spend(amount_fen=900, counter=4, last=(CARD_CENTRE, 1), **BEFORE)
    there.spend(amount_fen=50, counter=5, last=(1001, 4), **ACROSS)
    dumps = set()
    for seed in range(12):
        print(f"seed {seed}")
        draw = random.Random(seed)
        store = books(here, there)
        store.top_ups.top_up(CARD, 500, "order-1")
        store.top_ups.note_try(1, 3, 1001)
        store.cards.set("lose", CARD, LOST_S)
        store.reissues.reissue(CARD, NEW_CARD, LOST_S + HOUR_S, "id-card")
        store.carry_overs.claim(NEW_CARD, DUE_S)
        every = [*here.records, *there.records]
        draw.shuffle(every)
        while every:
            part = [every.pop() for _ in range(min(len(every), draw.choice((1, 2, 9))))]
            store.book([part, part])
            assert check(store) == []
        store.carry_overs.sweep(DUE_S)
        assert held(store) == (0, 0, OPENING_FEN + 500, -350, -900)
        dumps.add(store.dump())
    assert len(dumps) == 1
