"""The standing detector finds what a look at the whole books finds, whenever it looks."""

import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace

import pytest

from ledger import reasons
from ledger.dialect import StoreUnavailable
from ledger.forks import Ground, Kind, forks
from ledger.fraud import Examiner
from ledger.watch import (
    LOOK_MS,
    REASONS,
    RECORDS_MAX,
    SWEEP_CARDS,
    SWEEP_RECORDS,
    Watch,
    found,
    pair_sha256,
)
from protocols.wire.messages import COMMITTED, NOT_COMMITTED, UNKNOWN
from tests.ledger.readers import CANTEEN, CARD, OPENING_FEN, OTHER_CARD, Reader, lost, open_ledger
from tests.ledger.test_forks import ANY_TIME, Plastic, at, cloned_between, load, tap

NORTH, SOUTH = 1001, 1002
WALKS = {frozenset(("north", "south")): 240}
FIVE_MIN_MS = 300_000


def two_sites(*readers):
    """Books whose readers stand north, but for the second one."""
    store = open_ledger()
    for reader in readers:
        site = "south" if reader.device == SOUTH else "north"
        store.register_device(reader.device, reader.key, CANTEEN, site)
    return store


def watch_over(store, walks=WALKS, sweep_records=SWEEP_RECORDS):
    return Watch(store, lambda: 1_700_000_000, walks, sweep_records)


def looked(store, walks=WALKS):
    """What has been found once everything was looked at."""
    watch = watch_over(store, walks)
    while watch.look() or watch._is_behind:
        pass
    return list(found(store, walks))


def cases(store):
    """Those that the detector has opened."""
    return [case for case in store.cases() if case[0] in REASONS.values()]


def booked(*readers):
    store = two_sites(*readers)
    store.book([[sealed for reader in readers for sealed in reader.records]])
    return store


# What cards do, copied, written back and credited ones among them, and how often.
DEEDS = {"pay": 8, "torn": 3, "seen": 4, "settle": 4, "copy": 2, "gap": 1, "extra": 1, "forge": 1}
ENDS_OF = {"pay": "paid", "torn": "paid, power gone", "seen": "pulled away"}


def played(rng):
    """Three readers that saw two cards, and copies of them, do some twenty deeds."""
    readers = [Reader(NORTH), Reader(SOUTH), Reader(1003)]
    cards, intents, second = [Plastic(CARD), Plastic(OTHER_CARD)], [], 0
    for verb in rng.choices(list(DEEDS), DEEDS.values(), k=rng.randint(6, 24)):
        card, reader = rng.choice(cards), rng.choice((*readers, readers[0], readers[0]))
        if verb in ENDS_OF:
            second += rng.randrange(500)
            intents.append(tap(reader, card, ENDS_OF[verb], span=at(second)))
        elif verb == "settle" and intents:
            reader.outcome(rng.choice(intents), rng.choice((COMMITTED, NOT_COMMITTED, UNKNOWN)))
        elif verb == "copy":
            cards.append(replace(card))
        elif verb == "gap":
            card.counter += 2
        elif verb == "extra":
            card.balance_fen += 500
        elif verb == "forge":
            card.counter += 1
            card.balance_fen += 50_000
            card.last = (0xFFFFFFFF, 77)
    return readers


def delivered(seed):
    """Books that got all of it in some order, and were looked at now and then."""
    rng = random.Random(seed)
    readers = played(rng)
    queue = [sealed for reader in readers for sealed in reader.records]
    if rng.randrange(2):
        rng.shuffle(queue)  # else a reader's whole journal comes after the other's
    store = two_sites(*readers)
    while queue:
        size = rng.choice((1, 2, 5))
        store.book([queue[:size]])
        queue = queue[size:]
        if rng.randrange(3):
            before = opened(store)
            # A new one, which knows nothing but what is in the books; and some of them sweep.
            watch = watch_over(store, WALKS, rng.choice((3, 8, 1_000)))
            for _ in range(rng.randint(1, 4)):
                watch.look()
            whole = Examiner(store.database, WALKS).everything()
            assert opened(store) <= before | set(map(key_of, whole)), f"seed {seed}"
    return store


def key_of(fork):
    return REASONS[fork.ground], *fork.second.record_id, pair_sha256(fork)


def opened(store):
    """The cases of findings, each with the pair's hash."""
    rows = store.database.rows("SELECT reason, device, seq, sha256 FROM finding")
    return {(*key, bytes(sha256)) for *key, sha256 in rows}


def test_looks_find_what_the_whole_books_say_whatever_arrived_when():
    grounds = Counter()
    for seed in (*range(70), 296, 300):  # in these two, what settles comes last
        store = delivered(seed)
        now = looked(store)
        whole = list(Examiner(store.database, WALKS).everything())
        assert now == whole, f"seed {seed}"
        own = (Ground.TRAVEL, Ground.ABOVE_LOAD)
        others = [fork for fork in whole if fork.ground not in own]
        assert others == list(forks(store)), f"seed {seed}"
        assert set(map(key_of, whole)) <= opened(store), f"seed {seed}"
        assert watch_over(store).look() == 0
        grounds.update(fork.ground for fork in whole)
        store.close()
    assert set(grounds) == set(Ground), grounds


def test_a_case_within_five_minutes_of_both_records_and_one():
    """In virtual time; the first record has waited for days."""
    north, south = cloned_between("o", "c")
    store = two_sites(north, south)
    watch, now_ms = watch_over(store, {}), 0
    store.book([north.records])
    while now_ms < 10 * FIVE_MIN_MS:
        now_ms = watch.step(now_ms)
    assert cases(store) == []
    store.book([south.records])
    begun_ms = now_ms
    while not cases(store):
        now_ms = watch.step(now_ms)
        assert now_ms - begun_ms <= FIVE_MIN_MS
    ((reason, device, seq),) = cases(store)
    (row,) = store.database.rows("SELECT card_no, first_device, first_seq, ground FROM finding")
    assert (reason, device, seq) == (reasons.CARD_FORKED, SOUTH, 1)
    assert row == (CARD, NORTH, 3, Ground.TWO_DEBITS.value)
    assert now_ms - begun_ms <= LOOK_MS
    for _ in range(5):
        now_ms = watch.step(now_ms)
    assert len(cases(store)) == 1 and watch.counters["findings"] == 1


def test_a_finding_whose_first_record_was_looked_at_before():
    reader, card = Reader(NORTH), Plastic(CARD)
    store = two_sites(reader)
    for _ in range(2):
        tap(reader, card)
        store.book([reader.records])
        assert looked(store) == []
    card.balance_fen += 500
    tap(reader, card)
    store.book([reader.records])
    assert [fork.ground for fork in looked(store)] == [Ground.BALANCE]
    assert cases(store) == [(reasons.IMBALANCE, NORTH, 5)]


def test_nothing_is_barred_and_no_money_moves():
    store = booked(*cloned_between(*"oco"))
    before = store.balances()
    assert looked(store)
    assert store.balances() == before and store.cards.status(CARD) == 0


def test_a_look_is_bounded_and_catches_up_at_once():
    reader, card = Reader(NORTH), Plastic(CARD)
    for _ in range(RECORDS_MAX):
        tap(reader, card, amount_fen=1)
    store = booked(reader)
    watch = watch_over(store)
    assert [watch.step(5), watch.step(5), watch.step(5)] == [5, 5, 5 + LOOK_MS]
    assert watch.counters["records"] == 2 * RECORDS_MAX
    assert watch.step(6) == 5 + LOOK_MS and watch.counters["looks"] == 2


def test_far_behind_it_goes_by_cards_and_a_kill_starts_that_anew():
    """Something is booked while it sweeps, of a card that it has passed."""
    reader = Reader(NORTH)
    cards = [Plastic(CARD) for _ in range(2)]
    for number in range(SWEEP_CARDS):
        tap(reader, Plastic(1_000 + number))
    tap(reader, cards[0])
    store = booked(reader)
    killed, watch = watch_over(store, {}, 10), watch_over(store, {}, 10)
    assert killed.step(0) == 0 and killed.counters["swept_cards"] == SWEEP_CARDS
    assert watch.step(0) == 0 and watch.counters["swept_cards"] == SWEEP_CARDS
    tap(reader, cards[1])
    store.book([reader.records])
    now_ms = 0
    while not cases(store):
        assert now_ms <= LOOK_MS
        now_ms = watch.step(now_ms)
    assert watch.counters["records"] == 2 and watch.counters["swept_cards"] == SWEEP_CARDS + 1


def test_a_database_that_cannot_now_loses_nothing(monkeypatch):
    store = booked(*cloned_between("o", "c"))
    watch, many = watch_over(store, {}), store.database.many
    for fails_at in ("INTO suspense_case", "INTO finding", "INTO watched"):

        def fail(sql, rows, word=fails_at):
            if word in sql:
                raise StoreUnavailable("disk full")
            many(sql, rows)

        monkeypatch.setattr(store.database, "many", fail)
        assert watch.step(watch._due_ms) == watch._due_ms
        monkeypatch.setattr(store.database, "many", many)
        assert cases(store) == [] and not list(store.database.rows("SELECT 1 FROM watched"))
    assert watch.counters["store_unavailable"] == 3
    assert len(looked(store, {})) == 1


@pytest.mark.parametrize("sweep_records", [0, SWEEP_RECORDS])
def test_a_commit_that_fails_skips_no_card(monkeypatch, sweep_records):
    """It was all there, and then was not: the same look again, in a sweep too."""
    store = booked(*cloned_between("o", "c"))
    watch, left = watch_over(store, {}, sweep_records), [1]
    transaction = store.database.transaction

    @contextmanager
    def failing():
        with transaction():
            yield
            if left:
                left.pop()
                raise StoreUnavailable("disk full")

    monkeypatch.setattr(store.database, "transaction", failing)
    assert watch.step(0) == LOOK_MS and cases(store) == []
    counted = dict.fromkeys(watch.counters, 0)
    assert watch.counters == {**counted, "store_unavailable": 1}
    for _ in range(3):
        watch.step(watch._due_ms)
    assert len(cases(store)) == 1 and watch.counters["findings"] == 1
    assert watch.counters["swept_cards"] == (sweep_records == 0)


# -- sooner than anybody walks --------------------------------------------------------------------


def seen_at(seconds, span=at):
    """A card pays north, and `seconds` later south, as an honest one does."""
    north, south, card = Reader(NORTH), Reader(SOUTH), Plastic(CARD)
    tap(north, card, span=span(1_000))
    tap(south, card, span=span(1_000 + seconds))
    return north, south


@pytest.mark.parametrize(("seconds", "is_found"), [(0, True), (238, True), (239, False)])
def test_sooner_than_anybody_walks(seconds, is_found):
    """Intervals of a second each: from the beginning of one to the end of the other."""
    store = booked(*seen_at(seconds))
    assert [fork.ground for fork in looked(store)] == [Ground.TRAVEL] * is_found
    assert [case[0] for case in cases(store)] == [reasons.TOO_FAST] * is_found


@pytest.mark.parametrize("walks", [{}, {frozenset(("north", "west")): 240}])
def test_without_a_walk_in_the_table_it_says_nothing(walks):
    assert looked(booked(*seen_at(0)), walks) == []


def test_a_reader_that_does_not_know_the_time_proves_no_walk():
    assert looked(booked(*seen_at(0, lambda _second: ANY_TIME))) == []


# -- more money than was put on it ----------------------------------------------------------------


def behind_a_gap(extra_fen, is_topped_up=False):
    """A card pays; nobody hears of the next step; then it holds `extra_fen` more."""
    reader, card = Reader(NORTH), Plastic(CARD)
    tap(reader, card)
    load(card, 1, extra_fen)
    tap(reader, card)
    store = two_sites(reader)
    if is_topped_up:
        store.top_ups.top_up(CARD, extra_fen, "a")
    store.book([reader.records])
    return store


def test_more_than_was_ever_put_on_it():
    (fork,) = looked(behind_a_gap(1))
    assert (fork.kind, fork.ground) == (Kind.UNDECIDED, Ground.ABOVE_LOAD)
    assert (fork.first.record_id, fork.second.record_id) == ((NORTH, 1), (NORTH, 3))
    assert fork.second.before_fen == OPENING_FEN - 100 + 1
    assert looked(behind_a_gap(500, is_topped_up=True)) == []


def test_a_late_spend_shows_that_it_was_too_much():
    """Up to what the missing spend may have left, nobody is accused; then it comes."""
    north, south, card = Reader(NORTH), Reader(SOUTH), Plastic(CARD)
    tap(south, card, amount_fen=300)
    card.balance_fen += 200
    card.counter += 1
    tap(north, card)
    store = two_sites(north, south)
    store.book([north.records])
    assert looked(store) == []
    store.book([south.records])
    assert [fork.ground for fork in looked(store)] == [Ground.ABOVE_LOAD]


def test_a_lost_record_accuses_nobody():
    reader, card = Reader(NORTH), Plastic(CARD)
    tap(reader, card)
    tap(reader, card)
    tap(reader, card)
    store = two_sites(reader)
    gone = lost(reader.key, NORTH, 3, reader.records[3])
    store.book([[*reader.records[:2], gone, *reader.records[3:]]])
    assert looked(store) == []
