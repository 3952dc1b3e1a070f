"""A holder's account: its statement adds up to what the books have, whatever happened."""

import pytest

from ledger import api_reasons, transfers
from ledger.bearers import Bearer
from ledger.channel_topups import ChannelRefused, Order
from ledger.holder_accounts import KINDS, START
from ledger.invariants import check
from ledger.issuing import issue
from protocols.rules.card_status import CARD_NO_MAX, CLOSED, LOST
from tests.ledger.checkout import Checkout
from tests.ledger.months import CLOSED_S, approve, close, month, register
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.replaced import (
    AFTER,
    BEFORE,
    DUE_S,
    LOST_S,
    NEW_CARD,
    NEWER_CARD,
    books,
    lose,
    replace,
)

_OWN = "SELECT device, seq FROM transfer WHERE kind IN (50, 51, 52)"
POTS = ("purse_fen", "waiting_fen", "reserved_fen")


def entries(store, card_no, count=3):
    """All of a statement, page by page."""
    found, behind = [], START
    while page := store.accounts.entries(card_no, count, behind):
        found += page
        behind = page[-1].place
    assert len({entry.place for entry in found}) == len(found)
    return found


def adds_up(store, cards):
    """The statement of `cards`, which are one holder's; each of them has the same."""
    assert check(store) == []
    found = entries(store, cards[0])
    balances = store.balances()
    for kind, pot in zip(("holder", "pending", "reserved"), POTS, strict=True):
        held = sum(balances.get((kind, card_no), 0) for card_no in cards)
        assert sum(getattr(entry, pot) for entry in found) == held, pot
    assert all(entries(store, card_no, 100) == found for card_no in cards)
    return found


def test_of_a_replaced_card_it_is_one_account():
    reader = Reader(1001)
    reader.spend(amount_fen=100, **AFTER)
    sale = reader.spend(amount_fen=200, counter=2, **BEFORE)
    reader.cancel(sale, amount_fen=200)
    reader.spend(amount_fen=300, counter=4, **BEFORE)
    store = books(reader)
    store.channel_top_ups.book(Order("ecode", "A-1", CARD, 500, "b-1", 1), LOST_S - 9)
    store.channel_top_ups.book(Order("ecode", "A-2", CARD, 70, "b-2", 1), LOST_S - 8)
    store.channel_top_ups.cancel("ecode", "A-2", LOST_S - 7)
    adds_up(store, [CARD])
    lose(store)
    replace(store)
    assert adds_up(store, [NEW_CARD, CARD])
    for count in (2, 5, len(reader.records)):
        store.book([reader.records[:count]])
        store.carry_overs.claim(NEW_CARD, DUE_S)
        adds_up(store, [NEW_CARD, CARD])
    lose(store, NEW_CARD, DUE_S)
    replace(store, NEW_CARD, NEWER_CARD, DUE_S)
    found = adds_up(store, [NEWER_CARD, NEW_CARD, CARD])
    kinds = {KINDS[entry.kind] for entry in found}
    assert kinds >= {"spend", "carry_over", "cancelled_sale", "borne", "repaid", "opening"}
    assert [e.time_s for e in found if KINDS[e.kind] == "repaid"] == [LOST_S - 7]


def test_a_record_that_is_another_than_was_reserved_is_told_once():
    """Reservation and sale have one number: the record came, and was no sale by code."""
    reader = Reader(1003)
    shop = Checkout(reader)
    assert shop.ask(reader, amount_fen=100)["reason"] == 0
    adds_up(shop.store, [CARD])
    reader.spend(amount_fen=40)
    shop.book(reader)
    found = adds_up(shop.store, [CARD])
    kinds = sorted(KINDS[entry.kind] for entry in found)
    assert kinds == ["opening", "reserve", "spend", "top_up", "void"]


def test_what_is_a_merchant_s_stands_in_no_holder_s_statement():
    """Periods, payments, costs and openings are each numbered from 1 on."""
    store, *_ = month()
    store.periods.set_rate(CANTEEN, 200, "sun", 1)
    before = {card_no: entries(store, card_no) for card_no in (CARD, OTHER_CARD)}
    register(store)
    approve(store, close(store))
    store.periods.payments.make_file("2026-09", "sun", CLOSED_S)
    store.periods.payments.note_results([(1, "paid", "")], "sun", CLOSED_S)
    numbered = {(device, seq) for device, seq, *_rest in store.database.rows(_OWN)}
    assert numbered == {(0, 1), (0, 2)}  # as the openings of both cards
    for card_no, found in before.items():
        assert adds_up(store, [card_no]) == found
        assert {entry.kind for entry in found} <= set(KINDS)


def test_who_has_borne_another_s_sale_that_is_cancelled_sees_that_it_came_back():
    reader = Reader(1001)
    sale = reader.spend(amount_fen=900, **AFTER)
    store = books(reader)
    lose(store)
    replace(store)
    store.book([reader.records])
    (case,) = store.corrections.cases()
    what = case, Bearer.HOLDER, "wang", "the finder"
    proposal = store.corrections.propose(*what, 5, whose=OTHER_CARD)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 6)
    reader.cancel(sale, amount_fen=900)
    store.book([reader.records])
    store.carry_overs.claim(NEW_CARD, DUE_S)
    found = adds_up(store, [OTHER_CARD])
    kinds = [entry.kind for entry in found if entry.purse_fen in (900, -900)]
    assert sorted(kinds) == sorted([transfers.RECOVER, transfers.CORRECT])
    adds_up(store, [NEW_CARD, CARD])


def test_a_balance_tells_apart_what_is_where():
    store = books()
    store.top_ups.top_up(CARD, 500, "order-1")
    lose(store)
    balance = store.accounts.balance(CARD)
    assert (balance.status, balance.purse_fen, balance.waiting_fen) == (LOST, OPENING_FEN, 500)
    replace(store)
    for card_no in (CARD, NEW_CARD):
        balance = store.accounts.balance(card_no)
        (frozen,) = balance.frozen
        assert (balance.purse_fen, frozen.amount_fen, frozen.waiting_fen, frozen.due_s) == (
            0,
            OPENING_FEN,
            500,
            DUE_S,
        )


def test_a_loss_is_of_the_card_in_use():
    store = books()
    lose(store)
    replace(store)
    assert store.accounts.report_loss(CARD, DUE_S, "ecode") == (DUE_S, 3)
    assert store.accounts.report_loss(NEW_CARD, DUE_S + 9, "today") == (DUE_S, 3)
    assert (store.cards.status(CARD), store.cards.status(NEW_CARD)) == (CLOSED, LOST)


@pytest.mark.parametrize(
    ("card_no", "reason"),
    [
        (99, api_reasons.NO_ACCOUNT),
        (NEWER_CARD, api_reasons.ACCOUNT_CLOSED),
        (CARD_NO_MAX + 1, api_reasons.LOSS_IMPOSSIBLE),
    ],
)
def test_a_loss_that_cannot_be_is_refused(card_no, reason):
    store = books()
    with store.database.transaction():
        issue(store.database, {CARD_NO_MAX + 1: 0})
    store.cards.set("close", NEWER_CARD, 1, "id-card")
    before = store.dump()
    with pytest.raises(ChannelRefused) as caught:
        store.accounts.report_loss(card_no, 1, "ecode")
    assert caught.value.reason == reason
    assert store.dump() == before


def test_every_kind_of_transfer_has_a_name():
    """One that was added and is not named would end a statement with a fault."""
    numbers = {
        value
        for name, value in vars(transfers).items()
        if name.isupper() and not name.endswith(("_LINE", "_LINES"))
    }
    # These are between the card centre, a bank and merchants: no account of a holder's has them.
    elsewhere = {transfers.FEE, transfers.PAY_OUT, transfers.RETURN}
    elsewhere |= {transfers.ACQUIRE, transfers.CLEAR, transfers.COST, transfers.CHARGE}
    elsewhere |= {transfers.REMIT, transfers.REMITTED, transfers.SENT_BACK, transfers.PAY_IN}
    elsewhere |= {transfers.WRITE_OFF, transfers.PAID_AFTER_ALL}
    assert numbers == set(KINDS) | elsewhere
