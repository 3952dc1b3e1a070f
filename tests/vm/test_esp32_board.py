"""firmware/boards/esp32.py in the VM: every part of the board seam."""

import random

import pytest

from protocols.rules import settings
from simulator.chips.nor_flash import NorFlash
from simulator.host.board import HostBoard
from simulator.host.hardware import Hardware as ModelledHardware
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit import WiringError, sense_uv
from simulator.world.clock import World
from simulator.world.transcript import Transcript
from tests.vm.bench import SECTOR_BYTES, SETTINGS, Hardware, printed


def test_settings_clock_and_cause(tmp_path):
    program = """
print(board.settings["device"], board.settings["site"], board.settings["policy"]["epoch"])
print(board.settings["device_key"].hex())
print(board.utc_s(), board.boot_cause, board.urandom(3).hex())
"""
    assert printed(tmp_path, program, Hardware()) == [
        "1001 north 1000",
        SETTINGS["device_key"].hex(),
        "1790000000 3 010101",
    ]


@pytest.mark.parametrize("utc", [None, 946_684_800, 1_704_067_199])
def test_a_clock_that_was_never_set_is_no_clock(tmp_path, utc):
    hardware = Hardware()
    hardware.utc = utc
    assert printed(tmp_path, "print(board.utc_s())", hardware) == ["None"]


def test_the_epoch_is_ours(tmp_path):
    hardware = Hardware()
    hardware.utc = 1_704_067_200
    program = "import time\nprint(time.time(), board.utc_s())"
    assert printed(tmp_path, program, hardware) == ["757382400 1704067200"]


def test_small_values_are_stored(tmp_path):
    program = """
print(board.stored("totals"))
board.store("totals", b"seven")
board.store("totals", b"eight bytes and more")
print(board.stored("totals"))
"""
    hardware = Hardware()
    assert printed(tmp_path, program, hardware) == ["b''", "b'eight bytes and more'"]
    assert hardware.log == [("nvs", "totals", 5), ("nvs", "totals", 20)]
    assert hardware.nvs["totals"] == b"eight bytes and more"


def test_without_settings_it_says_so(run_program):
    hardware = Hardware()
    hardware.nvs = {}
    with pytest.raises(VmCrashed, match="NotProvisioned: no settings in NVS"):
        run_program("", hardware).start()


def test_settings_too_long_for_their_place_are_not_read(run_program):
    hardware = Hardware()
    hardware.nvs = {"settings": bytes(1025)}
    with pytest.raises(VmCrashed, match="NotProvisioned"):
        run_program("", hardware).start()


def test_ticks_never_wrap(tmp_path):
    program = """
import time
print(time.ticks_us(), board.ticks_us(), board.ticks_ms())
board.sleep_us(500000)
print(time.ticks_us(), board.ticks_us(), board.ticks_ms())
"""
    start = (1 << 30) - 400_000
    assert printed(tmp_path, program, Hardware(ticks_us=start)) == [
        f"{start} {start} {start // 1000}",
        f"100000 {start + 500_000} {(start + 500_000) // 1000}",
    ]


def test_ticks_across_many_wraps(tmp_path):
    """In steps of nothing, of a half turn of the counter, and of one less than a whole turn."""
    program = """
now = 7
ticks = Ticks(lambda: now & (1 << 30) - 1)
for step in (0, 1, 1 << 29, (1 << 30) - 1, (1 << 30) - 1, 0, 5) * 3:
    now += step
    assert ticks.us() == now, (ticks.us(), now)
print(now)
"""
    total = 7 + 3 * (1 + (1 << 29) + 2 * ((1 << 30) - 1) + 5)
    assert printed(tmp_path, program, Hardware()) == [str(total)]


def test_the_ports_own_tick_arithmetic(tmp_path):
    program = """
import time
print(time.ticks_diff(5, (1 << 30) - 5), time.ticks_diff((1 << 30) - 5, 5))
"""
    assert printed(tmp_path, program, Hardware()) == ["10 -10"]


def test_the_card_front_end(tmp_path):
    program = """
into = bytearray(4)
board.rfid.exchange(b"\\x00\\x01\\x02\\x03", into)
print(into.hex(), board.rfid.irq())
out = memoryview(bytearray(b"..\\x00\\x00\\x00\\x00.."))[2:6]
board.rfid.exchange(out, memoryview(into))
print(into.hex(), board.rfid.irq())
board.rfid.reset(0)
board.rfid.reset(1)
"""
    hardware = Hardware()
    assert printed(tmp_path, program, hardware) == ["00000000 1", "00010203 0"]
    assert hardware.log == [
        ("spi", "00010203"),
        ("spi", "00000000"),
        ("reset", 0),
        ("reset", 1),
    ]


def test_a_loop_that_waits_for_a_pin(tmp_path):
    """However few round trips the shims make of it, each look sees the level of its own moment."""
    program = """
seen = []
for turn in range(6):
    seen.append((board.ticks_us(), board.rfid.irq(), board.rfid.irq(), board.power.mains()))
    board.sleep_us(40)
    seen.append((board.ticks_us(), board.rfid.irq()))
    board.sleep_us(60)
    board.rfid.exchange(bytes((0, turn & 1)), bytearray(2))
for line in seen:
    print(*line)
"""

    class Blinking(Hardware):
        """The chip asks for attention every other 70 us, and whenever its memory says so."""

        def rfid_irq(self):
            return self.now_us // 70 & 1 ^ self.memory[0]

        def mains(self):
            return self.now_us < 300

    expected = []
    for turn in range(6):
        now, bit = 100 * turn, (turn - 1) & 1 if turn else 0
        levels = [at // 70 & 1 ^ bit for at in (now, now + 40)]
        expected.append(f"{now} {levels[0]} {levels[0]} {now < 300}")
        expected.append(f"{now + 40} {levels[1]}")
    assert printed(tmp_path, program, Blinking()) == expected


def test_the_clerks_display_shares_bus_and_chip_select(tmp_path):
    """Each part gets its own transfers at its own speed, in whatever order they come."""
    program = """
into = bytearray(2)
board.lcd.write(b"\\xf8\\x30\\x00")
board.lcd.write(memoryview(b"\\xfa\\x40\\x10"))
board.rfid.exchange(b"\\x00\\x07", into)
board.lcd.write(b"\\xf8\\x00\\xc0")
board.rfid.exchange(b"\\x00\\x00", into)
print(into.hex())
"""
    hardware = Hardware()
    assert printed(tmp_path, program, hardware) == ["0007"]
    assert hardware.log == [
        ("lcd", "f83000"),
        ("lcd", "fa4010"),
        ("spi", "0007"),
        ("lcd", "f800c0"),
        ("spi", "0000"),
    ]


def test_the_clerks_display_is_never_spoken_to_too_fast(run_program):
    """At the speed of the front end it would hear noise."""
    program = "board.rfid._spi.write_readinto(bytes(2), bytearray(2))"
    with pytest.raises(WiringError, match="the ST7920 takes 1600000 Hz, not 8000000"):
        run_program(program, Hardware()).start()


def test_one_pin_tells_mains_and_case_apart(tmp_path):
    """R18.1: the switch of the case shares the pin of the mains sense; a cut wire is open."""
    program = """
for _ in range(4):
    print(board.power.mains(), board.power.is_open())
    board.sleep_us(100)
"""

    class Handled(Hardware):
        """Every 100 us somebody does something else to it."""

        def mains(self):
            return self.now_us // 100 in (0, 1)

        def is_open(self):
            return self.now_us // 100 in (1, 2)

    expected = ["True False", "True True", "False True", "False False"]
    assert printed(tmp_path, program, Handled()) == expected
    # A level that is a tenth off, by resistors, adapter and converter, is still taken for itself.
    levels = [sense_uv(mains, case) for mains in (False, True) for case in (False, True)]
    bounds = (880_000, 1_380_000, 2_210_000)
    for low, bound, high in zip(levels, bounds, levels[1:], strict=False):
        assert low * 11 < bound * 10 < high * 9, (low, bound, high)


def test_lamps_sound_display_and_power(tmp_path):
    program = """
board.led(1, 0)
board.beep(80)
board.display.write(b"\\x1bQAWELCOME\\r")
board.led(0, 1)
board.beep(400)
board.beep(3000)
print(board.power.mains(), board.power.battery_mv())
board.led(0, 0)
board.rfid.reset(0)
board.led(1, 1)
"""
    hardware = Hardware()
    hardware.on_mains = False
    assert printed(tmp_path, program, hardware) == ["False 3721"]
    assert hardware.log == [
        ("led", 1, 0),
        ("beep", 80),
        ("display", b"\x1bQAWELCOME\r"),
        ("led", 0, 1),
        ("beep", 400),
        ("beep", 3000),
        ("led", 0, 0),
        ("reset", 0),
        ("led", 1, 1),
    ]


def test_aes_is_the_standard(tmp_path):
    """FIPS 197, appendix C.1; and the same key object serves again."""
    program = """
encrypt = board.aes(bytes(range(16)))
block = bytes(i * 17 for i in range(16))
print(encrypt(block).hex())
print(encrypt(block).hex())
"""
    expected = "69c4e0d86a7b0430d8cdb78070b4c55a"
    assert printed(tmp_path, program, Hardware()) == [expected, expected]


def test_keys_wake_the_reader(run_program):
    program = """
while True:
    before = board.ticks_ms()
    board.wait(before + 25000)
    print(board.ticks_ms() - before, board.keypad.read())
"""
    hardware = Hardware()
    home = run_program(program, hardware)
    assert home.start() == 10_000_000
    hardware.now_us, hardware.keys = 12_000, b"12\r"
    assert home.run() == 10_012_000
    for due_us in (10_012_000, 20_012_000, 25_012_000):
        hardware.now_us = due_us
        home.run()
    assert home.stderr_tail().split("\n")[:-1] == ["12 b'12\\r'", "25000 b''"]


def test_a_connection(run_program):
    program = """
print(board.net.is_up())
stream = board.net.open("10.0.0.2", 1883)
print(stream.connected())
board.wait(1000)
print(stream.connected(), stream.connected())
print(stream.recv(100), stream.send(bytes(300)))
board.wait(2000)
print(stream.recv(3), stream.recv(100), stream.recv(100), stream.recv(100))
stream.close()
board.wait(3000)
"""
    hardware = Hardware()
    home = run_program(program, hardware)
    home.start()
    hardware.streams[1]["connected"] = True
    home.run()
    hardware.streams[1]["arrived"] = [b"abcdef", b"gh", b""]
    home.run()
    assert home.stderr_tail().split("\n")[:-1] == [
        "True",
        "False",
        "True True",
        "None 100",
        "b'abc' b'gh' b'' None",
    ]
    assert hardware.log == [
        ("open", "10.0.0.2", 1883),
        ("send", bytes(100)),
        ("close", 1),
    ]


def test_connections_that_fail(tmp_path):
    hardware = Hardware()
    hardware.refuse = ConnectionRefusedError(111, "refused")
    program = """
import errno
try:
    board.net.open("10.0.0.2", 1883)
except OSError as error:
    print(error.errno == errno.ECONNREFUSED)
"""
    assert printed(tmp_path, program, hardware) == ["True"]


@pytest.mark.parametrize(
    "error", [OSError("no text of the world's"), ConnectionResetError(104, "")]
)
@pytest.mark.parametrize("call", ["connected()", "send(b'x')", "recv(1)"])
def test_a_connection_that_breaks(run_program, error, call):
    program = f"""
stream = board.net.open("10.0.0.2", 1883)
board.wait(1000)
try:
    stream.{call}
    print("unbroken")
except OSError as error:
    print("broken", error.errno)
stream.close()
board.wait(2000)
"""
    hardware = Hardware()
    home = run_program(program, hardware)
    home.start()
    hardware.streams[1]["broken"] = error
    home.run()
    expected = "broken 111" if call == "connected()" else "broken 104"
    assert home.stderr_tail().split("\n")[0] == expected
    assert hardware.log[-1] == ("close", 1)


def test_wifi_if_it_has_a_name_for_it(tmp_path):
    hardware = Hardware()
    program = "import network\nprint(type(board.net._link) is network.WLAN, board.net.is_up())"
    assert printed(tmp_path, program, hardware) == ["False True"]
    hardware.nvs["wifi_ssid"] = b"campus"
    hardware.nvs["wifi_key"] = b"password"
    hardware.link_up = False
    assert printed(tmp_path, program, hardware) == ["True False"]


POWERS = """
power, net = board.power, board.net
print(power.load_ma, power.backlight is None)
for level in (1, 0, 0, 1, 2):
    net.radio(level)
if power.backlight:
    power.backlight(False)
    power.backlight(True)
"""


def test_what_a_board_with_wifi_can_save(tmp_path):
    """The radio asleep, off and on; the backlight, which is lit until it is told otherwise."""
    hardware = Hardware()
    hardware.nvs["wifi_ssid"] = b"campus"
    assert printed(tmp_path, POWERS, hardware) == ["219 False"]
    levels = [2, 1, 0, 1, 2]
    assert [entry for entry in hardware.log if entry[0] == "radio"] == [
        ("radio", level) for level in levels
    ]
    assert hardware.log[-2:] == [("backlight", 0), ("backlight", 1)]


def test_a_board_with_a_cable_has_no_pin_left(tmp_path):
    hardware = Hardware()
    assert printed(tmp_path, POWERS, hardware) == ["256 True"]
    assert hardware.log == []


def test_the_twin_of_the_board_says_the_same():
    """HostBoard reckons with the currents of the board whose place it takes."""
    for wifi, load_ma in (({}, 256), ({"wifi_ssid": b"campus"}, 219)):
        nvs = {"settings": settings.encode(SETTINGS), **wifi}
        draw = random.Random(0)
        flash = NorFlash(16 * SECTOR_BYTES, draw)
        own = ModelledHardware("pos", World(0), Transcript(), flash, nvs, draw)
        assert HostBoard(own).power.load_ma == load_ma
