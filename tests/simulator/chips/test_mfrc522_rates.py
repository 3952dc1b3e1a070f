"""The MFRC522 model above 106 kbit/s: what must be set, what then takes half the time."""

import pytest

from simulator.chips import mfrc522_registers as reg
from tests.simulator.cards.test_iso_dep import Echo
from tests.simulator.wired import Wired

RATS, PPS_212, PPS_MIXED = b"\xe0\x50", b"\xd0\x11\x05", b"\xd0\x11\x01"
COMMAND = b"\x02" + bytes(20)
ANSWER = b"\x02\x14" + bytes(20)
FAST = 0x90


def agreed(pps, tx_mode, rx_mode, pause):
    """A bench whose card has agreed to `pps`, and whose chip is set as told."""
    bench = Wired(Echo())
    bench.select()
    assert bench.talk(RATS) is not None
    bench.clock.advance_us(1_000)
    assert bench.talk(pps) == b"\xd0"
    for register, value in ((reg.TX_MODE, tx_mode), (reg.RX_MODE, rx_mode)):
        bench.write(register, value)
    bench.write(reg.MOD_WIDTH, pause)
    return bench


@pytest.mark.parametrize("pause", [0x13, 0x15])
def test_212_is_spoken_and_understood(pause):
    bench = agreed(PPS_212, FAST, FAST, pause)
    assert bench.talk(COMMAND) == ANSWER
    assert bench.chip.violations == []


@pytest.mark.parametrize(
    ("tx_mode", "rx_mode", "pause"),
    [(0x80, FAST, 0x15), (FAST, 0x80, 0x15), (FAST, FAST, 0x26), (0xA0, FAST, 0x15)],
    ids=["slow command", "deaf to the answer", "pauses of 106 kbit/s", "faster than agreed"],
)
def test_one_wrong_setting_is_silence(tx_mode, rx_mode, pause):
    bench = agreed(PPS_212, tx_mode, rx_mode, pause)
    assert bench.talk(COMMAND) is None


def test_each_direction_has_its_own_rate():
    bench = agreed(PPS_MIXED, FAST, 0x80, 0x15)
    assert bench.talk(COMMAND) == ANSWER


def test_a_fast_exchange_takes_half_the_time_on_the_air():
    spans = {}
    for rate, bench in (
        (106, agreed(b"\xd0\x11\x00", 0x80, 0x80, 0x26)),
        (212, agreed(PPS_212, FAST, FAST, 0x15)),
    ):
        start_us = bench.clock.now_us
        assert bench.talk(COMMAND) == ANSWER
        spans[rate] = bench.clock.now_us - start_us
    bits = (len(COMMAND) + len(ANSWER) + 4) * 9
    assert abs(spans[106] - spans[212] - bits * 64 / 13.56) < 100


def test_above_106_only_the_crc_tells():
    """Two other flags stand as they like, whatever has come."""
    seen = set()
    bench = agreed(PPS_212, FAST, FAST, 0x15)
    for number in range(32):
        assert bench.talk(bytes((2 | number & 1,)) + bytes(20)) is not None
        seen.add(bench.error())
    assert seen == {0, 1, 2, 3}
    bench.field.disturb("flip_answer", 9)
    bench.talk(COMMAND)
    assert bench.error() & reg.CRC_ERR


def test_receiving_without_crc_is_written_down():
    bench = agreed(PPS_212, FAST, 0x10, 0x15)
    assert bench.talk(COMMAND) is not None
    assert bench.chip.violations == ["no RxCRCEn above 106 kbit/s"]
