"""The scanner driver before a module that fails, any customer, and a line that loses bytes."""

import ast
import random
from binascii import crc_hqx

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.drivers.qr_scanner import CODE_BYTES_MAX, REPEAT_MS, QrScanner, crc, frame
from protocols.card import virtual_code
from protocols.rules import scan_codes
from simulator.chips import qr_scanner as model
from simulator.world.clock import ReaderClock, World
from tests.drivers.test_on_micropython import run_here, run_in_vm

WECHAT = b"134567890123456789"
PAYMENT = virtual_code.make(bytes(32), scan_codes.CAMPUS_PAYMENT, 1, 2, b"ab")


class Line:
    """A UART without a module: what a test puts in, and nothing else."""

    def __init__(self):
        self.arrived = b""

    def read(self):
        data, self.arrived = self.arrived, b""
        return data or None

    def write(self, data):
        return len(data)


def alone():
    """A driver that wants codes, and nobody at the other end."""
    scanner = QrScanner(Line())
    scanner.is_wanted = True
    return scanner


def drained(scanner, now_ms):
    """Every code there is now."""
    codes = []
    while (code := scanner.read(now_ms)) is not None:
        codes.append(code)
    return codes


def fed(scanner, data, now_ms):
    scanner.feed(data)
    return drained(scanner, now_ms)


class Bench:
    """A driver, a module and a clock; `module` is the model."""

    def __init__(self, seed=1, **about):
        self.clock = ReaderClock(World(0))
        self.module = model.QrScanner(self.clock, random.Random(seed), **about)
        self.scanner = QrScanner(self.module)
        self.scanner.is_wanted = True

    @property
    def now_ms(self):
        return self.clock.now_us // 1000

    def run(self, duration_ms, step_ms=10):
        """(ms, code) of every code that the driver gives in this time."""
        found = []
        end_ms = self.now_ms + duration_ms
        while self.now_ms < end_ms:
            found += [(self.now_ms, code) for code in drained(self.scanner, self.now_ms)]
            self.clock.advance_us(step_ms * 1000)
        return found

    def show(self, code, duration_ms):
        """The codes that come while one is held there; the phone is away afterwards."""
        self.module.show(code)
        found = self.run(duration_ms)
        self.module.show(None)
        return [code for _, code in found + self.run(200)]


# -- the bytes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [257, 258, 512, 5000])
def test_too_long_is_dropped_and_counted(size):
    scanner = alone()
    assert fed(scanner, b"x" * size + b"\r", 0) == []
    assert scanner.too_long == 1
    assert fed(scanner, WECHAT + b"\r", 0) == [WECHAT]


def test_the_longest_that_fits():
    longest = bytes(range(14, 256)) + b"0123456789abcd"
    assert len(longest) == CODE_BYTES_MAX
    scanner = alone()
    assert fed(scanner, longest + b"\r", 0) == [longest]
    assert scanner.too_long == 0


def test_too_long_behind_good_ones_takes_only_itself():
    scanner = alone()
    data = WECHAT + b"\r" + PAYMENT + b"\r" + b"x" * 250 + b"\r" + b"28" * 9 + b"\r"
    assert fed(scanner, data, 0) == [WECHAT, PAYMENT, b"28" * 9]
    assert scanner.too_long == 1


def test_two_back_to_back():
    scanner = alone()
    scanner.feed(WECHAT + b"\r" + PAYMENT + b"\r")
    assert scanner.read(0) == WECHAT
    assert scanner.due_ms == 0  # there is another
    assert scanner.read(0) == PAYMENT
    assert scanner.read(0) is None
    assert scanner.due_ms > 0


def test_every_way_to_cut_it():
    data = WECHAT + b"\r" + PAYMENT + b"\r"
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1, 7):
            scanner = alone()
            codes = []
            for now_ms, piece in enumerate((data[:first], data[first:second], data[second:])):
                codes += fed(scanner, piece, now_ms * 20)
            assert codes == [WECHAT, PAYMENT], (first, second)
            assert scanner.torn == 0


def test_a_slow_reader_is_no_gap():
    """Half a code was there before a card dialogue, half after it; nobody looked in between."""
    scanner = alone()
    assert fed(scanner, WECHAT[:9], 0) == []
    scanner.feed(WECHAT[9:] + b"\r")
    assert scanner.read(900) == WECHAT
    assert scanner.torn == 0


def test_half_a_code_does_not_spoil_the_next():
    scanner = alone()
    scanner.feed(WECHAT[:9])
    assert scanner.read(0) is None
    assert scanner.due_ms <= 60
    assert scanner.read(59) is None
    assert scanner.read(60) is None
    assert fed(scanner, PAYMENT + b"\r", 61) == [PAYMENT]
    assert scanner.torn == 1


def test_a_long_one_that_never_ends_does_not_swallow_the_next():
    scanner = alone()
    assert fed(scanner, b"x" * 400, 0) == []
    scanner.read(100)
    assert fed(scanner, PAYMENT + b"\r", 101) == [PAYMENT]
    assert (scanner.too_long, scanner.torn) == (1, 0)


def test_empty_codes_and_line_feeds_are_nothing():
    scanner = alone()
    assert fed(scanner, b"\r\r\n\r\n" + WECHAT + b"\r\n" + PAYMENT + b"\r\n", 0) == [
        WECHAT,
        PAYMENT,
    ]
    assert scanner.read(100) is None
    assert (scanner.torn, scanner.repeats) == (0, 0)


def test_a_screen_held_still_is_one_code():
    scanner = alone()
    seen = [fed(scanner, WECHAT + b"\r", now_ms) for now_ms in range(0, 5000, 500)]
    assert seen == [[WECHAT]] + [[]] * 9
    assert scanner.repeats == 9
    away_ms = 4500 + REPEAT_MS
    assert fed(scanner, WECHAT + b"\r", away_ms - 1) == []
    assert fed(scanner, WECHAT + b"\r", away_ms - 1 + REPEAT_MS) == [WECHAT]


def test_another_code_in_between_is_no_repeat():
    scanner = alone()
    assert fed(scanner, (WECHAT + b"\r" + PAYMENT + b"\r") * 2, 0) == [WECHAT, PAYMENT] * 2


def test_what_nobody_wants_is_counted_and_gone():
    scanner = alone()
    scanner.is_wanted = False
    assert fed(scanner, WECHAT + b"\r" + PAYMENT + b"\r", 0) == []
    assert scanner.unasked == 2
    scanner.is_wanted = True
    assert drained(scanner, 1) == []
    assert fed(scanner, WECHAT + b"\r", 2) == [WECHAT]


def pieces(draw):
    """Bytes, cut anywhere, that are codes, answers, halves of both, or anything."""
    part = draw.choice(
        (
            WECHAT + b"\r",
            PAYMENT + b"\r",
            b"\x02\x00\x00\x01\x00\x33\x31",
            b"\x02\x00\x00\x01\x0d\x0d",
            draw.randbytes(draw.randrange(300)),
            b"\r",
            b"0" * draw.randrange(600),
        )
    )
    return part[draw.randrange(3) :] if draw.randrange(4) == 0 else part


def test_ten_thousand_gusts_of_anything():
    """Whatever comes: bounded, never a code that is empty, too long or has an end in it."""
    draw = random.Random(3)
    scanner = alone()
    now_ms = given_out = 0
    for _ in range(10_000):
        now_ms += draw.choice((0, 1, 20, 100, 1500))
        data = b"".join(pieces(draw) for _ in range(20))
        scanner.feed(data[: draw.randrange(400)])
        for code in drained(scanner, now_ms):
            assert 0 < len(code) <= CODE_BYTES_MAX
            assert 13 not in code
            given_out += 1
        assert len(scanner._buffer) == CODE_BYTES_MAX + 1
        assert 0 == scanner._whole <= scanner._size <= len(scanner._buffer)
    assert given_out > 1000
    assert scanner.too_long and scanner.torn and scanner.repeats
    scanner.read(now_ms + 100)
    scanner.read(now_ms + 200)
    assert fed(scanner, b"last\r", now_ms + 300) == [b"last"]


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_codes_come_out_as_they_went_in(codes, data):
    """Any bytes but the line's own two, and but what begins like an answer of the module."""
    codes = [code.translate(None, b"\r\n").lstrip(b"\x02") for code in codes]
    expected = [code for code in codes if code]
    text = b"".join(code + b"\r" for code in codes)
    scanner = alone()
    found = []
    while text:
        size = data.draw(st.integers(1, len(text)))
        found += fed(scanner, text[:size], 0)
        text = text[size:]
    unrepeated = [code for at, code in enumerate(expected) if not at or expected[at - 1] != code]
    assert found == unrepeated


# -- the module ---------------------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_the_checksum(data):
    assert crc(data) == crc_hqx(data, 0)


def test_frames_are_those_of_the_manuals():
    assert frame(9, 0, 0) == bytes.fromhex("7e0009010000 00dec8")
    assert frame(10, 0, 0) == bytes.fromhex("7e000a010000 00301a")
    assert frame(7, 0x2A, 2) == bytes.fromhex("7e000701002a02d80f")


def test_it_sets_the_module_up_and_saves_nothing():
    bench = Bench()
    bench.run(300)
    zones = bench.module.zones
    assert bench.scanner.is_present
    assert zones[model.MODE] & 3 == model.CONTINUOUS
    assert zones[model.SETUP_CODES] & 2
    assert (zones[model.INTERVAL], zones[model.SAME_CODE], zones[model.TAIL]) == (5, 0, 1)
    assert zones[model.MODE] & 0x40 == 0  # it does not beep over the reader's own sounds
    assert bench.module.saves == 0
    assert bench.module.saved == bytes(model.FACTORY.get(zone, 0) for zone in range(256))


def test_one_phone_one_code():
    bench = Bench()
    bench.run(300)
    assert bench.show(PAYMENT, 3000) == [PAYMENT]
    assert bench.scanner.repeats >= 4
    assert bench.show(WECHAT, 500) == [WECHAT]
    assert (bench.scanner.torn, bench.scanner.too_long, bench.scanner.resets) == (0, 0, 0)


def test_a_code_is_there_soon():
    bench = Bench()
    bench.run(300)
    begin_ms = bench.now_ms
    bench.module.show(PAYMENT)
    ((at_ms, code),) = bench.run(1000)
    assert code == PAYMENT
    assert at_ms - begin_ms <= 150 + 41 + 20  # it looks, 39 bytes at 9600 baud, two steps


def test_it_is_dark_while_nobody_wants_a_code():
    bench = Bench()
    bench.scanner.is_wanted = False
    bench.run(300)
    assert bench.show(PAYMENT, 2000) == []
    assert bench.module.readings == 0
    bench.scanner.is_wanted = True
    bench.run(100)
    assert bench.show(PAYMENT, 1000) == [PAYMENT]
    bench.scanner.is_wanted = False
    bench.run(100)
    before = bench.module.readings
    bench.show(WECHAT, 2000)
    assert bench.module.readings == before


def test_doubled_readings_are_one_code():
    bench = Bench()
    bench.module.double_ppm = 1_000_000
    bench.run(300)
    assert bench.show(PAYMENT, 2000) == [PAYMENT]


def test_a_module_that_is_not_there():
    bench = Bench()
    bench.module.power(False)
    assert bench.run(10_000) == []
    assert not bench.scanner.is_present
    bench.module.power(True)
    bench.run(5000)
    assert bench.scanner.is_present
    assert bench.show(PAYMENT, 1000) == [PAYMENT]


def test_a_module_that_is_pulled_out_is_missed_within_five_seconds():
    bench = Bench()
    bench.run(1000)
    bench.module.power(False)
    begin_ms = bench.now_ms
    while bench.scanner.is_present:
        bench.run(10)
    assert bench.now_ms - begin_ms <= 3000 + 3 * 400 + 100


@pytest.mark.parametrize("at_ms", range(0, 400, 20))
def test_a_reset_at_any_time_is_found_out(at_ms):
    """Set-up, reading, sending: whatever it was about, it looks again, and obeys no customer."""
    bench = Bench()
    bench.module.show(PAYMENT)
    bench.run(at_ms)
    bench.module.power(True)
    bench.module.show(None)
    bench.run(6000)
    assert bench.module.zones[model.MODE] & 3 == model.CONTINUOUS
    assert bench.module.zones[model.SETUP_CODES] & 2
    assert bench.show(WECHAT, 1000) == [WECHAT]
    # A code that was cut short is never given out as one.
    assert bench.scanner.unasked == 0


@pytest.mark.parametrize("is_wanted", [False, True])
def test_a_reset_that_a_new_mode_hides(is_wanted):
    """The mode is written again right after it, and would look as if nothing had been."""
    bench = Bench()
    bench.scanner.is_wanted = is_wanted
    bench.run(1000)
    bench.module.power(True)
    bench.run(350)
    bench.scanner.is_wanted = not is_wanted
    bench.run(4000)
    assert bench.module.zones[model.SETUP_CODES] & 2
    assert bench.module.zones[model.INTERVAL] == 5


def test_a_module_that_does_not_keep_a_setting_still_reads():
    """It is set up again every few seconds, not without pause."""
    bench = Bench()
    written = []
    write = bench.module.write
    bench.module.write = lambda data: written.append(data) or write(data)
    for _ in range(1000):
        bench.module.zones[model.SAME_CODE] = 0x85
        bench.run(30)
    assert 9 <= bench.scanner.resets <= 11
    assert len(written) <= 12 * 11
    assert bench.show(PAYMENT, 1000) == [PAYMENT]


def test_a_reset_is_counted():
    bench = Bench()
    bench.run(1000)
    bench.module.power(True)
    bench.run(4000)
    assert bench.scanner.resets == 1
    assert bench.scanner.is_present


def test_a_customer_cannot_set_the_module_up():
    bench = Bench()
    bench.run(300)
    before = bytes(bench.module.zones)
    for zone, value in ((model.MODE, 0), (model.TAIL, 0), (model.BAUD_LOW, 0x1A), (0xD9, 0x55)):
        bench.show(model.SetupCode(zone, value), 1000)
    assert bytes(bench.module.zones) == before
    assert bench.show(PAYMENT, 1000) == [PAYMENT]


@pytest.mark.parametrize("value", [0x00, 0x95, 0x96, 0xFF])
def test_a_code_that_plays_the_module(value):
    """It may cost another set-up; afterwards all is as before."""
    body = bytes((0, 0, 1, value))
    fake = b"\x02" + body + crc(body).to_bytes(2, "big")
    bench = Bench()
    bench.run(300)
    assert bench.show(fake, 5000) == []
    bench.run(5000)
    assert bench.module.zones[model.MODE] & 3 == model.CONTINUOUS
    assert bench.scanner.is_present
    assert bench.show(PAYMENT, 1000) == [PAYMENT]


@pytest.mark.parametrize("is_crc_fixed", [False, True])
def test_both_ways_to_end_an_answer(is_crc_fixed):
    bench = Bench()
    bench.module.is_crc_fixed = is_crc_fixed
    bench.run(10_000)
    assert bench.scanner.is_present
    assert (bench.scanner.resets, bench.scanner.torn) == (0, 0)


def test_a_module_at_another_baud_is_missing_and_harmless():
    bench = Bench()
    bench.module.zones[model.BAUD_LOW], bench.module.zones[model.BAUD_HIGH] = 0x1A, 0
    bench.module.zones[model.MODE] = model.CONTINUOUS
    bench.module.show(PAYMENT)
    found = [code for _, code in bench.run(20_000)]
    assert PAYMENT not in found
    assert all(scan_codes.kind_of(code) == scan_codes.UNKNOWN for code in found)
    assert bench.scanner.torn > 3
    assert not bench.scanner.is_present


def test_noise_before_and_between_codes():
    """What is glued to noise is lost; the next reading of the same screen is not."""
    bench = Bench(seed=9)
    bench.run(300)
    wanted = 0
    for turn in range(30):
        bench.module.noise(turn)
        code = WECHAT[:-2] + b"%02d" % turn
        bench.module.show(code)
        found = [found for _, found in bench.run(1400)]
        bench.module.show(None)
        bench.run(700)
        wanted += code in found
    assert wanted == 30


@pytest.mark.parametrize("seed", range(5))
def test_a_line_that_loses_bytes_makes_no_other_payment(seed):
    """A byte in 50: a code of ours comes whole or as something that is none of ours."""
    bench = Bench(seed)
    bench.module.loss_ppm = 20_000
    bench.module.show(PAYMENT)
    found = [code for _, code in bench.run(20_000)]
    assert PAYMENT in found
    ours = (scan_codes.CAMPUS_PAYMENT, scan_codes.CAMPUS_IDENTITY)
    assert {code for code in found if scan_codes.kind_of(code) in ours} == {PAYMENT}


def test_it_says_when_it_wants_to_be_called():
    """Called only when it asked to be, or when bytes came: set up, checked, never in a hurry."""
    bench = Bench()
    came = []
    bench.module.on_bytes = came.append
    calls = 0
    while bench.now_ms < 60_000:
        bench.scanner.read(bench.now_ms)
        calls += 1
        assert bench.scanner.due_ms > bench.now_ms
        came.clear()
        while not came and bench.now_ms < bench.scanner.due_ms:
            bench.clock.advance_us(1000)
    assert bench.scanner.is_present
    assert bench.module.zones[model.MODE] & 3 == model.CONTINUOUS
    # Five settings every 3 s: each is asked, and its answer comes as seven bytes.
    assert calls <= (60 // 3 + 2) * 5 * 9


def test_a_reader_makes_the_same_of_it(micropython):
    here = run_here("portable_qr_scanner.py").stdout.splitlines()
    assert run_in_vm(micropython, "portable_qr_scanner.py").splitlines() == here
    assert len(here) == 302
    too_long, torn, repeats, _, _, is_present = ast.literal_eval(here[-1].removeprefix("quiet "))
    assert too_long and torn and repeats and is_present
