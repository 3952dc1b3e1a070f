"""Honest cards are never accused, whatever readers, networks and clocks do; the others are found.

Cards and readers are played: a card knows its counter, its balance and its last debit, a copy goes
on with all three, and what the readers write of it is booked in any order.
"""

import hashlib
import random
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.forks import Ground, Kind, forks
from protocols.wire import messages, seal
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader, lost, open_ledger

A, B, C = 1001, 1002, 1003
THIRD_CARD = 99  # never issued: the ledger books it over suspense
CARDS = (CARD, OTHER_CARD, THIRD_CARD)
ANY_TIME = (0, 0xFFFFFFFF)
CARD_CENTRE = 0xFFFFFFFF  # where no reader was that changed the card
# What a tap comes to: is the card debited, and what does its reader write of it?
ENDS = {
    "paid": (True, COMMITTED),
    "pulled away": (False, NOT_COMMITTED),
    "paid, unknown": (True, UNKNOWN),
    "not paid, unknown": (False, UNKNOWN),
    "paid, power gone": (True, None),
    "not paid, power gone": (False, None),
}


@dataclass
class Plastic:
    """What stands on a card; a copy of it is a clone, and an older copy an image to go back to."""

    card_no: int
    counter: int = 0
    balance_fen: int = OPENING_FEN
    last: tuple[int, int] = (0, 0)


def tap(reader, card, end="paid", amount_fen=100, span=ANY_TIME, **fields):
    """One tap; the record id of its INTENT."""
    intent = reader.intent(
        card.card_no,
        card.counter,
        amount_fen,
        card.last,
        before_fen=card.balance_fen,
        earliest_s=span[0],
        latest_s=span[1],
        **fields,
    )
    is_paid, result = ENDS[end]
    if is_paid:
        card.counter += 1
        card.balance_fen -= amount_fen
        card.last = intent
    if result is not None:
        reader.outcome(intent, result)
    return intent


def load(card, number, amount_fen=500):
    """What money from the card centre changes on a card."""
    card.counter += 1
    card.balance_fen += amount_fen
    card.last = (CARD_CENTRE, number)


def at(second):
    """A good clock's interval."""
    return second, second + 1


def booked(*readers):
    store = open_ledger(*readers)
    store.book([[sealed for reader in readers for sealed in reader.records]])
    return store


def found(*readers):
    return list(forks(booked(*readers)))


def only(*readers):
    (fork,) = found(*readers)
    return fork


def ids(fork):
    return fork.first.record_id, fork.second.record_id


# -- honest cards ---------------------------------------------------------------------------------

_step = st.tuples(
    st.integers(0, 2),  # which window
    st.integers(0, 2),  # which card
    st.sampled_from((*ENDS, "paid", "paid", "paid", "reader swapped", "settled", "load")),
    st.sampled_from((50, 100, 350)),
    st.one_of(st.just(ANY_TIME), st.integers(0, 5000).map(at), st.none()),  # None: a good clock
)


class Campus:
    """Three windows and the cards that come to them."""

    def __init__(self):
        self.readers = [Reader(A), Reader(B), Reader(C)]
        self.windows = list(self.readers)
        self.cards = [Plastic(card_no) for card_no in CARDS]
        self.second = 1000
        self.open = {}  # window -> (intent, card, counter) whose outcome is unknown there

    def do(self, window, card, end, amount_fen, span):
        """One thing that honest people do; `card` is a Plastic."""
        self.second += 20
        if end == "reader swapped":
            self.windows[window] = Reader(A + len(self.readers))
            self.readers.append(self.windows[window])
            self.open.pop(window, None)
            return
        if end == "load":
            load(card, self.second, amount_fen)
            return
        reader = self.windows[window]
        if end == "settled":
            self._settle(reader, self.open.pop(window, None))
            return
        self.open.pop(window, None)
        span = at(self.second) if span is None else span
        intent = tap(reader, card, end, amount_fen, span)
        if ENDS[end][1] is UNKNOWN:
            self.open[window] = intent, card, card.counter - ENDS[end][0]

    def _settle(self, reader, known):
        """The same card comes again, and its reader writes what it tells."""
        if known is not None:
            intent, card, counter = known
            if card.counter == counter:
                reader.outcome(intent, NOT_COMMITTED)
            elif card.last == intent:
                reader.outcome(intent, COMMITTED)


def deliver(readers, draw, lost_percent=0, late_percent=0, store=None):
    """A ledger that got the records in some order, some twice, some lost, the newest not yet."""
    store = store or open_ledger(*readers)
    queue = []
    for reader in readers:
        records = list(reader.records)
        for seq in range(len(records), 0, -1):
            if draw.randrange(100) < lost_percent:
                is_kept = seq < len(records) and records[seq] is reader.records[seq]
                after = records[seq] if is_kept else None
                records[seq - 1] = lost(reader.key, reader.device, seq, after)
        if draw.randrange(100) < late_percent:
            del records[draw.randrange(len(records) + 1) :]
        queue += records
    queue += draw.sample(queue, len(queue) // 3)
    draw.shuffle(queue)
    while queue:
        size = draw.choice((1, 2, 5, 40))
        store.book([queue[:size]])
        queue = queue[size:]
    return store


@given(st.lists(_step, max_size=40), st.integers(0, 2**32))
def test_honest_cards_are_never_accused(steps, seed):
    """Torn taps, clocks that lie, readers swapped, records lost, late, doubled, in any order."""
    campus = Campus()
    for window, card, *how in steps:
        campus.do(window, campus.cards[card], *how)
    draw = random.Random(seed)
    for lost_percent, late_percent in ((0, 0), (20, 0), (0, 60), (30, 30)):
        store = deliver(campus.readers, draw, lost_percent, late_percent)
        assert list(forks(store)) == [], f"seed {seed}"
        store.close()


def test_money_from_the_card_centre_is_honest():
    reader, card = Reader(A), Plastic(CARD)
    for number in (1, 2, 3):
        tap(reader, card)
        load(card, number)
    tap(reader, card)
    assert card.balance_fen == OPENING_FEN + 1100 and found(reader) == []


@pytest.mark.parametrize("wrong_fen", [500, -1])
def test_a_balance_that_nobody_left_there_is_not(wrong_fen):
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    card.balance_fen += wrong_fen
    intent = tap(reader, card)
    fork = only(reader)
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.BALANCE)
    assert ids(fork) == ((A, 1), intent)
    assert (fork.first.after_fen, fork.second.before_fen) == (9_900, 9_900 + wrong_fen)


def test_two_balances_behind_a_lost_debit_are_one_too_many():
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    one = tap(reader, card, "pulled away")
    card.balance_fen += 500
    two = tap(reader, card)
    store = open_ledger(reader)
    store.book([[lost(reader.key, A, 1, reader.records[1]), *reader.records[1:]]])
    (fork,) = forks(store)
    assert (fork.ground, ids(fork)) == (Ground.BALANCE, (one, two))


def test_a_twin_of_a_reader_is_the_readers_case():
    """Its card names a record that is another in the books, so the balance proves nothing."""
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    twin, other = reader.fork(), Reader(B)
    tap(reader, replace(card), "not paid, power gone", amount_fen=300)
    tap(twin, card)
    tap(other, card)
    store = booked(reader, other)
    assert [fork.ground for fork in forks(store)] == [Ground.BALANCE]
    store.book([twin.records])
    assert list(forks(store)) == []


# -- clones ---------------------------------------------------------------------------------------


def cloned_between(*turns):
    """A card pays, is copied, and then card and copy pay in `turns` ("o", "c"), 60 s apart."""
    readers = {"o": Reader(A), "c": Reader(B)}
    cards = {"o": Plastic(CARD)}
    tap(readers["o"], cards["o"], span=at(100))
    cards["c"] = replace(cards["o"])
    for number, who in enumerate(turns):
        tap(readers[who], cards[who], span=at(200 + 60 * number))
    return readers["o"], readers["c"]


@pytest.mark.parametrize("turns", ["oco", "coc", "ooco", "ocooccoc"])
def test_card_and_copy_in_turns_are_a_clone(turns):
    fork = only(*cloned_between(*turns))
    assert (fork.card_no, fork.kind, fork.ground) == (CARD, Kind.CLONE, Ground.TWO_DEBITS)
    assert fork.first.counter == fork.second.counter == 1
    assert fork.first.last == fork.second.last == (A, 1)


@pytest.mark.parametrize("turns", ["ooc", "ooooc", "ooccc"])
def test_a_copy_that_only_comes_afterwards_cannot_be_told_from_a_card_written_back(turns):
    assert only(*cloned_between(*turns)).kind is Kind.ROLLBACK


@pytest.mark.parametrize("turns", ["oc", "occc"])
def test_back_by_one_debit_may_be_the_card_itself(turns):
    """Its newer slot is worn out, and the older one rules again."""
    assert only(*cloned_between(*turns)).kind is Kind.UNDECIDED


@pytest.mark.parametrize(
    ("seconds", "kind"), [(0, Kind.CLONE), (2, Kind.CLONE), (3, Kind.UNDECIDED)]
)
def test_too_close_to_travel(seconds, kind):
    """Intervals of a second each: from the beginning of one to the end of the other."""
    one, other = Reader(A), Reader(B)
    tap(one, Plastic(CARD), span=at(500))
    tap(other, Plastic(CARD), span=at(500 + seconds))
    assert only(one, other).kind is kind
    assert [fork.kind for fork in forks(booked(one, other), close_s=0)] != [Kind.CLONE]


def test_one_reader_sees_what_it_saw_before_and_nothing_lies_too_close():
    """A card that is written back in the field of the reader takes no walk."""
    reader = Reader(A)
    for _ in range(2):
        tap(reader, Plastic(CARD), span=at(500))
    assert only(reader).kind is Kind.UNDECIDED


def test_at_one_reader_sequences_tell_whatever_the_clock_says():
    reader, card = Reader(A), Plastic(CARD)
    copy = replace(card)
    for one, second in ((card, 900), (copy, 800), (card, 700)):
        tap(reader, one, span=at(second))
    assert only(reader).kind is Kind.CLONE


def test_without_clocks_two_readers_prove_two_debits_and_not_which():
    one, other = Reader(A), Reader(B)
    for reader in (one, other):
        card = Plastic(CARD)
        tap(reader, card)
        tap(reader, card)
    fork = only(one, other)
    assert (fork.kind, ids(fork)) == (Kind.UNDECIDED, ((A, 1), (B, 1)))


def test_two_copies_are_two_forks():
    readers = [Reader(A), Reader(B), Reader(C)]
    for number, reader in enumerate(readers):
        tap(reader, Plastic(CARD), span=at(100 * number))
    assert [ids(fork) for fork in found(*readers)] == [((A, 1), (B, 1)), ((A, 1), (C, 1))]


def test_of_a_copy_whose_first_record_is_lost_the_next_one_tells():
    one, other = Reader(A), Reader(B)
    card, copy = Plastic(CARD), Plastic(CARD)
    for second in (100, 300, 500):
        tap(one, card, span=at(second))
        tap(other, copy, span=at(second + 100))
    fork = only(one, other)
    assert fork.ground is Ground.TWO_DEBITS
    records = [lost(other.key, B, 1, other.records[1]), *other.records[1:]]
    store = open_ledger(one, other)
    store.book([one.records, records])
    (fork,) = forks(store)
    assert (fork.kind, fork.ground) == (Kind.CLONE, Ground.OTHER_PAST)
    assert ids(fork) == ((A, 1), (B, 3))
    assert (fork.second.counter, fork.second.last) == (1, (B, 1))


def test_a_debit_whose_record_is_lost_is_never_a_rollback():
    """When it was, nobody knows: before the other line, or behind it."""
    one, other = Reader(A), Reader(B)
    tap(one, Plastic(CARD), span=at(100))
    copy = Plastic(CARD)
    for second in (200, 300):
        tap(other, copy, span=at(second))
    store = open_ledger(one, other)
    store.book([one.records, [lost(other.key, B, 1, other.records[1]), *other.records[1:]]])
    (fork,) = forks(store)
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.OTHER_PAST)


def test_the_twin_of_a_reader_makes_a_fork_undecided():
    one, other = cloned_between(*"oco")
    store = booked(one, other)
    twin = one.fork()
    one.boot()
    twin.outcome((A, 1), UNKNOWN)
    store.book([one.records, twin.records])
    assert [fork.kind for fork in forks(store)] == [Kind.UNDECIDED]


# -- rollbacks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spent", [2, 3, 6])
@pytest.mark.parametrize("then", [1, 4])
def test_a_card_written_back_is_a_rollback(spent, then):
    readers = Reader(A), Reader(B)
    card, second = Plastic(CARD), 100
    tap(readers[0], card, span=at(second))
    image = replace(card)
    first = [
        tap(readers[number % 2], card, span=at(second + 100 * number))
        for number in range(1, spent + 1)
    ]
    again = [
        tap(readers[number % 2], image, span=at(second + 1000 + 100 * number))
        for number in range(then)
    ]
    fork = only(*readers)
    assert (fork.kind, fork.ground) == (Kind.ROLLBACK, Ground.TWO_DEBITS)
    assert ids(fork) == (first[0], again[0])
    assert fork.first.before_fen == fork.second.before_fen == OPENING_FEN - 100


def test_written_back_three_times_to_two_images():
    reader = Reader(A)
    card = Plastic(CARD)
    tap(reader, card)
    early, one = replace(card), tap(reader, card)
    late, two = replace(card), tap(reader, card)
    tap(reader, card)
    three = tap(reader, late)
    four, five = tap(reader, replace(early)), tap(reader, replace(early))
    forked = found(reader)
    assert [ids(fork) for fork in forked] == [(one, four), (one, five), (two, three)]
    assert {fork.kind for fork in forked} == {Kind.ROLLBACK}


@pytest.mark.parametrize("end", ["pulled away", "not paid, unknown", "not paid, power gone"])
def test_a_card_that_is_back_is_seen_before_it_pays(end):
    reader, card = Reader(A), Plastic(CARD)
    image = replace(card)
    first, second = tap(reader, card), tap(reader, card)
    back = tap(reader, replace(image), end)
    fork = only(reader)
    assert (fork.kind, fork.ground) == (Kind.ROLLBACK, Ground.WENT_BACK)
    assert ids(fork) == (second, back)
    paid = tap(reader, image)
    fork = only(reader)
    assert (fork.ground, ids(fork)) == (Ground.TWO_DEBITS, (first, paid))


def test_a_slot_that_reads_differently_from_day_to_day_is_no_clone():
    """Worn, the newer slot is there, then not, then there again."""
    reader, card = Reader(A), Plastic(CARD)
    older = replace(card)
    tap(reader, card)
    tap(reader, older, "pulled away")
    tap(reader, card)
    fork = only(reader)
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.WENT_BACK)


def test_back_over_a_gap_is_undecided_and_the_original_afterwards_a_clone():
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    image = replace(card)
    for _ in range(3):
        tap(reader, card)
    tap(reader, image, "pulled away")
    records = list(reader.records)
    records[2] = lost(reader.key, A, 3, records[3])
    store = open_ledger(reader)
    store.book([records])
    (fork,) = forks(store)
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.WENT_BACK)
    tap(reader, card)
    store.book([reader.records[10:]])
    (fork,) = forks(store)
    assert (fork.kind, fork.ground) == (Kind.CLONE, Ground.WENT_BACK)


@pytest.mark.parametrize("who", ["card", "image"])
def test_what_stands_behind_a_fork_and_a_gap_may_be_either(who):
    """Both got as far as each other before one of them was loaded: the next tap names neither."""
    reader, card = Reader(A), Plastic(CARD)
    image = replace(card)
    one = tap(reader, card)
    tap(reader, card)
    pair = one, tap(reader, image)
    tap(reader, image)
    fork = only(reader)
    assert (fork.kind, ids(fork)) == (Kind.ROLLBACK, pair)
    loaded = {"card": card, "image": image}[who]
    load(loaded, 1)
    tap(reader, loaded)
    fork = only(reader)
    assert (fork.kind, ids(fork)) == (Kind.UNDECIDED, pair)


def test_a_card_made_anew_with_another_balance_is_undecided():
    reader = Reader(A)
    for balance_fen in (5000, 3000):
        card = Plastic(CARD, balance_fen=balance_fen)
        tap(reader, card)
        tap(reader, card)
    fork = only(reader)
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.TWO_DEBITS)


# -- everything together --------------------------------------------------------------------------


@given(
    st.lists(_step, max_size=20),
    st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=10),
    st.sampled_from(("clone", "rollback")),
    st.integers(0, 2**32),
)
def test_exactly_the_bad_card_is_found_in_any_order(steps, more, fraud, seed):
    """Honest life of three cards, in the middle of which one is copied or written back."""
    campus = Campus()
    cards = list(campus.cards)
    middle = len(steps) // 2
    for window, number, *how in steps[:middle]:
        campus.do(window, cards[number], *how)
    bad, image = cards[0], replace(cards[0])

    def pay(card, window):
        campus.second += 20
        return tap(campus.windows[window], card, span=at(campus.second))

    if fraud == "clone":
        pair = pay(bad, 0), pay(image, 1)
        for is_copy, window in [(False, 0), *more]:
            pay(image if is_copy else bad, window)
    else:
        first = pay(bad, 0)
        for window in (2, *(window for _, window in more)):
            pay(bad, window)
        pair = first, pay(image, 1)
        cards[0] = image
    for window, number, *how in steps[middle:]:
        if number or (fraud == "rollback" and how[0] != "load"):
            how[-1] = None if number == 0 else how[-1]
            campus.do(window, cards[number], *how)
    draw = random.Random(seed)
    dumps = []
    for _ in range(3):
        store = deliver(campus.readers, draw)
        dumps.append(list(forks(store)))
        store.close()
    assert dumps[0] == dumps[1] == dumps[2], f"seed {seed}"
    (fork,) = dumps[0]
    assert (fork.card_no, fork.kind, ids(fork)) == (CARD, fraud, pair), f"seed {seed}"


def test_the_evidence_can_be_checked_by_anybody():
    one, other = cloned_between(*"oco")
    fork = only(one, other)
    for evidence in (fork.first, fork.second):
        sealed = {A: one, B: other}[evidence.device].records[evidence.seq - 1]
        assert evidence.sha256 == hashlib.sha256(sealed).digest()
        fields = messages.decode_record(seal.payload_of(sealed))
        for name in ("card_no", "counter", "before_fen", "after_fen", "earliest_s", "latest_s"):
            assert getattr(evidence, name) == fields[name]


def test_the_books_are_walked_along_the_index_and_nothing_is_written():
    one, other = cloned_between(*"oco")
    store = booked(one, other)
    before = store.dump()
    seen = []
    store.database._connection.set_trace_callback(seen.append)
    assert len(list(forks(store))) == 1
    store.database._connection.set_trace_callback(None)
    assert all(sql.lstrip().startswith("SELECT") for sql in seen)
    (walk,) = [sql for sql in seen if "FROM intent" in sql]
    plan = [row[3] for row in store.database.rows(f"EXPLAIN QUERY PLAN {walk}")]
    assert any("USING INDEX intent_of_card" in line for line in plan), plan
    assert store.dump() == before
