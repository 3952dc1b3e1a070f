"""The clock chip and its driver: registers, calendar, the flag that time was lost."""

import calendar
import random
import time

import pytest

from firmware.drivers.ds3231 import Ds3231 as Driver
from simulator.chips.ds3231 import Ds3231

START_S = 1_788_494_400


class Bus:
    """An I2C with one chip, and nobody at other addresses."""

    def __init__(self, chip):
        self.chip = chip

    def readfrom_mem(self, address, register, count):
        if address != 0x68:
            raise OSError(19)
        return self.chip.read(register, count)

    def writeto_mem(self, address, register, data):
        if address != 0x68:
            raise OSError(19)
        self.chip.write(register, data)


class Clock:
    now_us = 0


@pytest.fixture
def clock():
    return Clock()


def pair(clock, utc_s=START_S, **chip):
    made = Ds3231(clock, utc_s, **chip)
    return made, Driver(Bus(made))


def test_its_registers_are_those_of_the_data_sheet(clock):
    chip, _ = pair(clock, calendar.timegm((2026, 11, 26, 9, 8, 7)))
    assert chip.read(0, 7) == bytes((0x07, 0x08, 0x09, 0x04, 0x26, 0x11, 0x26))
    assert chip.read(0x0E, 2) == b"\x1c\x00"


@pytest.mark.parametrize("seed", range(20))
def test_every_moment_of_the_century_comes_back(clock, seed):
    draw = random.Random(seed)
    _, driver = pair(clock)
    for _ in range(50):
        moment_s = draw.randrange(946_684_800, 4_102_444_799)
        driver.set(moment_s)
        assert driver.utc_s() == moment_s, f"seed {seed}: {time.gmtime(moment_s)}"


@pytest.mark.parametrize(
    "date", [(2028, 2, 29), (2027, 2, 28), (2099, 12, 31), (2000, 1, 1), (2026, 3, 1)]
)
def test_it_counts_over_the_ends_of_days_and_months(clock, date):
    _, driver = pair(clock)
    last_s = calendar.timegm((*date, 23, 59, 59))
    driver.set(last_s)
    clock.now_us += 1_000_000
    if date[0] < 2099:
        assert driver.utc_s() == last_s + 1


def test_it_drifts_as_its_data_sheet_allows(clock):
    _, driver = pair(clock, drift_ppm=2)
    clock.now_us += 400 * 86_400 * 1_000_000
    assert driver.utc_s() == START_S + 400 * 86_400 + 69


def test_a_cell_that_was_out_is_told_until_it_is_set(clock):
    chip, driver = pair(clock)
    chip.stop()
    assert driver.utc_s() is None
    chip.write(0x0F, b"\x80")  # nobody can claim that it has not stopped by saying that it has
    assert driver.utc_s() is None
    driver.set(START_S)
    clock.now_us += 5_000_000
    assert driver.utc_s() == START_S + 5


@pytest.mark.parametrize(
    "time_bytes",
    [
        *("60000001010126", "00600001010126", "00002401010126", "00000001000126"),
        *("00000001320126", "00000001300226", "00000001011326", "00000001010026"),
        "ffffffffffffff",
    ],
)
def test_what_no_clock_says_is_no_time(clock, time_bytes):
    class Bad(Bus):
        def readfrom_mem(self, address, register, count):
            return b"\x00" if register == 0x0F else bytes.fromhex(time_bytes)

    assert Driver(Bad(None)).utc_s() is None


def test_degrees_below_zero(clock):
    for celsius in (-25, -1, 0, 40):
        assert pair(clock, celsius=celsius)[1].celsius() == celsius
