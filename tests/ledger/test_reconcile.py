"""A card against the books: nothing honest is an imbalance, and what is one names its reader."""

import random
from collections import Counter

import pytest
from typer.testing import CliRunner

from ledger import reasons
from ledger.bearers import Bearer
from ledger.reconcile import Imbalance, Verdict, reconcile
from ledger.watch import Watch
from tests.ledger.readers import CARD, OPENING_FEN, OTHER_CARD, Reader, lost, open_ledger
from tests.ledger.test_forks import ENDS, Plastic, deliver, tap
from tools.cli import app

A, B = 1001, 1002


def credited(reader, card, number, amount_fen, end="paid"):
    """A credit at a tap, with what it comes to as a debit's."""
    credit = reader.credit(
        card.card_no, card.counter, number, amount_fen, card.last, before_fen=card.balance_fen
    )
    is_paid, result = ENDS[end]
    if is_paid:
        card.counter += 1
        card.balance_fen += amount_fen
        card.last = (0xFFFFFFFF, number)
    if result is not None:
        reader.outcome(credit, result)
    return card.last == (0xFFFFFFFF, number)


def only(store, card_no=CARD):
    (balance,) = reconcile(store, card_no)
    return balance


def booked(*readers):
    store = open_ledger(*readers)
    store.book([[sealed for reader in readers for sealed in reader.records]])
    return store


def test_a_card_and_what_waits_for_it():
    reader, card = Reader(A), Plastic(CARD)
    store = open_ledger(reader)
    store.top_ups.top_up(CARD, 500, "a")
    store.top_ups.top_up(CARD, 70, "b")
    tap(reader, card)
    credited(reader, card, 1, 500)
    tap(reader, card, amount_fen=30)
    store.book([reader.records])
    balance = only(store)
    assert balance.verdict is Verdict.EQUAL and balance.missing == 0
    assert balance.low_fen == balance.high_fen == balance.ledger_fen == OPENING_FEN + 370
    assert balance.waiting_fen == 70 and balance.imbalances == ()
    assert list(reconcile(store, OTHER_CARD)) == []


@pytest.mark.parametrize("end", ["paid, power gone", "not paid, power gone", "not paid, unknown"])
def test_an_unknown_outcome_leaves_either(end):
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card, end)
    balance = only(booked(reader))
    assert balance.verdict is Verdict.IN_TRANSIT
    assert (balance.low_fen, balance.high_fen) == (OPENING_FEN - 100, OPENING_FEN)


def test_a_credit_of_unknown_outcome_leaves_either_too():
    reader, card = Reader(A), Plastic(CARD)
    store = open_ledger(reader)
    store.top_ups.top_up(CARD, 500, "a")
    credited(reader, card, 1, 500, "paid, power gone")
    store.book([reader.records])
    balance = only(store)
    assert (balance.verdict, balance.waiting_fen) == (Verdict.IN_TRANSIT, 500)
    assert (balance.low_fen, balance.high_fen) == (OPENING_FEN, OPENING_FEN + 500)


def test_a_load_that_the_card_told_the_centre_of_is_not_missing_on_it():
    """No reader's record tells of it yet, and the books have moved its money."""
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    store = open_ledger(reader)
    store.top_ups.top_up(CARD, 500, "a")
    store.top_ups.note_try(1, 1, A)
    store.book([reader.records])
    store.top_ups.note_carried(1, 1, card.balance_fen + 500, bytes(12))
    balance = only(store)
    assert balance.ledger_fen == card.balance_fen + 500
    assert (balance.verdict, balance.waiting_fen) == (Verdict.IN_TRANSIT, 500)


def test_what_is_missing_may_have_been_anything():
    reader, other, card = Reader(A), Reader(B), Plastic(CARD)
    tap(other, card, amount_fen=5_000)
    tap(reader, card)
    store = open_ledger(reader, other)
    store.book([reader.records])
    balance = only(store)
    assert (balance.verdict, balance.missing) == (Verdict.IN_TRANSIT, 1)
    assert balance.ledger_fen - balance.high_fen == 5_000
    store.book([other.records])
    assert only(store).verdict is Verdict.EQUAL


def honest(seed):
    """Readers that saw two honest cards pay and be credited; and books that know the credits."""
    rng = random.Random(seed)
    readers, cards = [Reader(A), Reader(B)], [Plastic(CARD), Plastic(OTHER_CARD)]
    store = open_ledger(*readers)
    number = 0
    waiting = {CARD: [], OTHER_CARD: []}  # of a card, what is tried until it is on it
    for _ in range(rng.randint(4, 30)):
        card, reader, end = rng.choice(cards), rng.choice(readers), rng.choice((*ENDS, "paid"))
        if rng.randrange(4) == 0:
            number += 1
            store.top_ups.top_up(card.card_no, 500, str(number))
            waiting[card.card_no].append(number)
        elif waiting[card.card_no] and rng.randrange(2):
            store.top_ups.note_try(waiting[card.card_no][0], card.counter, reader.device)
            if credited(reader, card, waiting[card.card_no][0], 500, end):
                waiting[card.card_no].pop(0)
        else:
            tap(reader, card, end, rng.choice((50, 100, 350)))
    return readers, store


def test_honest_cards_make_no_imbalance():
    """Torn taps and credits, records lost, late, doubled, in any order: no finding, no verdict."""
    seen = Counter()
    for seed in range(36):
        lost_percent, late_percent = ((0, 0), (20, 0), (0, 60), (30, 30))[seed % 4]
        readers, store = honest(seed)
        draw = random.Random(seed)
        store = deliver(readers, draw, lost_percent, late_percent, store)
        watch = Watch(store, lambda: 1, {})
        while watch.look():
            pass
        assert watch.counters["findings"] == 0, f"seed {seed}"
        for balance in reconcile(store):
            assert balance.imbalances == (), f"seed {seed}"
            seen[balance.verdict] += 1
        store.close()
    assert set(seen) == {Verdict.EQUAL, Verdict.IN_TRANSIT}
    assert min(seen.values()) > 10, seen


def forged_balance(reader, other, card):
    tap(other, card)
    card.balance_fen += 500
    return tap(reader, card), 500


def forged_behind_a_gap(reader, other, card):
    tap(other, card)
    card.counter += 2
    card.balance_fen += 7
    return tap(reader, card), 7


def bad_arithmetic(reader, other, card):
    tap(other, card)
    return tap(reader, card, after_fen=card.balance_fen - 90), 10


def unknown_credit(reader, other, card):
    tap(other, card)
    credited(reader, card, 77, 500)
    return (reader.device, 1), 500


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        (forged_balance, reasons.IMBALANCE),
        (forged_behind_a_gap, reasons.ABOVE_LOAD),
        (bad_arithmetic, reasons.BAD_ARITHMETIC),
        (unknown_credit, reasons.UNKNOWN_CREDIT),
    ],
)
def test_an_imbalance_is_its_readers_case_and_bars_no_card(deed, reason):
    reader, other = Reader(A), Reader(B)
    record_id, off_fen = deed(reader, other, Plastic(CARD))
    store = booked(reader, other)
    assert Watch(store, lambda: 1, {}).look()
    balance = only(store)
    assert balance.verdict is Verdict.IMBALANCE
    assert balance.imbalances == (Imbalance(*record_id, off_fen),)
    assert (reason, *record_id) in store.cases()
    assert store.cards.status(CARD) == 0


def test_what_moves_on_a_purse_without_its_card_is_told_apart():
    """A correction is no imbalance of the card."""
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, Plastic(99))
    tap(reader, card)
    store = booked(reader)
    case = store.corrections.case(reasons.UNKNOWN_CARD, A, 1)
    proposal = store.corrections.propose(case, Bearer.HOLDER, "wang", "found", 1, whose=CARD)
    store.corrections.approve(proposal.number, store.corrections.mark(case, proposal), "li", 2)
    balance = only(store)
    assert (balance.verdict, balance.other_fen) == (Verdict.EQUAL, -100)
    assert store.holder_balance(CARD) == balance.ledger_fen + balance.other_fen


def test_a_copied_card_is_named_as_one():
    for_each = [Reader(A), Reader(B)]
    for reader in for_each:
        tap(reader, Plastic(CARD))
    balance = only(booked(*for_each))
    assert (balance.verdict, balance.imbalances) == (Verdict.COPIED, ())


def test_a_lost_record_and_the_command(tmp_path):
    """`onecard ledger reconcile`: 0 while everything fits, 1 and the record where it does not."""
    path = tmp_path / "ledger.sqlite"
    reader, card = Reader(A), Plastic(CARD)
    tap(reader, card)
    tap(reader, card)
    store = open_ledger(reader, path=str(path))
    store.book([[lost(reader.key, A, 1, reader.records[1]), *reader.records[1:]]])

    def onecard(*words):
        return CliRunner().invoke(app, ["ledger", "reconcile", str(path), *words])

    told = onecard()
    assert told.exit_code == 0
    assert told.output.splitlines()[-1] == "equal: 0, in transit: 1, imbalance: 0, copied: 0"
    assert told.output.split("\n")[1].split() == [
        "7",
        "98.00",
        "99.00",
        "0.00",
        "1",
        "in",
        "transit",
    ]
    card.balance_fen += 5
    tap(reader, card)
    store.book([reader.records[4:]])
    told = onecard("--card", "7")
    assert told.exit_code == 1 and f"record {A}/5: +5 fen" in told.output
    assert '"verdict": "imbalance"' in onecard("--json").output
    store.close()
