"""What a clerk can do at the POS beside one amount and one card: modes, totals, "once more?"."""

import random

import pytest

from firmware.services import totals
from protocols.rules import charging, menu, reasons, sale, sale_texts, screens
from protocols.rules.spending import STAFF, STUDENT
from protocols.wire import messages
from tests.firmware.counter import NOON_S, Counter, new_card, truth, worn

FN, TOTALS = b"F", b"T"
ANY = 0
LUNCH = (630, 810, *[0] * 8)
DINNER = (990, 1140, *[0] * 8)
# Item 1 is cheaper for staff, item 2 is sold at dinner only, the fixed amount at any time.
MENU = menu.encode(
    charging.packed(
        (
            (1, STAFF, ANY, 900),
            (1, ANY, ANY, 1000),
            (2, ANY, 2, 300),
            (12, ANY, 1, 250),
            (charging.FIXED_ITEM, ANY, ANY, 800),
        )
    ),
    (LUNCH, DINNER),
)
ONCE_MORE = reasons.display(reasons.PAID_JUST_NOW)


def intents(counter):
    """The amounts of all INTENT records."""
    return [record["amount_fen"] for record in counter.records(messages.INTENT)]


def lcd(counter):
    """The clerk's display as people read it."""
    return [line.decode("gb2312").strip() for line in counter.hardware.lcd.lines()]


# -- failures -------------------------------------------------------------------------------


def test_an_item_without_a_price_now_asks_for_no_card():
    counter = Counter(menu=MENU)
    counter.key(FN + b"3")
    counter.key(b"2\r")
    assert counter.lines == ("NOT SOLD NOW", "")
    counter.tap(new_card())
    assert intents(counter) == []
    counter.key(b"1\r")
    assert counter.shown == "CARD PLEASE"


@pytest.mark.parametrize(
    "blob", [b"\xa1\x01\x41\x00", b"\xff", b"\x80", MENU[:-1], MENU + b"\x00"]
)
def test_a_menu_that_is_none_is_told_and_plain_amounts_are_still_taken(blob):
    counter = Counter(menu=blob)
    assert counter.shown == "BAD PRICE LIST"
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    counter.key(FN + b"3")
    counter.key(b"1\r")
    assert counter.shown == "NOT SOLD NOW"


@pytest.mark.parametrize("function", [b"9", b"0"])
def test_a_function_that_is_not_there_says_so(function):
    counter = Counter()
    counter.key(FN + function)
    assert counter.shown == "NO SUCH FUNCTION"
    counter.key(b"\x1b")
    assert counter.sell("5", new_card()) == "PAID 5.00"


def test_the_question_is_not_answered_by_the_next_order():
    """A clerk who has not looked keys the next amount and confirms it: that one is charged."""
    counter, card = Counter(), new_card()
    counter.sell("12.50", card)
    counter.key(b"3\r")
    counter.tap(card)
    assert counter.lines == (ONCE_MORE, "3.00")
    counter.key(b"4\r")
    other = new_card(2)
    counter.tap(other)
    assert intents(counter) == [1250, 400]
    assert truth(card).counter == 1 and truth(other).counter == 1


@pytest.mark.parametrize("leave", [b"\x1b", b""])
def test_nobody_says_once_more(leave):
    counter, card = Counter(), new_card()
    counter.sell("12.50", card)
    counter.key(b"3\r")
    counter.tap(card)
    counter.key(leave)
    counter.run_ms(11_000)
    counter.tap(card)
    assert counter.shown == "WELCOME" and intents(counter) == [1250]


def test_once_more_is_said_for_one_order_only():
    counter, card = Counter(), new_card()
    counter.sell("1", card)
    assert counter.sell("2", card) == "PAID 2.00"  # confirmed
    counter.key(b"3\r")
    counter.tap(card)
    assert counter.shown == ONCE_MORE


def test_power_goes_between_any_two_sales_and_the_totals_stand():
    """Whatever of them was in a snapshot and whatever was not."""
    draw = random.Random(7)
    counter, card = Counter(), new_card(balance_fen=100_000)
    for number in range(1, 40):
        assert counter.sell("1.50", card) == "PAID 1.50"
        counter.run_ms(draw.randrange(4000))
        if draw.randrange(3) == 0:
            counter.die()
            counter.boot()
        counter.pos._totals.read_on()
        assert counter.pos._totals.sums(True) == [number, 150 * number, 0, 0, 0, 0]
        assert counter.pos._totals.sums(False) == [number, 150 * number, 0, 0, 0, 0]
    assert len(counter.hardware.nvs[totals.STORED_AS]) <= 154


def test_a_snapshot_of_another_journal_is_not_taken_up():
    counter, card = Counter(), new_card()
    for _ in range(12):
        counter.sell("1", card)
        counter.run_ms(3000)
    stored = counter.hardware.nvs[totals.STORED_AS]
    fresh = Counter(boot=False)
    fresh.hardware.nvs[totals.STORED_AS] = stored
    fresh.boot()
    assert fresh.sell("5", new_card()) == "PAID 5.00"
    fresh.pos._totals.read_on()
    assert fresh.pos._totals.sums(True) == [1, 500, 0, 0, 0, 0]


def test_a_store_that_is_worn_ends_no_sale():
    """The totals are no book: without a snapshot they are those since the last boot."""
    counter, card = Counter(boot=False), new_card()
    counter.hardware.nvs_set = worn
    counter.boot()
    for _ in range(20):
        assert counter.sell("1.50", card) == "PAID 1.50"
        counter.run_ms(3000)
        assert counter.lines[0] == "WELCOME"
    counter.pos._totals.read_on()
    assert counter.pos._totals.sums(True)[:2] == [20, 3000]


# -- what it is for ---------------------------------------------------------------------------


def words_of(block):
    """(states, events) of a block of the table of a sale."""
    head, *rows = block.strip().split("\n")
    return head.split()[1:], [row.split()[0] for row in rows]


BLOCKS = [words_of(block) for block in sale.TABLE.decode().split("\n\n")]
EVENTS = BLOCKS[0][1]


def test_every_block_of_the_table_has_every_event_and_every_state_is_in_one():
    assert sorted(state for states, _ in BLOCKS for state in states) == sorted(sale.STATES)
    assert all(events == EVENTS for _, events in BLOCKS)
    assert set(EVENTS) == set(sale_texts.EVENTS)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", sale.STATES)
def test_every_event_in_every_state_has_an_answer(event, state):
    after, action = sale.cell(state, event)
    assert after in sale.STATES
    assert action or after == state


def test_every_state_is_reached_and_left():
    seen, ways = set(), [sale.KEYED]
    while ways:
        state = ways.pop()
        if state not in seen:
            seen.add(state)
            ways += [sale.cell(state, event)[0] for event in EVENTS]
    assert seen == set(sale.STATES)
    for state in seen - {sale.KEYED, sale.IDENTITY, sale.ASKED}:
        assert sale.cell(state, "esc")[0] == sale.cell(state, "silence")[0] == sale.KEYED
    # Who is the holder has to be answered (R19.3).
    assert sale.cell(sale.IDENTITY, "silence")[0] == sale.IDENTITY
    # Nobody calls off what the ledger is asked: its answer, or 5 s of silence, is told.
    assert sale.cell(sale.ASKED, "esc")[0] == sale.ASKED
    assert sale.cell(sale.ASKED, "silence")[0] == sale.SHOWN


def test_a_sum_of_amounts():
    counter, card = Counter(), new_card()
    counter.key(b"3.50+")
    counter.key(b"2")
    assert counter.lines == ("AMOUNT", "2")
    assert counter.sell("", card) == "PAID 5.50"


@pytest.mark.parametrize(
    ("kind", "keys", "amount_fen"),
    [(STAFF, b"1", 900), (STUDENT, b"1", 1000), (STUDENT, b"1+12", 1250), (STAFF, b"12", 250)],
)
def test_items_cost_what_the_card_s_kind_pays_at_this_hour(kind, keys, amount_fen):
    counter, card = Counter(menu=MENU), new_card(kind=kind)
    counter.key(FN + b"3")
    counter.key(keys + b"\r")
    assert counter.shown == "CARD PLEASE"
    counter.tap(card)
    assert intents(counter) == [amount_fen]
    counter.run_ms(3000)
    counter.key(b"1")
    assert counter.lines == ("ITEM", "1")  # the mode stays for the next customer


def test_what_depends_on_the_card_is_shown_from_to():
    counter = Counter(menu=MENU)
    counter.key(FN + b"3")
    counter.key(b"1\r")
    assert counter.lines == ("CARD PLEASE", "9.00-10.00")


def test_the_fixed_amount_takes_one_key():
    counter, card = Counter(menu=MENU), new_card()
    counter.key(FN + b"2")
    assert counter.lines == ("FIXED AMOUNT", "")
    assert counter.sell("", card) == "PAID 8.00"


def test_the_totals_of_shift_and_week():
    """FN, totals, and totals again; a pause of two hours begins another shift."""
    counter, card = Counter(), new_card()
    counter.sell("10", card)
    counter.run_ms(3 * 3600 * 1000)
    counter.sell("2.50", card)
    counter.run_ms(6000)
    counter.sell("3", card)
    counter.run_ms(3000)
    counter.key(FN)
    assert counter.shown == "FUNCTION 1-8"
    counter.key(TOTALS)
    assert counter.lines == ("SALES 2", "5.50")
    counter.key(TOTALS)
    assert counter.lines == ("SALES 3", "15.50")
    counter.key(TOTALS)
    assert counter.lines == ("SALES 2", "5.50")
    counter.key(b"\x1b")
    assert counter.lines == ("WELCOME", "")


def test_days_fall_out_of_the_week():
    counter, card = Counter(day_max_fen=100_000), new_card(balance_fen=100_000)
    for day in range(9):
        counter.sell(str(day + 1), card)
        counter.run_ms(86_400_000)
        counter.tell_time()
    counter.pos._totals.read_on()
    assert counter.pos._totals.sums(False) == [
        7,
        100 * (3 + 4 + 5 + 6 + 7 + 8 + 9),
        0,
        0,
        0,
        0,
    ]


def test_the_daily_inspection_is_a_record_and_says_what_is_wrong():
    """R17.1: no network here, then nothing else; the worst is shown."""
    counter = Counter()
    counter.key(FN + b"5")
    assert counter.shown == reasons.display(reasons.OFFLINE)
    (record,) = counter.records(messages.INSPECTION)
    assert (record["network"], record["waiting"], record["reader_faults"]) == (0, 1, 0)
    assert record["battery_mv"] == 4150 and record["clock_width_s"] <= 2
    assert record["free_sectors"] > 0
    counter.hardware.chip.miso = 0
    counter.sell("1", new_card())
    counter.run_ms(31_000)
    counter.hardware.chip.miso = None
    counter.key(FN + b"5")
    assert counter.shown == reasons.display(reasons.READER_FAULT)
    assert counter.records(messages.INSPECTION)[1]["reader_faults"] > 0


def test_all_in_order():
    counter = Counter()
    counter.pos._uplink = Online()
    counter.pos._supply.test = b"\x05\x00" + NOON_S.to_bytes(4, "big")
    counter.key(FN + b"5")
    assert counter.lines == ("ALL IN ORDER", "MAP - UP - MIN")
    assert counter.records(messages.INSPECTION)[0]["network"] == 1
    counter.key(b"\x1b")
    assert counter.shown == "WELCOME"


DAY_MS = 86_400_000


def test_a_pos_that_nobody_inspects_writes_its_mark_once_a_day():
    """Under its seal it proves that what was taken before is booked; R17.1 is not done by it."""
    counter = Counter()
    for day in range(1, 4):
        for later_ms in (0, 1_000, 40_000_000):
            counter.pos.step(day * DAY_MS + later_ms)
    marks = counter.records(messages.INSPECTION)
    assert [mark["by_clock"] for mark in marks] == [1, 1, 1]
    for day, mark in enumerate(marks, 1):
        assert NOON_S + day * 86_400 - 60 < mark["earliest_s"] <= NOON_S + day * 86_400
    assert counter.pos._inspection.ages == ()  # nobody reads them


def test_an_inspection_by_hand_is_that_day_s_mark():
    counter = Counter()
    counter.key(FN + b"5\x1b")
    counter.pos.step(DAY_MS)
    (record,) = counter.records(messages.INSPECTION)
    assert "by_clock" not in record
    counter.pos.step(DAY_MS + 60_000)
    assert len(counter.records(messages.INSPECTION)) == 2


def test_a_mark_waits_until_nobody_is_there_and_the_time_is_known():
    counter = Counter(boot=False)
    counter.hardware.rtc_set = False
    counter.boot(tell_time=False)
    counter.pos.step(DAY_MS)
    assert counter.records(messages.INSPECTION) == []
    counter.pos._clock.observe(NOON_S + 86_400, DAY_MS, DAY_MS)
    counter.pos._state, counter.pos._until_ms = sale.ARMED, 2 * DAY_MS
    counter.pos.step(DAY_MS + 1)
    assert counter.records(messages.INSPECTION) == []
    counter.pos._state = sale.KEYED
    counter.pos.step(DAY_MS + 2)
    assert len(counter.records(messages.INSPECTION)) == 1


class Online:
    """An uplink whose agent answers; what it carries is tested elsewhere."""

    online = True

    def step(self, now_ms):
        return now_ms + 1000


def test_a_fault_is_reported_by_one_key():
    """R17.2: with what the last sale was refused for."""
    counter = Counter()
    counter.key(FN + b"6")
    assert counter.shown == "FAULT REPORTED"
    counter.sell("9999", new_card())
    counter.run_ms(3000)
    counter.key(FN + b"6")
    told = [record["last_reason"] for record in counter.records(messages.FAULT)]
    assert told == [0, reasons.OVER_SPEND_LIMIT]
    assert counter.sell("5", new_card()) == "PAID 5.00"


def test_a_full_journal_still_answers_an_inspection():
    counter = Counter()
    recorder = counter.pos._recorder
    while recorder.has_room():
        recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)
    counter.key(FN + b"5")
    assert counter.shown == reasons.display(reasons.JOURNAL_FULL)
    assert counter.records(messages.INSPECTION) == []


# -- the clerk's display ----------------------------------------------------------------------


def test_the_clerk_reads_chinese():
    counter, card = Counter(language="zh"), new_card()
    counter.run_ms(100)
    assert lcd(counter) == ["欢迎光临", "", "", "脱机待传       1"]
    counter.key(b"12.5")
    assert lcd(counter)[0] == "金额        12.5"
    counter.key(b"0\r")
    assert lcd(counter)[:2] == ["请刷卡", "金额       12.50"]
    counter.tap(card)
    assert lcd(counter)[:2] == ["已付       12.50", "余额       87.50"]
    counter.run_ms(6000)
    assert counter.sell("999", card) == reasons.display(reasons.OVER_SPEND_LIMIT)
    assert lcd(counter)[2] == "E202"
    assert counter.hardware.lcd.violations == [] and counter.hardware.lcd.is_lit


def test_a_display_that_was_reset_shows_all_again():
    """Somebody pulls its plug, or a spark does: within five seconds it is as before."""
    counter = Counter(language="en")
    counter.run_ms(100)
    shown = lcd(counter)
    counter.hardware.lcd.brown_out()
    assert not counter.hardware.lcd.is_lit
    counter.run_ms(5100)
    assert counter.hardware.lcd.is_lit and lcd(counter) == shown


def test_without_a_clerk_s_display_nothing_is_sent_to_it():
    counter = Counter()
    counter.sell("12.50", new_card())
    assert counter.hardware.lcd.transfers == 0


def test_minutes_of_the_battery_are_on_display():
    counter = Counter(language="en")
    counter.hardware.set_mains(False)
    counter.run_ms(60_000)
    counter.key(b"1\x1b")
    battery, percent, minutes = lcd(counter)[2].split()
    assert (battery, percent[-1], minutes[-3:]) == ("BATT", "%", "min")
    assert 95 <= int(percent[:-1]) <= 100 and 120 < int(minutes[:-3]) < 300


def test_what_is_warned_of_goes_with_the_time_though_nobody_does_anything():
    counter = Counter(language="en")
    counter.run_ms(100)
    assert lcd(counter)[0] == "WELCOME" and "BATT" not in "".join(lcd(counter))
    counter.hardware.set_mains(False)
    counter.run_ms(60_000)
    first = lcd(counter)[2]
    assert first.startswith("BATT")
    counter.run_ms(600_000)
    assert lcd(counter)[2].startswith("BATT") and lcd(counter)[2] != first
    counter.hardware.set_mains(True)
    counter.run_ms(6_000)
    assert lcd(counter) == ["WELCOME", "", "", "OFFLINE Q      3"]


def test_the_customer_s_words_of_a_label_are_the_english_ones():
    for number in (screens.CARD_PLEASE, screens.PIN, screens.ITEM):
        assert len(screens.text(screens.texts(""), number)) <= 16
