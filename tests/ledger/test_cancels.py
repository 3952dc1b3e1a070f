"""A cancelled sale is given back once, to what waits for its card, or a case says why not."""

import itertools

import pytest

from ledger import cancels, reasons
from ledger.invariants import check
from ledger.store import LedgerStore
from ledger.topups import TopUpRefused
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.wire import messages
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import (
    CANTEEN,
    CARD,
    KIOSK,
    OPENING_FEN,
    OTHER_CARD,
    Reader,
    lost,
    open_ledger,
)

PAID_FEN = 100
SOLD = {"purse": OPENING_FEN - PAID_FEN, "pending": 0, "merchant": PAID_FEN}
BACK = {"purse": OPENING_FEN - PAID_FEN, "pending": PAID_FEN, "merchant": 0}
LOADED = {"purse": OPENING_FEN, "pending": 0, "merchant": 0}
UNSOLD = {"purse": OPENING_FEN, "pending": 0, "merchant": 0}


def money(store, card_no=CARD):
    assert check(store) == []
    balances = store.balances()
    return {
        "purse": balances["holder", card_no],
        "pending": balances.get(("pending", card_no), 0),
        "merchant": balances["merchant", CANTEEN],
    }


def booked(*readers, store=None):
    store = store or open_ledger(*readers)
    for reader in readers:
        store.book([reader.records])
    return store


def number_of(store):
    ((number,),) = store.database.rows("SELECT number FROM cancel")
    return number


# --- failures ---------------------------------------------------------------------------------


def test_a_cancel_that_comes_twice_or_late_gives_back_once():
    reader = Reader(1001)
    reader.cancel(reader.spend())
    store = open_ledger(reader)
    intent, outcome, cancel = reader.records
    for delivery in ([cancel], [cancel, outcome], [cancel]):
        store.book([delivery])
        assert money(store) == UNSOLD, "it waits for its sale"
    store.book([[intent]])
    assert money(store) == BACK
    for delivery in ([cancel], reader.records, [outcome, cancel]):
        store.book([delivery])
    assert money(store) == BACK and store.cases() == []
    assert store.summary()["cancelled"] == 1 and store.given_back(CANTEEN) == PAID_FEN


@pytest.mark.parametrize("delivery", [1, 3, 9])
def test_a_second_cancel_of_a_sale_gives_nothing(delivery):
    reader = Reader(1001)
    sale = reader.spend()
    reader.cancel(sale)
    again = [reader.cancel(sale), reader.cancel(sale)]
    store = open_ledger(reader)
    for at in range(0, 9, delivery):
        store.book([reader.records[at : at + delivery]])
    assert money(store) == BACK
    assert store.cases() == [(reasons.CANCELLED_TWICE, *record) for record in again]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"amount_fen": PAID_FEN + 1}, reasons.CANCEL_DIFFERS),
        ({"amount_fen": PAID_FEN - 1}, reasons.CANCEL_DIFFERS),
        ({"amount_fen": 0xFFFFFFFF}, reasons.CANCEL_DIFFERS),
        ({"card_no": OTHER_CARD}, reasons.CANCEL_DIFFERS),
        ({"card_no": 99}, reasons.CANCEL_DIFFERS),
    ],
)
def test_what_is_not_as_it_was_sold_is_a_case(wrong, reason):
    reader = Reader(1001)
    record = reader.cancel(reader.spend(), **wrong)
    store = booked(reader)
    assert money(store) == SOLD
    assert store.cases() == [(reason, *record)]


def a_try(reader):
    return reader.intent(amount_fen=0, flags=messages.FLAG_TRY)


@pytest.mark.parametrize(
    "target",
    [
        lambda reader: (1002, 1),  # somebody else's sale
        lambda reader: (1009, 1),  # nobody's
        lambda reader: (1001, reader.seq),  # an OUTCOME
        lambda reader: (1001, reader.seq + 1),  # itself
        lambda reader: (1001, reader.seq + 2),  # what is still to come
        a_try,
        lambda reader: reader.credit(amount_fen=PAID_FEN),
    ],
)
def test_what_is_no_sale_of_this_reader_is_a_case(target):
    other, reader = Reader(1002), Reader(1001)
    other.spend(counter=1)
    reader.spend(counter=2, last=(1002, 1))
    reader.cancel(target(reader))
    record = 1001, reader.seq
    reader.spend(counter=3, last=(1001, 1))
    store = booked(other, reader)
    money(store)
    assert (reasons.CANCEL_OF_NO_SALE, *record) in store.cases()
    assert store.given_back(CANTEEN) == 0 and store.summary()["cancelled"] == 0


def test_the_sale_of_another_merchant_is_a_case():
    """Its money went to that one, which this reader does not stand at."""
    reader = Reader(1001)
    record = reader.cancel(reader.spend(merchant_no=KIOSK))
    store = booked(reader)
    assert check(store) == [] and store.balances()["merchant", KIOSK] == PAID_FEN
    assert (reasons.CANCEL_DIFFERS, *record) in store.cases()


@pytest.mark.parametrize("amount_fen", [AMOUNT_FEN_MAX, AMOUNT_FEN_MAX + 1, 0xFFFFFFFF])
def test_more_than_a_card_can_hold_wedges_nothing(amount_fen):
    reader = Reader(1001)
    sale = reader.spend(amount_fen=amount_fen, before_fen=0xFFFFFFFF)
    record = reader.cancel(sale, amount_fen=amount_fen)
    reader.boot()
    store = booked(reader)
    assert check(store) == [] and store.heads() == {1001: 4}
    is_case = (reasons.CANCEL_OF_NO_SALE, *record) in store.cases()
    assert is_case == (amount_fen > AMOUNT_FEN_MAX)


@pytest.mark.parametrize("result", [None, UNKNOWN, NOT_COMMITTED])
@pytest.mark.parametrize("is_paid", [True, False])
@pytest.mark.parametrize("is_last", [True, False])
def test_it_waits_until_the_sale_is_known_to_be_paid(result, is_paid, is_last):
    """As when the OUTCOME has rotted away; whatever comes first, the card's next tap or it."""
    reader, there = Reader(1001), Reader(1002, KIOSK)
    sale = reader.intent(counter=4)
    if result:
        reader.outcome(sale, result)
    reader.cancel(sale)
    there.intent(counter=5, last=sale if is_paid else (1003, 1))
    store = open_ledger(reader, there)
    if not is_last:
        store.book([there.records])
    store.book([reader.records])
    if is_last:
        assert money(store) == UNSOLD and store.summary()["cancelling"] == 1
        store.book([there.records])
    assert money(store) == (BACK if is_paid else UNSOLD)
    assert store.summary()["cancelling"] == (not is_paid)


def test_a_sale_whose_intent_rotted_away_gives_back_nothing_and_is_a_case():
    reader = Reader(1001)
    record = reader.cancel(reader.spend())
    store = open_ledger(reader)
    _, outcome, cancel = reader.records
    store.book([[lost(reader.key, 1001, 1, outcome), outcome, cancel]])
    assert money(store) == UNSOLD
    assert store.cases() == [(reasons.LOST, 1001, 1), (reasons.CANCEL_OF_NO_SALE, *record)]


def test_a_cancel_that_rotted_away_gives_back_nothing_and_is_a_case():
    reader = Reader(1001)
    reader.cancel(reader.spend())
    reader.boot()
    store = open_ledger(reader)
    *sold, _, boot = reader.records
    store.book([[*sold, lost(reader.key, 1001, 3, boot), boot]])
    assert money(store) == SOLD and store.cases() == [(reasons.LOST, 1001, 3)]


def test_nobodys_card_and_merchant_are_undone_where_they_were_booked():
    reader = Reader(1001, merchant_no=99)
    reader.cancel(reader.spend(card_no=98), card_no=98)
    store = open_ledger(reader)
    store.book([reader.records[:2]])
    sold = store.balances()
    assert sold["suspense", reasons.UNKNOWN_CARD] == -PAID_FEN
    store.book([reader.records])
    assert check(store) == []
    assert store.balances()["suspense", reasons.UNKNOWN_CARD] == 0
    assert store.balances()["suspense", reasons.UNKNOWN_MERCHANT] == 0
    assert store.summary()["loading"] == 0


def test_two_sales_that_want_one_number_get_two():
    first = {}
    for device in itertools.count(1):
        other = first.setdefault(cancels.numbers_of(device, 1)[0], device)
        if other != device:
            break
    readers = Reader(other), Reader(device)
    readers[0].cancel(readers[0].spend())
    readers[1].cancel(readers[1].spend(card_no=OTHER_CARD), card_no=OTHER_CARD)
    store = booked(*readers)
    assert money(store)["pending"] == money(store, OTHER_CARD)["pending"] == PAID_FEN
    assert store.summary()["loading"] == 2


def test_the_ledger_restarts_between_cancel_and_load(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    reader = Reader(1001)
    reader.cancel(reader.spend())
    store = booked(reader, store=open_ledger(reader, path=path))
    number = number_of(store)
    store.close()
    store = LedgerStore.open(path)
    assert store.top_ups.next_of(CARD, 2).load.what == (CARD, PAID_FEN)
    store.top_ups.note_carried(number, 3, OPENING_FEN, bytes(12))
    assert money(store) == LOADED
    store.book([reader.records])
    assert money(store) == LOADED


@pytest.mark.parametrize("names", ["credit", "name"])
def test_records_that_tell_of_the_load_before_the_cancel_are_believed(names):
    """Books that are written anew may get the other reader's records first."""
    here, there = Reader(1001), Reader(1002, KIOSK)
    here.cancel(here.spend())
    number = cancels.numbers_of(1001, 1)[0]
    if names == "credit":
        there.outcome(there.credit(counter=2, number=number, amount_fen=PAID_FEN))
    else:
        there.intent(counter=3, last=(CARD_CENTRE, number))
    assert money(booked(there, here, store=open_ledger(here, there))) == LOADED
    assert money(booked(here, there, store=open_ledger(here, there))) == LOADED


# --- what a card may get ----------------------------------------------------------------------


def test_it_is_for_a_card_that_has_gone_beyond_the_sale():
    """A sale that was made up has not moved the card: its reader may say so, a DESFire not."""
    reader = Reader(1001)
    reader.cancel(reader.spend(counter=4))
    store = booked(reader)
    assert store.top_ups.next_of(CARD, 4) is None
    pending = store.top_ups.next_of(CARD, 5)
    assert (pending.load.amount_fen, pending.sold) == (PAID_FEN, (4, (1001, 1)))


def test_it_waits_while_the_card_is_known_to_have_gone_another_way():
    here, there = Reader(1001), Reader(1002)
    there.spend(counter=4, last=(1003, 1))
    here.cancel(here.spend(counter=4, last=(1003, 1)))
    store = booked(here, there)
    assert (reasons.CONTRADICTION, 1001, 1) in store.cases()
    assert store.top_ups.next_of(CARD, 9) is None
    assert money(store)["pending"] == PAID_FEN


def test_what_was_tried_goes_on_before_what_was_not():
    reader = Reader(1001)
    for counter in (1, 2):
        reader.cancel(reader.spend(counter=counter))
    store = booked(reader)
    store.top_ups.top_up(CARD, 300, "order")
    assert store.top_ups.next_of(CARD, 9).load.number == 1, "top-ups first, and from 1 on"
    for number in sorted(store.database.rows("SELECT number FROM cancel")):
        store.top_ups.note_try(*number, 3, 1001)
        assert store.top_ups.next_of(CARD, 9).load.number == number[0]
        store.top_ups.note_carried(*number, 4, 1, bytes(12))
    assert store.top_ups.next_of(CARD, 9).load.number == 1


def test_numbers_and_orders_of_channels_stay_their_own():
    reader = Reader(1001)
    reader.cancel(reader.spend())
    store = booked(reader)
    assert number_of(store) >= cancels.NUMBER_MIN
    ((order_id,),) = store.database.rows("SELECT order_id FROM load")
    with pytest.raises(TopUpRefused, match="order number"):
        store.top_ups.top_up(CARD, PAID_FEN, order_id)
    assert store.top_ups.top_up(CARD, PAID_FEN, "order") == 1


# --- as it should be --------------------------------------------------------------------------


def test_a_sale_its_cancellation_and_the_load():
    reader = Reader(1001)
    sale = reader.spend(counter=1)
    store = booked(reader)
    assert money(store) == SOLD
    reader.cancel(sale)
    booked(reader, store=store)
    assert money(store) == BACK
    credit = reader.credit(counter=2, number=number_of(store), amount_fen=PAID_FEN, last=sale)
    reader.outcome(credit, COMMITTED)
    booked(reader, store=store)
    assert money(store) == LOADED
    assert store.cases() == []
    summary = store.summary()
    assert (summary["cancelled"], summary["loaded"], summary["loading"]) == (1, 1, 0)
    assert store.takings(CANTEEN) - store.given_back(CANTEEN) == 0
