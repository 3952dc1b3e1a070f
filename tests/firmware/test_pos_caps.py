"""What a POS takes without network, at most: by card and day, and all that waits at it (R24.1)."""

import pytest

from protocols.rules import reasons
from protocols.wire import messages
from tests.firmware.counter import CARD_NO, Counter, new_card

PAID = "PAID 10.00"


def full(reason):
    return reasons.display(reason)


def cards(count):
    return [new_card(CARD_NO + number) for number in range(count)]


@pytest.mark.parametrize(
    "caps",
    [
        {"offline_count_max": 2},
        {"offline_sum_max_fen": 2_999},
        {"offline_count_max": 2, "epoch": 0},
    ],
)
@pytest.mark.parametrize("boots", [False, True])
def test_no_more_waits_than_it_may_whoever_switches_it_off(caps, boots):
    counter = Counter(**caps)
    for card in cards(2):
        assert counter.sell("10", card) == PAID
        if boots:
            counter.die()
            counter.boot()
            counter.key(b"\x1b")
    third = new_card(CARD_NO + 9)
    assert counter.sell("10", third) == full(reasons.OVER_READER_LIMIT)
    (refusal,) = counter.records(messages.REFUSAL)
    assert (refusal["card_no"], refusal["reason"]) == (CARD_NO + 9, reasons.OVER_READER_LIMIT)
    # All of it is booked: the next outage begins anew.
    counter.pos._recorder.receipt(counter.pos._recorder.head_seq())
    counter.run_ms(5_000)
    assert counter.sell("10", third) == PAID


def test_what_was_booked_in_part_is_not_forgiven():
    counter = Counter(offline_count_max=2)
    first, second, third = cards(3)
    counter.sell("10", first)
    booked = counter.pos._recorder.head_seq()
    counter.sell("10", second)
    counter.pos._recorder.receipt(booked)
    assert counter.sell("10", third) == full(reasons.OVER_READER_LIMIT)


def test_a_spend_that_came_to_nothing_does_not_count():
    counter = Counter(offline_count_max=1)
    card, other = cards(2)
    counter.key(b"10\r")
    counter.put(card)
    counter.after_ms(60, lambda: counter.take(card))
    counter.run_ms(500)
    (outcome,) = counter.records(messages.OUTCOME) or [{"result": 0}]
    counter.key(b"\x1b")
    taken = outcome["result"] in (messages.COMMITTED, messages.UNKNOWN)
    for _ in range(2):
        shown = counter.sell("10", other)
        assert (shown == PAID) is not taken
        taken = True


def test_a_spend_of_which_nobody_knows_the_end_counts():
    """The money may be on its way to the merchant: whoever presses ESC gets no other allowance."""
    unknown = 0
    for at_ms in range(100, 160, 2):
        counter, card = Counter(seed=at_ms, offline_count_max=1), new_card(seed=at_ms)
        counter.key(b"10\r")
        counter.put(card)
        counter.after_ms(at_ms, lambda counter=counter, card=card: counter.take(card))
        counter.run_ms(500)
        (outcome,) = counter.records(messages.OUTCOME) or [{"result": 0}]
        if outcome["result"] == messages.UNKNOWN:
            unknown += 1
            counter.key(b"\x1b")
            other = new_card(CARD_NO + 1)
            assert counter.sell("10", other) == full(reasons.OVER_READER_LIMIT), at_ms
    assert unknown


def test_a_purse_is_settled_whatever_waits():
    """A spend that is under way is none that begins."""
    for at_ms in range(60, 160, 5):
        counter = Counter(seed=at_ms, offline_count_max=1)
        card = new_card(seed=at_ms)
        counter.key(b"10\r")
        counter.put(card)
        counter.after_ms(at_ms, lambda counter=counter, card=card: counter.take(card))
        counter.run_ms(800)
        if at_ms % 2:
            counter.die()
            counter.boot()
        if counter.shown not in (PAID, "LAST PAID"):
            counter.tap(card)
        assert counter.shown in (PAID, "LAST PAID") or counter.sell("10", card) == PAID, at_ms
        counter.key(b"\x1b")
        assert counter.sell("10", new_card(CARD_NO + 1)) == full(reasons.OVER_READER_LIMIT)


def test_the_oldest_that_waits_may_be_so_old():
    counter = Counter(offline_age_max_s=3_600)
    first, second = cards(2)
    assert counter.sell("10", first) == PAID
    counter.run_ms(3_500_000)
    assert counter.sell("10", second) == PAID
    counter.run_ms(200_000)
    third = new_card(CARD_NO + 9)
    assert counter.sell("10", third) == full(reasons.OFFLINE_TOO_LONG)
    counter.die()
    counter.boot()
    counter.key(b"\x1b")
    assert counter.sell("10", third) == full(reasons.OFFLINE_TOO_LONG)


def test_a_card_has_a_day_of_its_own_without_network():
    counter = Counter(offline_day_max_fen=2_500)
    (card,) = cards(1)
    assert [counter.sell("10", card) for _ in range(2)] == [PAID, PAID]
    assert counter.sell("10", card) == full(reasons.OVER_OFFLINE_LIMIT)
    assert counter.sell("5", card) == "PAID 5.00"


def test_an_old_list_is_counted_down_where_everybody_sees_it():
    counter = Counter(map_stale_s=60, map_expired_s=7_260, stale_max_fen=500, language="en")
    assert counter.lines[1].strip() == "OLD LIST 0 MIN", "without a list it is as old as can be"
    assert any(line.startswith(b"OLD LIST") for line in counter.hardware.lcd.lines())
    assert counter.sell("10", new_card()) == full(reasons.MAP_EXPIRED)
    assert "OLD LIST" not in Counter().lines[1]
