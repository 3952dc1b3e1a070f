"""The LCD controller's model against the data sheet, and against hosts that do not keep to it."""

import random

import pytest

from simulator.chips.st7920 import LINE_WORDS, SPI_HZ_MAX, St7920, wrong_word

# The data sheet, at 540 kHz.
BUSY_US, CLEAR_US, POWER_ON_US = 72, 1_600, 40_000
OSC_SLOW_KHZ = 300


class Clock:
    """Time that goes on when told."""

    def __init__(self):
        self.now_us = 0

    def advance_us(self, duration_us):
        self.now_us += duration_us


def framed(start, *values):
    """A serial transfer: start byte, then each value in two nibbles."""
    nibbles = [half for value in values for half in (value & 0xF0, value << 4 & 0xF0)]
    return bytes((start, *nibbles))


class Host:
    """Somebody who reads the data sheet, unless told otherwise."""

    def __init__(self, seed=0, **options):
        self.clock = Clock()
        self.chip = St7920(self.clock, random.Random(seed), **options)
        self.clock.advance_us(POWER_ON_US)

    def do(self, *instructions, wait_us=BUSY_US):
        for value in instructions:
            self.chip.write(framed(0xF8, value))
            self.clock.advance_us(wait_us)

    def put(self, data, wait_us=BUSY_US):
        for value in data:
            self.chip.write(framed(0xFA, value))
            self.clock.advance_us(wait_us)

    def begin(self):
        """Set up, cleared and lit."""
        self.do(0x30, 0x0C, 0x06)
        self.do(0x01, wait_us=CLEAR_US)
        return self

    @property
    def complaint(self):
        (only,) = self.chip.violations
        return only.partition(": ")[2]


def test_dark_and_full_of_noise_after_power_on():
    chip = Host().chip
    assert not chip.is_lit
    assert chip.lines() != Host(seed=1).chip.lines()
    assert chip.lines() == Host().chip.lines()
    assert any(line.strip() for line in chip.lines())


def test_clear_fills_with_spaces():
    chip = Host().begin().chip
    assert chip.is_lit
    assert chip.lines() == (b" " * 16,) * 4
    assert chip.violations == []


@pytest.mark.parametrize(("line", "address"), list(enumerate((0x80, 0x90, 0x88, 0x98))))
def test_each_line_has_its_address(line, address):
    host = Host().begin()
    host.do(address)
    host.put(b"0123456789abcdef")
    assert host.chip.line(line) == b"0123456789abcdef"
    assert [index for index in range(4) if host.chip.line(index).strip()] == [line]
    assert address & 0x7F == LINE_WORDS[line]
    assert host.chip.violations == []


def test_text_runs_on_from_the_first_line_into_the_third():
    host = Host().begin()
    host.do(0x87)
    host.put("中国".encode("gb2312"))
    assert host.chip.line(0)[-2:] == "中".encode("gb2312")
    assert host.chip.line(2)[:2] == "国".encode("gb2312")


def test_address_counter_may_run_backward():
    host = Host().begin()
    host.do(0x04, 0x81)
    host.put(b"abcd")
    assert host.chip.line(0)[:4] == b"cdab"


# ---------------------------------------------------------------- time


@pytest.mark.parametrize("early_us", [1, BUSY_US])
def test_an_instruction_too_early_is_lost(early_us):
    host = Host().begin()
    host.do(0x90)
    host.put(b"ab")
    host.do(0x80, wait_us=BUSY_US - host.chip.call_us - early_us)
    host.put(b"x")
    assert host.complaint == "too early"
    assert host.chip.line(0) == host.chip.line(1)[2:] + b"  " == b" " * 16


def test_the_call_itself_is_time_too():
    host = Host().begin()
    host.do(0x80, wait_us=BUSY_US - host.chip.call_us)
    host.put(b"xy")
    assert host.chip.violations == [] and host.chip.line(0)[:2] == b"xy"


def test_clear_takes_longer_than_the_rest():
    host = Host().begin()
    host.do(0x01, wait_us=CLEAR_US - host.chip.call_us - 1)
    host.do(0x80)
    assert host.complaint == "too early"


def test_a_second_byte_in_one_transfer_is_too_early_at_full_speed():
    """The rest of such a transfer is lost; no second complaint is made of it."""
    host = Host().begin()
    host.do(0x80)
    host.chip.write(framed(0xFA, *b"ab"))
    assert host.complaint == "too early"
    assert host.chip.line(0)[:2] == b"a "


def test_a_second_byte_in_one_transfer_is_too_early_however_slow_the_bits():
    """Its first bit comes while the first byte is executed; silicon may forgive that."""
    host = Host(spi_hz=8_000)
    host.begin()
    host.chip.write(framed(0xF8, 0x90, 0x80))
    assert host.complaint == "too early"


def test_a_slow_oscillator_takes_longer():
    host = Host(osc_khz=OSC_SLOW_KHZ)
    host.do(0x30, wait_us=BUSY_US)
    host.do(0x0C)
    assert host.complaint == "too early" and not host.chip.is_lit


@pytest.mark.parametrize("wake", ["brown_out", "pin"])
def test_nothing_is_heard_for_40_ms_after_a_reset(wake):
    host = Host().begin()
    host.do(0x80)
    host.put(b"ab")
    if wake == "brown_out":
        host.chip.brown_out()
    else:
        host.chip.reset_pin(0)
        host.chip.reset_pin(1)
    assert not host.chip.is_lit and host.chip.line(0)[:2] != b"ab"
    host.do(0x0C)
    assert host.complaint == "too early" and not host.chip.is_lit
    host.clock.advance_us(POWER_ON_US)
    host.do(0x0C)
    assert host.chip.is_lit


def test_nothing_is_heard_for_40_ms_after_power_on():
    host = Host()
    host.clock.now_us -= host.chip.call_us + 1
    host.do(0x0C)
    assert host.complaint == "too early" and not host.chip.is_lit


def test_held_in_reset_it_hears_and_shows_nothing():
    host = Host().begin()
    host.chip.reset_pin(0)
    assert not host.chip.is_lit
    host.do(0x0C)
    assert host.chip.instructions == 4


def test_a_clock_too_fast_is_told():
    assert Host(spi_hz=SPI_HZ_MAX).chip.violations == []
    assert len(Host(spi_hz=SPI_HZ_MAX + 1).chip.violations) == 1


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize(
    ("transfer", "complaint"),
    [
        ("8000", "80 without a start byte"),
        ("fc8000", "start byte fc"),
        ("fe8000", "start byte fe"),
        ("f98000", "start byte f9"),
        ("f881", "81 has bits where a nibble has none"),
        ("f88001", "01 has bits where a nibble has none"),
        ("f880", "chip select ended in the middle of a byte"),
        ("f880f88000", "a new start in the middle of a byte"),
    ],
)
def test_a_broken_frame_is_told_once(transfer, complaint):
    host = Host().begin()
    host.chip.write(bytes.fromhex(transfer))
    assert host.complaint == complaint


def test_chip_select_starts_anew():
    """What a broken frame has left does not go into the next one."""
    host = Host().begin()
    host.chip.write(b"\xf8\x80")
    host.do(0x90)
    host.put(b"ab")
    assert host.chip.line(1)[:2] == b"ab"


# ---------------------------------------------------------------- characters


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("a1a1", ""),
        ("d6d0", ""),
        ("4142", ""),
        ("027f", ""),
        ("41d6", "41 d6: a wide character begins at an odd cell"),
        ("d641", "d6 41: half a character"),
        ("d7fa", "no character d7 fa"),
        ("aaa1", "no character aa a1"),
        ("0041", "no half-width character 00 41"),
    ],
)
def test_what_the_character_rom_has(word, complaint):
    upper, lower = bytes.fromhex(word)
    assert wrong_word(upper, lower) == complaint
    host = Host().begin()
    host.do(0x80)
    host.put((upper, lower))
    assert [line.partition(": ")[2] for line in host.chip.violations] == [complaint][
        : bool(complaint)
    ]


def test_half_a_word_is_told():
    host = Host().begin()
    host.do(0x80)
    host.put(b"a")
    host.do(0x90)
    assert host.complaint == "half a word"


# ---------------------------------------------------------------- the other instruction set


def test_graphics_are_written_by_row_and_word():
    host = Host().begin()
    host.do(0x34, 0x36, 0x80 | 31, 0x80 | 8)
    host.put(b"\x12\x34\x56\x78")
    assert host.chip.has_graphics
    assert host.chip.graphics_row(63)[:4] == b"\x12\x34\x56\x78"
    assert host.chip.violations == []
    host.do(0x34, 0x30)
    assert not host.chip.has_graphics


def test_graphics_need_the_extended_set_first():
    """The data sheet: RE and G are not changed by one instruction."""
    host = Host().begin()
    host.do(0x36)
    assert not host.chip.has_graphics


def test_reverse_is_of_two_lines_and_back():
    host = Host().begin()
    host.do(0x34, 0x04)
    assert [host.chip.is_reversed(index) for index in range(4)] == [True, False, True, False]
    host.do(0x04, 0x30)
    assert not any(host.chip.is_reversed(index) for index in range(4))


def test_standby_ends_with_the_next_instruction():
    host = Host().begin()
    host.do(0x34, 0x01)
    assert not host.chip.is_lit
    host.do(0x30)
    assert host.chip.is_lit


@pytest.mark.parametrize("instructions", [(0x14,), (0x07,), (0x0F,), (0x40,), (0x20,), (0xC0,)])
def test_what_is_not_modelled_is_told(instructions):
    host = Host().begin()
    host.do(*instructions)
    assert len(host.chip.violations) == 1


@pytest.mark.parametrize("value", [0x00, 0x03, 0x06, 0x10, 0x41])
def test_what_is_not_modelled_of_the_extended_set_is_told(value):
    host = Host().begin()
    host.do(0x34, value)
    assert len(host.chip.violations) == 1
