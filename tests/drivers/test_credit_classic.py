"""Money onto a MIFARE Classic with the key of this one card, and a hand that pulls it away."""

import pytest

from firmware.drivers.mifare_classic import KEY_A, AuthFailed, CardRefused, Classic
from firmware.services.purse import COMMITTED, NOT_COMMITTED, UNKNOWN
from protocols.card.diversify import Cmac
from protocols.card.personalise import CREDIT_KEY as CREDIT_PURPOSE
from protocols.card.purse import BALANCE_FEN_MAX, CARD_CENTRE, COUNTER_MAX
from protocols.card.purse_classic import READ_KEY, VALUE_BLOCKS, sector_key
from tests.drivers.desk import BALANCE_FEN, CREDIT_KEY, PURSE_KEY, UID4, Desk, aes, new_card
from tests.drivers.test_purse import spend

CREDIT_FEN = 5_000
TIME_S = 1_700_000_000


def key_of(uid=UID4, master=CREDIT_KEY):
    """What the ledger sends for one card."""
    return sector_key(Cmac(aes(master)), uid, CREDIT_PURPOSE, VALUE_BLOCKS[0] // 4)


def order_for(view, number=7, amount_fen=CREDIT_FEN):
    """What the ledger orders for a card that it knows to be as `view` says."""
    numbers = {"device": 1001, "expires_s": TIME_S + 60, "number": number}
    return {**numbers, "card_no": view.card_no, "counter": view.counter, "amount_fen": amount_fen}


class Counter:
    """A card that has been spent from `spent` times lies on the reader, and has been read."""

    def __init__(self, seed=0, spent=0, torn="mixed"):
        self.desk, self.card = Desk(seed), new_card(seed=seed)
        self.card.torn = torn
        self.desk.place(self.card)
        self.purse = self.desk.purse(self.desk.pcd.poll())
        for seq in range(spent):
            assert spend(self.purse, self.purse.read(), seq=seq + 1) == COMMITTED
        self.view = self.purse.read()

    def credit(self, number=7, key=None):
        key = key_of() if key is None else key
        return self.purse.credit(self.view, order_for(self.view, number), TIME_S, key)

    def read_again(self):
        self.desk.model.before_exchange = None
        self.desk.field.remove(self.card)
        assert self.desk.pcd.poll() is None
        self.desk.place(self.card)
        return self.desk.purse(self.desk.pcd.poll()).read()


def test_a_credit_is_on_the_card_and_says_whose():
    counter = Counter(spent=1)
    assert counter.credit() == COMMITTED
    view = counter.read_again()
    assert view.balance_fen == counter.view.balance_fen + CREDIT_FEN
    assert view.counter == counter.view.counter + 1
    assert (view.last_device, view.last_seq) == (CARD_CENTRE, 7)
    assert (view.last_time_s, view.last_amount_fen) == (TIME_S, CREDIT_FEN)
    assert (view.day, view.day_total_fen) == (counter.view.day, counter.view.day_total_fen)
    assert counter.desk.model.violations == []


def test_an_order_is_carried_out_once():
    """Repeated on the way, or kept by a reader: the card's counter has moved on for ever."""
    counter = Counter()
    order = order_for(counter.view)
    assert counter.purse.credit(counter.view, order, TIME_S, key_of()) == COMMITTED
    for _ in range(3):
        view = counter.read_again()
        purse = counter.desk.purse(counter.desk.pcd.card)
        with pytest.raises(ValueError, match="another card or counter"):
            purse.credit(view, order, TIME_S, key_of())
        assert spend(purse, purse.read(), seq=view.counter) == COMMITTED
    assert counter.read_again().balance_fen == BALANCE_FEN + CREDIT_FEN - 3 * 350


def test_an_order_for_another_card_is_not_carried_out():
    counter = Counter()
    order = {**order_for(counter.view), "card_no": 4712}
    with pytest.raises(ValueError, match="another card"):
        counter.purse.credit(counter.view, order, TIME_S, key_of())
    assert counter.read_again().balance_fen == BALANCE_FEN


def test_spending_goes_on_behind_it():
    counter = Counter()
    assert counter.credit() == COMMITTED
    assert spend(counter.purse, counter.purse.read(), seq=8) == COMMITTED
    assert counter.purse.read().balance_fen == BALANCE_FEN + CREDIT_FEN - 350


@pytest.mark.parametrize("wrong", ["other card", "other campus", "reader's own"])
def test_another_key_makes_no_money(wrong):
    key = {
        "other card": key_of(b"\1\2\3\4"),
        "other campus": key_of(master=bytes(16)),
        "reader's own": sector_key(Cmac(aes(PURSE_KEY)), UID4, READ_KEY, VALUE_BLOCKS[0] // 4),
    }[wrong]
    counter = Counter()
    assert counter.credit(key=key) == NOT_COMMITTED
    assert isinstance(counter.purse.fault, AuthFailed)
    assert counter.read_again().balance_fen == BALANCE_FEN


def test_the_key_is_forgotten():
    counter = Counter()
    counter.credit()
    assert key_of() not in repr(vars(counter.purse)).encode()
    assert counter.purse._credit_key is None
    view = counter.purse.read()
    classic = Classic(counter.desk.pcd, counter.desk.pcd.card)
    read_key = sector_key(Cmac(aes(PURSE_KEY)), UID4, READ_KEY, VALUE_BLOCKS[0] // 4)
    classic.authenticate(VALUE_BLOCKS[0], read_key, KEY_A)
    with pytest.raises(CardRefused):
        classic.increment(VALUE_BLOCKS[0], 1)
    assert counter.read_again().balance_fen == view.balance_fen


def test_a_view_that_is_out_of_date_gets_nothing():
    counter = Counter()
    old = counter.view
    assert spend(counter.purse, old, seq=3) == COMMITTED
    counter.view = old
    assert counter.credit() == NOT_COMMITTED
    assert counter.read_again().balance_fen == BALANCE_FEN - 350


@pytest.mark.parametrize(
    ("amount_fen", "name", "value"),
    [
        (0, "counter", 0),
        (-1, "counter", 0),
        (1 << 24, "counter", 0),
        (1, "counter", COUNTER_MAX),
        (1, "balance_fen", BALANCE_FEN_MAX),
    ],
)
def test_what_cannot_be_is_refused_before_the_card_is_touched(amount_fen, name, value):
    counter = Counter()
    setattr(counter.view, name, value)
    transactions = counter.desk.model.transactions
    with pytest.raises(ValueError, match=r"amount_fen|counter"):
        order = order_for(counter.view, 7, amount_fen)
        counter.purse.credit(counter.view, order, TIME_S, key_of())
    assert counter.desk.model.transactions == transactions


@pytest.mark.parametrize("torn", ["mixed", "erased", "old", "new"])
@pytest.mark.parametrize("spent", [0, 1])
def test_torn_before_every_exchange_it_is_there_or_it_is_not(torn, spent):
    whole = Counter(1, spent)
    _, exchanges, _, _ = whole.desk.counted(whole.credit)
    seen = set()
    for exchange in range(exchanges + 1):
        counter = Counter(1, spent, torn)
        last = counter.desk.model.transactions + exchange

        def pull(number, counter=counter, last=last):
            if number == last:
                counter.desk.field.remove(counter.card)

        counter.desk.model.before_exchange = pull
        result = counter.credit()
        view = counter.read_again()
        moved = view.counter - counter.view.counter
        assert view.balance_fen == counter.view.balance_fen + moved * CREDIT_FEN
        assert moved in {COMMITTED: (1,), NOT_COMMITTED: (0,), UNKNOWN: (0, 1)}[result]
        assert ((view.last_device, view.last_seq) == (CARD_CENTRE, 7)) == bool(moved)
        seen.add((result, moved))
    assert {(NOT_COMMITTED, 0), (COMMITTED, 1)} <= seen
