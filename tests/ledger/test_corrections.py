"""Out of a case by two persons: proposed, approved as seen, booked once, to one bearer."""

import itertools
import os
import signal
import subprocess
import sys
from contextlib import nullcontext

import pytest

from adapters.sqlite import open_database
from ledger import chart, fraud_rules, reasons
from ledger.bearers import LOSSES, NO_LOSS, Bearer, Relieved
from ledger.corrections import CorrectionRefused
from ledger.dialect import ConstraintBroken, SqliteDialect
from ledger.invariants import check
from ledger.made_good import IS_OF_CASE, OF_ONE_SALE
from ledger.schema import MIGRATIONS
from ledger.store import LedgerStore
from ledger.transfers import BEAR, CORRECT
from ledger.watch import Watch
from protocols.card.purse import CARD_CENTRE
from protocols.wire import messages
from tests.ledger.crashes import stop_anywhere
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
from tests.ledger.replaced import AFTER, DUE_S, NEW_CARD, books, lose, replace, replaced
from tests.ledger.tampering import in_its_words, tamper

OF_CREDITS = reasons.UNKNOWN_CREDIT, reasons.ABOVE_LOAD, reasons.IMBALANCE
BECAUSE = "the camera shows it"
LATE = Bearer.CARD_CENTRE, "wang", BECAUSE, 5, 5_000
NOBODY = 99  # a card that was never issued


def of_nobody(path=":memory:"):
    """Books with a spend of card 99, which lies in suspense."""
    reader = Reader(1001)
    reader.spend(card_no=NOBODY)
    store = open_ledger(reader, path=path)
    store.book([reader.records])
    return store


def the_case(store, reason):
    (case,) = [case for case in store.corrections.cases() if case.reason == reason]
    return case


def propose(store, reason=reasons.UNKNOWN_CARD, bearer=Bearer.CARD_CENTRE, **how):
    case = the_case(store, reason)
    return store.corrections.propose(case, bearer, "wang", BECAUSE, 5, **how)


def mark_of(store, proposal, reason=reasons.UNKNOWN_CARD):
    return store.corrections.mark(the_case(store, reason), proposal)


def correct(store, reason=reasons.UNKNOWN_CARD, bearer=Bearer.CARD_CENTRE, **how):
    """What the accounts have got by it."""
    before = store.balances()
    proposal = propose(store, reason, bearer, **how)
    assert store.balances() == before
    store.corrections.approve(proposal.number, mark_of(store, proposal, reason), "li", 6)
    assert check(store) == []
    after = store.balances()
    changes = {key: fen - before.get(key, 0) for key, fen in after.items()}
    return {key: fen for key, fen in changes.items() if fen}


def lost_and_spent():
    """Books in which CARD was replaced, and then spent by whoever has it."""
    reader = Reader(1001)
    reader.spend(**AFTER)
    store = replaced(reader)
    store.book([reader.records])
    return store


@pytest.mark.parametrize(
    ("bearer", "whose", "account"),
    [
        (Bearer.HOLDER, NEW_CARD, ("holder", NEW_CARD)),
        (Bearer.MERCHANT, None, ("merchant", CANTEEN)),
        (Bearer.DEVICE_OWNER, None, ("device owner", 1001)),
    ],
)
def test_a_sale_that_is_cancelled_then_gives_back_to_who_bore_it(bearer, whose, account):
    """Not to the loss account, which two persons had relieved: that would be a loss below none."""
    reader = Reader(1001)
    sale = reader.spend(amount_fen=900, **AFTER)
    store = replaced(reader)
    store.book([reader.records])
    before = store.balances()
    correct(store, reasons.SPENT_WHILE_LOST, bearer, whose=whose)
    assert store.balances()[account] == before.get(account, 0) - 900
    reader.cancel(sale, amount_fen=900)
    store.book([reader.records])
    for _ in range(2):
        store.carry_overs.claim(NEW_CARD, DUE_S)
        after = store.balances()
        taken_fen = 900 if bearer is Bearer.MERCHANT else 0  # the sale itself
        assert after[account] == before.get(account, 0) - taken_fen
        assert after["loss", reasons.SPENT_WHILE_LOST] == 0
        assert after["merchant", CANTEEN] == 0 and sum(after.values()) == 0
        assert check(store) == []


# -- the table ------------------------------------------------------------------------------------


def test_every_kind_of_case_has_a_bearer_or_says_why_it_has_none():
    cases = set(reasons.TEXTS) - set(reasons.REJECTED)
    assert set(LOSSES) | set(NO_LOSS) == cases
    assert not set(LOSSES) & set(NO_LOSS)
    assert all(loss.why for loss in LOSSES.values()) and all(NO_LOSS.values())
    lies = {loss.relieved: set() for loss in LOSSES.values()}
    for reason, loss in LOSSES.items():
        lies[loss.relieved].add(reason)
    assert lies[Relieved.SUSPENSE] == set(reasons.SUSPENSE_ACCOUNTS)
    assert lies[Relieved.LOSS] == set(reasons.LOSS_ACCOUNTS)


# -- each bearer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bearer", "whose", "account"),
    [
        (Bearer.CARD_CENTRE, None, ("loss", reasons.UNKNOWN_CARD)),
        (Bearer.DEVICE_OWNER, None, ("device owner", 1001)),
        (Bearer.MERCHANT, None, ("merchant", CANTEEN)),
        (Bearer.MERCHANT, KIOSK, ("merchant", KIOSK)),
        (Bearer.HOLDER, CARD, ("holder", CARD)),
    ],
)
def test_it_comes_to_one_bearer(bearer, whose, account):
    moved = correct(of_nobody(), bearer=bearer, whose=whose)
    assert moved == {account: -100, ("suspense", reasons.UNKNOWN_CARD): 100}


def test_a_correction_stands_in_the_statement_of_its_holder_alone():
    """Its number is that of an opening too, and of another card."""
    store = of_nobody()
    correct(store, bearer=Bearer.HOLDER, whose=OTHER_CARD)
    for card_no, moved in ((CARD, []), (OTHER_CARD, [-100])):
        entries = store.accounts.entries(card_no, 10)
        assert [entry.purse_fen for entry in entries if entry.kind == CORRECT] == moved
        purse_fen = store.accounts.balance(card_no, 0).purse_fen
        assert sum(entry.purse_fen for entry in entries) == purse_fen


def test_what_was_taken_for_nobody_goes_to_its_merchant():
    reader = Reader(1001)
    reader.spend(merchant_no=77)
    store = open_ledger(reader)
    store.book([reader.records])
    moved = correct(store, reasons.UNKNOWN_MERCHANT, Bearer.MERCHANT, whose=CANTEEN)
    assert moved == {("suspense", reasons.UNKNOWN_MERCHANT): -100, ("merchant", CANTEEN): 100}


def test_what_was_laid_out_for_a_holder_is_asked_of_another():
    store = lost_and_spent()
    moved = correct(store, reasons.SPENT_WHILE_LOST, Bearer.HOLDER, whose=NEW_CARD)
    assert moved == {("holder", NEW_CARD): -100, ("loss", reasons.SPENT_WHILE_LOST): 100}


def test_a_lost_spend_is_booked_with_what_the_card_says():
    reader = Reader(1001)
    reader.spend()
    reader.boot()
    store = open_ledger(reader)
    store.book([[lost(reader.key, 1001, 1, reader.records[1]), *reader.records[1:]]])
    with pytest.raises(CorrectionRefused, match="which card"):
        propose(store, reasons.LOST, Bearer.HOLDER, amount_fen=100)
    with pytest.raises(CorrectionRefused, match="how much"):
        propose(store, reasons.LOST, Bearer.HOLDER, whose=CARD)
    moved = correct(store, reasons.LOST, Bearer.HOLDER, amount_fen=100, whose=CARD)
    assert moved == {("holder", CARD): -100, ("merchant", CANTEEN): 100}


def test_a_copied_card_costs_one_bearer_what_the_second_record_took():
    one, other = Reader(1001), Reader(1002)
    one.spend()
    other.spend(amount_fen=200)
    store = open_ledger(one, other)
    store.book([one.records, other.records])
    assert Watch(store, lambda: 1, {}).look()
    assert store.corrections.pair(the_case(store, reasons.CARD_FORKED))[:3] == (CARD, 1001, 1)
    moved = correct(store, reasons.CARD_FORKED)
    assert moved == {("loss", reasons.CARD_FORKED): -200, ("holder", CARD): 200}


# -- one sale, several cases ----------------------------------------------------------------------


def lost_then_found():
    """A lost record whose reader finds it again; what its papers said is booked meanwhile."""
    reader = Reader(1001)
    reader.spend()
    reader.boot()
    store = open_ledger(reader)
    store.book([[lost(reader.key, 1001, 1, reader.records[1]), *reader.records[1:]]])
    correct(store, reasons.LOST, Bearer.HOLDER, amount_fen=100, whose=CARD)
    store.book([reader.records])
    return store


def copied(**when):
    """Books in which two readers have debited CARD at one counter, and the watch has looked."""
    one, other = Reader(1001), Reader(1002)
    one.spend(**when)
    other.spend(amount_fen=200, **when)
    store = books(one, other)
    if when:
        lose(store)
    store.book([one.records, other.records])
    assert Watch(store, lambda: 1, {}).look()
    return store


def second_case(store, reason):
    """The case of the record that the copy has made: both of its records contradict."""
    return max(
        (case for case in store.corrections.cases() if case.reason == reason),
        key=lambda case: case.device,
    )


def test_a_record_that_is_found_is_not_paid_to_its_merchant_again():
    store = lost_then_found()
    before = store.dump()
    with pytest.raises(CorrectionRefused, match="it is booked: proposal 1, approved by li"):
        propose(store, reasons.FOUND, Bearer.HOLDER)
    assert store.dump() == before
    assert store.balances()["merchant", CANTEEN] == 100


def test_two_records_that_are_found_in_one_place_are_two_sales():
    reader = Reader(1001)
    twin = reader.fork()
    reader.spend()
    twin.spend(card_no=OTHER_CARD)
    reader.boot()
    store = open_ledger(reader)
    store.book([[lost(reader.key, 1001, 1, reader.records[1]), *reader.records[1:]]])
    store.book([reader.records, twin.records[:1]])
    for case in [case for case in store.corrections.cases() if case.reason == reasons.FOUND]:
        proposal = store.corrections.propose(case, Bearer.HOLDER, "wang", BECAUSE, 5)
        store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 6)
    assert store.balances()["merchant", CANTEEN] == 200 and check(store) == []
    with pytest.raises(CorrectionRefused, match="it is booked"):
        propose(store, reasons.LOST, Bearer.HOLDER, amount_fen=100, whose=CARD)


@pytest.mark.parametrize(
    "first_and_then",
    [
        (reasons.CARD_FORKED, reasons.CONTRADICTION),
        (reasons.CONTRADICTION, reasons.CARD_FORKED),
    ],
)
def test_a_copy_that_is_two_cases_is_made_good_once(first_and_then):
    store = copied()
    corrections = store.corrections
    first, then = (second_case(store, reason) for reason in first_and_then)
    late = corrections.propose(then, Bearer.DEVICE_OWNER, "wang", BECAUSE, 5)
    proposal = corrections.propose(first, Bearer.DEVICE_OWNER, "wang", BECAUSE, 5)
    corrections.approve(proposal.number, corrections.mark(first, proposal), "li", 6)
    assert corrections.approved(then) == (proposal.number, "li", 6)
    before = store.dump()
    with pytest.raises(CorrectionRefused, match="it is booked"):
        corrections.approve(late.number, corrections.mark(then, late), "li", 7)
    assert store.dump() == before and check(store) == []
    assert store.balances()["device owner", 1002] == -200


@pytest.mark.parametrize("amount_fen", [200, 150])
def test_what_was_made_good_of_a_spend_is_not_borne_when_its_card_is_replaced(amount_fen):
    store = copied(**AFTER)
    correct(store, reasons.CARD_FORKED, Bearer.DEVICE_OWNER, amount_fen=amount_fen)
    replace(store)
    assert check(store) == []
    balances = store.balances()
    assert balances["loss", reasons.SPENT_WHILE_LOST] == -100 - (200 - amount_fen)
    assert balances["holder", CARD] == 10_000  # as before anybody spent


def test_what_the_card_centre_has_borne_is_not_made_good_again():
    store = copied(**AFTER)
    replace(store)
    before = store.dump()
    with pytest.raises(CorrectionRefused, match="200 fen were given back already"):
        propose(store, reasons.CARD_FORKED, Bearer.DEVICE_OWNER)
    assert store.dump() == before


def test_what_its_reader_has_cancelled_is_not_made_good_again():
    one, other = Reader(1001), Reader(1002)
    one.spend()
    sale = other.spend(amount_fen=200)
    store = open_ledger(one, other)
    store.book([one.records, other.records])
    assert Watch(store, lambda: 1, {}).look()
    proposal = propose(store, reasons.CARD_FORKED)
    other.cancel(sale, amount_fen=200)
    store.book([other.records])
    mark = mark_of(store, proposal, reasons.CARD_FORKED)
    refused(store, "200 fen were given back already", proposal, mark=mark)


@pytest.mark.parametrize(
    ("bearer", "whose", "account"),
    [
        (Bearer.CARD_CENTRE, None, ("loss", reasons.CARD_FORKED)),
        (Bearer.DEVICE_OWNER, None, ("device owner", 1002)),
        (Bearer.MERCHANT, None, ("merchant", CANTEEN)),
        (Bearer.MERCHANT, KIOSK, ("merchant", KIOSK)),
        (Bearer.HOLDER, OTHER_CARD, ("holder", OTHER_CARD)),
    ],
)
@pytest.mark.parametrize("amount_fen", [200, 150])
def test_what_was_made_good_and_is_cancelled_then_is_not_paid_to_its_holder_twice(
    amount_fen, bearer, whose, account
):
    """As in the other order, everybody has what they had before the sale."""
    one, other = Reader(1001), Reader(1002)
    one.spend()
    store = open_ledger(one, other)
    store.book([one.records])
    before = store.balances()
    sale = other.spend(amount_fen=200)
    store.book([other.records])
    assert Watch(store, lambda: 1, {}).look()
    correct(store, reasons.CARD_FORKED, bearer, amount_fen=amount_fen, whose=whose)
    other.cancel(sale, amount_fen=200)
    for records in (other.records, other.records[-1:], one.records):
        store.book([records])  # told again, and again
        after = store.balances()
        assert check(store) == []
        assert after.get(account, 0) == before.get(account, 0)
        assert after["merchant", CANTEEN] == before["merchant", CANTEEN]
        assert after["holder", CARD] == before["holder", CARD] - (200 - amount_fen)
        assert after["pending", CARD] == 200 - amount_fen
    cases = [case for case in store.cases() if case[0] == reasons.CANCELLED_WHEN_MADE_GOOD]
    assert cases == [(reasons.CANCELLED_WHEN_MADE_GOOD, 1002, 1)]
    if bearer is Bearer.HOLDER:
        found = store.accounts.entries(OTHER_CARD, 10)
        purse_fen = store.accounts.balance(OTHER_CARD).purse_fen
        assert sum(entry.purse_fen for entry in found) == purse_fen


def test_a_sale_of_nobody_that_is_cancelled_goes_back_to_who_bore_it():
    reader = Reader(1001)
    sale = reader.spend(card_no=NOBODY)
    store = open_ledger(reader)
    store.book([reader.records])
    correct(store, bearer=Bearer.DEVICE_OWNER)
    reader.cancel(sale, card_no=NOBODY)
    store.book([reader.records])
    assert check(store) == []
    balances = store.balances()
    assert balances["device owner", 1001] == balances["suspense", reasons.UNKNOWN_CARD] == 0
    assert balances["merchant", CANTEEN] == 0


def test_what_is_cancelled_and_made_good_goes_on_with_its_replaced_card():
    """The card centre has borne what was not made good, and each has their own back."""
    store = copied(**AFTER)
    correct(store, reasons.CARD_FORKED, Bearer.DEVICE_OWNER, amount_fen=150)
    replace(store)
    assert store.balances()["loss", reasons.SPENT_WHILE_LOST] == -150
    for _ in range(2):
        other = Reader(1002)
        other.cancel(other.spend(amount_fen=200, **AFTER), amount_fen=200)
        store.book([other.records])
        store.carry_overs.claim(NEW_CARD, DUE_S)
        assert check(store) == []
        balances = store.balances()
        assert balances["device owner", 1002] == 0
        assert balances["loss", reasons.SPENT_WHILE_LOST] == -100  # that of the other record
        assert balances["merchant", CANTEEN] == 100
        assert balances["pending", NEW_CARD] == 10_000


@pytest.mark.parametrize("outcome", [None, messages.NOT_COMMITTED, messages.COMMITTED])
def test_what_a_purse_has_not_lost_is_not_given_to_it(outcome):
    """The case is there with the intent; whether the card was debited is known later, or never."""
    reader = Reader(1001)
    intent = reader.intent(after_fen=9_000)
    store = open_ledger(reader)
    store.book([reader.records])
    with pytest.raises(CorrectionRefused, match="nothing of it is booked to card 7"):
        propose(store, reasons.BAD_ARITHMETIC, Bearer.DEVICE_OWNER)
    if outcome is None:
        return
    reader.outcome(intent, outcome)
    store.book([reader.records])
    if outcome == messages.COMMITTED:
        moved = correct(store, reasons.BAD_ARITHMETIC, Bearer.DEVICE_OWNER)
        assert moved == {("device owner", 1001): -100, ("holder", CARD): 100}
    else:
        with pytest.raises(CorrectionRefused, match="nothing of it is booked to card 7"):
            propose(store, reasons.BAD_ARITHMETIC, Bearer.DEVICE_OWNER)


# -- one credit, several cases --------------------------------------------------------------------


def credited(*numbers):
    """Books in which CARD shows credits that nobody has paid in, whose CREDITs came last.

    The cases: 337 of each CREDIT and of each tap that names it, and 432 there and behind a gap.
    """
    reader, other = Reader(1001), Reader(1002)
    fen, counter, last = OPENING_FEN, 2, reader.spend()
    for number in numbers:
        fen -= 100
        where = {"counter": counter, "before_fen": fen, "last": last}
        other.outcome(other.credit(number=number, **where))
        fen, last = fen + 5_000, (CARD_CENTRE, number)
        last = reader.spend(counter=counter + 1, before_fen=fen, last=last)
        counter += 2
    reader.spend(counter=counter + 1, before_fen=fen - 200, last=(1003, 1))
    store = open_ledger(reader, other)
    store.book([reader.records])
    Watch(store, lambda: 1, {}).look()
    store.book([other.records])
    Watch(store, lambda: 1, {}).look()
    return store


def raised():
    """Books in which CARD has 5,000 fen too many: behind a gap (432), and told later (433)."""
    reader, other = Reader(1001), Reader(1002)
    fen = OPENING_FEN + 5_000
    last = other.spend(counter=2, before_fen=fen - 100, last=reader.spend())
    reader.spend(counter=3, before_fen=fen - 200, last=last)
    store = open_ledger(reader, other)
    for records in (reader.records, other.records):
        store.book([records])
        assert Watch(store, lambda: 1, {}).look()
    return store


def of_credits(store):
    return [case for case in store.corrections.cases() if case.reason in OF_CREDITS]


def made_good(store, case, amount_fen=5_000):
    corrections = store.corrections
    how = case, Bearer.CARD_CENTRE, "wang", BECAUSE, 5, amount_fen
    proposal = corrections.propose(*how)
    corrections.approve(proposal.number, corrections.mark(case, proposal), "li", 6)
    assert check(store) == []


@pytest.mark.parametrize(
    ("fill", "reasons_of"),
    [
        (lambda: credited(70), {reasons.UNKNOWN_CREDIT, reasons.ABOVE_LOAD}),
        (raised, {reasons.IMBALANCE, reasons.ABOVE_LOAD}),
    ],
)
def test_a_credit_that_is_several_cases_is_made_good_once(fill, reasons_of):
    found = of_credits(fill())
    assert {case.reason for case in found} == reasons_of
    for at in range(len(found)):
        store = fill()
        before_fen = store.balances()["holder", CARD]
        other, case = of_credits(store)[at - 1], of_credits(store)[at]
        late = store.corrections.propose(other, *LATE)
        made_good(store, case)
        before = store.dump()
        for one in of_credits(store):
            with pytest.raises(CorrectionRefused, match="it is booked: proposal 2, approved"):
                store.corrections.propose(one, Bearer.CARD_CENTRE, "wang", BECAUSE, 5, 1)
        mark = store.corrections.mark(other, late)
        with pytest.raises(CorrectionRefused, match="it is booked"):
            store.corrections.approve(late.number, mark, "li", 7)
        assert store.dump() == before
        assert store.balances()["holder", CARD] == before_fen + 5_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_credits_are_made_good_one_by_one(order):
    store = credited(70, 71)
    before_fen = store.balances()["holder", CARD]
    for seq in [(1, 3)[at] for at in order]:
        made_good(store, store.corrections.case(reasons.UNKNOWN_CREDIT, 1002, seq))
    assert store.balances()["holder", CARD] == before_fen + 10_000
    for case in of_credits(store):
        with pytest.raises(CorrectionRefused, match="it is booked"):
            store.corrections.propose(case, *LATE)


# -- refused --------------------------------------------------------------------------------------


def refused(store, text, proposal, person="li", mark=None):
    before = store.dump()
    mark = mark_of(store, proposal) if mark is None else mark
    with pytest.raises(CorrectionRefused, match=text):
        store.corrections.approve(proposal.number, mark, person, 7)
    assert store.dump() == before


def test_not_by_the_same_person():
    store = of_nobody()
    refused(store, "another person", propose(store), person="wang")


def test_not_without_having_seen_it():
    store = of_nobody()
    refused(store, "is not its mark", propose(store), mark="0" * 12)


def test_not_after_another_proposal():
    store = of_nobody()
    first = propose(store)
    mark = mark_of(store, first)
    second = propose(store, bearer=Bearer.MERCHANT)
    refused(store, "proposal 2 stands in its place", first, mark=mark)
    refused(store, "is not its mark", second, mark=mark)


def test_not_when_the_money_has_gone_meanwhile():
    """The sale is cancelled between proposal and approval."""
    reader = Reader(1001)
    sale = reader.spend(card_no=NOBODY)
    store = open_ledger(reader)
    store.book([reader.records])
    proposal = propose(store)
    mark = mark_of(store, proposal)
    reader.cancel(sale, card_no=NOBODY)
    store.book([reader.records])
    refused(store, "is not its mark", proposal, mark=mark)
    refused(store, "nothing lies there any more", proposal)


def test_not_twice():
    store = of_nobody()
    proposal = propose(store)
    mark = mark_of(store, proposal)
    store.corrections.approve(1, mark, "li", 6)
    refused(store, "it is booked: proposal 1, approved by li", proposal, mark=mark)
    with pytest.raises(CorrectionRefused, match="it is booked"):
        propose(store)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"amount_fen": 99}, "all of it or nothing"),
        ({"bearer": Bearer.HOLDER}, "card 99 is not known"),
        ({"bearer": Bearer.MERCHANT, "whose": 5}, "merchant 5 is not known"),
        ({"reason": reasons.NO_AMOUNT}, "a spend of nothing"),
        ({"reason": reasons.OTHER_MERCHANT, "amount_fen": 101}, "it is 1 to 100"),
        ({"reason": reasons.OTHER_MERCHANT, "amount_fen": 0}, "it is 1 to 100"),
        (
            {"reason": reasons.OTHER_MERCHANT, "bearer": Bearer.MERCHANT, "whose": CANTEEN},
            "the same account",
        ),
    ],
)
def test_wrong_proposals_are_refused(how, text):
    reader = Reader(1001)
    reader.spend(card_no=NOBODY)
    reader.spend(counter=2, amount_fen=0)
    reader.spend(counter=3, merchant_no=KIOSK)
    store = open_ledger(reader)
    store.book([reader.records])
    before = store.dump()
    with pytest.raises(CorrectionRefused, match=text):
        propose(store, **how)
    assert store.dump() == before


def test_a_replaced_card_bears_nothing():
    store = lost_and_spent()
    with pytest.raises(CorrectionRefused, match=f"was replaced by card {NEW_CARD}"):
        propose(store, reasons.SPENT_WHILE_LOST, Bearer.HOLDER)


def test_nor_does_one_that_was_replaced_between_proposal_and_approval():
    """Its money has gone on to the next card: who proposed has to name that one."""
    reader = Reader(1001)
    reader.spend(card_no=NOBODY)
    store = books(reader)
    store.book([reader.records])
    proposal = propose(store, bearer=Bearer.HOLDER, whose=CARD)
    lose(store)
    replace(store)
    store.carry_overs.claim(NEW_CARD, DUE_S)
    before = store.dump()
    with pytest.raises(CorrectionRefused, match=f"was replaced by card {NEW_CARD}"):
        store.corrections.approve(proposal.number, mark_of(store, proposal), "li", 6)
    assert store.dump() == before
    moved = correct(store, bearer=Bearer.HOLDER, whose=NEW_CARD)
    assert moved[("holder", NEW_CARD)] < 0 and ("holder", CARD) not in moved


@pytest.mark.parametrize("person", ["", "Wang", "a b", "x" * 33])
def test_a_person_is_a_word(person):
    store = of_nobody()
    case = the_case(store, reasons.UNKNOWN_CARD)
    with pytest.raises(CorrectionRefused, match="a person is one word"):
        store.corrections.propose(case, Bearer.CARD_CENTRE, person, BECAUSE, 5)


# -- stopped, and behind the program's back -------------------------------------------------------


def test_stopped_at_any_statement_then_run_again():
    """Power goes between any two; whoever asks again books it once or hears that it is."""
    reader = Reader(1001)
    reader.spend(card_no=NOBODY)

    def live(store):
        try:
            if not store.corrections.proposed(the_case(store, reasons.UNKNOWN_CARD)):
                propose(store)
            case = the_case(store, reasons.UNKNOWN_CARD)
            proposal = store.corrections.proposed(case)
            store.corrections.approve(proposal.number, mark_of(store, proposal), "li", 6)
        except CorrectionRefused as error:
            assert "it is booked" in str(error)

    store = LedgerStore(SqliteDialect(open_database(":memory:", MIGRATIONS)))
    store.register_merchant(CANTEEN)
    store.register_device(1001, reader.key, CANTEEN)
    store.book([reader.records])
    stop_anywhere(store, live, least=25, check_each=1)


_KILLED = """
import os, signal, sys
from ledger import corrections
from ledger.store import LedgerStore

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "inside":
    corrections.post_recorded = killed
store = LedgerStore.open(sys.argv[1])
try:
    store.corrections.approve(1, sys.argv[3], "li", 6)
except corrections.CorrectionRefused as error:
    assert "it is booked" in str(error), error
killed()
"""


def test_killed_between_approval_and_transfer_and_behind_them(tmp_path, repo_root):
    path = str(tmp_path / "ledger.sqlite")
    store = of_nobody(path)
    mark = mark_of(store, propose(store))
    store.close()
    for where, left_fen in (("inside", -100), ("behind", 0), ("behind", 0)):
        child = subprocess.run(
            [sys.executable, "-c", _KILLED, path, where, mark],
            env=os.environ | {"PYTHONPATH": str(repo_root)},
            timeout=60,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
        store = LedgerStore.open(path)
        assert store.balances()["suspense", reasons.UNKNOWN_CARD] == left_fen, where
        assert check(store) == []
        store.close()


TAMPERED = {
    "a finding is a case about two records of its card": [
        "UPDATE finding SET first_seq = 9",
        "UPDATE finding SET card_no = 7",
        "DELETE FROM suspense_case WHERE reason = 430",
    ],
    "what two persons have approved is booked once, as it was proposed": [
        "UPDATE transfer SET amount_fen = 99 WHERE kind = 40",
        "UPDATE correction_approval SET person = 'wang'",
    ],
    "nothing is corrected but what two persons have approved": ["DELETE FROM correction_approval"],
    "what one sale has cost is made good once, whichever of its cases it was": [
        # Two cases of the copy's record, each approved by somebody.
        "INSERT INTO correction_approval SELECT reason, device, seq, sha256, 90 + reason, 'li', 1"
        " FROM suspense_case WHERE device = 1002 AND reason IN (321, 430)",
    ],
    "what one credit has cost is made good once, whichever of its cases it was": [
        "INSERT INTO correction_approval VALUES (432, 1001, 3, x'00', 91, 'li', 1),"
        " (433, 1002, 1, x'00', 92, 'li', 1)",
    ],
    "what a cancelled sale gave back is theirs first who had made it good, and no more of it": [
        "DELETE FROM transfer WHERE line = 14",
        "UPDATE transfer SET amount_fen = 99 WHERE line = 14",
        "UPDATE transfer SET credit_account = debit_account WHERE line = 14",
        "DELETE FROM suspense_case WHERE reason = 339",
        f"INSERT INTO transfer VALUES (1001, 2, 14, 12, {chart.purse(CARD)}, {chart.EARNED}, 1)",
    ],
    "a correction comes to the account of its one bearer": [
        "UPDATE correction SET bearer = 'holder'",
        f"UPDATE correction SET debit_account = {chart.account(chart.OWNER, 1001)}",
    ],
}


def filled():
    """One correction, of a sale that was cancelled then, and a finding."""
    reader, other = Reader(1001), Reader(1002)
    sale = reader.spend(card_no=NOBODY)
    reader.spend(card_no=OTHER_CARD)
    other.spend(card_no=OTHER_CARD)
    store = open_ledger(reader, other)
    store.book([reader.records, other.records])
    correct(store)
    reader.cancel(sale, card_no=NOBODY)
    store.book([reader.records])
    assert Watch(store, lambda: 1, {}).look()
    return store


@pytest.mark.parametrize(
    ("rule", "sql"), [(rule, sql) for rule in TAMPERED for sql in TAMPERED[rule]]
)
def test_tampering_is_seen(rule, sql):
    store = filled()
    assert check(store) == []
    tamper(store, [in_its_words(store, sql)])
    assert rule in [violation.rule for violation in check(store)]


def test_a_spend_that_is_made_good_and_borne_is_seen():
    store = copied()
    correct(store, reasons.CARD_FORKED)
    accounts = chart.loss(reasons.SPENT_WHILE_LOST), chart.purse(CARD)
    tamper(
        store,
        [f"INSERT INTO transfer VALUES (1002, 1, 4, {BEAR}, {accounts[0]}, {accounts[1]}, 1)"],
    )
    assert "what one sale has cost is made good once, whichever of its cases it was" in [
        violation.rule for violation in check(store)
    ]


def test_every_rule_has_its_tampering():
    assert set(TAMPERED) == set(fraud_rules.RULES)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO correction_approval SELECT reason, device, seq, sha256, number, 'li', 1"
        " FROM correction WHERE number = 1",  # twice
        "INSERT INTO correction_approval SELECT reason, device, seq, sha256, 2, 'li', 1"
        " FROM suspense_case WHERE reason = 321",  # of another case
        "INSERT INTO correction_approval SELECT reason, device, seq, sha256, number, 'wang', 1"
        " FROM correction WHERE number = 2",
        "INSERT INTO correction_approval SELECT reason, device, seq, sha256, 9, 'li', 1"
        " FROM correction WHERE number = 2",
        "UPDATE correction SET amount_fen = 1",
        "DELETE FROM correction",
    ],
)
def test_the_database_refuses(sql):
    store = filled()
    propose(store, reasons.CARD_FORKED)
    before = store.dump()
    with pytest.raises(ConstraintBroken), store.database.transaction():
        store.database.rows(in_its_words(store, sql))
    assert store.dump() == before


def test_the_database_refuses_a_second_correction_of_one_sale():
    """Of those that ledger/made_good.py calls one, and of no others."""
    store = of_nobody()
    database, refusals = store.database, 0
    kinds = [reason for group in OF_ONE_SALE for reason in group] + [reasons.UNKNOWN_CARD]
    of_case = f"""SELECT 1 FROM suspense_case c JOIN correction_approval a ON {IS_OF_CASE}
        WHERE c.seq = ? AND c.reason = ? AND c.sha256 = ?"""
    for seq, (first, then) in enumerate(itertools.product(kinds, kinds), 100):
        keys = (first, 1001, seq, b"1"), (then, 1001, seq, b"2")
        with database.transaction():
            database.many(
                "INSERT INTO suspense_case VALUES (?, ?, ?, ?, ?)", [(*k, b"") for k in keys]
            )
            rows = [
                (2 * seq + at, *key, "holder", 1, 2, 3, "why", "wang", 4)
                for at, key in enumerate(keys)
            ]
            database.many(f"INSERT INTO correction VALUES ({', '.join('?' * 12)})", rows)
        approvals = [(*key, 2 * seq + at, "li", 5) for at, key in enumerate(keys)]
        approve = "INSERT INTO correction_approval VALUES (?, ?, ?, ?, ?, ?, ?)"
        with database.transaction():
            database.many(approve, approvals[:1])
        is_one = bool(list(database.rows(of_case, (seq, then, b"2"))))
        expected = (
            pytest.raises(ConstraintBroken, match="made good once") if is_one else nullcontext()
        )
        with expected, database.transaction():
            database.many(approve, approvals[1:])
        refusals += is_one
    assert refusals == 6 * 6 + 4 * 4 - 2 * 2 + 2 * 2
