"""Speech: frames that the module takes, of amount and result only, on a line with two ears."""

import random

import pytest

from firmware.drivers import syn6288
from firmware.drivers.pole_display import PoleDisplay
from protocols.rules import money, reasons
from simulator.chips import cd5220
from simulator.chips.syn6288 import CHARACTER_US, HEARD, LENGTH_MAX, REFUSED, Syn6288
from simulator.host.hardware import Panel
from tests.firmware.counter import Counter, new_card
from tests.firmware.test_pos import Online
from tests.firmware.test_pos_cancel import Window

BYTE_US = 10 * 1_000_000 // 9600
LINE_BYTES = 256  # of the transmit buffer (boards/esp32.py): what is more would wait


class Clock:
    now_us = 0


def said(reader):
    return [speech.text for speech in reader.hardware.voice.spoken]


def speaking(make=Counter, volume=8, **options):
    return make(own={"speech": volume}, **options)


# --- the frame ----------------------------------------------------------------------------------


@pytest.mark.parametrize("volume", [1, 16])
@pytest.mark.parametrize("amount_fen", [1, 350, money.FEN_MAX])
def test_a_frame_is_one_that_the_module_takes(volume, amount_fen):
    words = {"扣款": syn6288.TAKEN, "撤销": syn6288.UNDONE, "失败": syn6288.FAILED}
    amount = money.format_yuan(amount_fen)
    for word, gb2312 in words.items():
        assert word.encode("gb2312") == gb2312
        frame = syn6288.frame(volume, gb2312, amount)
        module = Syn6288(Clock())
        module.write(frame)
        (speech,) = module.spoken
        assert (speech.text, speech.volume) == (f"{word}{amount}元", volume)
        assert module.answers == bytes((HEARD,)) and len(frame) <= 33
        # Neither command of the display that stands around it is in it.
        assert b"\x1b=" not in frame


def test_the_module_takes_no_broken_frame():
    frame = syn6288.frame(8, syn6288.TAKEN, "12.50")
    for at in range(1, len(frame)):
        module = Syn6288(Clock())
        module.write(frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1 :] + bytes(300))
        assert module.spoken == [] and module.answers[:1] == bytes((REFUSED,)), at
    module = Syn6288(Clock())
    module.write(b"\xfd" + (LENGTH_MAX + 1).to_bytes(2, "big"))
    assert module.answers == bytes((REFUSED,))


def test_half_a_frame_is_forgotten_and_the_next_one_ends_what_is_spoken():
    clock = Clock()
    module = Syn6288(clock)
    frame = syn6288.frame(8, syn6288.TAKEN, "12.50")
    module.write(frame[:9])
    clock.now_us = 1_000_000
    module.write(frame)
    assert len(module.spoken) == 1
    clock.now_us += 3 * CHARACTER_US
    module.write(frame)
    first, second = module.spoken
    assert first.until_us == second.time_us < first.time_us + 6 * CHARACTER_US


# --- the line -----------------------------------------------------------------------------------


def test_the_display_looks_away_and_shows_the_same_again():
    panel, written = Panel(), []

    class Uart:
        def write(self, data):
            written.append(bytes(data))
            cd5220.show(panel, data)

    display = PoleDisplay(Uart())
    display.show("PAID 12.50", "BALANCE 87.50")
    written.clear()
    display.pass_on(syn6288.frame(8, syn6288.TAKEN, "12.50"))
    assert panel.lines == ["PAID 12.50", "BALANCE 87.50"] and not panel.looks_away
    assert len(b"".join(written)) <= 90
    # One that does not obey while it shows lines has them written anew all the same.
    assert written[-2:] == [b"\x1bQAPAID 12.50\r", b"\x1bQBBALANCE 87.50\r"]


def waiting_most(counter):
    """The most bytes that ever waited on the line, of what was written to it and when."""
    most, waits, at_us = 0, 0.0, 0
    for time_us, data in counter.written:
        waits = max(waits - (time_us - at_us) / BYTE_US, 0) + len(data)
        most, at_us = max(most, int(waits)), time_us
    return most


def test_nothing_waits_for_the_line():
    """Forty sales in a row, and nobody in between: what is said fits the buffer."""
    counter, draw = speaking(language="zh"), random.Random(34)
    counter.written = []
    add = counter.witness.add

    def noted(time_us, who, what, data=b""):
        add(time_us, who, what, data)
        if what == "display":
            counter.written.append((time_us, data))

    counter.hardware.transcript.add = noted
    for number in range(40):
        counter.key(b"%d.%d5\r" % (draw.randrange(10, 60), draw.randrange(10)))
        counter.tap(new_card(number + 1, balance_fen=draw.choice((100, 9_999))), hold_ms=250)
    assert len(counter.hardware.voice.spoken) == 40
    assert waiting_most(counter) <= LINE_BYTES, waiting_most(counter)


def test_a_tap_takes_as_long_as_in_silence():
    took = []
    for options in ({}, {"own": {"speech": 8}}):
        counter = Counter(**options)
        counter.key(b"12.50\r")
        counter.put(new_card())
        counter.run_ms(700)
        took.append(counter.witness.beeps[0][0])
    assert took[0] == took[1]


# --- what is said -------------------------------------------------------------------------------


def test_taken_cancelled_and_failed():
    window, card = speaking(Window), new_card(balance_fen=5_000)
    window.sell("12.50", card)
    window.key(b"F7")
    window.tap(card)
    window.run_ms(3_000)
    window.sell("49.99", card)
    assert said(window) == ["扣款12.50元", "撤销12.50元", "失败"]
    assert {speech.volume for speech in window.hardware.voice.spoken} == {8}


def test_a_question_a_key_and_a_barred_reader_say_nothing():
    window = speaking(Window)
    window.sell("12.50", new_card(1), new_card(2))
    window.key(b"\x1b0\rF5\x1bF9\x1bT\x1b")
    window.hardware.case_is_open = True
    window.run_ms(2_000)
    assert window.shown == reasons.display(reasons.CASE_OPENED)
    assert said(window) == [] and window.hardware.voice.answers == b""


def test_on_battery_it_is_silent():
    counter = speaking()
    counter.pos._uplink = Online()
    counter.hardware.set_mains(False)
    counter.run_ms(1_000)
    assert counter.sell("12.50", new_card()) == "PAID 12.50"
    counter.hardware.set_mains(True)
    counter.run_ms(3_000)
    assert said(counter) == []
    assert counter.sell("3", new_card(2)) == "PAID 3.00" and said(counter) == ["扣款3.00元"]


def test_without_the_setting_nothing_is_ever_said():
    counter = Counter()
    counter.sell("12.50", new_card())
    assert said(counter) == [] and "\x1b=" not in "".join(counter.witness.texts)
