"""The clerk's display: what stands on the modelled module, whatever happens to bus and module."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.drivers.lcd import Lcd, fit
from ledger.aggregate_picture import draw
from simulator.chips.st7920 import St7920
from tests.drivers.test_on_micropython import run_here, run_in_vm

REFRESH_MS = 5_000
ALL = 4 + 4 * 17 + 4  # transfers of everything
SLOW_KHZ = 405  # a quarter below what the data sheet counts with
PAID = (
    b"PAID       12.50",
    "余额       87.50".encode("gb2312"),
    b"",
    "脱机待传      3".encode("gb2312"),
)
SHORT = ("余额不足".encode("gb2312"), "金额       12.50".encode("gb2312"), b"", b"E201")
BLANK = (b" " * 16,) * 4


class Clock:
    """Time that goes on when told."""

    def __init__(self):
        self.now_us = 0

    def advance_us(self, duration_us):
        self.now_us += duration_us


class Port:
    """board.lcd: passes transfers on; calls `before` with the number of each."""

    def __init__(self, chip):
        self.chip = chip
        self.writes = 0
        self.before = lambda number: None

    def write(self, data):
        self.before(self.writes)
        self.writes += 1
        self.chip.write(data)


class Bench:
    """A module with a driver in front of it, and what a driver needs of a board."""

    def __init__(self, seed=0):
        self.clock = Clock()
        self.chip = St7920(self.clock, random.Random(seed), osc_khz=SLOW_KHZ)
        self.lcd = Port(self.chip)
        self.sleep_us = self.clock.advance_us
        self.driver = Lcd(self)
        self.driver.step(0)

    def writes_of(self, lines):
        """How many transfers it takes to show them."""
        before = self.lcd.writes
        self.driver.show(lines)
        return self.lcd.writes - before

    def refresh(self):
        """Let the time for it come."""
        self.clock.advance_us(REFRESH_MS * 1_000)
        self.driver.step(self.clock.now_us // 1_000)


def padded(lines):
    """What should stand on the glass."""
    return tuple(line.ljust(16) for line in lines)


def test_the_first_screen_comes_up_from_the_dark():
    bench = Bench()
    dark = []
    bench.lcd.before = lambda number: dark.append(bench.chip.is_lit)
    bench.driver.show(PAID)
    assert bench.chip.is_lit and not any(dark)
    assert bench.chip.lines() == padded(PAID)
    assert bench.chip.violations == []


def test_only_what_differs_is_written():
    bench = Bench()
    assert bench.writes_of(PAID) == ALL
    assert bench.writes_of(PAID) == 0
    other = (b"PAID       12.70", *PAID[1:])
    assert bench.writes_of(other) == 1 + 2
    # Two places in one line, and one in another.
    assert bench.writes_of((b"PAYD       12.60", *PAID[1:3], b"")) == (1 + 2) * 2 + (1 + 2 * 4) + 3
    assert bench.chip.line(3) == b" " * 16
    assert bench.chip.violations == []


def test_a_screen_is_written_in_15_ms():
    """A card dialogue may have to wait for a refresh."""
    bench = Bench()
    bench.driver.show(PAID)
    before_us = bench.clock.now_us
    bench.driver.step(REFRESH_MS)
    assert 5_000 < bench.clock.now_us - before_us <= 15_000


def test_missing_lines_are_blank_and_more_are_not_looked_at():
    bench = Bench()
    bench.driver.show((b"A",))
    assert bench.chip.lines() == padded((b"A", b"", b"", b""))
    bench.driver.show((b"1", b"2", b"3", b"4", b"5"))
    assert bench.chip.lines() == padded((b"1", b"2", b"3", b"4"))


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (b"", " " * 16),
        (b"0123456789abcdefg", "0123456789abcdef"),
        ("中国人民大学食堂".encode("gb2312"), "中国人民大学食堂"),
        ("中国人民大学食堂一".encode("gb2312"), "中国人民大学食堂"),
        ("A中".encode("gb2312"), "A 中" + " " * 12),
        ("A中国人民大学食堂".encode("gb2312"), "A 中国人民大学食"),
        ("中1国23人".encode("gb2312"), "中1 国23人" + " " * 6),
        (b"0123456789abcde" + "中".encode("gb2312"), "0123456789abcde "),
        ("0123456789abcd中".encode("gb2312"), "0123456789abcd中"),
        ("0123456789abcd中".encode("gb2312")[:-1], "0123456789abcd? "),
        (b"\xd6", "?" + " " * 15),
        (b"\xd6A\xb9\x80", "?A??" + " " * 12),
        (b"\x00\x1b\x7f", "???" + " " * 13),
    ],
)
def test_a_line_is_fitted_at_whole_characters(text, cells):
    found = bytearray(b"#" * 20)
    fit(text, found, 2)
    assert found == b"##" + cells.encode("gb2312") + b"##"


LINE = st.lists(
    st.one_of(
        st.sampled_from("中额，・Ａ刘鎏").map(lambda char: char.encode("gb2312")),
        st.binary(max_size=3),
    ),
    max_size=20,
).map(b"".join)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LINE, max_size=5), min_size=1, max_size=4))
def test_no_half_of_a_character_whatever_is_shown(screens):
    """Bytes at random may name a character that GB2312 has not; none is ever taken apart."""
    bench = Bench()
    for screen in screens:
        bench.driver.show(screen)
        wanted = bytearray(64)
        for index in range(4):
            fit(screen[index] if index < len(screen) else b"", wanted, 16 * index)
        assert b"".join(bench.chip.lines()) == wanted
    assert [line for line in bench.chip.violations if "no character" not in line] == []


# ---------------------------------------------------------------- half a picture

PICTURE = draw("https://pay.example/q/71").data
BESIDE = (b" " * 8 + b"SCAN ME", b" " * 8 + b"12.50", b"", b" " * 8 + b"OK / ESC")
PICTURED = ALL - 3 + 1 + 64 * 18 + 2


def squares_of(chip):
    """The picture as it stands in the module's graphics RAM, each square of four equal dots."""
    data = b""
    for row in range(0, 64, 2):
        dots = chip.graphics_row(row)
        assert dots == chip.graphics_row(row + 1) and dots[8:] == bytes(8)
        bits = f"{int.from_bytes(dots[:8], 'big'):064b}"
        assert bits[::2] == bits[1::2]
        data += int(bits[::2], 2).to_bytes(4, "big")
    return data


def test_a_picture_covers_the_left_half_and_goes_with_the_next_screen():
    bench = Bench()
    bench.driver.show(PAID)
    before_us = bench.clock.now_us
    bench.driver.show(BESIDE, PICTURE)
    assert bench.clock.now_us - before_us < 200_000
    assert bench.chip.has_graphics and squares_of(bench.chip) == PICTURE
    assert bench.chip.lines() == padded(BESIDE)
    bench.refresh()
    assert bench.chip.has_graphics and squares_of(bench.chip) == PICTURE
    bench.driver.show(SHORT)
    assert not bench.chip.has_graphics and bench.chip.lines() == padded(SHORT)
    assert bench.chip.violations == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dip_at", [0, 70, 80, 500, PICTURED - 3, PICTURED - 1])
def test_noise_of_the_graphics_is_never_lit(seed, dip_at):
    """A module that is reset in the middle of a picture is dark, and right after a refresh."""
    bench = Bench(seed)
    bench.driver.show(PAID)
    begin = bench.lcd.writes

    def dip(number):
        chip = bench.chip
        assert not (chip.is_lit and chip.has_graphics) or squares_of(chip) == PICTURE
        if number == begin + dip_at:
            chip.brown_out()

    bench.lcd.before = dip
    bench.driver.show(BESIDE, PICTURE)
    bench.refresh()
    assert bench.chip.is_lit and squares_of(bench.chip) == PICTURE


@pytest.mark.parametrize("failing", [0, 75, 77, 78, 900, PICTURED - 3, PICTURED - 2, PICTURED - 1])
@pytest.mark.parametrize("goes_on", [True, False])
def test_a_transfer_of_a_picture_fails(failing, goes_on):
    """The next refresh puts the picture right, or the next screen takes it away."""
    bench = Bench()
    bench.driver.show(PAID)
    fail_at = bench.lcd.writes + failing

    def fail(number):
        if number == fail_at:
            raise OSError

    bench.lcd.before = fail
    with pytest.raises(OSError):
        bench.driver.show(BESIDE, PICTURE)
    bench.lcd.before = lambda number: None
    if goes_on:
        bench.refresh()
        assert bench.chip.has_graphics and squares_of(bench.chip) == PICTURE
    else:
        bench.driver.show(SHORT)
        assert not bench.chip.has_graphics and bench.chip.lines() == padded(SHORT)
    assert bench.chip.is_lit


# ---------------------------------------------------------------- what goes wrong


def transfers_of_a_screen():
    bench = Bench()
    bench.driver.show(PAID)
    return bench.writes_of(SHORT)


OLD_AND_NEW = list(zip(b"".join(padded(PAID)), b"".join(padded(SHORT)), strict=True))


def is_noise(chip):
    """Whether anything is lit that never was to be shown."""
    cells = b"".join(chip.lines())
    return chip.is_lit and not all(map(tuple.__contains__, OLD_AND_NEW, cells))


@pytest.mark.parametrize("dip_at", list(range(0, ALL, 6)))
@pytest.mark.parametrize("is_refresh", [False, True])
def test_the_module_resets_at_any_time(dip_at, is_refresh):
    """It is dark until the next refresh; noise is never lit, and then everything is right."""
    bench = Bench()
    bench.driver.show(PAID)
    begin = bench.lcd.writes

    def dip(number):
        assert not is_noise(bench.chip)
        if number == begin + dip_at:
            bench.chip.brown_out()

    bench.lcd.before = dip
    if is_refresh:
        bench.refresh()
        bench.driver.show(SHORT)
    else:
        bench.driver.show(SHORT)
        bench.refresh()
    bench.refresh()
    assert bench.chip.is_lit
    assert bench.chip.lines() == padded(SHORT)
    assert bench.lcd.writes > begin + dip_at


@pytest.mark.parametrize("seed", range(20))
def test_a_reset_unseen_for_a_while(seed):
    """Changes go to a module that is awake again but dark; nothing of them is lit by itself."""
    bench = Bench(seed)
    bench.driver.show(PAID)
    bench.chip.brown_out()
    bench.clock.advance_us(50_000)
    bench.driver.show(SHORT)
    assert not bench.chip.is_lit
    bench.refresh()
    assert bench.chip.is_lit and bench.chip.lines() == padded(SHORT)
    assert bench.chip.violations == []


@pytest.mark.parametrize("fault", [OSError, MemoryError])
@pytest.mark.parametrize("by_refresh", [False, True])
def test_a_transfer_fails(fault, by_refresh):
    """At each one: the caller is told, and the next screen or refresh puts everything right."""
    for failing in range(transfers_of_a_screen()):
        bench = Bench()
        bench.driver.show(PAID)
        fail_at = bench.lcd.writes + failing

        def fail(number, fail_at=fail_at):
            if number == fail_at:
                raise fault

        bench.lcd.before = fail
        with pytest.raises(fault):
            bench.driver.show(SHORT)
        bench.lcd.before = lambda number: None
        if by_refresh:
            bench.refresh()
        else:
            bench.driver.show(SHORT)
        assert bench.chip.is_lit and bench.chip.lines() == padded(SHORT), failing
        assert {line.partition(": ")[2] for line in bench.chip.violations} <= {"half a word"}


@pytest.mark.parametrize("is_first", [True, False])
def test_a_transfer_fails_while_everything_is_written(is_first):
    """In the first screen, or in the refresh after a reset: the next one does all of it."""
    for failing in range(ALL):
        bench = Bench()
        if not is_first:
            bench.driver.show(PAID)
            bench.chip.brown_out()
        fail_at = bench.lcd.writes + failing

        def fail(number, fail_at=fail_at):
            if number == fail_at:
                raise OSError

        bench.lcd.before = fail
        with pytest.raises(OSError):
            bench.driver.show(SHORT) if is_first else bench.refresh()
        bench.lcd.before = lambda number: None
        bench.driver.show(SHORT)
        assert bench.chip.is_lit and bench.chip.lines() == padded(SHORT), failing


def test_a_refresh_comes_when_it_is_due_and_not_before():
    bench = Bench()
    bench.driver.show(PAID)
    writes = bench.lcd.writes
    assert bench.driver.step(REFRESH_MS - 1) == REFRESH_MS
    assert bench.lcd.writes == writes
    assert bench.driver.step(REFRESH_MS) == 2 * REFRESH_MS
    assert bench.lcd.writes == writes + ALL


def test_the_same_bytes_in_micropython_and_no_allocation(micropython):
    here = run_here("portable_lcd.py").stdout.splitlines()
    there = run_in_vm(micropython, "portable_lcd.py").splitlines()
    assert there == here
    assert len(here) == 4 and here[-1] == "locked True"
    assert all(len(line.split()[1]) == 6 * int(line.split()[2]) for line in here[:-1])
