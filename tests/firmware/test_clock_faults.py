"""A reader whose clocks misbehave: the counter wraps, the crystal drifts, the battery clock lies.

No display, beep or limit may show a trace of it, and no record may tell a time that was not.
"""

import pytest

from firmware.drivers.ticks import WRAP_US
from protocols.rules import clock as rules
from protocols.rules import reasons
from protocols.wire import messages
from simulator.host.hardware import EPOCH_1970_S, EPOCH_2000_S
from tests.firmware.counter import BALANCE_FEN, DAY, Counter, new_card, truth

DAY_S = 86_400
YEAR_S = 365 * DAY_S
BLIND_FEN, OVER_BLIND = 2000, "20.01"


# -- the tick counter -----------------------------------------------------------------------


def a_few_minutes(from_us):
    """All that a reader says and sounds, and when, if its counter begins at `from_us`."""
    counter, cards = Counter(boot=False), [new_card(1), new_card(2)]
    counter.hardware.ticks_from_us = from_us
    counter.boot()
    told = [counter.sell("12.50", cards[0]), counter.sell("1", *cards)]
    counter.run_ms(29_000)
    told.append(counter.shown)  # still armed
    counter.run_ms(2_000)
    told.append(counter.shown)  # given up
    told.append(counter.sell("3", cards[1]))
    counter.run_ms(3_000)
    told.append(counter.shown)
    beeps = counter.witness.beeps
    return told, counter.witness.texts, beeps, [truth(card).counter for card in cards]


def test_nobody_notices_that_the_counter_wraps():
    """At the boot, inside the dialogue, armed, showing, sounding: wherever it happens."""
    told, _, _, _ = a_few_minutes(0)
    assert told[0] == "PAID 12.50" and told[-2] == "PAID 3.00"
    dialogue_us = range(1_000, 120_000, 7_919)
    later_us = range(130_000, 36_000_000, 1_777_777)
    for before_us in (1, 999, *dialogue_us, *later_us):
        from_us = WRAP_US - before_us
        # Beside one whose milliseconds begin with the same microsecond.
        assert a_few_minutes(from_us) == a_few_minutes(from_us % 1000), before_us


@pytest.mark.parametrize("bits", [30, 31, 32])
def test_nor_that_it_has_been_on_for_long(bits):
    """Milliseconds since the boot outgrow a small int after 12 days, 32 bits after 50."""
    counter, card = Counter(boot=False), new_card()
    counter.boot()
    read_us = counter.ticks_us
    long_us = ((1 << bits) - 4_000) * 1000
    counter.pos._board.ticks_us = counter.ticks_us = lambda: read_us() + long_us
    counter.run_ms(1000)
    for amount in ("12.50", "3"):
        assert counter.sell(amount, card).startswith("PAID")
        counter.run_ms(3000)
        assert counter.shown == "WELCOME"
    assert counter.records()[-1]["mono_ms"] > (1 << bits)


@pytest.mark.parametrize("ppm", [-rules.DRIFT_PPM + 1, rules.DRIFT_PPM - 1])
def test_the_time_in_records_is_true_however_the_crystal_runs(ppm):
    counter, card = Counter(), new_card()
    counter.hardware.drift_ppm = ppm
    for _ in range(4):
        counter.run_ms(3_600_000)
        assert counter.sell("1", card) == "PAID 1.00"
        newest = counter.records()[-1]
        now_s = counter.hardware.world.utc_s(counter.clock.now_us)
        assert newest["earliest_s"] <= now_s <= newest["latest_s"]
        counter.hardware.drift_ppm = ppm = -ppm  # the sun comes round


# -- the battery clock ----------------------------------------------------------------------


def never_set(hardware):
    hardware.rtc_set = False


def cell_out(epoch_s):
    return lambda hardware: hardware.restart_rtc(epoch_s)


def stepped(step_s):
    def step(hardware):
        hardware.rtc_step_s += step_s

    return step


FAULTS = {
    "never set": never_set,
    "1970": cell_out(EPOCH_1970_S),
    "2000": cell_out(EPOCH_2000_S),
    **{
        f"{step_s:+} s": stepped(step_s)
        for base_s in (1, 3600, DAY_S, YEAR_S, 10 * YEAR_S)
        for step_s in (-base_s, base_s)
    },
}
# Less than a day forward while the reader is off: that may be time (docs/threat-model.md).
PLAUSIBLE = ("+1 s", "+3600 s")


def after(fault, card, is_off, **policy):
    """A counter that has sold 15.00 to `card`, and then its battery clock fails."""
    counter = Counter(**policy)
    assert counter.sell("15", card) == "PAID 15.00"
    if is_off:
        counter.die()
        FAULTS[fault](counter.hardware)
        counter.boot()
    else:
        FAULTS[fault](counter.hardware)
    return counter


@pytest.mark.parametrize("is_off", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_day_s_limit_outlives_any_battery_clock(fault, is_off):
    card = new_card()
    counter = after(fault, card, is_off, day_max_fen=2500)
    refused = reasons.display(reasons.OVER_DAY_LIMIT)
    assert counter.sell("10.01", card) == refused
    assert counter.sell("10", card) == "PAID 10.00"
    assert counter.sell("0.01", card) == refused
    assert truth(card).day == DAY and truth(card).balance_fen == BALANCE_FEN - 2500


@pytest.mark.parametrize("is_off", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_record_tells_a_time_that_was_not(fault, is_off):
    counter = after(fault, new_card(), is_off)
    for _ in range(1 if fault in PLAUSIBLE else 3):
        counter.sell("1", new_card(2))
        if is_off and fault in PLAUSIBLE:
            return
        newest = counter.records()[-1]
        now_s = counter.hardware.world.utc_s(counter.clock.now_us)
        assert newest["earliest_s"] <= now_s <= newest["latest_s"]
        counter.die()
        counter.boot()


@pytest.mark.parametrize("is_off", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_card_is_served_in_its_own_time_only(fault, is_off):
    """Expired yesterday, valid from tomorrow: refused, or at least for small money only."""
    expired, early = new_card(2, days=(DAY - 9, DAY - 1)), new_card(3, days=(DAY + 1, DAY + 9))
    counter = after(fault, new_card(), is_off)
    assert counter.sell("1", expired) == reasons.display(reasons.EXPIRED)
    for card in (expired, early):
        assert not counter.sell(OVER_BLIND, card).startswith("PAID")
    assert truth(expired).counter == truth(early).counter == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_clock_that_is_not_known_sells_small_amounts(fault):
    card = new_card()
    counter = after(fault, card, is_off=True)
    # A second is within what is not known anyway; an hour of a battery clock leaves it too wide.
    is_known = fault in ("-1 s", "+1 s")
    told = "PAID " + OVER_BLIND if is_known else reasons.display(reasons.CLOCK_UNKNOWN)
    assert counter.sell(OVER_BLIND, card) == told
    counter.run_ms(3000)
    assert counter.sell("20", card) == "PAID 20.00"
    largest = max(record["amount_fen"] for record in counter.records(messages.INTENT))
    assert largest == (BLIND_FEN + 1 if is_known else BLIND_FEN)
