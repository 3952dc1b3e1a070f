"""Split charges at the POS (R19.1): what one card pays here in quick succession is one purchase.

The limit without PIN is 50.00; the cards have no PIN, so what would need one is refused.
"""

import pytest

from protocols.rules import reasons
from protocols.wire import messages
from tests.firmware.counter import Counter, new_card, truth

WINDOW_S = 180
NO_PIN = reasons.display(reasons.NO_PIN_SET)


@pytest.fixture
def counter():
    return Counter(split_window_s=WINDOW_S, offline_max_fen=20_000, since_pin_max_fen=100_000)


def pause(counter, seconds):
    counter.run_ms(seconds * 1000)


# -- failures -------------------------------------------------------------------------------


def test_a_charge_cannot_be_split_below_the_limit(counter):
    card = new_card()
    assert counter.sell("30", card) == "PAID 30.00"
    pause(counter, 10)
    assert counter.sell("25", card) == NO_PIN
    assert counter.sell("20", card) == "PAID 20.00"
    assert [record["amount_fen"] for record in counter.records(messages.INTENT)] == [3000, 2000]


def test_nor_by_letting_somebody_go_between(counter):
    card, other = new_card(), new_card(2)
    assert counter.sell("30", card) == "PAID 30.00"
    assert counter.sell("30", other) == "PAID 30.00"
    pause(counter, 10)
    assert counter.sell("30", card) == NO_PIN


def test_nor_by_pulling_the_plug(counter):
    """What the journal holds is known again after a boot, whatever the clock says by then."""
    card = new_card()
    assert counter.sell("30", card) == "PAID 30.00"
    counter.die()
    counter.boot()
    pause(counter, 10)
    assert counter.sell("30", card) == NO_PIN


@pytest.mark.parametrize("exchange", range(60, 130, 6))
def test_a_charge_counts_if_it_was_taken_however_that_was_found_out(counter, exchange):
    """The card leaves before an exchange of the debit and comes back: it counts, once."""
    card, chip = new_card(), counter.hardware.chip
    counter.key(b"30\r")
    last = chip.transactions + exchange
    chip.before_exchange = lambda number: counter.take(card) if number == last else None
    counter.put(card)
    counter.run_ms(400)
    counter.take(card)
    chip.before_exchange = None
    counter.run_ms(200)
    counter.tap(card)
    assert truth(card).counter == 1
    pause(counter, 40)
    assert counter.sell("20.01", card) == NO_PIN
    assert counter.sell("20", card) == "PAID 20.00"


# -- what it is for ---------------------------------------------------------------------------


def test_lunch_and_supper_are_two_purchases(counter):
    card = new_card()
    assert counter.sell("30", card) == "PAID 30.00"
    pause(counter, WINDOW_S + 5)
    assert counter.sell("30", card) == "PAID 30.00"


def test_a_policy_without_a_window_asks_for_nothing():
    counter, card = Counter(offline_max_fen=20_000, since_pin_max_fen=100_000), new_card()
    assert counter.sell("30", card) == "PAID 30.00"
    assert counter.sell("30", card) == "PAID 30.00"
