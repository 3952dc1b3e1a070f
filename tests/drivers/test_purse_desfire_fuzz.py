"""The POS before a DESFire whose answers are spoiled frame by frame, a hundred thousand times.

The firmware is whole, journal and display included; how answers are spoiled stands in
spoiled_desfire.py, what must hold at all times in desfire_window.py. After each spoiled sale the
card is held to the reader once more, honestly, and card and books agree to the fen; what the card
has signed fits what was booked.
"""

import random
from collections import Counter as Tally

import pytest

from ledger.forks import forks
from protocols.wire import messages
from tests.drivers.desfire_window import (
    FEN,
    PAID,
    REFUSALS,
    WAITS,
    Window,
    booked,
    check_proofs,
    spent_fen,
)
from tests.drivers.spoiled_desfire import EVERYTHING, ON_AIR
from tests.firmware.counter import MERCHANT, Counter

SALES, WINDOWS = 80, 8
RESULTS = (messages.COMMITTED, messages.NOT_COMMITTED, messages.UNKNOWN)


def play(seed, ways=EVERYTHING, sales=SALES):
    """A window after so many spoiled sales and one more of each card; its books are right."""
    print("seed", seed)
    window, draw = Window(seed, ways), random.Random(seed + 1_000_000)
    for _ in range(sales):
        window.said.append(window.spoiled_sale(draw))
    for card in (window.card, window.other):
        assert window.sell("0.50", card) == PAID
        window.run_ms(6_000)
    # Read anew, with every seal and the whole chain.
    assert Counter.records(window) == window.records()
    assert set(window.said) <= {PAID, *WAITS, *REFUSALS}
    store = booked(window)
    assert store.takings(MERCHANT) == spent_fen(window) == FEN * len(window.debited)
    assert list(forks(store)) == []
    check_proofs(store, len(window.debited))
    return window


@pytest.mark.parametrize("first", range(0, 11 * WINDOWS, WINDOWS))
def test_spoiled_answers_cost_nobody_a_fen(first):
    """Eleven times some nine thousand spoiled answers, at the depth of frames."""
    spoils, ends, slowest_ms = Tally(), Tally(), 0
    for seed in range(first, first + WINDOWS):
        window = play(seed)
        spoils += window.card.spoiled
        ends.update(record["result"] for record in window.records(messages.OUTCOME))
        slowest_ms = max(slowest_ms, window.slowest_ms)
    print(f"{spoils.total()} answers spoiled, {ends}, slowest step {slowest_ms} ms; {spoils}")
    assert spoils.total() >= 8_300
    assert min(spoils[way] for way in EVERYTHING) >= 50
    # Or nothing of this was ever near a debit.
    assert min(ends[result] for result in RESULTS) >= 10


@pytest.mark.parametrize("seed", range(200, 203))
def test_what_a_radio_does_makes_the_reader_break_no_rule(seed):
    """No command goes out again that a card has heard, and every sale is paid in the end."""
    window = play(seed, tuple(ON_AIR))
    assert window.card.violations == window.other.violations == []
    assert {*window.said} <= {PAID, *WAITS}
