"""How long a battery lasts: never more than it does, and never up and down."""

from functools import cache
from itertools import pairwise

import pytest

from protocols.rules import battery, posture, reasons
from simulator.chips import battery as chip
from simulator.world.clock import ReaderClock, World

LOADS_MA = (256, 219)  # of a reader with a cable and of one with a radio
COLD = (25, 10, 0)
# Another maker's cell, from the same publication: a Samsung INR21700-40T.
OTHER_CELL = (
    *((0, 2500), (5_000, 2808), (35_200, 3118), (85_400, 3318), (135_700, 3419)),
    *((291_500, 3583), (452_300, 3694), (839_200, 4066), (954_800, 4112), (1_000_000, 4200)),
)
_LOOK_S = 10


@cache
def run_down(load_ma, health_percent, celsius, rest=chip.REST):
    """(s, mV) of every look at a battery under this load, until the reader stops."""
    clock = ReaderClock(World(0))
    cell = chip.Battery(clock, lambda: None, rest, health_percent=health_percent, celsius=celsius)
    cell.plug(False)
    cell.draw("reader", load_ma * 1000)
    looks = []
    while posture.battery(cell.terminal_mv()) == "battery":
        at_s = clock.now_us // 1_000_000
        looks.append((at_s, cell.terminal_mv()))
        clock.advance_us(_LOOK_S * 1_000_000)
    return looks


def lasts_s(looks):
    """How long it lasted."""
    return looks[-1][0] + _LOOK_S


def measured_mah(load_ma, looks):
    """What a reader finds that has looked on from the first minute."""
    first_s, first_mv = looks[60 // _LOOK_S]
    fall = battery.left(first_mv, load_ma)[0] - battery.left(looks[-1][1], load_ma)[0]
    return battery.measured_mah(load_ma * (lasts_s(looks) - first_s), fall)


def broken_promises(load_ma, looks, capacity_mah):
    """The looks at which more was promised than there was; None: nobody has measured it."""
    end_s = lasts_s(looks)
    test = capacity_mah.to_bytes(2, "big") + bytes(4) if capacity_mah else b""
    return [
        (at_s, mv) for at_s, mv in looks if at_s + 60 * battery.left(mv, load_ma, test)[1] > end_s
    ]


# -- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("celsius", COLD)
@pytest.mark.parametrize("health_percent", [100, 90, 80])
@pytest.mark.parametrize("load_ma", LOADS_MA)
def test_a_battery_nobody_has_measured_keeps_what_is_promised(load_ma, health_percent, celsius):
    looks = run_down(load_ma, health_percent, celsius)
    assert broken_promises(load_ma, looks, None) == []


@pytest.mark.parametrize("celsius", COLD)
@pytest.mark.parametrize("health_percent", [100, 80, 60, 50, 40, 30])
@pytest.mark.parametrize("load_ma", LOADS_MA)
def test_what_was_measured_in_summer_is_there_in_winter(load_ma, health_percent, celsius):
    """However old it is; and one that is worn promises less."""
    summer = run_down(load_ma, health_percent, 25)
    capacity_mah = measured_mah(load_ma, summer)
    assert broken_promises(load_ma, run_down(load_ma, health_percent, celsius), capacity_mah) == []
    new_mah = measured_mah(load_ma, run_down(load_ma, 100, 25))
    assert 0.9 < capacity_mah * 100 / (new_mah * health_percent) < 1.05


@pytest.mark.parametrize("celsius", COLD)
def test_another_maker_s_cell_keeps_it_too(celsius):
    for load_ma in LOADS_MA:
        capacity_mah = measured_mah(load_ma, run_down(load_ma, 80, 25, OTHER_CELL))
        looks = run_down(load_ma, 80, celsius, OTHER_CELL)
        assert broken_promises(load_ma, looks, capacity_mah) == []


def test_a_worn_battery_that_nobody_has_measured_would_break_it():
    """Why it is measured."""
    looks = run_down(256, 50, 25)
    assert broken_promises(256, looks, None)


def test_a_short_outage_measures_nothing():
    assert battery.measured_mah(500_000, battery.TEST_PERMILLE - 1) == 0
    assert battery.measured_mah(500_000, battery.TEST_PERMILLE) == 347
    assert battery.measured_mah(0, -7) == 0
    assert battery.measured_mah(1 << 40, 1000) == 0xFFFF


# -- what it is for ---------------------------------------------------------------------------


@pytest.mark.parametrize("load_ma", LOADS_MA)
def test_what_is_left_falls_with_the_voltage_and_ends_where_the_posture_stops(load_ma):
    left = [battery.left(mv, load_ma) for mv in range(4300, 2000, -1)]
    assert left[0][0] == 1000 and left[-1] == (0, 0)
    assert all(above >= below for above, below in pairwise(left))
    assert battery.left(battery.FULL_MV, load_ma)[0] == 1000
    assert battery.left(battery.STOP_MV, load_ma) == (0, 0)
    assert battery.left(battery.STOP_MV + 5, load_ma) > (0, 0)
    assert posture.battery(battery.STOP_MV) == "battery"
    assert posture.battery(battery.STOP_MV - 1) == "empty"


def test_a_reading_is_corrected_for_the_load():
    """The same charge is told under any load; a mV of rounding is a part of the flattest slope."""
    for charge in range(200_000, 900_000, 50_000):
        rest_mv = chip.rest_mv_of(charge)
        told = [
            battery.left(rest_mv - load_ma * battery.RESISTANCE_MOHM // 1000, load_ma)[0]
            for load_ma in (100, 250, 400)
        ]
        assert max(told) - min(told) <= 20, (charge, told)


def test_the_capacity_found_is_what_the_cell_gives_between_full_and_stop():
    looks = run_down(256, 100, 25)
    assert abs(measured_mah(256, looks) - 256 * lasts_s(looks) // 3600) <= 15


def test_nobody_has_measured_it_yet():
    assert battery.left(battery.FULL_MV, 250) == (1000, battery.ASSUMED_MAH * 50 // 250)


def test_worn_is_what_does_not_last_for_two_hours():
    for load_ma in LOADS_MA:
        told = [
            battery.fault(mah.to_bytes(2, "big") + bytes(4), load_ma, 0)
            for mah in (2 * load_ma - 1, 2 * load_ma)
        ]
        assert told == [reasons.BATTERY_WORN, reasons.APPROVED]
    for health_percent in (100, 80, 60, 50, 40, 30):
        looks = run_down(256, health_percent, 25)
        if abs(lasts_s(looks) - 7200) > 300:
            test = measured_mah(256, looks).to_bytes(2, "big") + bytes(4)
            is_worn = battery.fault(test, 256, 0) == reasons.BATTERY_WORN
            assert is_worn == (lasts_s(looks) < 7200)


def test_a_measurement_is_good_for_half_a_year():
    test = b"\x05\x00" + (1_000_000_000).to_bytes(4, "big")
    last_s = 1_000_000_000 + battery.TEST_EVERY_S
    assert battery.fault(test, 256, last_s) == reasons.APPROVED
    assert battery.fault(test, 256, last_s + 1) == reasons.BATTERY_UNTESTED
    assert battery.fault(b"", 256, 0) == reasons.APPROVED  # it may be any time
    assert battery.fault(b"", 256, 1_000_000_000) == reasons.BATTERY_UNTESTED
