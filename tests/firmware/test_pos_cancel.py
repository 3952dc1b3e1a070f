"""FN 7 at the POS: the last sale is cancelled, once, with its card there, or it is said why not.

No card is written by it; how the money comes back is in tests/load/test_cancel.py.
"""

import random

import pytest

from protocols.rules import reasons
from protocols.wire import messages
from simulator.chips.nor_flash import PowerCut
from tests.firmware.counter import CARD_NO, Counter, new_card, truth, writes_of
from tests.firmware.test_pos import Online

CANCEL_KEY = b"F7"
AMOUNT, AMOUNT_FEN = "12.50", 1250
WHICH = ("CANCEL: TAP CARD", f"12.50 #{CARD_NO}")
CANCELLED = ("CANCELLED 12.50", "COMES ONTO CARD")
PAID = "PAID 12.50"
WINDOW_S = 600
PATIENCE_MS = 30_000
NO_PIN = reasons.display(reasons.NO_PIN_SET)


def said(reason):
    return reasons.display(reason)


class Window(Counter):
    """A counter whose agent answers, unless it is said that it does not."""

    def boot(self, tell_time=True):
        super().boot(tell_time)
        self.pos._uplink = Online()

    def cancel(self, *cards):
        """Press FN 7 and hold cards to the reader; both lines of the display."""
        self.key(CANCEL_KEY)
        self.tap(*cards)
        return self.lines

    def cancels(self):
        return self.records(messages.CANCEL)


@pytest.fixture
def sold():
    """A window at which a card has just paid; (window, card)."""
    window, card = Window(), new_card()
    assert window.sell(AMOUNT, card) == PAID
    return window, card


def lcd(window):
    return [line.decode("gb2312").strip() for line in window.hardware.lcd.lines()]


# -- what cannot be cancelled ---------------------------------------------------------------


def test_where_nothing_was_sold_there_is_nothing_to_cancel():
    window = Window()
    assert window.cancel(new_card())[0] == said(reasons.NOTHING_TO_CANCEL)
    assert window.cancels() == []


def test_a_refusal_is_no_sale():
    window = Window()
    window.sell("999", new_card())
    window.run_ms(3000)
    assert window.cancel(new_card())[0] == said(reasons.NOTHING_TO_CANCEL)


def test_offline_it_is_refused_with_the_reason(sold):
    window, card = sold
    window.pos._uplink.online = False
    assert window.cancel(card)[0] == said(reasons.OFFLINE)
    assert window.cancels() == []
    window.pos._uplink.online = True
    assert window.cancel(card) == CANCELLED


def test_the_network_goes_away_between_key_and_tap(sold):
    window, card = sold
    window.key(CANCEL_KEY)
    assert window.lines == WHICH
    window.pos._uplink.online = False
    window.tap(card)
    assert window.shown == said(reasons.OFFLINE) and window.cancels() == []
    (refusal,) = window.records(messages.REFUSAL)
    assert (refusal["reason"], refusal["card_no"]) == (reasons.OFFLINE, CARD_NO)
    window.pos._uplink.online = True
    window.run_ms(3000)
    assert window.cancel(card) == CANCELLED


def test_another_card_does_not_do(sold):
    window, card = sold
    assert window.cancel(new_card(2))[0] == said(reasons.SAME_CARD_PLEASE)
    assert window.cancels() == []
    window.tap(card)
    assert window.lines == CANCELLED


def test_nor_one_that_was_written_back_to_what_it_was_before(sold):
    window, _ = sold
    assert window.cancel(new_card(seed=9))[0] == said(reasons.SAME_CARD_PLEASE)
    assert window.cancels() == []


def test_a_sale_is_cancelled_once_over_any_boot(sold):
    window, card = sold
    assert window.cancel(card) == CANCELLED
    for _ in range(2):
        window.run_ms(3000)
        assert window.cancel(card)[0] == said(reasons.CANCELLED_ALREADY)
        window.die()
        window.boot()
        assert window.shown == "WELCOME", "not that it was paid last"
        window.tell_time()
    assert len(window.cancels()) == 1


def test_only_the_newest_sale(sold):
    """And when that is cancelled, not the one before it either."""
    window, card = sold
    window.run_ms(6000)
    other = new_card(2)
    assert window.sell("3", other) == "PAID 3.00"
    assert window.cancel(card)[0] == said(reasons.SAME_CARD_PLEASE)
    window.tap(other)
    assert window.shown == "CANCELLED 3.00"
    window.run_ms(3000)
    assert window.cancel(card)[0] == said(reasons.CANCELLED_ALREADY)


@pytest.mark.parametrize(("after_s", "is_late"), [(WINDOW_S - 10, False), (WINDOW_S + 1, True)])
def test_a_sale_may_be_so_old(sold, after_s, is_late):
    window, card = sold
    window.run_ms(after_s * 1000)
    window.cancel(card)
    assert (window.shown == said(reasons.CANCEL_TOO_LATE)) == is_late
    assert len(window.cancels()) == (not is_late)


def test_time_goes_by_between_key_and_tap(sold):
    window, card = sold
    window.run_ms(WINDOW_S * 1000 - 15_000)
    window.key(CANCEL_KEY)
    assert window.lines == WHICH
    window.run_ms(20_000)
    window.tap(card)
    assert window.shown == said(reasons.CANCEL_TOO_LATE) and window.cancels() == []
    assert window.records(messages.REFUSAL)[-1]["reason"] == reasons.CANCEL_TOO_LATE


def test_policy_may_say_never():
    window, card = Window(cancel_window_s=0), new_card()
    window.sell(AMOUNT, card)
    assert window.cancel(card)[0] == said(reasons.CANCEL_TOO_LATE)
    assert window.cancels() == []


def test_without_a_clock_a_sale_before_the_boot_may_be_too_old(sold):
    """As soon as a receipt has told the time, it is known not to be."""
    window, card = sold
    window.die()
    window.boot()
    window.pos._till._clock._interval_ms = (0, (1 << 32) * 1000 - 1)
    window.pos._till._clock._at_ms = window.ticks_us() // 1000
    assert window.cancel(card)[0] == said(reasons.CLOCK_UNKNOWN)
    window.tell_time()
    assert window.cancel(card) == CANCELLED


def test_a_sale_whose_end_nobody_knows_is_not_cancelled():
    window, card = unknown()
    window.key(b"\x1b")
    assert window.cancel(card)[0] == said(reasons.ASK_LEDGER)
    window.die()
    window.boot()  # closes it as unknown, and asks for the card
    window.key(b"\x1b")
    window.tell_time()
    assert window.cancel(card)[0] == said(reasons.ASK_LEDGER)
    assert window.cancels() == []


def test_once_the_card_has_told_that_it_paid_it_may_be():
    window, card = unknown()
    window.tap(card)
    assert window.shown == PAID
    assert window.cancel(card) == CANCELLED


def unknown():
    """A window whose last card left while it was written for good, unheard, and that card."""
    for pull_ms in range(60, 160):
        window, card = Window(), new_card(seed=pull_ms)
        card.torn = "new"
        window.key(AMOUNT.encode() + b"\r")
        window.put(card)
        window.clock.advance_us(10_000)
        window.after_ms(pull_ms, lambda window=window, card=card: window.take(card))
        window.run_ms(400)
        if window.shown == said(reasons.TAP_AGAIN) and truth(card).counter:
            return window, card
    raise AssertionError("never unknown")


def test_a_debit_that_came_to_nothing_is_no_sale(sold):
    """The one before it is the last that was sold, and it is said which."""
    window, card = sold
    other = new_card(2)
    window.run_ms(6000)
    while window.records(messages.OUTCOME)[-1]["result"] != messages.NOT_COMMITTED:
        window.key(b"5\r")
        chip, before = window.hardware.chip, len(window.records(messages.INTENT))

        def pull(_number, before=before):
            if len(window.records(messages.INTENT)) > before:
                window.take(other)

        chip.before_exchange = pull
        window.put(other)
        window.run_ms(400)
        chip.before_exchange = None
        window.key(b"\x1b")
    window.key(CANCEL_KEY)
    assert window.lines == WHICH
    window.tap(card)
    assert window.lines == CANCELLED


def test_behind_a_record_that_rotted_away_nothing_is_cancelled(sold):
    """It may have been the CANCEL of that very sale."""
    window, card = sold
    recorder, fields = window.pos._recorder, window.pos._recorder.fields
    window.key(b"F6")
    rotten = recorder.head_seq()
    recorder.fields = lambda seq: None if seq == rotten else fields(seq)
    window.key(b"\x1b")
    assert window.cancel(card)[0] == said(reasons.NOTHING_TO_CANCEL)
    assert window.cancels() == []


@pytest.mark.parametrize("when", ["before the key", "before the tap"])
def test_a_full_journal_cancels_nothing(sold, when):
    window, card = sold
    recorder = window.pos._recorder

    def fill():
        while recorder.has_room():
            recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)

    # Of the last sale something has to be in reach.
    recorder.receipt(recorder.head_seq())
    if when == "before the tap":
        window.key(CANCEL_KEY)
        assert window.lines == WHICH
        fill()
        window.tap(card)
    else:
        fill()
        window.key(CANCEL_KEY)
    assert window.shown == said(reasons.JOURNAL_FULL)
    assert window.cancels() == []


def test_an_empty_battery_cancels_nothing(sold):
    window, card = sold
    window.pos._supply.word = lambda: "empty"
    assert window.cancel(card)[0] == said(reasons.BATTERY_EMPTY)
    assert window.cancels() == []


# -- hands and power ------------------------------------------------------------------------


def cancelling(seed=0):
    """A window that asks for the card, and the card, which the next poll will find."""
    window, card = Window(seed), new_card(seed=seed)
    assert window.sell(AMOUNT, card) == PAID
    window.key(CANCEL_KEY)
    window.put(card)
    window.clock.advance_us(10_000)
    return window, card


def go_on(window, card):
    """Clerk and customer try until it is said that the sale is cancelled."""
    for _ in range(4):
        if window.pos is None:
            window.boot()
            window.tell_time()
        if window.lines == CANCELLED or window.shown == said(reasons.CANCELLED_ALREADY):
            return
        if window.lines != WHICH:
            window.key(b"\x1b")
            window.key(CANCEL_KEY)
        if window.lines == WHICH:
            window.tap(card)
    assert window.lines == CANCELLED


def check_cancelled_once(window, card, writes):
    (record,) = window.cancels()
    (intent,) = window.records(messages.INTENT)
    told = record["intent_device"], record["intent_seq"], record["card_no"], record["amount_fen"]
    assert told == (intent["device"], intent["seq"], CARD_NO, AMOUNT_FEN)
    assert writes_of(card) == writes, "no card is written here"
    assert window.cancel(card)[0] == said(reasons.CANCELLED_ALREADY)


def test_power_goes_at_any_write_to_flash():
    whole, card = cancelling()
    before = whole.flash.operations
    whole.run_ms(1000)
    operations = whole.flash.operations - before
    assert operations >= 1 and whole.lines == CANCELLED
    seen = set()
    for operation in range(operations + 1):
        window, card = cancelling()
        writes = writes_of(card)
        window.flash.cut_after(operation)
        if not window.survives(lambda window=window: window.run_ms(1000)):
            window.take(card)
            window.boot()
            window.tell_time()
            seen.add(window.shown)
        window.flash.cut_after(1 << 40)  # a key that is refused writes too
        window.run_ms(3000)
        go_on(window, card)
        window.run_ms(3000)
        check_cancelled_once(window, card, writes)
    assert seen <= {"WELCOME", "LAST PAID"}


def test_power_goes_at_any_exchange_with_the_card():
    whole, card = cancelling()
    first = whole.hardware.chip.transactions
    whole.run_ms(1000)
    exchanges = whole.hardware.chip.transactions - first
    for exchange in random.Random(7).sample(range(exchanges), 24):
        window, card = cancelling()
        writes, chip = writes_of(card), window.hardware.chip

        def cut(number, last=chip.transactions + exchange):
            if number == last:
                raise PowerCut

        chip.before_exchange = cut
        window.survives(lambda window=window: window.run_ms(1000))
        chip.before_exchange = None
        window.take(card)
        go_on(window, card)
        window.run_ms(3000)
        check_cancelled_once(window, card, writes)


def test_the_card_is_pulled_at_any_exchange():
    whole, card = cancelling()
    first = whole.hardware.chip.transactions
    whole.run_ms(0)
    exchanges = whole.hardware.chip.transactions - first
    assert exchanges > 30
    for exchange in random.Random(8).sample(range(exchanges), 24):
        window, card = cancelling()
        writes, chip = writes_of(card), window.hardware.chip

        def pull(number, last=chip.transactions + exchange, window=window, card=card):
            if number == last:
                window.take(card)

        chip.before_exchange = pull
        window.run_ms(400)
        chip.before_exchange = None
        window.take(card)
        window.run_ms(200)
        go_on(window, card)
        window.run_ms(3000)
        check_cancelled_once(window, card, writes)


def test_two_cards_at_once_cancel_nothing_until_one_is_there(sold):
    window, card = sold
    assert window.cancel(card, new_card(2))[0] == said(reasons.TWO_CARDS)
    assert window.cancels() == []
    window.tap(card)
    assert window.lines == CANCELLED


@pytest.mark.parametrize("leave", [b"\x1b", b""])
def test_nobody_brings_the_card(sold, leave):
    window, card = sold
    window.run_ms(3000)
    window.key(CANCEL_KEY)
    window.key(leave)
    window.run_ms(0 if leave else PATIENCE_MS + 100)
    assert window.shown == "WELCOME"
    window.tap(card)
    assert window.cancels() == []
    assert window.sell("5", new_card(2)) == "PAID 5.00"


def test_keys_do_nothing_while_the_card_is_waited_for(sold):
    window, card = sold
    window.key(CANCEL_KEY)
    for key in (b"5", b"\r", b"+", b"F", b"T"):
        window.witness.beeps.clear()
        window.key(key)
        window.run_ms(700)
        assert window.lines == WHICH and len(window.witness.beeps) == 3
    window.tap(card)
    assert window.lines == CANCELLED


# -- what it is for -------------------------------------------------------------------------


def test_a_sale_is_cancelled(sold):
    window, card = sold
    writes, before = writes_of(card), truth(card).balance_fen
    window.run_ms(3000)
    window.key(CANCEL_KEY)
    assert window.lines == WHICH
    window.tap(card)
    assert window.lines == CANCELLED
    assert (writes_of(card), truth(card).balance_fen) == (writes, before)
    (record,) = window.cancels()
    assert (record["card_no"], record["amount_fen"]) == (CARD_NO, AMOUNT_FEN)
    window.run_ms(3000)
    assert window.shown == "WELCOME"
    assert window.sell("8", card) == "PAID 8.00"


def test_the_card_may_lie_there_already(sold):
    window, card = sold
    window.put(card)
    window.key(CANCEL_KEY)
    window.run_ms(200)
    assert window.lines == CANCELLED and len(window.cancels()) == 1


def test_it_holds_over_a_boot(sold):
    window, card = sold
    window.die()
    window.boot()
    window.tell_time()
    assert window.cancel(card) == CANCELLED


def test_a_card_that_has_paid_elsewhere_since_is_still_the_same(sold):
    window, card = sold
    window.cards.clear()
    there = Window(device=1002)
    assert there.sell("3", card) == "PAID 3.00"
    assert window.cancel(card) == CANCELLED


def test_a_cancelled_charge_is_no_part_of_a_purchase():
    """R19.1: only what was taken and kept counts against the limit without PIN; a boot knows."""
    limits = {"offline_max_fen": 20_000, "since_pin_max_fen": 100_000}
    window, card = Window(split_window_s=180, **limits), new_card(balance_fen=20_000)
    assert window.sell("30", card) == "PAID 30.00"
    window.run_ms(6000)
    assert window.sell("30", card) == NO_PIN
    window.run_ms(3000)
    window.cancel(card)
    assert window.shown == "CANCELLED 30.00"
    window.run_ms(6000)
    window.die()
    window.boot()
    window.tell_time()
    assert window.sell("30", card) == "PAID 30.00"
    window.run_ms(6000)
    assert window.sell("30", card) == NO_PIN


def test_what_the_card_counts_is_not_taken_back(sold):
    """Its day's sum and that since the last PIN stand as they were: stricter, never laxer."""
    window, card = sold
    before = truth(card)
    window.cancel(card)
    after = truth(card)
    assert after.since_pin_fen == before.since_pin_fen == AMOUNT_FEN
    assert after.day_total_fen == before.day_total_fen == AMOUNT_FEN
    assert (after.counter, after.last_seq) == (before.counter, before.last_seq)


@pytest.mark.parametrize("boots", [False, True])
def test_shift_and_seven_days_show_what_was_cancelled(boots):
    window, card = Window(language="en"), new_card()
    window.sell(AMOUNT, card)
    window.run_ms(6000)
    window.sell("3", card)
    window.cancel(card)
    window.run_ms(3000)
    if boots:
        for _ in range(16):  # records enough for a snapshot
            window.key(b"F6\x1b")
        window.run_ms(3000)
        window.die()
        window.boot()
    window.key(b"FT")
    assert window.lines == ("SALES 2", "15.50 -3.00")
    page = ["SHIFT TOTALS", "SALES          2", "TOTAL      15.50", "VOID      1 3.00"]
    assert lcd(window) == page
    window.key(b"T")
    assert lcd(window) == ["7-DAY TOTALS", *page[1:]]
    for is_shift in (True, False):
        assert window.pos._totals.sums(is_shift) == [2, 1550, 1, 300, 0, 0]


def test_the_clerk_reads_it_in_chinese():
    window, card = Window(language="zh"), new_card()
    window.sell(AMOUNT, card)
    window.key(CANCEL_KEY)
    window.run_ms(100)
    sale = ["金额       12.50", "卡号        4711"]
    assert lcd(window)[:3] == ["撤销请刷原卡", *sale]
    window.tap(card)
    assert lcd(window) == ["已撤销", *sale, "将退回卡上"]
