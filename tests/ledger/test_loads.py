"""Money that was paid in for a card comes on it once, or waits, whatever is on record."""

import random

import pytest

from ledger import reasons
from ledger.evidence import State
from ledger.forks import Ground, forks
from ledger.invariants import check
from ledger.store import LedgerStore
from ledger.topups import TopUpRefused
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader, lost, open_ledger

LOAD_FEN = 5_000
NAMED = (CARD_CENTRE, 1)


def books(*readers, path=":memory:"):
    """A ledger in which one load waits for CARD: number 1."""
    store = open_ledger(*readers, path=path)
    assert store.top_ups.top_up(CARD, LOAD_FEN, "order-1") == 1
    return store


def booked(store, *readers):
    """Everything of `readers` is booked; (purse, pending) of CARD."""
    for reader in readers:
        store.book([reader.records])
    assert check(store) == []
    return money(store)


def money(store):
    balances = store.balances()
    return balances["holder", CARD], balances.get(("pending", CARD), 0)


WAITS, LOADED = (OPENING_FEN, LOAD_FEN), (OPENING_FEN + LOAD_FEN, 0)


# --- top-ups ----------------------------------------------------------------------------------


def test_an_order_is_booked_once():
    store = books()
    for _ in range(3):
        assert store.top_ups.top_up(CARD, LOAD_FEN, "order-1") == 1
    assert money(store) == WAITS
    assert store.top_ups.top_up(CARD, LOAD_FEN, "order-2") == 2
    assert money(store) == (OPENING_FEN, 2 * LOAD_FEN)
    assert store.balances()["clearing", 0] == -2 * OPENING_FEN - 2 * LOAD_FEN
    assert check(store) == []


@pytest.mark.parametrize(
    ("card_no", "amount_fen", "order_id", "said"),
    [
        (CARD, LOAD_FEN + 1, "order-1", "differently"),
        (OTHER_CARD, LOAD_FEN, "order-1", "differently"),
        (99, LOAD_FEN, "order-2", "never issued"),
        (CARD, 0, "order-2", "not in 1"),
        (CARD, -1, "order-2", "not in 1"),
        (CARD, AMOUNT_FEN_MAX + 1, "order-2", "not in 1"),
        (CARD, LOAD_FEN, "", "order number"),
        (CARD, LOAD_FEN, "x" * 65, "order number"),
        (CARD, LOAD_FEN, "order\n2", "order number"),
    ],
)
def test_an_order_that_cannot_be_is_refused(card_no, amount_fen, order_id, said):
    store = books()
    before = store.dump()
    with pytest.raises(TopUpRefused, match=said):
        store.top_ups.top_up(card_no, amount_fen, order_id)
    assert store.dump() == before


# --- what records say -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "after"),
    [(None, WAITS), (NOT_COMMITTED, WAITS), (UNKNOWN, WAITS), (COMMITTED, LOADED)],
)
def test_an_outcome_is_believed(result, after):
    reader = Reader(1001)
    credit = reader.credit()
    if result:
        reader.outcome(credit, result)
    assert booked(books(reader), reader) == after


@pytest.mark.parametrize("result", [None, NOT_COMMITTED, UNKNOWN, COMMITTED])
@pytest.mark.parametrize("is_there", [False, True])
def test_the_cards_next_tap_tells(result, is_there):
    """Whatever its reader knew, or lost: what the card names is on it."""
    here, there = Reader(1001), Reader(1002)
    credit = here.credit(counter=4, last=(1002, 9))
    if result:
        here.outcome(credit, result)
    there.spend(counter=5, last=NAMED if is_there else (1003, 1))
    store = books(here, there)
    purse_fen, pending_fen = booked(store, there, here)
    loaded = is_there or result == COMMITTED
    assert (purse_fen + 100, pending_fen) == (LOADED if loaded else WAITS)
    contradicts = result == COMMITTED and not is_there
    assert ((reasons.CONTRADICTION, *credit) in store.cases()) == contradicts
    booked(store, there, here)
    assert money(store) == (purse_fen, pending_fen)


def test_a_card_that_names_it_needs_no_credit_record():
    """Its reader died, or has not sent it yet: and then the record is no second credit."""
    here, there = Reader(1001), Reader(1002)
    here.outcome(here.credit(counter=4))
    there.spend(counter=5, last=NAMED)
    store = books(here, there)
    assert booked(store, there) == (OPENING_FEN + LOAD_FEN - 100, 0)
    assert booked(store, here) == (OPENING_FEN + LOAD_FEN - 100, 0)
    assert store.cases() == []


def test_a_spend_that_the_credit_paid_for_leaves_no_flag():
    """It may be told before the credit is: the purse is below nothing for as long as that."""
    here, there = Reader(1001), Reader(1002)
    here.outcome(here.credit(counter=4))
    there.spend(counter=6, last=(1003, 1), amount_fen=OPENING_FEN + 1)
    store = books(here, there)
    booked(store, there)
    assert store.summary()["overdrawn"] == 1
    assert booked(store, here) == (LOAD_FEN - 1, 0)
    assert store.summary()["overdrawn"] == 0


def test_tried_at_two_readers_it_is_one_credit():
    """One gave up, the other did it, at the same counter of the card: nobody contradicts."""
    one, other = Reader(1001), Reader(1002)
    one.outcome(one.credit(counter=4), NOT_COMMITTED)
    one.outcome(one.intent(counter=4), NOT_COMMITTED)
    other.outcome(other.credit(counter=4))
    one.spend(counter=5, last=NAMED, before_fen=OPENING_FEN + LOAD_FEN)
    store = books(one, other)
    assert booked(store, other, one) == (OPENING_FEN + LOAD_FEN - 100, 0)
    assert store.cases() == []
    assert list(forks(store)) == []


def test_tried_again_one_step_on_it_is_one_credit():
    """The card names it two steps behind the first try: that was the second one."""
    reader = Reader(1001)
    reader.outcome(reader.credit(counter=4), NOT_COMMITTED)
    spend = reader.spend(counter=4)
    reader.outcome(reader.credit(counter=5, last=spend))
    reader.spend(counter=6, last=NAMED)
    store = books(reader)
    assert booked(store, reader) == (OPENING_FEN + LOAD_FEN - 200, 0)
    assert store.cases() == []


def test_one_number_at_two_counters_is_booked_once_and_seen():
    reader = Reader(1001)
    for counter in (4, 7):
        reader.outcome(reader.credit(counter=counter))
    store = books(reader)
    assert booked(store, reader) == LOADED
    assert store.cases() == [(reasons.CREDITED_TWICE, CARD_CENTRE, 1)]


@pytest.mark.parametrize(
    "fields", [{"card_no": OTHER_CARD}, {"number": 2}, {"number": 2, "card_no": 99}]
)
def test_a_credit_nobody_gave_moves_nothing(fields):
    reader = Reader(1001)
    credit = reader.credit(**fields)
    reader.outcome(credit)
    store = books(reader)
    assert booked(store, reader) == WAITS
    assert (reasons.UNKNOWN_CREDIT, *credit) in store.cases()


def test_a_credit_of_another_amount_is_seen_and_the_order_counts():
    reader = Reader(1001)
    credit = reader.credit(amount_fen=LOAD_FEN + 1)
    reader.outcome(credit)
    store = books(reader)
    assert booked(store, reader) == LOADED
    assert store.cases() == [(reasons.UNKNOWN_CREDIT, *credit)]


def test_a_card_that_names_what_it_was_never_given():
    reader = Reader(1001)
    spend = reader.spend(card_no=OTHER_CARD, last=NAMED)
    store = books(reader)
    assert booked(store, reader) == WAITS
    assert store.cases() == [(reasons.UNKNOWN_CREDIT, *spend)]


@pytest.mark.parametrize("gone", [0, 1])
def test_a_record_of_it_is_lost(gone):
    """Rot has taken the CREDIT or its OUTCOME: the card tells, as ever."""
    reader = Reader(1001)
    reader.outcome(reader.credit(counter=4))
    reader.spend(counter=5, last=NAMED)
    records = list(reader.records)
    records[gone] = lost(reader.key, 1001, gone + 1, records[gone + 1])
    store = books(reader)
    store.book([records])
    assert check(store) == []
    assert money(store) == (OPENING_FEN + LOAD_FEN - 100, 0)
    assert [reason for reason, _, _ in store.cases()] == [reasons.LOST]


# --- what a credit says of the spends around it -----------------------------------------------


@pytest.mark.parametrize("result", [None, UNKNOWN])
def test_a_credit_witnesses_the_spend_before_it(result):
    one, other = Reader(1001), Reader(1002)
    paid, unpaid = one.intent(counter=4), one.intent(counter=9)
    if result:
        one.outcome(paid, result)
    other.outcome(other.credit(counter=5, last=paid), NOT_COMMITTED)
    other.outcome(other.credit(counter=9, last=(1003, 7)))
    store = books(one, other)
    assert booked(store, one, other) == (OPENING_FEN + LOAD_FEN - 100, 0)
    assert store.state(*paid) is State.COMMITTED
    assert store.state(*unpaid) is State.NOT_COMMITTED
    assert store.summary()["pending"] == store.summary()["unknown"] == 0


# --- what is offered again --------------------------------------------------------------------


def tries(store):
    pending = store.top_ups.next_of(CARD, 9)
    return None if pending is None else pending.tries


def test_a_try_is_open_until_the_card_was_seen_behind_it():
    reader = Reader(1001)
    store = books(reader)
    assert tries(store) == ()
    for _ in range(2):
        store.top_ups.note_try(1, 4, 1001)
        assert tries(store) == (4,)
    reader.spend(counter=3, last=(1002, 1))
    reader.intent(counter=4, last=(1001, 1))
    booked(store, reader)
    assert tries(store) == (4,)
    reader.intent(counter=5, last=(0, 0))
    booked(store, reader)
    assert tries(store) == (4,), "a card that knows of nothing tells nothing"
    reader.intent(counter=5, last=(1002, 8))
    booked(store, reader)
    assert tries(store) == ()


def test_a_debit_from_the_same_counter_ends_a_try():
    reader = Reader(1001)
    store = books(reader)
    store.top_ups.note_try(1, 4, 1001)
    reader.outcome(reader.credit(counter=4), UNKNOWN)
    booked(store, reader)
    assert tries(store) == (4,)
    reader.spend(counter=4)
    booked(store, reader)
    assert tries(store) == ()


def test_what_is_loaded_is_not_offered_and_the_oldest_comes_first():
    store = books(Reader(1001))
    store.top_ups.top_up(CARD, 300, "order-2")
    assert store.top_ups.next_of(CARD, 9).load.number == 1
    for _ in range(2):
        store.top_ups.note_carried(1, 5, 15_000, bytes(12))
    assert money(store) == (OPENING_FEN + LOAD_FEN, 300)
    assert store.top_ups.next_of(CARD, 9).load.number == 2
    assert store.top_ups.next_of(OTHER_CARD, 9) is None
    assert check(store) == []


def test_a_try_outlives_the_ledger(tmp_path):
    path = str(tmp_path / "ledger.sqlite")
    store = books(Reader(1001), path=path)
    store.top_ups.note_try(1, 4, 1001)
    store.close()
    store = LedgerStore.open(path)
    assert tries(store) == (4,)
    assert money(store) == WAITS


# --- forks ------------------------------------------------------------------------------------


def history(rng, store, readers):
    """An honest card: spends and credits at any reader, some without an end; what it shows."""
    counter, last, has_fen = 0, (0, 0), OPENING_FEN
    number = 1
    for _ in range(rng.randint(5, 25)):
        reader = rng.choice(readers)
        shows = {"counter": counter, "last": last, "before_fen": has_fen}
        if rng.randrange(3) == 0:
            record = reader.credit(number=number, **shows)
            step_fen, mark = LOAD_FEN, (CARD_CENTRE, number)
        else:
            record = reader.intent(amount_fen=7, **shows)
            step_fen, mark = -7, record
        is_done = rng.random() < 0.7
        known = rng.choice((None, UNKNOWN, COMMITTED if is_done else NOT_COMMITTED))
        if known:
            reader.outcome(record, known)
        if is_done:
            counter, last, has_fen = counter + 1, mark, has_fen + step_fen
            if mark[0] == CARD_CENTRE:
                number = store.top_ups.top_up(CARD, LOAD_FEN, f"order-{number + 1}")
    return counter, last, has_fen


@pytest.mark.parametrize("seed", range(60))
def test_an_honest_card_with_credits_is_no_fork(seed):
    rng = random.Random(seed)
    readers = [Reader(device) for device in (1001, 1002, 1003)]
    store = books(*readers)
    counter, last, has_fen = history(rng, store, readers)
    readers[0].spend(counter=counter, last=last, before_fen=has_fen, amount_fen=7)
    delivered = readers * 2
    rng.shuffle(delivered)
    purse_fen, _pending_fen = booked(store, *delivered)
    assert list(forks(store)) == [], f"seed {seed}"
    assert [case for case in store.cases() if case[0] != reasons.NO_AMOUNT] == [], f"seed {seed}"
    assert purse_fen == has_fen - 7, f"seed {seed}"


def test_a_copy_of_before_the_credit_is_found():
    one, other = Reader(1001), Reader(1002)
    first = one.spend(counter=1, before_fen=OPENING_FEN)
    one.outcome(one.credit(counter=2, last=first, before_fen=9_900))
    one.spend(counter=3, last=NAMED, before_fen=14_900)
    other.spend(counter=2, last=first, before_fen=9_900)
    store = books(one, other)
    booked(store, one, other)
    (fork,) = forks(store)
    assert fork.ground is Ground.TWO_DEBITS
    assert {fork.first.credit_no, fork.second.credit_no} == {0, 1}


def test_money_that_no_credit_brought_is_found():
    reader = Reader(1001)
    reader.outcome(reader.credit(counter=2, last=(1003, 1), before_fen=1_000))
    reader.spend(counter=3, last=NAMED, before_fen=1_000 + LOAD_FEN + 1)
    store = books(reader)
    booked(store, reader)
    (fork,) = forks(store)
    assert fork.ground is Ground.BALANCE
