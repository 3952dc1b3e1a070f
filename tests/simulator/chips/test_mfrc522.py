"""The digital half of the MFRC522 model against the data sheet: bus, interrupts, FIFO, timer."""

import pytest

from simulator.chips import mfrc522_registers as reg
from tests.simulator.wired import Wired

CRC_A_VECTORS = [("0000", 0x1EA0), ("1234", 0xCF26), ("3000", 0xA802), ("5000", 0xCD57)]


@pytest.fixture
def bench():
    wired = Wired()
    yield wired
    assert wired.chip.violations == []


# ---------------------------------------------------------------- bus


@pytest.mark.parametrize(
    ("out", "words"),
    [
        (b"\x80\x00", "read of reserved register 00"),
        (b"\xbc\x00", "read of reserved register 1e"),
        (b"\x1e\x01", "write of reserved register 0f"),
        (b"\x0c\x01", "write of read-only register Error"),
        (b"\x6e\x01", "write of read-only register Version"),
        (b"\x03\x00", "address byte 03 with bit 0 set"),
    ],
)
def test_a_broken_access_is_written_down(out, words):
    bench = Wired()
    bench.chip.exchange(out, bytearray(len(out)))
    assert bench.chip.violations == [words]


def test_an_spi_clock_above_10_mhz_is_written_down():
    assert Wired(spi_hz=12_000_000).chip.violations == ["SPI clock of 12000000 Hz"]


def test_a_read_streams_one_new_address_per_byte(bench):
    bench.write(reg.WATER_LEVEL, 0x11)
    bench.write(reg.FIFO_DATA, 0xAA, 0xBB)
    assert bench.read_many(
        reg.WATER_LEVEL, reg.FIFO_LEVEL, reg.FIFO_DATA, reg.FIFO_DATA, reg.FIFO_LEVEL
    ) == bytes((0x11, 2, 0xAA, 0xBB, 0))


def test_a_write_streams_to_one_address(bench):
    bench.write(reg.T_RELOAD_HI, 1, 2, 3)
    assert bench.read_many(reg.T_RELOAD_HI, reg.T_RELOAD_LO) == bytes((3, 999 & 0xFF))


def test_a_transaction_costs_a_call_and_its_bits():
    bench = Wired(configure=False, call_us=40, spi_hz=10_000_000)
    start_us = bench.clock.now_us
    for _ in range(10):
        bench.read(reg.VERSION)
    assert bench.clock.now_us - start_us == 10 * 40 + 16  # 160 bits at 10 MHz
    assert (bench.chip.transactions, bench.chip.bytes_moved) == (10, 20)


def test_the_hooks_see_every_transaction():
    bench = Wired(configure=False)
    numbers, seen = [], []
    bench.chip.before_exchange = numbers.append
    bench.chip.on_exchange = lambda out, into: seen.append((out, into))
    bench.read(reg.VERSION)
    bench.write(reg.MODE, 0x3D)
    assert numbers == [0, 1]
    assert seen == [(b"\xee\x00", b"\x00\x92"), (b"\x22\x3d", b"\x00\x00")]


def test_reset_values():
    bench = Wired(configure=False)
    values = {address: bench.read(address) for address in reg.REGISTERS}
    expected = {
        reg.COMMAND: 0x20, reg.COM_IEN: 0x80, reg.COM_IRQ: 0x14, reg.STATUS1: 0x21,
        reg.WATER_LEVEL: 0x08, reg.CONTROL: 0x10, reg.MODE: 0x3F, reg.TX_CONTROL: 0x80,
        reg.DEMOD: 0x4D, reg.CRC_RESULT_HI: 0xFF, 0x24: 0x26, 0x26: 0x48, reg.VERSION: 0x92,
    }  # fmt: skip
    assert {address: values[address] for address in expected} == expected
    assert bench.chip.violations == []


# ---------------------------------------------------------------- interrupts


def test_bit_7_says_whether_marked_bits_are_cleared_or_set(bench):
    bench.write(reg.COM_IRQ, 0x7F)
    assert bench.read(reg.COM_IRQ) == 0
    bench.write(reg.COM_IRQ, 0x80 | reg.TX_IRQ | reg.TIMER_IRQ)
    bench.write(reg.COM_IRQ, reg.TIMER_IRQ)
    assert bench.read(reg.COM_IRQ) == reg.TX_IRQ
    bench.write(reg.DIV_IRQ, 0x80 | reg.CRC_IRQ)
    bench.write(reg.DIV_IRQ, 0)
    assert bench.read(reg.DIV_IRQ) == reg.CRC_IRQ
    bench.write(reg.DIV_IRQ, reg.CRC_IRQ)
    assert bench.read(reg.DIV_IRQ) == 0


def test_idle_from_the_host_is_no_interrupt_but_a_finished_command_is(bench):
    bench.write(reg.COMMAND, reg.TRANSCEIVE)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, reg.IDLE)
    assert not bench.read(reg.COM_IRQ) & reg.IDLE_IRQ
    bench.write(reg.COMMAND, reg.MEM)
    assert bench.read(reg.COM_IRQ) & reg.IDLE_IRQ


def test_an_unknown_command_falls_back_to_idle_with_an_interrupt():
    bench = Wired()
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COMMAND, 0x05)
    assert bench.read(reg.COMMAND) & 15 == reg.IDLE
    assert bench.read(reg.COM_IRQ) & reg.IDLE_IRQ
    assert bench.chip.violations == ["unknown command 5"]


def test_the_pin_is_low_while_an_enabled_bit_is_up(bench):
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COM_IEN, 0x80 | reg.IDLE_IRQ)
    bench.write(reg.COM_IRQ, 0x80 | reg.TIMER_IRQ)
    assert bench.chip.irq() == 1
    bench.write(reg.COM_IRQ, 0x80 | reg.IDLE_IRQ)
    assert bench.chip.irq() == 0
    assert bench.read(reg.STATUS1) & 0x10
    bench.write(reg.COM_IRQ, reg.IDLE_IRQ)
    assert bench.chip.irq() == 1


def test_without_irq_inv_the_pin_is_high_when_active(bench):
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.COM_IEN, reg.TIMER_IRQ)
    assert bench.chip.irq() == 0
    bench.write(reg.COM_IRQ, 0x80 | reg.TIMER_IRQ)
    assert bench.chip.irq() == 1


def test_crc_interrupt_reaches_the_pin_through_its_own_enable(bench):
    bench.write(reg.DIV_IRQ, 0x80 | reg.CRC_IRQ)
    assert bench.chip.irq() == 1
    bench.write(reg.DIV_IEN, 0x80 | reg.CRC_IRQ)
    assert bench.chip.irq() == 0


# ---------------------------------------------------------------- FIFO


def test_the_65th_byte_overflows_and_flush_forgives(bench):
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.FIFO_DATA, *range(64))
    assert bench.error() == 0
    bench.write(reg.FIFO_DATA, 64)
    assert bench.error() == reg.BUFFER_OVFL
    assert bench.read(reg.COM_IRQ) & reg.ERR_IRQ
    assert bench.fifo() == bytes(range(64))
    bench.write(reg.FIFO_LEVEL, 0x80)
    assert bench.error() == 0


def test_water_level_alerts_store_the_moment(bench):
    bench.write(reg.WATER_LEVEL, 4)
    bench.write(reg.FIFO_LEVEL, 0x80)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.FIFO_DATA, *range(59))
    assert bench.read(reg.STATUS1) & 3 == 0
    bench.write(reg.FIFO_DATA, 59)
    assert bench.read(reg.STATUS1) & 3 == 2
    assert bench.read(reg.COM_IRQ) & (reg.HI_ALERT_IRQ | reg.LO_ALERT_IRQ) == reg.HI_ALERT_IRQ
    bench.write(reg.FIFO_LEVEL, 0x80)
    assert bench.read(reg.STATUS1) & 3 == 1
    both = reg.HI_ALERT_IRQ | reg.LO_ALERT_IRQ
    assert bench.read(reg.COM_IRQ) & both == both


# ---------------------------------------------------------------- commands without radio


def test_mem_moves_25_bytes_in_and_out(bench):
    bench.write(reg.FIFO_DATA, *range(25))
    bench.write(reg.COMMAND, reg.MEM)
    assert bench.read(reg.FIFO_LEVEL) == 0
    bench.write(reg.COMMAND, reg.MEM)
    assert bench.fifo() == bytes(range(25))


def test_random_id_replaces_the_first_ten_bytes(bench):
    bench.write(reg.FIFO_DATA, *range(25))
    bench.write(reg.COMMAND, reg.MEM)
    bench.write(reg.COMMAND, reg.RANDOM_ID)
    bench.write(reg.COMMAND, reg.MEM)
    memory = bench.fifo()
    assert memory[:10] != bytes(range(10))
    assert memory[10:] == bytes(range(10, 25))


def test_the_internal_buffer_survives_a_soft_reset(bench):
    bench.write(reg.FIFO_DATA, *range(25))
    bench.write(reg.COMMAND, reg.MEM)
    bench.write(reg.COMMAND, reg.SOFT_RESET)
    bench.clock.advance_us(100)
    bench.write(reg.COMMAND, reg.MEM)
    assert bench.fifo() == bytes(range(25))


@pytest.mark.parametrize(("data", "crc"), CRC_A_VECTORS)
def test_the_coprocessor_knows_crc_a(bench, data, crc):
    bench.write(reg.FIFO_DATA, *bytes.fromhex(data))
    bench.write(reg.COMMAND, reg.CALC_CRC)
    assert bench.read(reg.DIV_IRQ) & reg.CRC_IRQ
    result = bench.read_many(reg.CRC_RESULT_HI, reg.CRC_RESULT_LO)
    assert int.from_bytes(result, "big") == crc


def test_the_coprocessor_goes_on_until_idle(bench):
    bench.write(reg.FIFO_DATA, 0x12)
    bench.write(reg.COMMAND, reg.CALC_CRC)
    bench.write(reg.DIV_IRQ, reg.CRC_IRQ)
    bench.write(reg.FIFO_DATA, 0x34)
    assert bench.read(reg.COMMAND) & 15 == reg.CALC_CRC
    assert bench.read(reg.DIV_IRQ) & reg.CRC_IRQ
    assert bench.read_many(reg.CRC_RESULT_HI, reg.CRC_RESULT_LO) == b"\xcf\x26"


def test_the_crc_preset_is_a_setting(bench):
    bench.write(reg.MODE, 0x3F)
    bench.write(reg.FIFO_DATA, 0x12, 0x34)
    bench.write(reg.COMMAND, reg.CALC_CRC)
    assert bench.read_many(reg.CRC_RESULT_HI, reg.CRC_RESULT_LO) != b"\xcf\x26"


def test_no_command_change_leaves_the_command_alone(bench):
    bench.write(reg.COMMAND, reg.TRANSCEIVE)
    bench.write(reg.COMMAND, 0x20 | reg.NO_CHANGE)
    assert bench.read(reg.COMMAND) == 0x20 | reg.TRANSCEIVE


def test_what_is_not_modelled_is_said():
    bench = Wired()
    bench.write(reg.MODE, 0xBD)
    bench.write(reg.COMMAND, reg.CALC_CRC)
    assert bench.chip.violations == ["MSBFirst is not modelled"]


# ---------------------------------------------------------------- self test


def self_tested(bench, memory=bytes(25), seed=b"\x00"):
    """What the self test leaves in the FIFO, by the steps of the data sheet."""
    bench.write(reg.COMMAND, reg.SOFT_RESET)
    bench.clock.advance_us(100)
    bench.write(reg.FIFO_DATA, *memory)
    bench.write(reg.COMMAND, reg.MEM)
    bench.write(reg.AUTO_TEST, 0x40 | reg.SELF_TEST)
    if seed:
        bench.write(reg.FIFO_DATA, *seed)
    bench.write(reg.COMMAND, reg.CALC_CRC)
    assert bench.read(reg.FIFO_LEVEL) < 64
    bench.clock.advance_us(5_000)
    return bench.fifo()


@pytest.mark.parametrize(("version", "head"), [(0x91, "00c637d5"), (0x92, "00eb66ba")])
def test_the_self_test_ends_as_the_data_sheet_says(bench, version, head):
    bench.chip.version = version
    found = self_tested(bench)
    assert len(found) == 64
    assert found[:4].hex() == head


@pytest.mark.parametrize("wrong", ["memory", "seed", "clone", "version"])
def test_the_self_test_of_another_chip_or_ill_prepared_differs(bench, wrong):
    good = self_tested(bench)
    bench.chip.is_clone = wrong == "clone"
    bench.chip.version = 0xB2 if wrong == "version" else 0x92
    memory = bytes(24) + b"\x01" if wrong == "memory" else bytes(25)
    found = self_tested(bench, memory, b"" if wrong == "seed" else b"\x00")
    assert len(found) == 64
    assert found != good


def test_a_frame_after_a_self_test_needs_a_reset_first():
    bench = Wired()
    self_tested(bench)
    bench.write(reg.AUTO_TEST, 0x40)
    bench.configure()
    bench.talk(b"\x26", 7)
    assert bench.chip.violations == ["a frame after a self test, without a reset"]
    bench.write(reg.COMMAND, reg.SOFT_RESET)
    bench.clock.advance_us(100)
    bench.configure()
    bench.talk(b"\x26", 7)
    assert len(bench.chip.violations) == 1


# ---------------------------------------------------------------- reset and power


def test_soft_reset_drops_settings_and_antenna(bench):
    bench.write(reg.COMMAND, reg.SOFT_RESET)
    assert bench.read(reg.COMMAND) & 0x10  # waking up
    bench.clock.advance_us(100)
    assert bench.read(reg.COMMAND) == 0x20
    assert bench.read_many(reg.TX_CONTROL, reg.MODE, reg.T_RELOAD_HI) == b"\x80\x3f\x00"


def test_access_while_waking_is_ignored_and_written_down():
    bench = Wired()
    bench.chip.reset_pin(0)
    bench.clock.advance_us(10)
    bench.chip.reset_pin(1)
    bench.write(reg.MODE, 0x3D)
    assert bench.read(reg.COMMAND) & 0x10
    bench.clock.advance_us(1000)
    assert bench.read(reg.COMMAND) & 0x10 == 0
    assert bench.read(reg.MODE) == 0x3F
    assert bench.chip.violations == ["write of Mode before the oscillator runs"]


def test_a_chip_held_in_reset_is_silent(bench):
    bench.chip.reset_pin(0)
    assert bench.read(reg.VERSION) == 0
    bench.chip.reset_pin(1)
    bench.clock.advance_us(1000)
    assert bench.read(reg.VERSION) == 0x92
    assert bench.read(reg.TX_CONTROL) == 0x80


def test_soft_power_down_keeps_registers_and_wakes_slowly(bench):
    bench.write(reg.COMMAND, 0x10)
    assert bench.read(reg.COMMAND) & 0x10
    bench.write(reg.COMMAND, 0x00)
    assert bench.read(reg.COMMAND) & 0x10
    bench.clock.advance_us(1000)
    assert bench.read(reg.COMMAND) & 0x10 == 0
    assert bench.read(reg.MODE) == 0x3D


def test_a_brown_out_says_nothing(bench):
    bench.chip.brown_out()
    bench.clock.advance_us(1000)
    assert bench.read(reg.VERSION) == 0x92
    assert bench.read_many(reg.TX_CONTROL, reg.TX_ASK) == b"\x80\x00"


@pytest.mark.parametrize("level", [0x00, 0xFF])
def test_a_stuck_data_line_hides_everything(bench, level):
    bench.chip.miso = level
    assert bench.read_many(reg.VERSION, reg.COMMAND, reg.COM_IRQ) == bytes((level,)) * 3


@pytest.mark.parametrize("version", [0x88, 0x91, 0xB2])
def test_other_versions_tell_their_name(bench, version):
    bench.chip.version = version
    assert bench.read(reg.VERSION) == version


# ---------------------------------------------------------------- timer


@pytest.mark.parametrize(
    ("prescaler", "reload", "demod", "expected_us"),
    [
        (0x0A9, 999, 0x4D, 25_000),
        (0xD3E, 30, 0x4D, 15_503),
        (0x0A9, 999, 0x5D, 25_074),
        (0xFFF, 0xFFFF, 0x4D, 39_588_000),
    ],
)
def test_the_timer_lasts_as_long_as_the_data_sheet_says(
    bench, prescaler, reload, demod, expected_us
):
    bench.write(reg.DEMOD, demod)
    bench.timer(prescaler, reload, mode=0)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.CONTROL, 0x40)
    start_us = bench.clock.now_us
    due_us = bench.chip.due_us()
    assert due_us is not None
    assert abs(due_us - start_us - expected_us) <= expected_us // 10_000 + 1
    bench.clock.now_us = due_us - 1
    assert not bench.chip.peek(reg.COM_IRQ) & reg.TIMER_IRQ
    assert bench.chip.peek(reg.STATUS1) & 8
    bench.clock.now_us = due_us
    assert bench.chip.peek(reg.COM_IRQ) & reg.TIMER_IRQ
    assert not bench.chip.peek(reg.STATUS1) & 8


def test_the_counter_counts_down_and_stops_when_told(bench):
    bench.timer(0x0A9, 999, mode=0)
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.CONTROL, 0x40)
    bench.clock.advance_us(12_500)
    high, low = bench.read_many(reg.T_COUNTER_HI, reg.T_COUNTER_LO)
    assert abs((high << 8 | low) - 499) <= 3
    bench.write(reg.CONTROL, 0x80)
    bench.clock.advance_us(50_000)
    assert not bench.read(reg.COM_IRQ) & reg.TIMER_IRQ


def test_auto_restart_fires_again(bench):
    bench.timer(0x0A9, 999, mode=0x10)
    bench.write(reg.CONTROL, 0x40)
    for _ in range(3):
        bench.write(reg.COM_IRQ, 0x7F)
        bench.clock.advance_us(25_200)
        assert bench.read(reg.COM_IRQ) & reg.TIMER_IRQ


def test_a_dead_timer_never_fires(bench):
    bench.chip.timer_dead = True
    bench.write(reg.COM_IRQ, 0x7F)
    bench.write(reg.CONTROL, 0x40)
    bench.clock.advance_us(100_000)
    assert not bench.read(reg.COM_IRQ) & reg.TIMER_IRQ
