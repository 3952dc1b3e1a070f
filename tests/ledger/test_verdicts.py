"""What becomes of a spend whose outcome is missing, unknown, late, foreign or contradicted."""

import itertools

import pytest

from ledger import chart, reasons
from ledger import store as ledger_store
from ledger.dialect import StoreUnavailable
from ledger.evidence import OF_RESULT, Intent, State, is_contradiction, stated_by, verdict
from ledger.invariants import check
from ledger.reasons import CONTRADICTION
from protocols.wire import messages
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CANTEEN, CARD, KIOSK, OPENING_FEN, OTHER_CARD, Reader, open_ledger


def intent(device=1001, seq=5, counter=3, last=(0, 0), span=(0, 0xFFFFFFFF), state=State.PENDING):
    return Intent(device, seq, CARD, counter, 100, CANTEEN, *last, *span, state)


ABOUT = intent(span=(1000, 1010))


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (intent(1002, 1, counter=4, last=(1001, 5)), State.COMMITTED),
        (intent(1002, 1, counter=4, last=(1003, 9)), State.NOT_COMMITTED),
        (intent(1002, 1, counter=4, last=(0, 0)), State.PENDING),
        (intent(1001, 6, counter=3), State.NOT_COMMITTED),
        (intent(1001, 4, counter=3), State.PENDING),
        (intent(1002, 6, counter=3), State.PENDING),
        # Later by its clock, which may be hours off.
        (intent(1002, 6, counter=3, span=(1011, 1020)), State.PENDING),
        (intent(1002, 6, counter=3, span=(900, 999)), State.PENDING),
        (intent(1002, 6, counter=3, state=State.COMMITTED), State.NOT_COMMITTED),
        (intent(1002, 6, counter=3, state=State.UNKNOWN), State.PENDING),
        # Tries were given back between: the card goes on naming the last record.
        (intent(1002, 6, counter=5, last=(1001, 5)), State.COMMITTED),
        (intent(1002, 6, counter=5, last=(1003, 9)), State.PENDING),
        (intent(1002, 6, counter=6, last=(1001, 5)), State.PENDING),
        (intent(1001, 6, counter=2, last=(1001, 5)), State.PENDING),
    ],
)
def test_table_of_evidence(other, says):
    assert stated_by(other, ABOUT) is says


def test_a_card_that_names_a_credit_two_steps_later_says_nothing_of_its_first_try():
    """It may have been tried again one step later, and that was it."""
    credit = intent(counter=3)
    credit.credit_no = 8
    assert stated_by(intent(seq=9, counter=5, last=credit.mark), credit) is State.PENDING
    assert stated_by(intent(seq=9, counter=4, last=credit.mark), credit) is State.COMMITTED


def test_verdict_does_not_depend_on_order():
    for statements in itertools.product(State, repeat=3):
        verdicts = {verdict(order) for order in itertools.permutations(statements)}
        assert len(verdicts) == 1
    assert verdict([]) is State.PENDING
    assert is_contradiction(State.COMMITTED, State.NOT_COMMITTED)
    assert not is_contradiction(State.COMMITTED, State.UNKNOWN)


def test_intent_alone_moves_no_money():
    reader = Reader(1001)
    spend = reader.intent()
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*spend) is State.PENDING
    assert store.takings(CANTEEN) == 0
    assert store.summary() | {"pending": 1, "booked": 0} == store.summary()


@pytest.mark.parametrize(
    ("result", "state", "taken"),
    [
        (COMMITTED, State.COMMITTED, 100),
        (NOT_COMMITTED, State.NOT_COMMITTED, 0),
        (UNKNOWN, State.UNKNOWN, 0),
    ],
)
def test_outcome_decides(result, state, taken):
    reader = Reader(1001)
    spend = reader.intent()
    reader.outcome(spend, result)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*spend) is state
    assert store.takings(CANTEEN) == taken
    assert check(store) == []


@pytest.mark.parametrize("first", [None, UNKNOWN])
@pytest.mark.parametrize(("result", "taken"), [(COMMITTED, 100), (NOT_COMMITTED, 0)])
def test_outcome_from_another_reader_settles(first, result, taken):
    reader, other = Reader(1001), Reader(1002, KIOSK)
    spend = reader.intent()
    if first:
        reader.outcome(spend, first)
    other.outcome(spend, result)
    for deliveries in ([reader.records, other.records], [other.records, reader.records]):
        store = open_ledger(reader, other)
        for delivery in deliveries:
            store.book([delivery])
        assert store.state(*spend) is OF_RESULT[result]
        assert (store.takings(CANTEEN), store.takings(KIOSK)) == (taken, 0)
        assert list(store.booked_ids()) == ([(1001, 1, 100, CARD)] if taken else [])
        assert check(store) == []


@pytest.mark.parametrize("outcome", [None, UNKNOWN])
@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("was_debited", [False, True])
def test_next_tap_on_any_reader_settles(outcome, is_early, was_debited):
    reader, other = Reader(1001), Reader(1002)
    before = reader.spend(counter=1)
    spend = reader.intent(counter=2, last=before)
    if outcome:
        reader.outcome(spend, outcome)
    if was_debited:
        tap = other.intent(counter=3, last=spend, amount_fen=7)
    else:
        tap = other.intent(counter=2, last=before, amount_fen=7)
        other.outcome(tap)
    deliveries = [reader.records, other.records]
    store = open_ledger(reader, other)
    for delivery in reversed(deliveries) if is_early else deliveries:
        store.book([delivery])
    assert store.state(*spend) is (State.COMMITTED if was_debited else State.NOT_COMMITTED)
    assert store.takings(CANTEEN) == (200 if was_debited else 107)
    assert store.holder_balance(CARD) == OPENING_FEN - store.takings(CANTEEN)
    assert store.cases() == []
    assert check(store) == []


def test_outcome_settles_the_rival_too_each_delivered_alone():
    reader, other = Reader(1001), Reader(1002)
    torn = reader.intent(counter=2)
    paid = other.spend(counter=2)
    store = open_ledger(reader, other)
    for sealed in (*reader.records, *other.records):
        store.book([[sealed]])
    assert (store.state(*torn), store.state(*paid)) == (State.NOT_COMMITTED, State.COMMITTED)
    assert store.holder_balance(CARD) == OPENING_FEN - 100
    assert store.cases() == []


def test_evidence_that_waited_for_a_gap_counts():
    reader, other = Reader(1001), Reader(1002)
    torn = reader.intent(counter=2)
    other.boot()
    other.intent(counter=3, last=torn)
    other.outcome(torn)
    store = open_ledger(reader, other)
    for delivery in (reader.records, other.records[1:], other.records[:1]):
        store.book([delivery])
    assert store.state(*torn) is State.COMMITTED
    assert store.cases() == []
    assert check(store) == []


def test_later_tap_on_the_same_reader_at_the_same_counter_proves_no_debit():
    reader = Reader(1001)
    spend = reader.intent(counter=2)
    reader.outcome(spend, UNKNOWN)
    again = reader.intent(counter=2)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*spend) is State.NOT_COMMITTED
    assert store.state(*again) is State.PENDING


def test_earlier_tap_that_arrives_late_proves_nothing():
    """Two torn taps; the reader of the first was offline. It says nothing about the second."""
    late, reader = Reader(1001), Reader(1002)
    first = late.intent(counter=2, earliest_s=100, latest_s=105)
    late.outcome(first, NOT_COMMITTED)
    second = reader.intent(counter=2, earliest_s=200, latest_s=205)
    reader.outcome(second, UNKNOWN)
    store = open_ledger(late, reader)
    store.book([reader.records])
    store.book([late.records])
    assert store.state(*second) is State.UNKNOWN


def test_another_cards_counter_proves_nothing():
    reader = Reader(1001)
    spend = reader.intent(counter=2)
    reader.spend(card_no=OTHER_CARD, counter=2)
    reader.spend(card_no=OTHER_CARD, counter=3, last=spend)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*spend) is State.PENDING


def test_intent_further_on_proves_nothing_until_the_one_between_arrives():
    first, between, after = Reader(1001), Reader(1002), Reader(1003)
    spend = first.intent(counter=1)
    first.outcome(spend, UNKNOWN)
    middle = between.intent(counter=2, last=spend)
    after.intent(counter=3, last=middle)
    store = open_ledger(first, between, after)
    store.book([first.records, after.records])
    assert store.state(*spend) is State.UNKNOWN
    store.book([between.records])
    assert store.state(*spend) is State.COMMITTED
    assert store.state(*middle) is State.COMMITTED
    assert check(store) == []


def two_steps_later(is_later_named):
    """Two spends from one count of a card: one is committed, and later the card names the other.

    That contradicts what is known of both, however little of it the newest record asks for.
    """
    one, two, three = Reader(1001), Reader(1002), Reader(1003)
    debited = one.spend(counter=1)
    denied = two.intent(counter=1)
    two.outcome(denied, UNKNOWN)
    # At count 3 the tries were given back between; at count 2 it is the next tap.
    three.intent(counter=3 if is_later_named else 2, last=denied)
    return debited, denied, (one, two, three)


@pytest.mark.parametrize("is_later_named", [True, False])
@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_whoever_is_named_contradicts_whom_it_rivals_each_delivered_alone(is_later_named, order):
    debited, denied, readers = two_steps_later(is_later_named)
    whole = open_ledger(*readers)
    whole.book([reader.records for reader in readers])
    store = open_ledger(*readers)
    for number in order:
        for sealed in readers[number].records:
            store.book([[sealed]])
    assert store.state(*debited) is State.COMMITTED and store.state(*denied) is State.COMMITTED
    told = {(device, seq) for reason, device, seq in store.cases() if reason == CONTRADICTION}
    assert told == {debited, denied}
    assert store.dump() == whole.dump()
    assert check(store) == []
    store.close()
    whole.close()


def test_a_card_that_names_another_contradicts_what_is_committed():
    one, two = Reader(1001), Reader(1002)
    debited = one.spend(counter=1)
    two.intent(counter=2, last=(1003, 9))
    store = open_ledger(one, two)
    store.book([one.records])
    store.book([two.records])
    assert (CONTRADICTION, *debited) in store.cases()
    assert check(store) == []
    store.close()


def test_a_card_may_be_issued_after_it_has_spent():
    """That it was not in the books is not remembered; that its merchant was is."""
    reader = Reader(1001)
    reader.spend(card_no=99, counter=1)
    store = open_ledger(reader)
    store.book([reader.records])
    assert (reasons.UNKNOWN_CARD, 1001, 1) in store.cases()
    store.issue_card(99, OPENING_FEN)
    reader.spend(card_no=99, counter=2, last=(1001, 1))
    store.book([reader.records[2:]])
    assert store.holder_balance(99) == OPENING_FEN - 100
    assert check(store) == []
    store.close()


def test_what_a_failed_booking_has_seen_is_not_remembered(monkeypatch):
    """The books may be other ones by the next time: a server that came back from its backup."""
    reader = Reader(1001)
    reader.spend(counter=1)
    store = open_ledger(reader)

    def stop(*_):
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patch:
        patch.setattr(ledger_store, "write_changes", stop)
        with pytest.raises(StoreUnavailable):
            store.book([reader.records])
    assert store._accounts == set()
    store.book([reader.records])
    assert chart.purse(CARD) in store._accounts
    monkeypatch.setattr(ledger_store, "ACCOUNTS_KEPT", 1)
    reader.spend(counter=2, last=(1001, 1))
    store.book([reader.records])
    assert store._accounts == set()
    assert store.holder_balance(CARD) == OPENING_FEN - 200
    store.close()


@pytest.mark.parametrize("results", [(COMMITTED, NOT_COMMITTED), (NOT_COMMITTED, COMMITTED)])
def test_contradicting_outcomes_are_a_case_and_one_transfer(results):
    """Which came first must not decide: booked as debited, once, and somebody looks at it."""
    reader = Reader(1001)
    spend = reader.intent()
    for result in (*results, *results):
        reader.outcome(spend, result)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.cases() == [(reasons.CONTRADICTION, *spend)]
    assert store.takings(CANTEEN) == 100
    assert check(store) == []


def test_outcome_against_the_card_is_a_case():
    reader, other = Reader(1001), Reader(1002)
    spend = reader.intent(counter=1)
    reader.outcome(spend, NOT_COMMITTED)
    other.intent(counter=2, last=spend)
    store = open_ledger(reader, other)
    store.book([reader.records, other.records])
    assert store.state(*spend) is State.COMMITTED
    assert store.cases() == [(reasons.CONTRADICTION, *spend)]


def test_two_debits_from_one_counter_are_both_booked_and_both_cases():
    """A cloned card: the holder's loss is somebody's decision, not an arrival order's."""
    reader, other = Reader(1001), Reader(1002)
    spends = [reader.spend(counter=4), other.spend(counter=4)]
    for order in ([reader, other], [other, reader]):
        store = open_ledger(reader, other)
        for each in order:
            store.book([each.records])
        assert store.cases() == [(reasons.CONTRADICTION, *spend) for spend in spends]
        assert store.summary()["booked"] == 2


@pytest.mark.parametrize("is_early", [False, True])
def test_outcome_of_what_is_no_intent_is_a_case(is_early):
    reader, other = Reader(1001), Reader(1002)
    reader.boot()
    other.outcome((1001, 1))
    other.outcome((1002, 9))  # its own future
    deliveries = [other.records, reader.records]
    store = open_ledger(reader, other)
    for delivery in deliveries if is_early else reversed(deliveries):
        store.book([delivery])
    assert store.cases() == [(reasons.OUTCOME_OF_NO_INTENT, 1002, seq) for seq in (1, 2)]
    assert store.summary()["booked"] == 0
    assert check(store) == []


def test_outcome_of_what_its_reader_has_still_to_begin_counts_for_nothing():
    reader = Reader(1001)
    reader.outcome((1001, 2))
    spend = reader.intent()
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.state(*spend) is State.PENDING
    assert store.cases() == [(reasons.OUTCOME_OF_NO_INTENT, 1001, 1)]
    assert check(store) == []


def test_unknown_card_and_merchant_go_over_suspense():
    reader = Reader(1001, merchant_no=99)
    reader.spend(card_no=4711, amount_fen=250)
    store = open_ledger(reader)
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == 2
    assert store.balances()["suspense", reasons.UNKNOWN_CARD] == -250
    assert store.balances()["suspense", reasons.UNKNOWN_MERCHANT] == 250
    assert store.cases() == [
        (reasons.UNKNOWN_CARD, 1001, 1),
        (reasons.UNKNOWN_MERCHANT, 1001, 1),
    ]
    assert check(store) == []


@pytest.mark.parametrize(
    ("fields", "reason", "taken"),
    [
        ({"merchant_no": KIOSK}, reasons.OTHER_MERCHANT, 0),
        ({"after_fen": 1}, reasons.BAD_ARITHMETIC, 100),
        ({"amount_fen": 0}, reasons.NO_AMOUNT, 0),
    ],
)
def test_odd_spends_are_booked_as_recorded_and_a_case(fields, reason, taken):
    reader = Reader(1001)
    spend = reader.spend(**fields)
    store = open_ledger(reader)
    store.book([reader.records])
    assert store.cases() == [(reason, *spend)]
    assert store.takings(CANTEEN) == taken
    assert check(store) == []


def test_overdraft_is_booked_and_flagged():
    reader = Reader(1001)
    reader.spend(amount_fen=OPENING_FEN, counter=1)
    reader.spend(amount_fen=300, counter=2, last=(1001, 1))
    store = open_ledger(reader)
    store.book([reader.records[:2]])
    assert store.summary()["overdrawn"] == 0
    store.book([reader.records])
    assert store.holder_balance(CARD) == -300
    assert store.summary()["overdrawn"] == 1
    assert check(store) == []


def test_refusals_power_and_boots_are_kept_and_book_nothing():
    reader = Reader(1001)
    reader.boot()
    reader.write(messages.REFUSAL, card_no=CARD, amount_fen=100, reason=201)
    reader.write(messages.POWER, source=1, battery_mv=3900)
    store = open_ledger(reader)
    (answer,) = store.book([reader.records])
    assert answer.heads[0].seq == 3
    assert store.summary() | {"records": 3, "booked": 0, "suspense": 0} == store.summary()


def test_books_that_came_back_without_an_account_are_asked_for_it_again():
    """A server that was restored while another question found the connection broken."""
    reader = Reader(1001)
    reader.spend(card_no=99, counter=1)
    store = open_ledger(reader)
    store._accounts.add(chart.purse(99))  # of books in which card 99 was issued
    store.book([reader.records])
    assert (reasons.UNKNOWN_CARD, 1001, 1) in store.cases()
    assert check(store) == []
    store.close()
