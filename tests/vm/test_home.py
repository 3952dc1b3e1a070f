"""A VM that crashes, hangs, loses power and comes back; and what a call costs."""

import time

import pytest

from simulator.vm import ops
from simulator.vm.bridge import VmCrashed
from simulator.vm.circuit import WiringError
from simulator.vm.home import TimePassed
from tests.vm.bench import Hardware, PowerCut

COUNTER = """
# A counter on flash: a byte of sector 0 is programmed to 0 for every step.
value = bytearray(1)
at = 0
while True:
    board.flash.read(at, value)
    if value[0] == 0xFF:
        break
    at += 1
print("found", at)
while True:
    board.wait(board.ticks_ms() + 10)
    board.flash.program(at, b"\\x00")
    at += 1
"""


def test_a_crash_tells_where(run_program):
    home = run_program("def lose():\n    raise ValueError('no such card')\nlose()\n", Hardware())
    with pytest.raises(VmCrashed) as caught:
        home.start()
    text = str(caught.value)
    assert "bench: the VM ended (status 1)" in text
    assert 'main.py", line 5, in lose' in text
    assert "ValueError: no such card" in text
    assert "no such card" in home.stderr_tail()
    with pytest.raises(VmCrashed, match="not running"):
        home.run()


def test_main_must_not_return(run_program):
    with pytest.raises(VmCrashed, match=r"main\.py returned"):
        run_program("", Hardware()).start()


def test_a_heap_too_small_is_a_crash(run_program):
    home = run_program("keep = [bytes(1000) for i in range(500)]\n", Hardware())
    with pytest.raises(VmCrashed, match="MemoryError"):
        home.start()


def test_a_firmware_that_hangs_is_a_crash(run_program):
    home = run_program("while True:\n    pass\n", Hardware(), answer_timeout_s=0.3)
    started = time.monotonic()
    with pytest.raises(VmCrashed, match=r"did not touch its hardware for 0\.3 s"):
        home.start()
    assert time.monotonic() - started < 10


def test_a_wrong_pin_is_found(run_program):
    for use, text in (
        ("Pin(17, Pin.OUT, value=1)", "pin 17 is not wired as an output"),
        ("Pin(39, Pin.OUT).value(1)", "pin 39 is not wired as an output"),
        ("Pin(4, Pin.IN).value()", "pin 4 is not wired as an input"),
        ("machine.UART(2, tx=Pin(34)).write(b'x')", "nothing listens on pin 34"),
        ("machine.ADC(Pin(34)).read_uv()", "no voltage on pin 34"),
        ("machine.SPI(1, polarity=1, sck=Pin(1), mosi=Pin(2), miso=Pin(3))", "SPI mode 0"),
    ):
        program = f"import machine\nfrom machine import Pin\n{use}\nboard.power.mains()\n"
        with pytest.raises(WiringError, match=text):
            run_program(program, Hardware()).start()


def test_an_error_of_a_model_is_not_hidden(run_program):
    class Broken(Hardware):
        def rfid_exchange(self, out):
            raise ZeroDivisionError("model")

    home = run_program("board.rfid.exchange(b'ab', bytearray(2))\n", Broken())
    with pytest.raises(ZeroDivisionError, match="model"):
        home.start()
    with pytest.raises(VmCrashed, match="not running"):
        home.run()


def test_time_may_not_pass_behind_the_firmwares_back(run_program):
    class Slow(Hardware):
        def display_write(self, data):
            self.now_us += 1

    home = run_program("board.display.write(b'x')\nboard.wait(5)\n", Slow())
    with pytest.raises(TimePassed):
        home.start()


def test_the_watchdog_bites(run_program):
    program = "board.sleep_us(31000000)\nboard.wait(board.ticks_ms())\n"
    with pytest.raises(VmCrashed, match="watchdog was not fed for 31000000 us"):
        run_program(program, Hardware()).start()


def test_the_watchdog_is_fed_while_waiting(run_program):
    hardware = Hardware()
    home = run_program("board.wait(100000)\nboard.wait(200000)\n", hardware)
    due_us = home.start()
    waits = []
    while due_us < 100_000_000:
        waits.append(due_us)
        hardware.now_us = due_us
        due_us = home.run(woken=False)
    assert waits == list(range(10_000_000, 100_000_000, 10_000_000))


def test_killed_while_it_waits_and_started_again(run_program):
    hardware = Hardware()
    home = run_program(COUNTER, hardware)
    for life in range(3):
        due_us = home.start()
        assert home.stderr_tail() == f"found {3 * life}\n"
        for _ in range(3):
            hardware.now_us = due_us
            due_us = home.run()
        home.kill()
        home.kill()
    assert hardware.flash[:10] == bytes(9) + b"\xff"


def test_a_power_cut_in_the_middle_of_a_call(run_program):
    """At every flash operation: the cut goes through to the world, the VM is dead, nothing after
    the cut has happened."""
    for cut_at in range(1, 5):
        hardware = Hardware()
        home = run_program(COUNTER, hardware)
        hardware.cut_at = cut_at
        with pytest.raises(PowerCut):
            due_us = home.start()
            for _ in range(5):
                hardware.now_us = due_us
                due_us = home.run()
        assert hardware.flash[:5].count(0) == cut_at - 1
        with pytest.raises(VmCrashed, match="not running"):
            home.run()
        home.start()
        assert home.stderr_tail() == f"found {cut_at - 1}\n"


def test_time_can_be_counted_by_the_world(run_program):
    hardware = Hardware(ticks_us=1500)
    home = run_program("while True:\n    board.wait(board.ticks_ms() + 20)\n", hardware)
    # Both clocks stand at this instant; the port's poll ends on a whole millisecond of its own.
    assert home.start(now_us=7_001_500) == 7_021_000
    hardware.now_us = 21_000
    assert home.run(7_021_000, False) == 7_041_000
    assert home.run() == 41_000


def test_blocks_larger_than_any_buffer(run_program):
    program = """
data = bytes(i * 7 & 0xFF for i in range(4096))
board.flash.erase(2)
board.flash.program(8192, data)
back = bytearray(4096)
board.flash.read(8192, back)
assert back == data
board.flash.program(8192, bytes(100))
part = bytearray(300)
board.flash.read(8100, memoryview(part)[100:])
assert part[:192] == bytes(100) + b"\\xff" * 92 and part[192:] == bytes(100) + data[100:108]
board.wait(0)
"""
    hardware = Hardware()
    run_program(program, hardware).start()
    assert hardware.log == [("erase", 2), ("program", 8192, 4096), ("program", 8192, 100)]


def test_the_heap_is_reported(run_program):
    program = """
while True:
    board.wait(board.ticks_ms() + 10)
    keep = bytes(20000)
    board.power.mains()
    keep = None
"""
    hardware = Hardware()
    home = run_program(program, hardware, probe=ops.PROBE_CALLS, heap_bytes=256 * 1024)
    for due_us in [home.start(), home.run(), home.run()]:
        hardware.now_us = due_us
    memory = home.memory()
    assert memory["heap"] > 250_000
    assert memory["live"] + memory["free"] == memory["heap"]
    # With our modules comes what the port was started with: the path of this clone is in it.
    assert 10_000 < memory["shims"] < 30_000 < memory["live"]
    assert memory["live_peak"] >= memory["live"] + 19_000
    assert memory["used_peak"] >= memory["live_peak"]


def test_what_a_call_costs(run_program, capsys):
    """Printed, never timed: the best of several runs, for the reader of the log."""
    program = """
out, into = bytearray(8), bytearray(8)
sector = bytearray(4096)
while True:
    board.wait(0)
    for i in range(200):
        board.ticks_us()
    board.wait(0)
    for i in range(200):
        board.rfid.irq()
        board.sleep_us(50)
    board.wait(0)
    for i in range(200):
        board.rfid.exchange(out, into)
    board.wait(0)
    for i in range(200):
        board.flash.read(0, sector)
"""
    home = run_program(program, Hardware())
    home.start()
    best_us = {}
    for _ in range(20):
        for what in (
            "ticks_us",
            "look at a pin and sleep",
            "SPI transaction of 8 bytes",
            "flash read of 4 KiB",
        ):
            started = time.perf_counter()
            home.run()
            cost_us = (time.perf_counter() - started) / 200 * 1e6
            best_us[what] = min(best_us.get(what, cost_us), cost_us)
    with capsys.disabled():
        print("\nbridge, us a call:", {what: round(us, 1) for what, us in best_us.items()})
    assert home.calls > 20 * 3 * 200
