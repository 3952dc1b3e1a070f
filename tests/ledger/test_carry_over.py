"""What is left of a lost card goes to the one in its place, once (R14.4b)."""

import threading

import pytest

from ledger import reasons
from ledger.bearers import Bearer
from ledger.carry_over import AFTER_S
from ledger.code_sales import Ask, CodePolicy
from ledger.dialect import StoreUnavailable
from ledger.invariants import check
from ledger.phones import Phones
from ledger.store import LedgerStore
from ledger.topups import NotCovered, TopUpRefused
from protocols.card import virtual_code
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.rules.scan_codes import CAMPUS_PAYMENT
from protocols.wire.messages import COMMITTED, UNKNOWN
from tests.ledger.checkout import PROOF
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader
from tests.ledger.replaced import (
    ACROSS,
    AFTER,
    BEFORE,
    CARRIED,
    DUE_S,
    FROZEN,
    HOUR_S,
    LOST_S,
    NEW_CARD,
    NEWER_CARD,
    books,
    held,
    lose,
    replace,
    replaced,
)

LOAD_FEN = 5_000


def claim(store, card_no=NEW_CARD, now_s=DUE_S):
    """The amounts that go to a card now."""
    return [load.amount_fen for load in store.carry_overs.claim(card_no, now_s)]


# --- when, and how often -----------------------------------------------------------------------


def test_the_regulation_says_72_hours():
    assert AFTER_S == 259_200


def test_it_waits_for_72_hours_from_the_report_of_the_loss():
    """Not from the reissue, which may come later than that."""
    store = replaced()
    for now_s in (0, LOST_S, LOST_S + 2 * HOUR_S, DUE_S - 1):
        assert claim(store, now_s=now_s) == []
        assert held(store) == FROZEN
    assert claim(store) == [OPENING_FEN]
    assert held(store) == CARRIED
    late = books()
    lose(late)
    assert claim(late) == [] and late.carry_overs.sweep(DUE_S) == []  # nobody to have it yet
    replace(late, time_s=DUE_S + 90 * HOUR_S)
    assert claim(late, now_s=DUE_S + 90 * HOUR_S) == [OPENING_FEN]
    assert held(late) == CARRIED


def test_the_hours_count_from_the_report_that_stands():
    store = books()
    lose(store)
    store.cards.set("unlose", CARD, LOST_S + 10, "id-card")
    lose(store, time_s=LOST_S + HOUR_S)
    lose(store, time_s=LOST_S + 2 * HOUR_S)  # said twice: the first report counts
    replace(store, time_s=LOST_S + 2 * HOUR_S)
    assert claim(store, now_s=DUE_S + HOUR_S - 1) == []
    assert claim(store, now_s=DUE_S + HOUR_S) == [OPENING_FEN]
    assert held(store) == CARRIED


def test_it_goes_once_however_often_it_is_asked_for():
    store = replaced()
    assert claim(store) == [OPENING_FEN]
    before = store.dump()
    for now_s in (DUE_S, DUE_S + 1, LOST_S, DUE_S + 1000 * HOUR_S):
        assert claim(store, now_s=now_s) == [] and store.carry_overs.sweep(now_s) == []
    assert store.dump() == before


def test_it_goes_once_through_many_hands_at_one_time(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    replaced(path=path).close()
    barrier, claimed = threading.Barrier(4), []

    def ask():
        store = LedgerStore.open(path)
        barrier.wait()
        claimed.extend(claim(store) + [load.amount_fen for load in store.carry_overs.sweep(DUE_S)])
        store.close()

    hands = [threading.Thread(target=ask) for _ in range(4)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert claimed == [OPENING_FEN]
    assert held(LedgerStore.open(path)) == CARRIED


@pytest.mark.parametrize("statement", range(1, 12))
def test_a_database_that_fails_under_it_has_done_all_or_nothing(statement):
    """At each statement that writes: the disk is full, and then it is not."""
    store = replaced()
    store.top_ups.top_up(NEW_CARD, 700, "order-1")
    before, database, left = store.dump(), store.database, [statement]
    many = database.many

    def failing(sql, rows):
        left[0] -= 1
        if not left[0]:
            raise StoreUnavailable("disk full")
        many(sql, rows)

    database.many = failing
    try:
        claimed = claim(store)
    except StoreUnavailable:
        assert store.dump() == before
        claimed = None
    database.many = many
    assert claimed in (None, [OPENING_FEN])
    assert claim(store) == ([] if claimed else [OPENING_FEN])
    assert held(store) == (0, 0, OPENING_FEN + 700, 0, 0)


def test_another_number_of_hours_is_the_policys():
    store = replaced()
    assert store.carry_overs.claim(NEW_CARD, LOST_S + 24 * HOUR_S - 1, 24 * HOUR_S) == []
    assert store.carry_overs.claim(NEW_CARD, LOST_S + 24 * HOUR_S, 24 * HOUR_S) != []


def test_the_new_card_gets_it_as_a_load_of_its_own():
    reader = Reader(1001)
    store = replaced(reader)
    claim(store)
    pending = store.top_ups.next_of(NEW_CARD, 0)
    assert pending is not None and pending.load.what == (NEW_CARD, OPENING_FEN)
    assert store.top_ups.next_of(CARD, 9) is None
    number = pending.load.number
    store.top_ups.note_try(number, 0, 1001)
    reader.outcome(reader.credit(NEW_CARD, 0, number, OPENING_FEN))
    store.book([reader.records])
    assert store.holder_balance(NEW_CARD) == OPENING_FEN
    assert held(store) == (0, 0, 0, 0, 0)
    assert store.summary()["loading"] == 0


def test_more_than_one_credit_holds_goes_in_two():
    store = replaced()
    for order in range(2):
        store.top_ups.top_up(OTHER_CARD, AMOUNT_FEN_MAX, f"order-{order}")
        store.top_ups.note_carried(1 + order, order, 1, bytes(12))
    lose(store, OTHER_CARD)
    replace(store, OTHER_CARD, NEWER_CARD)
    amounts = claim(store, NEWER_CARD)
    assert amounts == [AMOUNT_FEN_MAX, AMOUNT_FEN_MAX, OPENING_FEN]
    assert check(store) == []


# --- a card in the place of a card in the place of a card --------------------------------------


def test_it_goes_to_the_last_of_a_chain():
    store = replaced()
    lose(store, NEW_CARD, LOST_S + 10 * HOUR_S)
    assert claim(store) == []  # lost: it gets nothing
    replace(store, NEW_CARD, NEWER_CARD, LOST_S + 11 * HOUR_S)
    assert claim(store) == [] and claim(store, CARD) == []
    assert claim(store, NEWER_CARD) == [OPENING_FEN]
    assert store.balances()["pending", NEWER_CARD] == OPENING_FEN
    assert held(store) == (0, 0, 0, 0, 0)


def test_what_had_come_to_the_one_between_goes_on():
    """Not tried yet: at once. On the card: when its own hours are over."""
    for is_on_card in (False, True):
        store = replaced()
        claim(store)
        if is_on_card:
            store.top_ups.note_carried(1, 1, OPENING_FEN, bytes(12))
        lose(store, NEW_CARD, DUE_S)
        replace(store, NEW_CARD, NEWER_CARD, DUE_S + 1)
        assert claim(store, NEWER_CARD, DUE_S + 1) == ([] if is_on_card else [OPENING_FEN])
        claim(store, NEWER_CARD, DUE_S + AFTER_S)
        assert store.balances()["pending", NEWER_CARD] == OPENING_FEN
        assert held(store) == (0, 0, 0, 0, 0)


def test_a_card_that_may_not_be_used_gets_nothing_until_it_may():
    store = replaced()
    store.cards.set("suspend", NEW_CARD, LOST_S + 2 * HOUR_S)
    assert claim(store) == [] and store.carry_overs.sweep(DUE_S) == []
    store.cards.set("resume", NEW_CARD, DUE_S, "reinstatement")
    assert [load.amount_fen for load in store.carry_overs.sweep(DUE_S)] == [OPENING_FEN]
    assert held(store) == CARRIED


# --- what had waited for the old card ----------------------------------------------------------


def waiting(*readers):
    """A ledger in which one load had waited for the lost card: number 1."""
    store = books(*readers)
    store.top_ups.top_up(CARD, LOAD_FEN, "order-1")
    return store


def test_what_had_waited_for_the_old_card_goes_at_once():
    store = waiting()
    lose(store)
    replace(store)
    assert claim(store, now_s=LOST_S + HOUR_S) == [LOAD_FEN]
    assert held(store) == (OPENING_FEN, 0, LOAD_FEN, 0, 0)
    assert store.top_ups.next_of(CARD, 5) is None
    assert claim(store) == [OPENING_FEN]
    with pytest.raises(TopUpRefused, match=f"replaced by card {NEW_CARD}"):
        store.top_ups.top_up(CARD, 1, "order-2")
    assert store.top_ups.top_up(CARD, LOAD_FEN, "order-1") == 1  # an order is booked for ever


def test_a_load_that_was_tried_waits_with_the_balance():
    """It may be on the old card: the new one gets nothing of it until that is decided."""
    store = waiting(Reader(1001))
    store.top_ups.note_try(1, 4, 1001)
    lose(store)
    replace(store)
    assert claim(store, now_s=DUE_S - 1) == []
    assert sorted(claim(store)) == [LOAD_FEN, OPENING_FEN]
    assert held(store) == (0, 0, OPENING_FEN + LOAD_FEN, 0, 0)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_load_that_was_tried_and_told_of_in_time(is_there):
    reader = Reader(1001)
    store = waiting(reader)
    store.top_ups.note_try(1, 4, 1001)
    lose(store)
    replace(store)
    reader.outcome(reader.credit(counter=4, last=(1002, 3)), COMMITTED if is_there else UNKNOWN)
    store.book([reader.records])
    assert held(store)[:2] == ((OPENING_FEN + LOAD_FEN, 0) if is_there else (OPENING_FEN, 5_000))
    assert sum(claim(store)) == OPENING_FEN + LOAD_FEN
    assert held(store) == (0, 0, OPENING_FEN + LOAD_FEN, 0, 0)


@pytest.mark.parametrize("way", ["outcome", "named", "desk"])
def test_a_load_that_is_told_of_when_its_money_has_gone_on(way):
    """It had come on the old card: not twice, and what was bought with it is a late spend."""
    reader = Reader(1001)
    store = waiting(reader)
    store.top_ups.note_try(1, 4, 1001)
    lose(store)
    replace(store)
    claim(store)
    spent_fen = 0
    if way == "desk":
        store.top_ups.note_carried(1, 5, 1, bytes(12))
    elif way == "outcome":
        reader.outcome(reader.credit(counter=4, last=(1002, 3)))
    else:
        spent_fen = 1_500
        reader.spend(counter=5, amount_fen=spent_fen, last=(CARD_CENTRE, 1), **BEFORE)
    for _ in range(2):
        store.book([reader.records])
        assert held(store) == (0, 0, OPENING_FEN + LOAD_FEN, 0, -spent_fen)
        assert claim(store) == []
    assert (reasons.LOADED_TOO_LATE, CARD_CENTRE, 1) in store.cases()


def test_nothing_is_tried_for_a_replaced_card():
    """A session at the desk had begun when the card was replaced."""
    store = waiting(Reader(1001))
    lose(store)
    replace(store)
    for is_claimed in (False, True):
        with pytest.raises(NotCovered, match=f"card {NEW_CARD} is in its card's place"):
            store.top_ups.note_try(1, 4, 1001)
        assert claim(store, now_s=LOST_S + HOUR_S) == ([] if is_claimed else [LOAD_FEN])
    assert held(store) == (OPENING_FEN, 0, LOAD_FEN, 0, 0)


# --- what is told late -------------------------------------------------------------------------


@pytest.mark.parametrize("carried_first", [False, True])
@pytest.mark.parametrize(
    ("when", "is_holders"), [(BEFORE, True), (ACROSS, False), (AFTER, False), ({}, False)]
)
def test_who_bears_a_spend_of_the_old_card(when, is_holders, carried_first):
    """Of before the report: its holder. Of after it, or nobody knows: the card centre."""
    reader = Reader(1001)
    reader.spend(amount_fen=900, **when)
    store = replaced(reader)
    if carried_first:
        claim(store)
    for _ in range(2):
        store.book([reader.records])
        held(store)
    assert claim(store) == ([] if carried_first else [OPENING_FEN - 900 * is_holders])
    got_fen = OPENING_FEN - 900 * (is_holders and not carried_first)
    assert held(store) == (
        0,
        0,
        got_fen,
        -900 * (not is_holders),
        -900 * (is_holders and carried_first),
    )
    cases = {reason for reason, _, _ in store.cases()}
    late = {reasons.LATE_SPEND} if is_holders and carried_first else set()
    assert cases == (late if is_holders else {reasons.SPENT_WHILE_LOST})
    assert store.takings(12) == 900


def test_a_spend_of_after_the_report_that_was_told_before_the_reissue():
    """While the card may still be found nobody bears it; from the reissue on the centre does."""
    reader = Reader(1001)
    reader.spend(amount_fen=900, **AFTER)
    store = books(reader)
    lose(store)
    store.book([reader.records])
    assert held(store) == (OPENING_FEN - 900, 0, 0, 0, 0)
    replace(store)
    assert held(store) == (OPENING_FEN, 0, 0, -900, 0)
    claim(store)
    assert held(store) == (0, 0, OPENING_FEN, -900, 0)


def test_a_spend_that_was_booked_before_the_report_was_made_is_of_before():
    """Whatever its reader's clock may have been."""
    reader = Reader(1001)
    reader.spend(amount_fen=900)
    store = books(reader)
    store.book([reader.records])
    lose(store)
    replace(store)
    claim(store)
    assert held(store) == (0, 0, OPENING_FEN - 900, 0, 0)


def test_several_late_spends_in_one_delivery():
    reader, other = Reader(1001), Reader(1002)
    reader.spend(amount_fen=300, counter=5, **BEFORE)
    other.spend(amount_fen=40, counter=6, last=(1001, 1), **AFTER)
    reader.spend(amount_fen=500, counter=7, last=(1002, 1), **BEFORE)
    store = replaced(reader, other)
    claim(store)
    store.book([reader.records, other.records])
    assert held(store) == (0, 0, OPENING_FEN, -40, -800)


def test_a_spend_that_only_a_later_card_tells_of():
    """Its outcome was never known; nobody sees the card again: it does not take from what goes."""
    reader = Reader(1001)
    reader.intent(amount_fen=900, **BEFORE)
    store = replaced(reader)
    store.book([reader.records])
    claim(store)
    assert held(store) == CARRIED
    reader.outcome((1001, 1))
    store.book([reader.records])
    assert held(store) == (0, 0, OPENING_FEN, 0, -900)


def test_a_purse_that_was_overdrawn_goes_on_as_it_is():
    """A clone, not a carry-over, has taken too much: that stays what it was, and is flagged."""
    reader = Reader(1001)
    reader.spend(amount_fen=OPENING_FEN + 100, **BEFORE)
    store = replaced(reader)
    store.book([reader.records])
    assert claim(store) == []
    assert held(store) == (-100, 0, 0, 0, 0)
    assert store.summary()["overdrawn"] == 1


def test_no_more_is_laid_out_than_the_purse_lacks():
    """Two persons have given back something since: the holder has that, and not twice."""
    reader = Reader(1001)
    reader.spend(amount_fen=100, after_fen=9_000, **BEFORE)
    store = replaced(reader)
    store.book([reader.records])
    claim(store)
    (case,) = store.corrections.cases()
    proposal = store.corrections.propose(case, Bearer.CARD_CENTRE, "wang", "seen", 5)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 6)
    reader.spend(amount_fen=700, counter=2, last=(1001, 1), **BEFORE)
    store.book([reader.records])
    assert held(store) == (0, 0, OPENING_FEN - 100, 0, -600)


# --- sales that are cancelled ------------------------------------------------------------------


@pytest.mark.parametrize("claims", ["before", "between", "behind", "always"])
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("together", [True, False])
def test_a_cancelled_sale_costs_nobody_anything(claims, when, together):
    """Its holder, merchant and the card centre are where they were, in whatever order it came."""
    reader = Reader(1001)
    sale = reader.spend(amount_fen=900, **when)
    reader.cancel(sale, amount_fen=900)
    store = replaced(reader)
    parts = [reader.records] if together else [reader.records[:2], reader.records[2:]]
    if claims in ("before", "always"):
        claim(store)
    for at, part in enumerate(parts):
        store.book([part])
        assert check(store) == []
        if claims == "always" or (claims == "between" and at == 0):
            claim(store)
    claim(store)
    assert held(store) == CARRIED
    assert store.balances()["merchant", 12] == 0
    assert claim(store) == []


def test_what_somebody_has_borne_of_a_cancelled_sale_pays_no_other_debt():
    reader = Reader(1001)
    first = reader.spend(amount_fen=OPENING_FEN + 500, **BEFORE)
    sale = reader.spend(amount_fen=900, counter=2, last=first, **AFTER)
    store = replaced(reader)
    store.book([reader.records])
    reader.cancel(sale, amount_fen=900)
    store.book([reader.records])
    assert claim(store) == []
    assert held(store) == (-500, 0, 0, 0, 0)


def test_what_a_cancelled_sale_gave_back_waits_with_the_balance():
    """It had been on the card, by a reader's word: frozen like the rest."""
    reader = Reader(1001)
    reader.cancel(reader.spend(amount_fen=900, **BEFORE), amount_fen=900)
    store = replaced(reader)
    store.book([reader.records])
    assert claim(store, now_s=DUE_S - 1) == []
    assert held(store) == (OPENING_FEN - 900, 900, 0, 0, 0)
    (frozen,) = store.carry_overs.frozen(NEW_CARD)
    assert (frozen.amount_fen, frozen.waiting_fen, frozen.due_s) == (OPENING_FEN, 0, DUE_S)
    assert sum(claim(store)) == OPENING_FEN
    assert held(store) == CARRIED


@pytest.mark.parametrize("told", ["before", "behind"])
@pytest.mark.parametrize("made_up_fen", [OPENING_FEN, 5 * OPENING_FEN])
def test_a_reader_that_makes_up_a_cancelled_sale_makes_no_money(made_up_fen, told):
    """Nobody sees the old card any more that could show that it was never sold to."""
    reader = Reader(1001)
    sale = reader.spend(amount_fen=made_up_fen, **BEFORE)
    reader.cancel(sale, amount_fen=made_up_fen)
    store = replaced(reader)
    got_fen = 0
    for step in ("before", "behind"):
        if step == told:
            store.book([reader.records])
        got_fen += sum(claim(store, now_s=DUE_S - 1 if step == "before" else DUE_S))
    got_fen += sum(claim(store))
    assert got_fen == OPENING_FEN
    assert held(store) == CARRIED
    assert store.balances()["merchant", 12] == 0 and store.summary()["overdrawn"] == 0


def test_a_spend_behind_a_made_up_cancelled_sale_has_somebody_who_bears_it():
    """The purse itself had nothing to carry over, what it was promised had."""
    reader, other = Reader(1001), Reader(1002)
    sale = reader.spend(amount_fen=OPENING_FEN, **BEFORE)
    reader.cancel(sale, amount_fen=OPENING_FEN)
    other.spend(amount_fen=700, counter=2, last=(1001, 1), **BEFORE)
    store = replaced(reader, other)
    store.book([reader.records])
    assert claim(store) == [OPENING_FEN]
    store.book([other.records])
    assert held(store) == (0, 0, OPENING_FEN, 0, -700)


def test_what_was_bought_with_a_load_that_was_told_too_late():
    """From a card that had nothing but the load, which its books did not know of."""
    reader = Reader(1001)
    store = books(reader)
    store.issue_cards([(30, 0)])
    store.top_ups.top_up(30, LOAD_FEN, "order-1")
    store.top_ups.note_try(1, 0, 1001)
    lose(store, 30)
    replace(store, 30)
    assert claim(store) == [LOAD_FEN]
    reader.spend(card_no=30, counter=1, amount_fen=400, last=(CARD_CENTRE, 1), **BEFORE)
    store.book([reader.records])
    assert held(store)[2:] == (LOAD_FEN, 0, -400)
    assert store.holder_balance(30) == store.balances()["pending", 30] == 0


# --- payments by code --------------------------------------------------------------------------


@pytest.mark.parametrize("is_sold", [True, False])
def test_a_code_of_the_old_card_is_settled_by_its_record(is_sold):
    """What it had taken goes to the merchant, or back and on to the new card."""
    reader = Reader(1003)
    store = waiting(reader)
    phones = Phones(store.database, bytes(32), bytes)
    code = virtual_code.make(phones.bind(CARD, PROOF, 1)[1], CAMPUS_PAYMENT, CARD, 1_000, bytes(2))
    ask = Ask(1003, bytes(8), code, 2_000, 1)
    now_ms = (1_000_000, 1_000_000)
    answer = store.code_sales.ask(ask, phones.seed_of, now_ms, CodePolicy(5_000, 5_000))
    assert answer.reason == 0
    lose(store)
    replace(store)
    assert claim(store, now_s=LOST_S + HOUR_S) == [LOAD_FEN - 2_000]
    assert held(store) == (OPENING_FEN, 0, LOAD_FEN - 2_000, 0, 0)
    reader.code_sale(answer.number, 2_000) if is_sold else reader.boot()
    store.book([reader.records])
    assert claim(store, now_s=LOST_S + HOUR_S) == ([] if is_sold else [2_000])
    assert held(store) == (OPENING_FEN, 0, LOAD_FEN - 2_000 * is_sold, 0, 0)
