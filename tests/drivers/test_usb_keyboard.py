"""The keyboard and a PC: what the PC's program is given, whatever happens in between."""

import random

import pytest

from firmware.drivers import usb_keyboard
from firmware.drivers.usb_keyboard import UsbKeyboard
from simulator.chips import usb_host
from simulator.chips.nor_flash import NorFlash
from simulator.chips.usb_host import NUM_LOCK, UsbHost
from simulator.host.hardware import Hardware
from simulator.host.usb import HostUsb
from simulator.world.clock import World
from simulator.world.transcript import Transcript

NUMBER = "0000020001"
_NUM_LOCK_KEY, _LEFT_SHIFT = 0x53, 2


class Desk:
    """A keyboard of a reader and the PC that it hangs on."""

    def __init__(self, **pc):
        flash = NorFlash(4096, random.Random(0))
        world = World(1_790_000_000)
        self.hardware = Hardware("desk", world, Transcript(), flash, {}, random.Random(0))
        self.clock = self.hardware.clock
        self.pc = self.hardware.usb = UsbHost(self.clock, **pc)
        self.usb = HostUsb(self.hardware)
        self.keyboard = UsbKeyboard(self.usb)
        self.reports = []
        submit = self.usb.submit_xfer
        self.usb.submit_xfer = lambda *report: (
            self.reports.append(bytes(report[1])) or submit(*report)
        )

    def run(self, duration_ms):
        """Let the loop of main.py run."""
        end_us = self.clock.now_us + duration_ms * 1000
        while self.clock.now_us < end_us:
            self.usb.woken()
            now_ms = self.clock.now_us // 1000
            due_ms = min(self.keyboard.step(now_ms), now_ms + 50)
            self.clock.advance_to(min(max(due_ms, now_ms + 1) * 1000, end_us))

    def tell(self, text=NUMBER, duration_ms=2_000):
        """(whether it was told, what the program got and what stands in its field)."""
        self.keyboard.tell(text, self.clock.now_us // 1000)
        self.run(duration_ms)
        return self.keyboard.told, self.pc.lines, self.pc.field


def open_desk(**pc):
    desk = Desk(**pc)
    desk.run(400)
    assert desk.pc.complaint == ""
    return desk


# --- failures ---------------------------------------------------------------------------------


def test_a_cable_pulled_at_any_moment_enters_no_half_number():
    halves = 0
    for at_ms in range(0, 700, 7):
        desk = open_desk()
        desk.keyboard.tell(NUMBER, desk.clock.now_us // 1000)
        desk.run(at_ms)
        desk.pc.plug(False)
        desk.run(1_000)
        was_entered = desk.pc.lines == [NUMBER]
        assert desk.pc.lines in ([], [NUMBER])
        assert was_entered or desk.keyboard.told is False
        halves += bool(desk.pc.field)
        desk.pc.plug(True)
        desk.run(1_000)
        assert desk.pc.lines == [NUMBER] * was_entered, "nothing is typed late"
        assert desk.tell("0000020002") == (True, [NUMBER] * was_entered + ["0000020002"], "")
    assert halves > 20


def test_power_cut_at_any_moment_leaves_no_half_number_before_the_next():
    halves = 0
    for at_ms in range(0, 700, 13):
        desk = open_desk()
        desk.keyboard.tell("T2026010203000AB", desk.clock.now_us // 1000)
        desk.run(at_ms)
        desk.usb.active(False)  # the reader is off, and its memory gone
        before = list(desk.pc.lines)
        assert before in ([], ["T2026010203000AB"])
        halves += bool(desk.pc.field)
        desk.keyboard = UsbKeyboard(desk.usb)
        desk.run(400)
        assert desk.tell() == (True, [*before, NUMBER], "")
    assert halves > 10


def test_a_pc_asleep_gets_nothing_when_it_wakes():
    desk = open_desk()
    desk.pc.sleep(True)
    assert desk.tell() == (False, [], "")
    desk.pc.sleep(False)
    desk.run(2_000)
    assert (desk.pc.lines, desk.pc.field) == ([], "")
    assert desk.tell() == (True, [NUMBER], "")


def test_a_pc_that_falls_asleep_half_way_gets_the_rest_of_nothing():
    desk = open_desk()
    desk.keyboard.tell(NUMBER, desk.clock.now_us // 1000)
    desk.run(370)
    desk.pc.sleep(True)
    desk.run(1_000)
    half = desk.pc.field
    assert desk.keyboard.told is False and half and NUMBER.startswith(half)
    desk.pc.sleep(False)
    desk.run(1_000)
    assert (desk.pc.lines, desk.pc.field) == ([], half)
    assert desk.tell() == (True, [NUMBER], "")


def test_without_a_pc_it_says_so_at_once():
    desk = Desk()
    desk.pc.plug(False)
    desk.run(400)
    assert desk.tell(duration_ms=300) == (False, [], "")


def test_num_lock_that_goes_off_within_a_number_ends_it_without_enter():
    for at_ms in range(20, 600, 17):
        desk = open_desk()
        desk.keyboard.tell(NUMBER, desk.clock.now_us // 1000)
        desk.run(at_ms)
        desk.pc.press(_NUM_LOCK_KEY)
        desk.run(2_000)
        assert desk.pc.lines in ([], [NUMBER])
        assert desk.keyboard.told is (desk.pc.lines == [NUMBER])


@pytest.mark.parametrize("entered", [True, False])
def test_who_says_nothing_of_num_lock_is_typed_nothing(entered):
    desk = Desk(num_lock=entered)
    desk.pc.has_leds = False
    desk.run(400)
    assert desk.tell() == (False, [], "")


def test_a_device_that_is_no_keyboard_is_not_opened():
    desk = Desk()
    wrong = bytearray(usb_keyboard.CONFIGURATION)
    wrong[16] = 2  # a mouse
    desk.hardware.usb_config(desk.usb.BUILTIN_NONE.desc_dev, bytes(wrong))
    desk.run(400)
    assert "boot keyboard" in desk.pc.complaint
    assert desk.tell() == (False, [], "")


# --- what it is for ---------------------------------------------------------------------------


@pytest.mark.parametrize("layout", usb_host.LAYOUTS)
@pytest.mark.parametrize("num_lock", [True, False])
def test_digits_are_the_same_in_every_layout(layout, num_lock):
    desk = open_desk(layout=layout, num_lock=num_lock)
    assert desk.tell("1234567890") == (True, ["1234567890"], "")
    assert desk.pc.num_lock


@pytest.mark.parametrize("caps_lock", [True, False])
@pytest.mark.parametrize(
    ("layout", "seen"), [("us", "01234ABCDEF"), ("de", "01234ABCDEF"), ("fr", "01234QBCDEF")]
)
def test_letters_are_those_of_the_layout_s_keys(layout, seen, caps_lock):
    desk = open_desk(layout=layout)
    desk.pc.caps_lock = caps_lock
    desk.pc.plug(False)
    desk.pc.plug(True)  # the PC tells the locks anew
    desk.run(400)
    assert desk.tell("01234ABCDEF") == (True, [seen], "")


def test_a_key_goes_down_and_up_before_the_next():
    desk = open_desk()
    assert desk.tell() and not desk.reports.clear()
    assert desk.tell("11A")[0]
    downs = [report for report in desk.reports if any(report)]
    assert [(report[0], report[2]) for report in downs] == [
        (0, 0x59),
        (0, 0x59),
        (_LEFT_SHIFT, 0x04),
        (0, 0x58),
    ]
    assert desk.reports[0::2] == [bytes(8)] * len(desk.reports[0::2])
    assert all(len(report) == usb_keyboard.REPORT_BYTES for report in desk.reports)


def test_how_long_a_number_takes():
    desk = open_desk()
    assert desk.tell()[0]  # behind a boot the field is emptied first
    began_us = desk.clock.now_us
    desk.keyboard.tell(NUMBER, began_us // 1000)
    while desk.keyboard.told is None:
        desk.run(1)
    duration_ms = (desk.clock.now_us - began_us) // 1000
    print(f"a number of ten digits: {duration_ms} ms")
    assert duration_ms < 500


def test_the_pc_hears_of_its_own_locks():
    desk = open_desk()
    assert desk.keyboard._leds == NUM_LOCK
    desk.pc.press(_NUM_LOCK_KEY)
    desk.run(100)
    assert desk.keyboard._leds == 0
