"""The POS on its modelled chip, flash and cards, without network: whom it takes money from, and
what it says, shows and sounds.

What power and cards that leave do to it is in test_pos_cuts.py. Here and there a witness
(counter.py) checks at every pin that INTENT comes before the card, and OUTCOME before PAID.
"""

import pytest

from firmware.services.records import Recorder
from protocols.rules import reasons
from protocols.rules.clock import BUILT_S
from protocols.wire import messages
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    DAY,
    MERCHANT,
    Counter,
    encode_value,
    new_card,
    truth,
    with_counter,
)
from tests.firmware.test_till import Failing

GREEN, RED, DARK = "10", "01", "00"
OTHER_KEY = bytes(range(50, 66))
REASONS = {name: value for name, value in vars(reasons).items() if isinstance(value, int)}
TEXT = {number: reasons.display(number) for number in REASONS.values() if number}


def refusals(counter):
    """(reason, card number, amount) of every REFUSAL on flash."""
    return [
        (r["reason"], r["card_no"], r["amount_fen"]) for r in counter.records(messages.REFUSAL)
    ]


# -- the card front end ---------------------------------------------------------------------


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_dead_bus_is_healed_and_reported(level):
    counter, card = Counter(), new_card()
    counter.key(b"12.50\r")
    counter.run_ms(500)
    counter.hardware.chip.miso = level
    counter.run_ms(2_000)
    counter.hardware.chip.miso = None
    counter.tap(card)
    assert counter.shown == "PAID 12.50"
    (first, *more) = counter.records(messages.FRONT_END)
    assert first["version"] in (0, 0x92, 0xFF) and first["faults"] > 0 and more == []
    # What came since is told in its time: one record in ten minutes.
    counter.run_ms(600_000)
    (_, last) = counter.records(messages.FRONT_END)
    assert last["version"] == 0x92 and last["faults"] >= last["recoveries"] > 0


def test_a_good_front_end_is_not_worth_a_record():
    counter = Counter()
    counter.sell("12.50", new_card())
    counter.run_ms(700_000)
    assert counter.records(messages.FRONT_END) == []


def test_a_chip_that_nobody_knows_is_reported_once_and_serves():
    counter = Counter()
    counter.hardware.chip.version = 0xB2
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    assert counter.sell("1", new_card(card_no=4712)) == "PAID 1.00"
    counter.run_ms(700_000)
    (record,) = counter.records(messages.FRONT_END)
    assert (record["version"], record["faults"]) == (0xB2, 0)


def forged_card():
    """Somebody who has every sector key but not the MAC key wrote a higher balance."""
    card = new_card()
    for block in (8, 9):
        card.blocks[block] = encode_value(10 * BALANCE_FEN, block)
    return card


# -- refused --------------------------------------------------------------------------------

REFUSED = [
    (reasons.BALANCE_SHORT, {"balance_fen": 1249}, {}),
    (reasons.OVER_SPEND_LIMIT, {}, {"amount_max_fen": 1249}),
    (reasons.OVER_OFFLINE_LIMIT, {}, {"offline_max_fen": 1249}),
    (reasons.NO_PIN_SET, {}, {"no_pin_max_fen": 1249}),
    (reasons.NO_PIN_SET, {}, {"since_pin_max_fen": 1249}),
    (reasons.OVER_DAY_LIMIT, {}, {"day_max_fen": 1249}),
    (reasons.NOT_YET_VALID, {"days": (DAY + 1, DAY + 9)}, {}),
    (reasons.EXPIRED, {"days": (DAY - 9, DAY - 1)}, {}),
    (reasons.KIND_NOT_SERVED, {"kind": 9}, {}),
    (reasons.CLOCK_UNKNOWN, {}, {"clock_width_max_ms": 900, "blind_max_fen": 1249}),
]


@pytest.mark.parametrize(("reason", "card", "policy"), REFUSED)
def test_refused_by_rule(reason, card, policy):
    counter = Counter(**policy)
    card = new_card(**card)
    before = list(card.blocks)
    assert counter.sell("12.50", card) == TEXT[reason]
    assert counter.lines[1] == "12.50"
    assert refusals(counter) == [(reason, CARD_NO, 1250)]
    assert counter.records(messages.INTENT) == [] and card.blocks == before


def test_worn_card_is_refused():
    counter, card = Counter(), with_counter(new_card(), 0xFFFF)
    assert counter.sell("12.50", card) == TEXT[reasons.COUNTER_WORN]
    assert refusals(counter) == [(reasons.COUNTER_WORN, CARD_NO, 1250)]


@pytest.mark.parametrize(
    ("reason", "make"),
    [
        (reasons.WRONG_KEY, lambda: new_card(purse_key=OTHER_KEY)),
        (reasons.FOREIGN_CARD, lambda: new_card(mac_key=OTHER_KEY)),
        (reasons.FOREIGN_CARD, forged_card),
    ],
)
def test_card_that_is_not_ours(reason, make):
    counter, card = Counter(), make()
    before = list(card.blocks)
    assert counter.sell("12.50", card) == TEXT[reason]
    assert refusals(counter) == [(reason, 0, 1250)] and card.blocks == before


def test_two_cards_then_one():
    counter, cards = Counter(), [new_card(1), new_card(2)]
    assert counter.sell("12.50", *cards) == TEXT[reasons.TWO_CARDS]
    assert refusals(counter) == [(reasons.TWO_CARDS, 0, 1250)]  # one, though it was polled on
    counter.tap(cards[1])
    assert counter.lines == ("PAID 12.50", "BALANCE 87.50")
    assert [truth(card).counter for card in cards] == [0, 1]


def test_faults_that_take_turns_are_recorded_once_each():
    """A wallet with two cards at the edge of the field would fill the journal otherwise."""
    counter, first, second = Counter(), new_card(1), new_card(2)
    counter.key(b"12.50\r")
    told = set()
    for hold_ms in range(15, 35):
        counter.put(first, second)
        counter.run_ms(120)
        told.add(counter.shown)
        counter.take(second)
        counter.after_ms(hold_ms, lambda: counter.take(first))
        counter.run_ms(100)
        told.add(counter.shown)
    assert told == {TEXT[reasons.TWO_CARDS], TEXT[reasons.CARD_GONE]}
    assert refusals(counter) == [(reasons.TWO_CARDS, 0, 1250)]


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_dead_front_end_says_so_and_comes_back(level):
    counter, card = Counter(), new_card()
    counter.hardware.chip.miso = level
    assert counter.sell("12.50", card) == TEXT[reasons.READER_FAULT]
    assert refusals(counter) == [(reasons.READER_FAULT, 0, 1250)]
    counter.hardware.chip.miso = None
    counter.tap(card)
    assert counter.shown == "PAID 12.50" and truth(card).counter == 1


@pytest.mark.parametrize(
    ("typed", "answer", "left"),
    [
        (b"", "KEY AN AMOUNT", ""),
        (b"0", "AMOUNT IS ZERO", "0"),
        (b"0.00", "AMOUNT IS ZERO", "0.00"),
        (b".", "UNFINISHED", "0."),
        (b"12.", "UNFINISHED", "12."),
    ],
)
def test_an_amount_that_cannot_be_taken(typed, answer, left):
    """What is keyed stays to be seen and can be gone on with."""
    counter = Counter()
    counter.key(typed + b"\r")
    assert counter.lines == (answer, left)
    counter.tap(new_card())
    assert counter.records(messages.INTENT) == [] and refusals(counter) == []


@pytest.mark.parametrize(
    ("typed", "key", "answer", "left"),
    [
        (b"12.50", b"5", "TWO DECIMALS MAX", "12.50"),
        (b"1.2", b".", "ONLY ONE POINT", "1.2"),
        (b"123456", b"7", "AMOUNT TOO LONG", "123456"),
    ],
)
def test_a_key_too_many_is_refused_and_never_a_smaller_amount_taken(typed, key, answer, left):
    counter = Counter()
    counter.key(typed + key)
    assert counter.lines == (answer, left)
    counter.key(b"\r")
    assert counter.shown == "CARD PLEASE"


def test_an_amount_of_nothing_never_gets_past_the_till():
    """The keys let none through; the rule stands all the same."""
    counter, card = Counter(), new_card()
    counter.key(b"1\r")
    counter.pos._order.cost = lambda _view, _now_ms: (0, 0, 0, 0)
    counter.tap(card)
    assert counter.shown == TEXT[reasons.BAD_AMOUNT]
    assert truth(card).counter == 0 and counter.records(messages.INTENT) == []


def test_clock_that_was_never_set():
    """Without network and time a canteen still sells, small amounts only (R23.1, R24.1)."""
    counter, card = Counter(boot=False), new_card()
    counter.hardware.rtc_set = False
    counter.boot(tell_time=False)
    assert counter.sell("20.01", card) == TEXT[reasons.CLOCK_UNKNOWN]
    assert truth(card).counter == 0
    assert counter.sell("20", card) == "PAID 20.00"
    boot = counter.records()[0]
    assert (boot["earliest_s"], boot["latest_s"]) == (BUILT_S, 2**32 - 1)


def test_battery_until_it_is_empty():
    counter, card = Counter(), new_card()
    counter.hardware.set_mains(False)
    counter.run_ms(1000)
    assert counter.sell("12.50", card) == "PAID 12.50"
    assert counter.records(messages.INTENT)[0]["flags"] == (
        messages.FLAG_OFFLINE | messages.FLAG_BATTERY
    )
    counter.hardware.battery_mv_now = 3340
    counter.run_ms(600)
    assert counter.sell("12.50", card) == TEXT[reasons.BATTERY_EMPTY]
    assert refusals(counter) == [(reasons.BATTERY_EMPTY, 0, 1250)]
    counter.hardware.set_mains(True)
    counter.run_ms(2500)
    assert counter.sell("12.50", card) == "PAID 12.50"
    sources = [record["source"] for record in counter.records(messages.POWER)]
    assert sources == [messages.BATTERY, messages.MAINS]
    assert truth(card).counter == 2


def drain(counter):
    """The mains go, and the battery was empty before."""
    counter.hardware.set_mains(False)
    counter.hardware.battery_mv_now = 3300
    counter.run_ms(1000)


@pytest.mark.parametrize("is_done", [True, False])
def test_an_empty_battery_still_settles_what_is_pending(is_done):
    """It ends what was begun, and begins nothing."""
    counter, card = Counter(), new_card()
    till, recorder = counter.pos._till, counter.pos._recorder
    till._recorder = Failing(recorder, good=1)
    before = list(card.blocks)
    counter.sell("12.50", card)
    till._recorder = recorder
    if not is_done:
        card.blocks[:] = before
    drain(counter)
    counter.run_ms(3000)
    told = counter.sell("12.50", card)
    assert told == ("PAID 12.50" if is_done else TEXT[reasons.BATTERY_EMPTY])
    assert [r["result"] for r in counter.records(messages.OUTCOME)] == [
        messages.COMMITTED if is_done else messages.NOT_COMMITTED
    ]
    assert len(counter.records(messages.INTENT)) == 1 and truth(card).counter == is_done


# -- a full journal -------------------------------------------------------------------------


def fill(counter):
    """Write power records until no spend may start any more."""
    recorder = counter.pos._recorder
    while recorder.has_room():
        recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)


def test_a_nearly_full_journal_is_told_to_the_clerk_and_stops_nothing():
    counter = Counter()
    assert counter.lines == ("WELCOME", "")
    recorder = counter.pos._recorder
    while not recorder.is_nearly_full():
        recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    counter.run_ms(3000)
    assert counter.lines == ("WELCOME", "NEARLY FULL")
    recorder.receipt(recorder.head_seq())
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    counter.run_ms(3000)
    assert counter.lines == ("WELCOME", "")


def test_full_journal_stops_spending_and_loses_nothing():
    counter, card = Counter(), new_card()
    assert counter.sell("12.50", card) == "PAID 12.50"
    fill(counter)
    before = counter.records()
    for _ in range(3):
        assert counter.sell("12.50", card) == TEXT[reasons.JOURNAL_FULL]
    assert counter.records() == before and truth(card).counter == 1
    # Receipts make room; nothing else has to be done.
    recorder = counter.pos._recorder
    recorder.receipt(recorder.head_seq())
    assert counter.sell("12.50", card) == "PAID 12.50"


def test_full_journal_survives_boots_and_mains():
    """A reader that boots and boots must not use up what is left."""
    counter = Counter()
    fill(counter)
    head = counter.records()[-1]["seq"]
    for mains in (False, True) * 60:
        counter.die()
        counter.hardware.set_mains(mains)
        counter.boot()
        counter.run_ms(600)
    assert counter.records()[-1]["seq"] == head
    assert counter.pos._recorder._journal.free_sectors() >= 1
    recorder = counter.pos._recorder
    recorder.receipt(head)
    assert counter.sell("12.50", new_card()) == "PAID 12.50"


def test_a_flash_that_fails_beside_a_spend_costs_a_record_and_no_more(monkeypatch):
    """Sectors that were counted on turn out to be worn: neither mains nor boots stumble."""
    counter, card = Counter(), new_card()
    with monkeypatch.context() as worn:
        worn.setattr(Recorder, "write", Failing(None, good=0).write)
        counter.hardware.set_mains(False)
        counter.run_ms(1000)
        counter.die()
        counter.boot()
        counter.run_ms(1000)
    assert counter.sell("12.50", card) == "PAID 12.50"
    assert counter.records(messages.INTENT)[0]["flags"] & messages.FLAG_BATTERY


def test_the_supply_is_watched_without_room_too():
    counter = Counter()
    fill(counter)
    counter.hardware.set_mains(False)
    counter.run_ms(1000)
    counter.pos._recorder.receipt(counter.pos._recorder.head_seq())
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    assert counter.records(messages.INTENT)[0]["flags"] & messages.FLAG_BATTERY


def test_outcome_that_cannot_be_written_is_told_by_the_card_later():
    """The flash fails under a debit: nobody hears PAID before it stands there, nor unpaid."""
    counter, card = Counter(), new_card()
    till, recorder = counter.pos._till, counter.pos._recorder
    till._recorder = Failing(recorder, good=1)
    assert counter.sell("12.50", card) == TEXT[reasons.ASK_LEDGER]
    assert truth(card).counter == 1 and counter.records()[-1]["kind"] == messages.INTENT
    till._recorder = recorder
    counter.run_ms(3000)
    assert counter.sell("12.50", card) == "PAID 12.50"
    assert truth(card).counter == 1 and counter.records()[-1]["result"] == messages.COMMITTED


@pytest.mark.parametrize("other", [lambda: new_card(2, purse_key=OTHER_KEY), forged_card])
def test_a_card_that_cannot_be_read_while_a_spend_is_open(other):
    """Perhaps it is the one that has paid, and was only read badly: nobody hears a refusal."""
    counter, card = Counter(), new_card()
    till, recorder = counter.pos._till, counter.pos._recorder
    till._recorder = Failing(recorder, good=1)
    counter.sell("12.50", card)
    till._recorder = recorder
    counter.run_ms(3000)
    assert counter.sell("12.50", other()) == TEXT[reasons.SAME_CARD_PLEASE]
    counter.tap(card)
    assert counter.lines[0] == "PAID 12.50"
    assert truth(card).counter == 1 and counter.records()[-1]["result"] == messages.COMMITTED


# -- paid -----------------------------------------------------------------------------------


def test_paid():
    counter, card = Counter(), new_card()
    counter.key(b"12.50")
    assert counter.lines == ("AMOUNT", "12.50")
    counter.key(b"\r")
    assert counter.lines == ("CARD PLEASE", "12.50")
    counter.tap(card)
    assert counter.lines == ("PAID 12.50", "BALANCE 87.50")
    intent, outcome = counter.records(messages.INTENT, messages.OUTCOME)
    assert (intent["card_no"], intent["counter"], intent["merchant_no"]) == (CARD_NO, 0, MERCHANT)
    assert (intent["amount_fen"], intent["before_fen"], intent["after_fen"]) == (1250, 10000, 8750)
    assert (outcome["intent_seq"], outcome["result"]) == (intent["seq"], messages.COMMITTED)
    view = truth(card)
    assert (view.balance_fen, view.counter) == (8750, 1)
    assert (view.last_device, view.last_seq) == (1001, intent["seq"])
    assert (view.day, view.day_total_fen) == (DAY, 1250)
    assert (view.since_pin_fen, view.since_pin_count) == (1250, 1)
    assert intent["earliest_s"] <= view.last_time_s <= intent["latest_s"]
    assert counter.hardware.chip.violations == []


def test_the_next_intent_names_the_last_spend():
    counter, card = Counter(), new_card()
    counter.sell("1.00", card)
    counter.sell("2.00", card)
    first, second = counter.records(messages.INTENT)
    assert (second["last_device"], second["last_seq"]) == (1001, first["seq"])


def test_limits_add_up_on_the_card():
    counter, card = Counter(day_max_fen=3000), new_card()
    assert counter.sell("15", card) == "PAID 15.00"
    assert counter.sell("15", card) == "PAID 15.00"
    assert counter.sell("0.01", card) == TEXT[reasons.OVER_DAY_LIMIT]


def test_resting_card_pays_once_for_each_amount():
    counter, card = Counter(), new_card()
    counter.put(card)
    counter.key(b"12.50\r")
    counter.run_ms(60_000)
    assert truth(card).counter == 1 and counter.shown == "WELCOME"
    counter.key(b"3\r")
    counter.run_ms(1000)
    assert counter.lines == ("PAID 3.00", "BALANCE 84.50") and truth(card).counter == 2


def test_nobody_comes():
    counter = Counter()
    counter.key(b"12.50\r")
    counter.run_ms(29_900)
    assert counter.shown == "CARD PLEASE"
    counter.run_ms(200)
    assert counter.shown == "WELCOME"
    counter.tap(new_card())
    assert counter.records(messages.INTENT) == []


# -- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"12.50", b"12.50\r", b"0\r"])
def test_escape_clears(before):
    counter = Counter()
    counter.key(before)
    counter.key(b"\x1b")
    assert counter.lines == ("WELCOME", "")
    counter.tap(new_card())
    assert counter.records(messages.INTENT) == []


@pytest.mark.parametrize("keys", [b"12.50\r\n", b"1x2\xff\x00.5\x7f0\r"])
def test_bytes_that_are_no_keys_do_nothing(keys):
    counter = Counter()
    counter.key(keys)
    assert counter.lines == ("CARD PLEASE", "12.50")


def test_noise_on_the_keypad_s_line_wipes_nothing_away():
    """Found by torture: a customer had paid, and nobody saw it any more."""
    counter = Counter()
    counter.sell("12.50", new_card())
    before = counter.lines
    counter.key(b"&\xfe\xd4\xcd\x8dm")
    assert counter.lines == before == ("PAID 12.50", "BALANCE 87.50")


def test_no_new_amount_while_a_card_is_awaited():
    counter = Counter()
    counter.key(b"12.50\r99\r\r")
    assert counter.lines == ("CARD PLEASE", "12.50")
    assert counter.sell("", new_card()) == "PAID 12.50"


def test_the_next_amount_may_be_keyed_while_the_last_is_shown():
    counter, card = Counter(), new_card()
    counter.sell("12.50", card)
    counter.key(b"7")
    assert counter.lines == ("AMOUNT", "7") and counter.witness.lights[-1] == DARK
    counter.key(b"\r")
    counter.run_ms(5000)
    counter.tap(card)
    assert counter.lines == ("PAID 7.00", "BALANCE 80.50")


# -- light and sound ------------------------------------------------------------------------


class Online:
    """An uplink whose agent answers."""

    online = True

    def step(self, now_ms):
        return now_ms + 10_000


def heard(counter):
    """Durations of the beeps and the lights, in order."""
    beeps, counter.witness.beeps = counter.witness.beeps, []
    lights, counter.witness.lights = counter.witness.lights, []
    ends = [time_ms + duration_ms for time_ms, duration_ms in beeps]
    pauses = [start - end for end, (start, _) in zip(ends, beeps[1:], strict=False)]
    # A card dialogue in between may delay a beep; it never swallows a pause.
    assert all(120 <= pause_ms <= 200 for pause_ms in pauses), pauses
    return [duration_ms for _, duration_ms in beeps], lights


def sold(card, online=False, **policy):
    counter = Counter(**policy)
    if online:
        counter.pos._uplink = Online()
    heard(counter)
    counter.sell("12.50", card)
    counter.run_ms(3000)
    return counter


def test_one_short_beep_for_paid():
    counter = sold(new_card(), online=True)
    assert heard(counter) == ([80], [GREEN, DARK])
    assert counter.records(messages.INTENT)[0]["flags"] == 0


def test_two_for_paid_without_network():
    """However long the card took: two beeps are heard as two."""
    assert heard(sold(new_card())) == ([80, 80], [GREEN, DARK])


def test_one_long_for_refused():
    assert heard(sold(new_card(balance_fen=3))) == ([400], [RED, DARK])
    assert heard(sold(new_card(mac_key=OTHER_KEY))) == ([400], [RED, DARK])


def test_three_for_look_at_the_display():
    counter = Counter()
    heard(counter)
    counter.sell("12.50", new_card(1), new_card(2))
    counter.run_ms(500)
    assert heard(counter) == ([80, 80, 80], [RED])
    counter.tap(new_card(1))
    counter.run_ms(3000)
    assert heard(counter) == ([80, 80], [GREEN, DARK])


def test_a_refusal_of_a_key_is_heard_and_not_seen_by_the_customer():
    counter = Counter()
    heard(counter)
    counter.key(b"0\r")
    counter.run_ms(3000)
    assert heard(counter) == ([80, 80, 80], [])


def test_every_text_fits_the_display():
    counter, card = Counter(), new_card()
    for amount in ("999999.99", "12.50"):
        counter.sell(amount, card)
        counter.run_ms(3000)
    for text in counter.witness.texts:
        assert len(text) <= 4 + 20  # ESC Q A ... CR
    assert all(0 < len(text) <= 20 and text.isascii() for text in TEXT.values())


def test_every_reason_of_the_till_is_reached_by_these_tests(repo_root):
    """A reason nobody can show is a reason nobody has seen."""
    folder = repo_root / "tests" / "firmware"
    names = ("pos", "pos_cuts", "pos_orders", "pos_meals", "pin", "supply")
    names += ("pos_cancel", "pos_cards", "site", "pos_caps", "identity")
    files = [f"test_{name}.py" for name in names]
    files += ["../codes/test_codes.py", "../codes/test_holders.py", "../load/test_floor.py"]
    told = "".join((folder / name).read_text() for name in files)
    unseen = {name for name in REASONS if f"reasons.{name}" not in told}
    assert unseen - {"APPROVED"} == set()
