"""The reader's clock: an interval that is never wrong, only more or less wide."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.services.clock import KEEP_MS, KEPT_KEY, Clock
from firmware.services.journal import Journal, JournalFull
from firmware.services.records import Recorder
from protocols.rules import clock as rules
from protocols.wire import messages
from tests.firmware.ring import PlainFlash

UTC_S = 1_788_494_400
HOUR_MS = 3_600_000
DAY_S = 86_400
YEAR_S = 365 * DAY_S
WIDTH_MAX_MS = 300_000


class Board:
    """A board of which only the battery clock matters."""

    def __init__(self, utc_s):
        self.rtc_s = utc_s

    def utc_s(self):
        return self.rtc_s


def knowing(journal, utc_s=UTC_S):
    """A clock that has just heard a receipt, at `now_ms` 0."""
    clock = Clock(Board(utc_s), journal, 0)
    clock.observe(utc_s, 0, 0)
    return clock


class Reader:
    """A reader with its journal, in a world that knows the true time.

    The battery clock is wrong by `rtc_off_ms`, runs at `rtc_ppm` and may be stepped; the crystal
    runs at `ppm`. `true_us` is the truth.
    """

    def __init__(self, ppm=0, rtc_ppm=0, rtc_off_ms=0, rtc_is_set=True):
        self.true_us = UTC_S * 1_000_000 + 123_456
        self._ppm, self._rtc_ppm = ppm, rtc_ppm
        self._rtc_us = self.true_us + rtc_off_ms * 1000
        self._rtc_is_set = rtc_is_set
        self._mono_us = 0
        self._flash = PlainFlash(6)
        self._sent_ms = []
        self.boot()

    def boot(self, off_us=0):
        """Power is away for a while."""
        self._pass(off_us)
        self._mono_us = 0
        self._sent_ms = []
        self.journal = Journal(self._flash)
        self.journal.recover()
        self.board = Board(self._rtc_us // 1_000_000 if self._rtc_is_set else None)
        self.clock = Clock(self.board, self.journal, self.now_ms)
        self._recorder = Recorder(self.journal, 1001, bytes(32), self.clock)

    def step_rtc(self, step_s):
        self._rtc_us += step_s * 1_000_000

    def wait(self, duration_us):
        """Awake: the crystal counts."""
        self._pass(duration_us)
        self._mono_us += duration_us * (1_000_000 + self._ppm) // 1_000_000
        if self._rtc_is_set:
            self.board.rtc_s = self._rtc_us // 1_000_000

    def _pass(self, duration_us):
        self.true_us += duration_us
        self._rtc_us += duration_us * (1_000_000 + self._rtc_ppm) // 1_000_000

    @property
    def now_ms(self):
        return self._mono_us // 1000

    def receipt(self, there_us=50_000, back_us=50_000):
        """Something is sent, the ledger reads its clock, and the answer is on its way back."""
        sent_ms = self.now_ms
        self.wait(there_us)
        time_s = self.true_us // 1_000_000
        self.wait(back_us)
        self.clock.observe(time_s, sent_ms, self.now_ms)
        return time_s, sent_ms

    def write(self):
        self._recorder.note(messages.POWER, self.now_ms, source=messages.MAINS, battery_mv=4000)
        self._recorder.receipt(self.journal.head_seq)  # makes room, and tells no time

    def interval_ms(self):
        return self.clock.interval_ms(self.now_ms)

    def is_right(self):
        earliest_ms, latest_ms = self.interval_ms()
        return earliest_ms <= self.true_us // 1000 <= latest_ms

    def is_sure(self):
        return rules.is_known(self.interval_ms(), WIDTH_MAX_MS)


# -- battery clocks that lie ----------------------------------------------------------------


@pytest.mark.parametrize("utc_s", [None, 0, 946_684_800, UTC_S, UTC_S + 10 * YEAR_S])
def test_a_battery_clock_no_receipt_has_confirmed_is_not_believed(utc_s):
    """Never set, 1970, the port's 2000, even the right time: who has set it?"""
    journal = Journal(PlainFlash(4))
    journal.recover()
    clock = Clock(Board(utc_s), journal, 500)
    for now_ms in (500, HOUR_MS, 10_000 * HOUR_MS):
        earliest_ms, latest_ms = clock.interval_ms(now_ms)
        assert earliest_ms >= rules.BUILT_S * 1000 and latest_ms >= rules.NEVER_MS
        assert not rules.is_known((earliest_ms, latest_ms), 1 << 40)


@pytest.mark.parametrize("step_s", [-10 * YEAR_S, -DAY_S, -3600, DAY_S, 10 * YEAR_S])
def test_a_battery_clock_that_was_stepped_is_not_believed(step_s):
    reader = Reader()
    reader.receipt()
    reader.step_rtc(step_s)
    reader.boot(60_000_000)
    assert not reader.is_sure() and reader.is_right()


@pytest.mark.parametrize("rtc_is_set", [False, True])
def test_a_battery_clock_that_lost_its_time_leaves_the_floor(rtc_is_set):
    """Its cell was taken out: it starts in 2000, or says that it was never set."""
    reader = Reader()
    reader.receipt()
    reader.step_rtc(946_684_800 - UTC_S)
    reader._rtc_is_set = rtc_is_set
    reader.boot(HOUR_MS * 1000)
    assert not reader.is_sure() and reader.is_right()
    assert reader.interval_ms()[0] >= UTC_S * 1000 - 2


def test_the_newest_record_is_a_floor():
    """The battery clock went back to before a record that came after the last receipt."""
    reader = Reader()
    reader.receipt()
    reader.wait(5 * HOUR_MS * 1000)
    reader.write()
    reader.step_rtc(-4 * 3600)  # still later than at the receipt
    reader.boot(1_000_000)
    assert not reader.is_sure() and reader.is_right()
    assert reader.interval_ms()[0] >= (UTC_S + 5 * 3600 - 10) * 1000


def test_a_step_forward_by_hours_is_put_right_by_the_next_receipt_for_good():
    """While off it cannot be told from time. Records it has dated do not outlive the proof."""
    reader = Reader()
    reader.receipt()
    reader.step_rtc(20 * 3600)
    reader.boot(60_000_000)
    reader.write()  # dated 20 hours ahead
    assert not reader.is_right()
    reader.receipt()
    assert reader.is_right() and reader.is_sure()
    for _ in range(3):
        reader.boot(60_000_000)
        assert reader.is_right() and reader.is_sure()
        reader.write()


@pytest.mark.parametrize("wrong_s", [-200 * DAY_S, -90, 90, 400 * DAY_S])
def test_a_wrong_battery_clock_serves_once_it_is_confirmed(wrong_s):
    """What counts is how far it went since a receipt, not what it says."""
    reader = Reader(rtc_off_ms=wrong_s * 1000)
    reader.receipt()
    assert reader.is_right() and reader.is_sure()
    reader.boot(600_000_000)
    assert reader.is_right() and reader.is_sure()


def test_a_ledger_that_has_lost_its_own_time_proves_nothing():
    reader = Reader()
    reader.receipt()
    before = reader.interval_ms()
    reader.clock.observe(5, reader.now_ms, reader.now_ms)
    assert reader.interval_ms() == before


def test_a_full_journal_keeps_nothing_and_harms_nothing():
    reader = Reader()
    with pytest.raises(JournalFull):
        while True:
            reader._recorder.write(messages.POWER, 0, source=0, battery_mv=4000)
    while True:
        try:
            reader.journal.keep(7, bytes([len(reader.journal.kept(7))]) * 60)
            reader.journal.keep(7, b"")
        except JournalFull:
            break
    reader.receipt()
    assert reader.is_sure() and reader.is_right()


# -- proof ----------------------------------------------------------------------------------


def test_it_widens_with_drift_and_narrows_with_proof():
    reader = Reader()
    reader.receipt()
    day_ms = 24 * HOUR_MS
    reader.wait(day_ms * 1000)
    earliest_ms, latest_ms = reader.interval_ms()
    width_ms = latest_ms - earliest_ms
    assert width_ms == pytest.approx(1100 + 2 * day_ms * 200 // 10**6, abs=10)
    reader.receipt(100_000, 200_000)
    earliest_ms, latest_ms = reader.interval_ms()
    assert latest_ms - earliest_ms <= 1305
    assert reader.is_right()


def test_a_late_answer_does_not_spoil_what_is_known():
    reader = Reader(rtc_is_set=False)
    reader.receipt()
    reader.wait(1_000_000)
    known = reader.clock.interval_ms(reader.now_ms + 61_000)
    reader.receipt(1_000_000, 60_000_000)
    earliest_ms, latest_ms = reader.interval_ms()
    assert earliest_ms >= known[0] - 4 and latest_ms <= known[1] + 4  # rounded outward


def test_little_is_written():
    """Four times an hour at most, however many receipts come."""
    reader, kept = Reader(), set()
    for _ in range(3 * 3600):
        reader.receipt(500_000, 500_000)
        kept.add(reader.journal.kept(KEPT_KEY))
    assert len(kept) == 3 * HOUR_MS // KEEP_MS


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 10**10) | st.integers(0, 10**6)),
        st.tuples(st.just("boot"), st.integers(0, 2 * DAY_S * 10**6)),
        st.tuples(st.just("receipt"), st.integers(0, 10**10) | st.integers(0, 10**6)),
        st.tuples(st.just("repeated"), st.integers(0, 2)),
        st.tuples(st.just("write"), st.none()),
        st.tuples(st.just("dead cell"), st.none()),
    ),
    max_size=25,
)


@given(
    STEPS,
    st.integers(-199, 199),
    st.integers(-50_000, 50_000),
    st.integers(-400 * DAY_S, 400 * DAY_S),
)
@settings(deadline=None)
def test_the_truth_is_always_inside(steps, ppm, rtc_ppm, wrong_s):
    """Any crystal, any RC clock within its tolerance, any receipts: late, again, reordered."""
    reader = Reader(ppm, rtc_ppm, wrong_s * 1000)
    heard = []
    for what, value in steps:
        if what == "wait":
            reader.wait(value)
        elif what == "boot":
            heard = []
            reader.boot(value)
        elif what == "receipt":
            heard.append(reader.receipt(value // 3, value - value // 3))
        elif what == "repeated" and heard:
            reader.clock.observe(*heard[value % len(heard)], reader.now_ms)
        elif what == "write":
            reader.write()
        elif what == "dead cell":
            reader._rtc_us = 946_684_800_000_000
        assert reader.is_right()


@pytest.mark.parametrize("seed", range(20))
def test_after_any_steps_the_next_receipt_makes_it_right_for_good(seed):
    """A battery clock somebody plays with, at any time: what it can do ends with a receipt."""
    draw = random.Random(seed)
    reader = Reader(rtc_ppm=draw.randint(-50_000, 50_000))
    is_confirmed = False
    for _ in range(200):
        act = draw.randrange(5)
        if act == 0:
            reader.boot(draw.randrange(2 * HOUR_MS) * 1000)
        elif act == 1:
            reader.step_rtc(draw.choice((-10 * YEAR_S, -3600, -1, 1, 3600, 10 * YEAR_S)))
            is_confirmed = False
        elif act == 2:
            reader.write()
        elif act == 3:
            reader.wait(draw.randrange(HOUR_MS) * 1000)
        else:
            reader.wait(KEEP_MS * 1000)
            reader.receipt()
            is_confirmed = True
        assert reader.is_right() or not is_confirmed, f"seed {seed}"
