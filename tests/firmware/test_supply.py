"""A POS on its battery (R23.1a): what it saves, promises and measures, and how it ends.

The battery is the modelled cell behind the modelled parts' currents, the reader the whole POS.
"""

from itertools import pairwise

import pytest

from firmware.services import panel, supply
from protocols.rules import battery, reasons
from protocols.wire import messages
from simulator.chips.battery import CUT_MV
from simulator.host import loads
from tests.firmware.counter import NOON_S, Counter, new_card, truth, worn
from tests.firmware.test_pos_cuts import AMOUNT, WELCOME, begin, check_paid_once, go_on, whole_sale

EMPTY = reasons.display(reasons.BATTERY_EMPTY)
TAP_EVERY_S = 10  # the declared rate
MINUTE_MS = 60_000
WORN = {"health_percent": 40}  # so that the hours are short


def open_window(counter):
    """An order that nobody pays: from here on the field is there."""
    counter.key(b"1\r")
    counter.run_ms(100)
    counter.key(b"\x1b")


def last_inspection(counter):
    """(mAh, when in s) of the measurement in the newest INSPECTION."""
    test = counter.records(messages.INSPECTION)[-1]["battery_test"]
    return int.from_bytes(test[:2], "big"), int.from_bytes(test[2:], "big")


def run_down(counter, minutes_max=400):
    """Let it lie there until it is empty; (minute, percent, minutes) of every look."""
    counter.run_ms(1000)
    looks = []
    while counter.pos._supply.word() == "battery" and len(looks) < minutes_max:
        looks.append((len(looks), *counter.pos._supply.left()))
        counter.run_ms(MINUTE_MS)
    return looks


# -- failures -------------------------------------------------------------------------------


def test_a_battery_that_gives_out_at_any_moment_of_a_sale_loses_nothing():
    """A cell that breaks down: its protection lets go, and the mains come back later."""
    seen = set()
    for late_ms in range(0, whole_sale()[4] + 20, 2):
        counter, card = begin()
        counter.hardware.set_mains(False)
        cell = counter.hardware.battery
        counter.after_ms(late_ms, lambda cell=cell: cell.replace(CUT_MV - 20))
        assert not counter.survives(lambda counter=counter: counter.run_ms(1000))
        assert cell.is_cut
        counter.take(card)
        counter.hardware.set_mains(True)
        counter.boot()
        seen.add(counter.shown)
        go_on(counter, card)
        check_paid_once(counter, card)
    assert {WELCOME, reasons.display(reasons.TAP_AGAIN), "LAST PAID"} == seen


def test_empty_at_any_moment_of_a_sale():
    """What has begun goes on to its end; what has not begins when the mains are back."""
    paid = refused = 0
    for late_ms in range(-600, whole_sale()[4] + 20, 20):
        counter, card = Counter(), new_card()
        counter.hardware.set_mains(False)
        counter.run_ms(1000)
        counter.key(AMOUNT.encode() + b"\r")
        counter.after_ms(
            700 + late_ms, lambda counter=counter: counter.hardware.battery.replace(3340)
        )
        counter.run_ms(690)
        counter.tap(card, hold_ms=400)
        if counter.shown == EMPTY:
            refused += 1
            assert truth(card).counter == 0
            counter.hardware.set_mains(True)
            counter.run_ms(3000)
        else:
            paid += 1
        go_on(counter, card)
        check_paid_once(counter, card)
    assert paid and refused


def test_a_battery_that_recovers_sells_nothing_before_the_mains_are_back():
    """A cell rises when nobody draws; the reader has said that it stops."""
    counter, card = Counter(), new_card()
    counter.hardware.set_mains(False)
    counter.run_ms(1000)
    counter.hardware.battery_mv_now = battery.STOP_MV - 1
    counter.run_ms(600)
    counter.hardware.battery_mv_now = 3700
    counter.run_ms(600)
    assert counter.sell(AMOUNT, card) == EMPTY and truth(card).counter == 0
    assert counter.pos._supply.left() == (0, 0)
    counter.run_ms(3000)
    assert counter.lines == ("WELCOME", "BATTERY 0 MIN")
    counter.hardware.set_mains(True)
    counter.run_ms(3000)
    assert counter.sell(AMOUNT, card) == "PAID 12.50"


def test_a_measurement_that_is_cut_keeps_the_one_before():
    counter = Counter(age=WORN)
    stored = b"\x04\x00" + NOON_S.to_bytes(4, "big")
    counter.pos._board.store(supply.STORED_AS, stored)
    counter.die()
    counter.boot()
    open_window(counter)
    counter.hardware.set_mains(False)
    counter.run_ms(70 * MINUTE_MS)
    counter.die()
    counter.boot()
    assert counter.pos._supply.test == stored
    counter.hardware.set_mains(True)
    counter.run_ms(1000)
    assert counter.pos._supply.test == stored and not counter.records(messages.INSPECTION)


def test_a_measurement_that_cannot_be_stored_is_told_all_the_same():
    counter = Counter(age=WORN, boot=False)
    counter.hardware.nvs_set = worn
    counter.boot()
    open_window(counter)
    counter.hardware.set_mains(False)
    counter.run_ms(70 * MINUTE_MS)
    counter.hardware.set_mains(True)
    counter.run_ms(1000)
    assert counter.pos._supply.test and last_inspection(counter)[0] > 0
    assert counter.sell(AMOUNT, new_card()) == "PAID 12.50"


@pytest.mark.parametrize(("own", "is_open"), [({"rfid_pause_ms": 40}, True), ({}, False)])
def test_what_draws_less_than_it_says_is_not_measured(own, is_open):
    """A dark field would make a battery look larger than it is."""
    counter = Counter(age=WORN, own=own)
    if is_open:
        open_window(counter)
    counter.hardware.set_mains(False)
    assert len(run_down(counter)) > 60
    assert counter.pos._supply.test == b"" and not counter.records(messages.INSPECTION)


def test_a_full_journal_loses_the_record_and_not_the_measurement():
    counter = Counter(age=WORN)
    open_window(counter)
    recorder = counter.pos._recorder
    while recorder.has_room():
        recorder.write(messages.POWER, 0, source=messages.MAINS, battery_mv=4000)
    counter.hardware.set_mains(False)
    assert len(run_down(counter)) > 60
    assert len(counter.hardware.nvs[supply.STORED_AS]) == 6


# -- what it is for ---------------------------------------------------------------------------


@pytest.mark.parametrize("has_radio", [False, True])
def test_it_stops_when_it_has_said_and_measures_what_it_held(has_radio):
    """Worn: it promises too much until it has been measured, and never again."""
    counter = Counter(age=WORN, has_radio=has_radio, language="en")
    open_window(counter)
    cell = counter.hardware.battery
    for outage in range(2):
        full_mah = cell.charge_mah()
        counter.hardware.set_mains(False)
        looks = run_down(counter)
        assert all(one >= two for (_, *one), (_, *two) in pairwise(looks))
        broken = [look for look in looks if look[0] + look[2] > len(looks)]
        assert bool(broken) == (outage == 0), broken
        held_mah, (told_mah, told_s) = full_mah - cell.charge_mah(), last_inspection(counter)
        print(f"held {held_mah} mAh, measured {told_mah}, in {len(looks)} minutes")
        assert abs(told_mah - held_mah) * 100 <= 7 * held_mah
        assert abs(told_s - counter.hardware.world.utc_s(counter.clock.now_us)) <= 61
        assert counter.hardware.nvs[supply.STORED_AS][:2] == told_mah.to_bytes(2, "big")
        counter.hardware.set_mains(True)
        counter.run_ms(90 * MINUTE_MS)
        assert counter.pos._supply.left() is None
    counter.die()
    counter.boot()
    counter.key(b"F5")
    assert last_inspection(counter)[0] == told_mah


def test_half_an_outage_measures_too():
    """The mains come back before it is empty: with the plug back the reading says nothing."""
    counter = Counter(age=WORN)
    open_window(counter)
    full_mah = counter.hardware.battery.charge_mah()
    counter.hardware.set_mains(False)
    counter.run_ms(70 * MINUTE_MS)
    part = full_mah - counter.hardware.battery.charge_mah()
    counter.hardware.set_mains(True)
    counter.run_ms(1000)
    told_mah, _ = last_inspection(counter)
    assert part < told_mah and abs(told_mah - 520) < 40


def test_a_worn_battery_and_one_that_was_not_tested_are_told_at_the_inspection():
    counter = Counter()
    counter.pos._uplink = Online()
    shown = []
    for mah, days_ago in ((1280, 1), (511, 1), (1280, 181)):
        tested_s = NOON_S - days_ago * 86400
        counter.pos._supply.test = mah.to_bytes(2, "big") + tested_s.to_bytes(4, "big")
        counter.key(b"F5")
        shown.append(counter.shown)
        counter.key(b"\x1b")
    worn, untested = map(reasons.display, (reasons.BATTERY_WORN, reasons.BATTERY_UNTESTED))
    assert shown == ["ALL IN ORDER", worn, untested]
    fresh = Counter()
    fresh.pos._uplink = Online()
    fresh.key(b"F5")
    assert fresh.shown == untested
    assert "battery_test" not in fresh.records(messages.INSPECTION)[0]


class Online:
    """An uplink whose agent answers; what it carries is tested elsewhere."""

    online = True

    def step(self, now_ms):
        return now_ms + 1000


def test_the_customer_s_display_warns_too():
    counter = Counter()
    counter.hardware.set_mains(False)
    counter.run_ms(1000)
    counter.key(b"1\x1b")
    assert counter.lines == ("WELCOME", "")
    counter.hardware.battery_mv_now = 3380
    counter.run_ms(600)
    counter.key(b"1\x1b")
    upper, lower = counter.lines
    assert upper == "WELCOME" and lower.startswith("BATTERY ") and lower.endswith(" MIN")
    assert 0 < int(lower.split()[1]) < panel.LOW_MIN


@pytest.mark.parametrize("has_radio", [False, True])
def test_light_and_radio_are_saved_first_and_come_back_with_the_mains(has_radio):
    counter = Counter(has_radio=has_radio, language="zh")
    hardware = counter.hardware
    counter.run_ms(10_000)
    assert (hardware.panel.brightness, hardware.panel.is_lit) == (4, True)
    before_ua = hardware.battery.load_ua
    hardware.set_mains(False)
    counter.run_ms(60_000)
    assert (hardware.panel.brightness, hardware.panel.is_lit) == (2, not has_radio)
    assert hardware.radio_level == 0
    saved_ua = loads.POLE_UA[4] - loads.POLE_UA[2]
    if has_radio:
        saved_ua += loads.BACKLIGHT_UA + loads.radio_ua(2, False)
    assert before_ua - hardware.battery.load_ua == saved_ua
    counter.key(b"1")
    assert counter.pos._panel.is_lit and hardware.panel.is_lit
    hardware.set_mains(True)
    counter.run_ms(1000)
    assert (hardware.panel.brightness, hardware.panel.is_lit) == (4, True)
    assert hardware.radio_level == (2 if has_radio else 0)


def test_a_link_that_is_up_is_kept_and_one_that_is_down_is_looked_for_now_and_then():
    counter = Counter(has_radio=True)
    hardware = counter.hardware
    hardware.cable = Air()
    counter.run_ms(5000)
    hardware.set_mains(False)
    counter.run_ms(10 * MINUTE_MS)
    assert hardware.radio_level == 1 and hardware.net_is_up()
    hardware.cable.plugged = False
    levels = []
    for _ in range(1200):
        counter.run_ms(1000)
        levels.append(hardware.radio_level)
    share = levels.count(1) / len(levels)
    tries = supply.RADIO_TRY_MS / (supply.RADIO_TRY_MS + supply.RADIO_REST_MS)
    assert abs(share - tries) < 0.05
    hardware.cable.plugged = True
    counter.run_ms(supply.RADIO_REST_MS + 5000)
    assert hardware.net_is_up()


class Air:
    """An access point without a broker behind it."""

    plugged = True

    def open(self):
        raise OSError("no route to host")


@pytest.mark.parametrize("has_radio", [False, True])
def test_the_board_s_figure_is_what_it_draws_at_the_declared_rate(has_radio):
    """Of a reader that saves, sells and finds no network: what minutes and capacity stand on."""
    counter = Counter(has_radio=has_radio, language="en", day_max_fen=100_000)
    card = new_card(balance_fen=100_000)
    counter.hardware.set_mains(False)
    counter.run_ms(60_000)
    before, started_us = counter.hardware.battery.drawn, counter.clock.now_us
    for _ in range(24):
        begun_us = counter.clock.now_us
        counter.key(b"0.50\r")
        counter.run_ms(1500)
        counter.tap(card, hold_ms=700)
        assert counter.shown == "PAID 0.50"
        counter.run_ms(TAP_EVERY_S * 1000 - (counter.clock.now_us - begun_us) // 1000)
    drawn_ua = (counter.hardware.battery.drawn - before) // (counter.clock.now_us - started_us)
    load_ma = counter.pos._board.power.load_ma
    print(f"draws {drawn_ua} uA, says {load_ma} mA")
    assert 0.93 * load_ma * 1000 <= drawn_ua <= load_ma * 1000
