"""The scanner module: its frames as the manuals print them, its time, and what goes wrong."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.chips.qr_scanner import (
    BAUD_HIGH,
    BAUD_LOW,
    BOOT_US,
    COMMAND,
    CONTINUOUS,
    INTERVAL,
    MODE,
    RESTORE,
    SAME_CODE,
    SETUP_CODES,
    TAIL,
    TRIGGER,
    QrScanner,
    SetupCode,
    as_heard,
)
from simulator.world.clock import ReaderClock, World

WRITTEN = bytes.fromhex("02000001003331")
CODE = b"OCPAYA" + b"A2" * 16


class Bench:
    """A module alone with a clock."""

    def __init__(self, seed=1, **about):
        self.clock = ReaderClock(World(0))
        self.module = QrScanner(self.clock, random.Random(seed), **about)

    def after(self, duration_ms):
        """What the host has heard in so much time."""
        self.clock.advance_us(duration_ms * 1000)
        return self.module.read()

    def ask(self, frame):
        self.module.write(bytes.fromhex(frame))
        return self.after(50)

    def set(self, zone, value):
        assert self.ask(f"7e000801{zone:04x}{value:02x}abcd") == WRITTEN


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        ("7e0009010000 00dec8", "02000001003331"),  # save, as the manuals print it
        ("7e000a010000 00301a", "03000001003331"),  # heartbeat
        ("7e00080100 0201abcd", "02000001003331"),  # trigger
        ("7e00080200 2a3901a7ea", "02000001003331"),  # 9600 baud
        ("7e000701002a02d80f", "020000023901"),  # which baud
    ],
)
def test_frames_that_manuals_print(frame, answer):
    heard = Bench().ask(frame)
    assert heard.startswith(bytes.fromhex(answer))
    assert len(heard) == 6 + heard[3]


@pytest.mark.parametrize(
    "frame",
    [
        "7e000801000201abce",  # a wrong checksum
        "7e000801000201",  # half a frame
        "7f000801000201abcd",
        "7e000b01000000abcd",  # no such type
        "7e00080103ff01abcd",  # no such zone
        "",
    ],
)
def test_what_is_no_command_gets_no_answer(frame):
    bench = Bench()
    assert bench.ask(frame) == b""
    before = bytes(bench.module.zones)
    bench.after(200)
    bench.set(TRIGGER, 0)  # and it listens again
    assert bytes(bench.module.zones) == before


def test_an_answer_takes_its_time_on_the_line():
    bench = Bench()
    bench.module.write(bytes.fromhex("7e000a01000000301a"))
    heard = [bench.after(1) for _ in range(40)]
    arrivals = [at for at, data in enumerate(heard) if data]
    # 9 bytes there, 7 back, 1042 us each, and what the module thinks.
    assert arrivals[0] >= 9 + 1
    assert 6 <= arrivals[-1] - arrivals[0] <= 8
    assert all(len(data) <= 1 for data in heard)


def test_it_looks_in_continuous_mode_only():
    bench = Bench()
    bench.module.show(CODE)
    assert bench.after(3000) == b""  # manual, as shipped
    bench.set(MODE, 0x94 | COMMAND)
    assert bench.after(3000) == b""
    bench.set(INTERVAL, 5)
    bench.set(MODE, 0x94 | CONTINUOUS)
    heard = bench.after(3000)
    assert heard.count(CODE + b"\r") in (5, 6, 7)
    bench.module.show(None)
    bench.after(600)
    assert bench.after(3000) == b""


def test_a_trigger_is_for_one_reading_or_five_seconds():
    bench = Bench()
    bench.set(MODE, 0x94 | COMMAND)
    bench.module.show(CODE)
    bench.set(TRIGGER, 1)
    assert bench.after(3000) == CODE + b"\r"
    bench.module.show(None)
    bench.set(TRIGGER, 1)
    bench.after(5100)
    bench.module.show(CODE)
    assert bench.after(3000) == b""


def test_the_same_code_waits_when_told_to():
    bench = Bench()
    bench.set(SAME_CODE, 0x80 | 30)
    bench.set(INTERVAL, 1)
    bench.module.show(CODE)
    bench.set(MODE, CONTINUOUS)
    assert bench.after(2900).count(b"\r") == 1
    assert bench.after(3000).count(b"\r") == 1


@pytest.mark.parametrize(
    ("value", "tail"), [(0x01, b"\r"), (0x21, b"\r\n"), (0x41, b"\t"), (0, b"")]
)
def test_tails(value, tail):
    bench = Bench()
    bench.set(TAIL, value)
    bench.module.show(b"1")
    bench.set(MODE, CONTINUOUS)
    assert bench.after(400) == b"1" + tail


def test_what_was_not_saved_is_lost_with_the_power():
    bench = Bench()
    bench.set(INTERVAL, 3)
    bench.set(TAIL, 0x21)
    bench.ask("7e000901000000dec8")
    bench.set(INTERVAL, 7)
    bench.module.show(CODE)
    bench.set(MODE, CONTINUOUS)
    assert bench.after(180)
    bench.module.power(False)
    assert bench.after(1000) == b""
    bench.module.power(True)
    assert not bench.module.is_on
    bench.after(BOOT_US // 1000)
    assert (bench.module.zones[INTERVAL], bench.module.zones[TAIL]) == (3, 0x21)
    assert bench.module.zones[MODE] & 3 == 0


def test_a_reset_cuts_a_code_short():
    bench = Bench()
    bench.module.show(CODE)
    bench.set(MODE, CONTINUOUS)
    while not (heard := bench.after(1)):
        pass
    bench.after(10)
    bench.module.power(True)
    rest = bench.after(1000)
    assert b"\r" not in heard + rest


def test_a_code_that_sets_up_works_until_it_is_told_not_to():
    bench = Bench()
    bench.set(MODE, CONTINUOUS)
    bench.module.show(SetupCode(TAIL, 0))
    assert bench.after(500) == b""
    assert bench.module.zones[TAIL] == 0
    bench.set(SETUP_CODES, 0x02)
    bench.module.show(SetupCode(TAIL, 1))
    bench.after(2000)
    assert bench.module.zones[TAIL] == 0


def test_the_factory_comes_back():
    bench = Bench()
    bench.set(INTERVAL, 1)
    bench.ask("7e000901000000dec8")
    bench.set(RESTORE, 0x55)
    assert bench.module.saved[INTERVAL] == 10


def test_answers_that_always_end_alike():
    bench = Bench()
    frame = "7e000701000001abcd"
    assert bench.ask(frame)[:5] == bytes.fromhex("02000001d4")
    assert bench.ask(frame)[5:] != b"\x33\x31"
    bench.module.is_crc_fixed = True
    assert bench.ask(frame)[5:] == b"\x33\x31"


def test_bytes_get_lost_and_codes_come_twice():
    lossy, double = Bench(), Bench()
    lossy.module.loss_ppm, double.module.double_ppm = 100_000, 1_000_000
    for bench in (lossy, double):
        bench.module.zones[MODE] = CONTINUOUS
        bench.module.show(CODE)
    assert double.after(300).count(CODE + b"\r") == 2
    heard = b"".join(lossy.after(100) for _ in range(300))
    sent = lossy.module.readings * len(CODE + b"\r")
    assert sent * 85 // 100 < len(heard) < sent * 95 // 100


def test_a_host_that_does_not_read_loses_bytes():
    bench = Bench()
    bench.module.noise(300)
    assert len(bench.module.read()) == 256
    assert bench.module.lost_by_host == 44


# -- the line -----------------------------------------------------------------------------------


@given(st.binary(max_size=64), st.sampled_from([9600, 57600, 115200]))
def test_one_baud_hears_everything(data, baud):
    assert as_heard(data, baud, baud) == data


@given(st.binary(min_size=1, max_size=64))
def test_a_little_off_is_near_enough(data):
    """Two crystals of 2 % together: the last bit is still looked at inside itself."""
    assert as_heard(data, 9600, 9792) == data
    assert as_heard(data, 9792, 9600) == data


def test_what_another_baud_hears():
    """0x55 is a square wave: at half the baud, 8N1, each pair of bits is one."""
    assert as_heard(b"\x00", 9600, 19200)[:1] == b"\x00"
    assert as_heard(b"\xff", 9600, 19200) == b"\xfe"  # a start bit of two widths, then ones
    assert as_heard(b"\xff", 19200, 9600) in (b"\xff", b"")
    slow = as_heard(CODE, 9600, 115200)
    fast = as_heard(CODE, 115200, 9600)
    assert CODE not in slow and CODE not in fast
    assert len(fast) < len(CODE) < len(slow)


def test_the_wrong_baud_is_silence_and_noise():
    bench = Bench(host_baud=9600)
    bench.module.zones[BAUD_LOW], bench.module.zones[BAUD_HIGH] = 0x1A, 0
    assert bench.module.baud == 115200
    assert bench.ask("7e000a01000000301a") == b""
    bench.module.zones[MODE] = CONTINUOUS
    bench.module.show(CODE)
    heard = bench.after(2500)
    assert heard
    assert CODE not in heard


def test_a_seed_is_a_run():
    def run(seed):
        bench = Bench(seed)
        bench.module.loss_ppm = bench.module.double_ppm = 50_000
        bench.module.zones[MODE] = CONTINUOUS
        bench.module.show(CODE)
        return [bench.after(5) for _ in range(1000)]

    assert run(3) == run(3) != run(4)
