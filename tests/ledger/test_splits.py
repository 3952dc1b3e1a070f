"""Split charges in the books: who is named, who is not, and what a late record changes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import splits
from ledger.splits import Spend, report
from protocols.rules import split
from protocols.wire import messages
from protocols.wire.messages import FLAG_IDENTITY, FLAG_PIN
from tests.ledger.readers import CANTEEN, CARD, KIOSK, OTHER_CARD, Reader, open_ledger
from tests.ledger.test_forks import Plastic, tap
from tests.rules.test_split import ANY, LIMIT_FEN, LISTS, W, charge

A, B, C = 1001, 1002, 1003
NOON_S = 1_790_000_000
BLIND = (NOON_S, 0xFFFFFFFF)


def rich(card_no):
    """A card with enough on it for a whole test."""
    return Plastic(card_no, balance_fen=1_000_000)


def pay(reader, card, at_s, fen=2000, flags=0, end="paid", span=None, **fields):
    """A card pays `at_s` seconds after noon at a reader that was switched on at noon."""
    span = span or (NOON_S + at_s, NOON_S + at_s + 1)
    fields = {"flags": flags, "mono_ms": at_s * 1000} | fields
    return tap(reader, card, end, fen, span, **fields)


def booked(*readers):
    store = open_ledger(*readers)
    store.book([reader.records for reader in readers])
    return store


def found(store, limit_fen=LIMIT_FEN, window_s=W, **period):
    """What is reported: (merchant, is it sure, record ids, who could know)."""
    return [
        (one.merchant_no, one.is_sure, [spend.charge[:2] for spend in one.charges], one.seen_by)
        for one in report(store, limit_fen, window_s, **period).splits
    ]


# --- who is named, and who is not ---------------------------------------------------------------


def test_sixty_in_three_parts_at_one_reader_that_should_have_asked():
    reader, card = Reader(A), rich(CARD)
    ids = [pay(reader, card, at_s) for at_s in (0, 10, 20)]
    assert found(booked(reader)) == [(CANTEEN, True, ids, (A,))]


def test_across_two_readers_of_one_merchant_which_nobody_could_know():
    one, other, card = Reader(A), Reader(B), rich(CARD)
    ids = [pay(one, card, 0), pay(other, card, 30), pay(one, card, 60)]
    store = booked(one, other)
    assert found(store) == [(CANTEEN, True, ids, ())]
    (named,) = report(store, LIMIT_FEN, W).splits
    assert (named.card_no, named.total_fen, named.proven) == (CARD, 6000, ())


def test_two_merchants_two_cards_or_two_meals_are_no_purchase():
    one, kiosk = Reader(A), Reader(B, KIOSK)
    card, friend = rich(CARD), rich(OTHER_CARD)
    for at_s in (0, 7200):
        pay(one, card, at_s, 4000)
        pay(kiosk, card, at_s + 20, 4000)
        pay(one, friend, at_s + 30, 4000)
    assert found(booked(one, kiosk)) == []


@pytest.mark.parametrize("cancelled", [0, 1, 2])
def test_a_cancelled_charge_is_no_part_and_nobody_is_accused_for_it(cancelled):
    """Keyed wrong, cancelled, keyed anew: as soon as the CANCEL is booked."""
    reader, card = Reader(A), rich(CARD)
    ids = [pay(reader, card, at_s) for at_s in (0, 10, 20)]
    store = booked(reader)
    assert len(found(store)) == 1
    reader.cancel(ids[cancelled], CARD, 2000)
    store.book([reader.records])
    assert found(store) == []
    assert found(store, 3999) == [(CANTEEN, True, ids[:cancelled] + ids[cancelled + 1 :], (A,))]


def test_the_limit_itself_is_within():
    reader, card = Reader(A), rich(CARD)
    pay(reader, card, 0, LIMIT_FEN - 1)
    pay(reader, card, 9, 1)
    store = booked(reader)
    assert found(store) == []
    assert len(found(store, LIMIT_FEN - 1)) == 1


@pytest.mark.parametrize("flag", [FLAG_PIN, FLAG_IDENTITY])
@pytest.mark.parametrize("fen", [100, LIMIT_FEN + 100])
def test_a_holder_who_was_there_ends_it(flag, fen):
    reader, card = Reader(A), rich(CARD)
    pay(reader, card, 0)
    pay(reader, card, 10)
    pay(reader, card, 20, fen, flag)
    pay(reader, card, 30)
    assert found(booked(reader)) == []


def test_a_pin_beside_a_finding_is_shown():
    """It was given after the parts were taken: that excuses nothing, and is part of the story."""
    reader, card = Reader(A), rich(CARD)
    ids = [pay(reader, card, at_s) for at_s in (0, 10, 20)]
    pin = pay(reader, card, 40, 1000, FLAG_PIN)
    pay(reader, card, 4000, 1000, FLAG_PIN)
    (named,) = report(booked(reader), LIMIT_FEN, W).splits
    assert [spend.charge[:2] for spend in named.charges] == ids
    assert [spend.charge[:2] for spend in named.proven] == [pin]


def test_what_was_not_taken_is_no_part():
    reader, card = Reader(A), rich(CARD)
    pay(reader, card, 0)
    pay(reader, card, 10, end="pulled away")
    pay(reader, card, 20)
    tap(reader, card, "paid", 0, flags=messages.FLAG_TRY)
    store = booked(reader)
    assert found(store) == []
    assert report(store, LIMIT_FEN, W).spends == {CANTEEN: 2}


def test_a_clock_that_is_set_between_moves_nothing_out_of_the_window():
    reader, card = Reader(A), rich(CARD)
    ids = [pay(reader, card, 0, 3000)]
    ids += [pay(reader, card, 10, 3000, span=(NOON_S + 3610, NOON_S + 3611))]
    assert found(booked(reader)) == [(CANTEEN, True, ids, (A,))]


@pytest.mark.parametrize(("apart_s", "is_sure"), [(W - 1, [True]), (W + 1, [False]), (W + 2, [])])
def test_the_last_second_by_the_reader_s_own_clock(apart_s, is_sure):
    """Intervals an hour apart: the clock was set. Seconds were cut off the monotonic one."""
    reader, card = Reader(A), rich(CARD)
    pay(reader, card, 0, 3000)
    pay(reader, card, apart_s, 3000, span=(NOON_S + 3610, NOON_S + 3611))
    assert [line[1] for line in found(booked(reader))] == is_sure


# --- clocks in doubt ----------------------------------------------------------------------------


def test_a_doubt_as_wide_as_the_window_is_a_possible_case():
    one, other, card = Reader(A), Reader(B), rich(CARD)
    ids = [pay(one, card, 0, 3000), pay(other, card, 0, 3000, span=(NOON_S + 60, NOON_S + 160))]
    assert found(booked(one, other)) == [(CANTEEN, False, ids, ())]


def test_a_blind_reader_does_not_make_one_purchase_of_a_month():
    """Its interval never ends; the card's counter says between which lunches it was."""
    blind, other, card = Reader(A), Reader(B), rich(CARD)
    day_s = 86_400
    pay(other, card, 0, 1500)
    pay(blind, card, 4000, 1500, span=BLIND)
    for day in range(1, 5):
        pay(other, card, day * day_s, 1500)
    store = booked(blind, other)
    assert found(store) == []
    # With the two beside it it may still be one.
    assert [line[:2] for line in found(store, 4000)] == [(CANTEEN, False)]


def test_where_the_counter_is_in_doubt_the_interval_stays_as_wide_as_it_is():
    """Two cards of one number: what one paid says nothing of when the other did."""
    blind, other = Reader(A), Reader(B)
    card, clone = rich(CARD), rich(CARD)
    pay(blind, card, 0, 3000, span=BLIND)
    pay(other, clone, 90_000, 1000)
    pay(other, clone, 200_000, 3000)
    assert [line[:2] for line in found(booked(blind, other))] == [(CANTEEN, False)]


def test_clocks_that_contradict_the_counter_cut_nothing():
    one, other, card = Reader(A), Reader(B), rich(CARD)
    pay(one, card, 0, 3000, span=(NOON_S + 500, NOON_S + 501))
    pay(other, card, 0, 3000, span=(NOON_S, NOON_S + 400))
    assert [line[:2] for line in found(booked(one, other))] == [(CANTEEN, False)]


# --- late records -------------------------------------------------------------------------------


def test_a_reader_that_was_away_adds_a_finding_when_it_is_back():
    here, away, card = Reader(A), Reader(B), rich(CARD)
    ids = [pay(here, card, 0), pay(away, card, 30), pay(here, card, 60)]
    store = open_ledger(here, away)
    store.book([here.records])
    before = report(store, LIMIT_FEN, W)
    store.book([away.records])
    after = report(store, LIMIT_FEN, W)
    assert (before.splits, found(store)) == ((), [(CANTEEN, True, ids, ())])
    assert before.books.sha256 != after.books.sha256
    assert before.books.records + len(away.records) == after.books.records
    assert dict(after.books.heads) == {A: here.seq, B: away.seq}


def test_a_pin_that_comes_to_light_late_takes_the_finding_away():
    here, away, card = Reader(A), Reader(B), rich(CARD)
    pay(here, card, 0)
    pay(here, card, 10)
    pay(away, card, 20, 1000, FLAG_PIN)
    pay(here, card, 30)
    store = open_ledger(here, away)
    store.book([here.records])
    assert len(found(store)) == 1
    store.book([away.records])
    assert found(store) == []


def test_a_debit_that_the_card_tells_of_later_counts_from_then():
    here, away, card = Reader(A), Reader(B), rich(CARD)
    pay(here, card, 0)
    pay(here, card, 10)
    pay(here, card, 20, end="paid, unknown")
    store = open_ledger(here, away)
    store.book([here.records])
    assert found(store) == []
    pay(away, card, 9000, 100)
    store.book([away.records])
    assert [(line[0], len(line[2])) for line in found(store)] == [(CANTEEN, 3)]


def lunch(seed):
    """Three readers, three cards, honest ones and others, one reader now and then blind."""
    draw = random.Random(seed)
    print(f"seed {seed}")
    readers = [Reader(A), Reader(B), Reader(C, KIOSK)]
    cards = [rich(number) for number in range(7, 10)]
    at_s = 0
    for _ in range(60):
        at_s += draw.choice((3, 20, 40, 400))
        card, flags = draw.choice(cards), draw.choice((0, 0, 0, 0, FLAG_PIN))
        span = BLIND if draw.randrange(9) == 0 else None
        end = draw.choice(("paid", "paid", "paid", "pulled away", "paid, unknown"))
        pay(draw.choice(readers), card, at_s, draw.randrange(900, 3500), flags, end, span)
    return readers


@pytest.mark.parametrize("seed", range(4))
def test_however_the_records_come_the_report_is_the_same(seed):
    readers, draw = lunch(seed), random.Random(seed)
    expected = report(booked(*readers), LIMIT_FEN, W)
    assert expected.splits
    records = [record for reader in readers for record in reader.records] * 2
    draw.shuffle(records)
    store = open_ledger(*readers)
    for at in range(0, len(records), 7):
        store.book([records[at : at + 7]])
    assert report(store, LIMIT_FEN, W) == expected


def test_what_a_report_names_makes_it_again():
    """More is booked since; the records up to the heads it names give the same report."""
    readers = lunch(9)
    store = open_ledger(*readers)
    store.book([reader.records[: reader.seq // 2] for reader in readers])
    then = report(store, LIMIT_FEN, W)
    store.book([reader.records for reader in readers])
    assert report(store, LIMIT_FEN, W) != then
    sql = "SELECT sealed FROM record WHERE device = ? AND seq <= ? ORDER BY seq"
    again = open_ledger(*readers)
    for device, seq in then.books.heads:
        again.book([[sealed for (sealed,) in store.database.rows(sql, (device, seq))]])
    assert report(again, LIMIT_FEN, W) == then


# --- the time asked for, and the walk -----------------------------------------------------------


def test_only_the_time_asked_for():
    reader, card = Reader(A), rich(CARD)
    day_s = 86_400
    for day in range(3):
        for at_s in (0, 10):
            pay(reader, card, day * day_s + at_s, 3000)
    store = booked(reader)
    second = {"since_s": NOON_S + day_s - 3600, "until_s": NOON_S + day_s + 3600}
    assert len(found(store)) == 3
    assert [line[2] for line in found(store, **second)] == [[(A, 5), (A, 7)]]
    assert report(store, LIMIT_FEN, W, **second).spends == {CANTEEN: 2}


def test_the_walk_goes_along_the_index(tmp_path):
    """One pass: no sort and no scan of a table. (SQLite's own words for it.)"""
    store = booked(Reader(A))
    plan = [row[3] for row in store.database.rows(f"EXPLAIN QUERY PLAN {splits._SPENDS}", (0, 1))]
    assert plan == [
        "SCAN i USING INDEX intent_of_card",
        "SEARCH r USING INDEX sqlite_autoindex_record_1 (device=? AND seq=?)",
        "SEARCH c USING PRIMARY KEY (device=? AND intent_seq=?) LEFT-JOIN",
    ]


def spend(fields):
    return Spend(fields, fields, fields[split.SEQ], bytes(32))


# Boots whose monotonic clock and intervals say different things, as when a clock was set between.
WILD = st.builds(
    charge,
    seq=st.integers(1, 12),
    at_s=st.integers(0, 900),
    fen=st.integers(500, 4000),
    device=st.sampled_from([A, B]),
    boot=st.integers(1, 2),
    doubt_s=st.sampled_from([0, 2, 60]),
    mono_s=st.integers(0, 900),
    pin=st.sampled_from([False, False, False, True]),
)
WILD_LISTS = st.lists(WILD, max_size=12, unique_by=lambda drawn: drawn[:2])


@given(LISTS | WILD_LISTS, st.integers(0, 300), st.integers(1, 6000))
def test_cut_into_runs_the_rule_finds_the_same(charges, window_s, limit_fen):
    """The rule over all charges at once is the reference; runs are only quicker."""
    groups = {}
    for one in charges:
        groups.setdefault(one[2:4], []).append(spend(one))
    ours = [
        (one.card_no, one.merchant_no, one.is_sure, one.total_fen, parts)
        for group in groups.values()
        for one in splits.splits_of(group, limit_fen, window_s)
        for parts in [tuple(part.charge for part in one.charges)]
    ]
    assert sorted(ours) == sorted(split.evidence(charges, window_s, limit_fen))


@given(st.lists(ANY, max_size=12, unique_by=lambda drawn: drawn[:2]), st.integers(0, 1 << 32))
def test_no_number_makes_it_fail(charges, window_s):
    spends = splits.placed([spend(one) for one in charges], window_s)
    together = sorted(one.charge for run in splits.runs(spends, window_s) for one in run)
    assert together == sorted(charges)


@given(
    WILD_LISTS | st.lists(ANY, max_size=12, unique_by=lambda drawn: drawn[:2]),
    st.integers(0, 300),
)
def test_nothing_in_one_run_is_near_what_is_in_another(charges, window_s):
    found = splits.runs([spend(one) for one in charges], window_s)
    for at, run in enumerate(found):
        for other in (one for later in found[at + 1 :] for one in later):
            assert all(split.apart_s(one.charge, other.charge)[0] > window_s for one in run)
