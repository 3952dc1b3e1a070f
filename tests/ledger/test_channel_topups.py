"""Top-ups of channels: an order is booked once, whatever becomes of the answer, and goes back."""

import dataclasses

import pytest

from adapters.sqlite import open_database
from ledger import api_reasons, channel_rules, chart
from ledger.channel_topups import Cancelled, ChannelRefused, Order, State
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.invariants import check
from ledger.reasons import LOADED_TOO_LATE
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from ledger.topups import NotCovered
from protocols.card.purse import CARD_CENTRE
from tests.ledger.checkout import Checkout
from tests.ledger.crashes import stop_anywhere
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader, open_ledger
from tests.ledger.replaced import DUE_S, NEW_CARD, books, lose, replace
from tests.ledger.tampering import tamper

NOW_S, LATER_S = 1_750_000_000, 1_750_000_600
ORDER = Order("ecode", "A-1", CARD, 5_000, "bank-9001", NOW_S - 5)
WAITS = (OPENING_FEN, 5_000)


def booked(*readers, path=":memory:"):
    store = open_ledger(*readers, path=path)
    store.channel_top_ups.book(ORDER, NOW_S)
    return store


def money(store, card_no=CARD):
    """(purse, what waits) of a card; the books hold."""
    assert check(store) == []
    balances = store.balances()
    return balances["holder", card_no], balances.get(("pending", card_no), 0)


def refused(reason, act, *arguments):
    with pytest.raises(ChannelRefused) as caught:
        act(*arguments)
    assert caught.value.reason == reason, caught.value


def test_an_order_told_again_is_answered_the_same():
    store = booked()
    first = store.channel_top_ups.find("ecode", "A-1")
    assert (first.order, first.heard_s, first.state) == (ORDER, NOW_S, State.WAITING)
    before = store.dump()
    assert store.channel_top_ups.book(ORDER, LATER_S) == first
    assert store.dump() == before
    assert money(store) == WAITS


@pytest.mark.parametrize(
    "other",
    [
        {"amount_fen": 5_001},
        {"card_no": OTHER_CARD},
        {"bank_reference": "bank-9002"},
        {"paid_s": NOW_S},
    ],
)
def test_an_order_with_other_facts_is_refused(other):
    store = booked()
    order = dataclasses.replace(ORDER, **other)
    refused(api_reasons.ORDER_DIFFERS, store.channel_top_ups.book, order, NOW_S)
    assert money(store) == WAITS


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, api_reasons.REFERENCE_USED),
        ({"bank_reference": "bank-9002", "card_no": 99}, api_reasons.NO_ACCOUNT),
    ],
)
def test_a_new_order_that_cannot_be_is_refused(other, reason):
    store = booked()
    order = dataclasses.replace(ORDER, order_no="A-2", **other)
    refused(reason, store.channel_top_ups.book, order, NOW_S)
    assert money(store) == WAITS


def test_a_closed_account_takes_no_order_and_a_lost_one_does():
    store = booked()
    store.cards.set("lose", CARD, NOW_S)
    second = dataclasses.replace(ORDER, order_no="A-2", bank_reference="bank-2")
    store.channel_top_ups.book(second, NOW_S)
    store.cards.set("close", CARD, NOW_S, "id-card")
    third = dataclasses.replace(ORDER, order_no="A-3", bank_reference="bank-3")
    refused(api_reasons.ACCOUNT_CLOSED, store.channel_top_ups.book, third, NOW_S)
    assert store.channel_top_ups.book(ORDER, LATER_S).state is State.WAITING
    assert money(store) == (OPENING_FEN, 10_000)


def test_channels_know_nothing_of_each_others_orders():
    store = booked()
    theirs = dataclasses.replace(ORDER, channel="today")
    assert store.channel_top_ups.book(theirs, NOW_S).number == 2
    assert money(store) == (OPENING_FEN, 10_000)
    assert store.channel_top_ups.cancel("today", "A-1", NOW_S) == Cancelled(NOW_S, 5_000)
    assert store.channel_top_ups.find("ecode", "A-1").state is State.WAITING
    assert money(store) == WAITS


# --- cancelling -------------------------------------------------------------------------------


def test_a_cancelled_order_goes_back_once():
    store = booked()
    bank_fen = store.balances()["clearing", 0]
    for now_s in (NOW_S, LATER_S):
        assert store.channel_top_ups.cancel("ecode", "A-1", now_s) == Cancelled(NOW_S, 5_000)
    assert money(store) == (OPENING_FEN, 0)
    assert store.balances()["clearing", 0] == bank_fen + 5_000
    assert store.channel_top_ups.book(ORDER, LATER_S).state is State.CANCELLED
    assert store.top_ups.next_of(CARD, 0) is None


def test_an_order_that_is_overtaken_by_its_cancellation_is_never_taken():
    """The channel has heard no answer and given the money back; its request comes later."""
    store = open_ledger()
    for now_s in (NOW_S, LATER_S):
        assert store.channel_top_ups.cancel("ecode", "A-1", now_s) == Cancelled(NOW_S, 0)
        refused(api_reasons.VOID, store.channel_top_ups.book, ORDER, now_s)
    assert money(store) == (OPENING_FEN, 0)
    another = dataclasses.replace(ORDER, order_no="A-2")
    assert store.channel_top_ups.book(another, LATER_S).state is State.WAITING
    assert money(store) == WAITS


def test_what_was_offered_to_a_card_does_not_go_back():
    reader = Reader(1001)
    store = booked(reader)
    store.top_ups.note_try(1, 5, 1001)
    refused(api_reasons.MAY_BE_ON_CARD, store.channel_top_ups.cancel, "ecode", "A-1", NOW_S)
    store.top_ups.note_carried(1, 6, OPENING_FEN + 5_000, b"")
    refused(api_reasons.ON_CARD, store.channel_top_ups.cancel, "ecode", "A-1", NOW_S)
    assert store.channel_top_ups.find("ecode", "A-1").state is State.ON_CARD
    assert money(store) == (OPENING_FEN + 5_000, 0)


def test_what_went_back_is_offered_to_no_card():
    """A desk that had chosen it before the cancellation; other money of the card is there."""
    reader = Reader(1001)
    store = booked(reader)
    store.top_ups.top_up(CARD, 9_000, "by hand")
    chosen = store.top_ups.next_of(CARD, 5).load
    store.channel_top_ups.cancel("ecode", "A-1", NOW_S)
    with pytest.raises(NotCovered, match="went back"):
        store.top_ups.note_try(chosen.number, 5, 1001)
    assert money(store) == (OPENING_FEN, 9_000)
    assert store.top_ups.next_of(CARD, 5).load.amount_fen == 9_000  # and nothing waits behind it


def test_a_reader_that_claims_what_went_back_makes_no_money():
    reader = Reader(1001)
    store = booked(reader)
    store.channel_top_ups.cancel("ecode", "A-1", NOW_S)
    credit = reader.credit(counter=4, number=1, amount_fen=5_000)
    reader.outcome(credit)
    reader.spend(counter=5, last=(CARD_CENTRE, 1))
    store.book([reader.records])
    assert money(store) == (OPENING_FEN - 100, 0)
    assert (LOADED_TOO_LATE, CARD_CENTRE, 1) in store.cases()
    assert store.channel_top_ups.find("ecode", "A-1").state is State.CANCELLED


def test_what_a_code_has_spent_does_not_go_back():
    reader = Reader(1003)
    shop = Checkout(reader, paid_in_fen=0)
    shop.store.channel_top_ups.book(ORDER, NOW_S)
    assert shop.ask(reader, amount_fen=1)["reason"] == 0
    refused(api_reasons.SPENT, shop.store.channel_top_ups.cancel, "ecode", "A-1", NOW_S)
    assert money(shop.store) == (OPENING_FEN, 4_999)


def test_a_replaced_card_s_orders_are_its_holder_s():
    store = books()
    store.channel_top_ups.book(ORDER, NOW_S)
    lose(store)
    replace(store)
    assert store.channel_top_ups.book(ORDER, LATER_S).heard_s == NOW_S
    by_new_card = dataclasses.replace(ORDER, card_no=NEW_CARD)
    assert store.channel_top_ups.book(by_new_card, LATER_S).heard_s == NOW_S
    store.carry_overs.claim(NEW_CARD, DUE_S)
    assert store.channel_top_ups.find("ecode", "A-1").state is State.WENT_ON
    refused(api_reasons.WENT_ON, store.channel_top_ups.cancel, "ecode", "A-1", NOW_S)
    again = dataclasses.replace(ORDER, order_no="A-2", bank_reference="bank-2")
    assert store.channel_top_ups.book(again, LATER_S).order.card_no == NEW_CARD
    assert money(store, NEW_CARD) == (0, OPENING_FEN + 10_000)


def test_an_order_that_went_back_before_its_card_was_replaced_stays_so():
    store = books()
    store.channel_top_ups.book(ORDER, NOW_S)
    lose(store)
    store.channel_top_ups.cancel("ecode", "A-1", NOW_S)
    replace(store)
    store.carry_overs.claim(NEW_CARD, DUE_S)
    assert store.channel_top_ups.cancel("ecode", "A-1", LATER_S).cancelled_s == NOW_S
    assert money(store, NEW_CARD) == (0, OPENING_FEN)


# --- faults -----------------------------------------------------------------------------------


def live(store):
    second = dataclasses.replace(ORDER, order_no="A-2", bank_reference="bank-2", amount_fen=700)
    for order in (ORDER, second):
        store.channel_top_ups.book(order, NOW_S)
    for order_no in ("A-1", "A-3"):
        store.channel_top_ups.cancel("ecode", order_no, NOW_S)


def test_stopped_at_any_statement_then_told_again():
    store = LedgerStore(SqliteDialect(open_database(":memory:", MIGRATIONS)))
    store.issue_cards([(CARD, OPENING_FEN), (OTHER_CARD, OPENING_FEN)])
    stop_anywhere(store, live, least=30, check_each=1)
    assert money(store) == (OPENING_FEN, 700)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO channel_topup VALUES ('ecode', 'A-1', 2, 'b', 1, 1)",
        "INSERT INTO channel_topup VALUES ('ecode', 'A-9', 2, 'bank-9001', 1, 1)",
        "INSERT INTO channel_topup VALUES ('ecode', 'A-9', 1, 'b', 1, 1)",
        "INSERT INTO channel_topup VALUES ('ecode', 'A-9', 9, 'b', 1, 1)",
        "INSERT INTO topup_cancel VALUES (2, 1)",
        "DELETE FROM topup_cancel",
        "UPDATE channel_topup SET number = number",
    ],
)
def test_the_database_refuses(sql):
    store = booked()
    store.top_ups.top_up(CARD, 1, "by hand")
    store.channel_top_ups.cancel("ecode", "A-1", NOW_S)
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(sql)
    assert store.dump() == before


TAMPERED = {
    "a channel's top-up is a load that its bank has paid for": [
        "UPDATE channel_topup SET order_no = 'A-7'"
    ],
    "a load that names a channel's order is that of this order": ["DELETE FROM channel_topup"],
    "a cancelled top-up went back to the bank, all of it, and was never offered": [
        f"UPDATE transfer SET debit_account = {chart.pending(OTHER_CARD)} WHERE kind = 20"
    ],
    "an order that is void was never booked": [
        "INSERT INTO topup_void VALUES ('ecode', 'A-1', 1)"
    ],
    "nothing is repaid but a cancelled top-up": ["DELETE FROM topup_cancel"],
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_tampering_is_seen(rule):
    store = booked()
    store.channel_top_ups.cancel("ecode", "A-1", NOW_S)
    tamper(store, TAMPERED[rule])
    assert rule in [violation.rule for violation in check(store)]


def test_every_rule_has_its_tampering():
    assert set(TAMPERED) == set(channel_rules.RULES)
