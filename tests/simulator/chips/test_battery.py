"""The modelled cell against its sources, by hand, and against itself."""

import random

import pytest

from simulator.chips.battery import (
    CAPACITY_MAH,
    CUT_MV,
    FULL_MV,
    REST,
    Battery,
    charge_of,
    rest_mv_of,
)
from simulator.world.clock import ReaderClock, World

HOUR_US = 3_600_000_000


class Cut(Exception):
    """The protection has let go."""


def cut():
    raise Cut


def cell(**age):
    clock = ReaderClock(World(0))
    return clock, Battery(clock, cut, **age)


@pytest.mark.parametrize("battery_mv", range(3350, 3361))
def test_a_cell_that_is_put_in_reads_what_was_asked(battery_mv):
    _, battery = cell()
    battery.plug(False)
    battery.draw("all", 254_000)
    battery.replace(battery_mv)
    assert battery.terminal_mv() in (battery_mv, battery_mv + 1)


def test_the_protection_lets_go_in_the_middle_of_anything():
    clock, battery = cell()
    battery.plug(False)
    battery.draw("all", 254_000)
    battery.replace(CUT_MV + 1)
    battery.terminal_mv()
    with pytest.raises(Cut):
        clock.advance_us(HOUR_US)
    assert battery.is_cut and clock.now_us < 10_000_000
    battery.release()
    clock.advance_us(HOUR_US)
    battery.plug(True)
    assert not battery.is_cut


def test_an_end_that_was_foreseen_does_not_come_when_the_mains_do():
    clock, battery = cell()
    battery.plug(False)
    battery.draw("all", 254_000)
    battery.replace(CUT_MV + 1)
    battery.plug(True)
    clock.advance_us(HOUR_US)
    assert not battery.is_cut


def test_charge_and_voltage_are_each_other_s_inverse():
    millivolts = range(REST[0][1], REST[-1][1] + 1)
    charges = [charge_of(mv) for mv in millivolts]
    assert charges == sorted(charges)
    assert all(rest_mv_of(charge) == mv for mv, charge in zip(millivolts, charges, strict=True))
    assert [charge_of(mv) for _, mv in REST] == [charge for charge, _ in REST]
    assert charge_of(0) == 0 and charge_of(5000) == 1_000_000


def test_looking_at_it_changes_nothing():
    seed = 5
    draw = random.Random(seed)
    found = []
    for looks in (0, 400):
        clock, battery = cell()
        battery.plug(False)
        battery.draw("all", 300_001)
        for moment_us in sorted(draw.randrange(HOUR_US) for _ in range(looks)):
            clock.advance_to(moment_us)
            battery.terminal_mv()
        clock.advance_to(HOUR_US)
        battery.spend(30_000, 80_000)
        found.append((battery.charge_mah(), battery.terminal_mv(), battery._charge))
    assert found[0] == found[1], f"seed {seed}"


def test_an_hour_takes_what_is_drawn_in_it():
    clock, battery = cell()
    before_mah = battery.charge_mah()
    battery.plug(False)
    battery.draw("core", 40_000)
    battery.draw("light", 260_000)
    battery.draw("light", 160_000)
    clock.advance_us(HOUR_US)
    assert before_mah - battery.charge_mah() == 200
    battery.plug(True)
    clock.advance_us(HOUR_US)
    assert battery.charge_mah() == before_mah
    assert battery.terminal_mv() == FULL_MV


def test_it_sags_under_load_by_its_resistance():
    _, battery = cell()
    battery.plug(False)
    rest_mv = battery.terminal_mv()
    battery.draw("all", 300_000)
    assert rest_mv - battery.terminal_mv() == 30


@pytest.mark.parametrize(
    ("age", "capacity_mah", "resistance_mohm"),
    [
        ({}, CAPACITY_MAH, 100),
        ({"health_percent": 60}, CAPACITY_MAH * 6 // 10, 200),
        ({"celsius": 0}, CAPACITY_MAH * 85 // 100, 200),
        ({"celsius": 40}, CAPACITY_MAH, 100),
    ],
)
def test_age_and_cold(age, capacity_mah, resistance_mohm):
    _, battery = cell(**age)
    assert (battery.capacity_mah, battery.resistance_mohm) == (capacity_mah, resistance_mohm)
