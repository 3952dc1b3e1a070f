"""Time as an interval: the truth stays inside, whatever the crystal does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import clock
from tests.rules.tables import CLOCK

TIMES = st.integers(0, 0xFFFFFFFF * 1000)
DAY_US = 86_400_000_000
PPM = st.integers(-199, 199)
INTERVALS = st.tuples(TIMES, st.integers(0, 10**9)).map(lambda d: (d[0], d[0] + d[1]))


@pytest.mark.parametrize(
    ("what", "arguments", "expected"), CLOCK, ids=[f"{line[0]}{line[1]}" for line in CLOCK]
)
def test_table(what, arguments, expected):
    assert getattr(clock, what)(*arguments) == expected


@given(INTERVALS, st.integers(0, 30 * DAY_US), PPM, st.integers(0, 999), st.data())
def test_truth_stays_inside_while_the_crystal_drifts(interval_ms, elapsed_us, ppm, odd_us, data):
    """To the microsecond: both clocks are read in whole milliseconds."""
    truth_us = data.draw(st.integers(interval_ms[0] * 1000, interval_ms[1] * 1000 + 999))
    counted_us = elapsed_us * (1_000_000 + ppm) // 1_000_000  # what our crystal makes of it
    counted_ms = (odd_us + counted_us) // 1000 - odd_us // 1000
    earliest_ms, latest_ms = clock.after(interval_ms, counted_ms)
    assert earliest_ms <= (truth_us + elapsed_us) // 1000 <= latest_ms
    assert earliest_ms >= interval_ms[0]


@given(INTERVALS, st.lists(st.integers(0, 86_400_000), max_size=10))
def test_asking_more_often_only_widens(interval_ms, steps_ms):
    stepwise = interval_ms
    for step_ms in steps_ms:
        stepwise = clock.after(stepwise, step_ms)
    earliest_ms, latest_ms = clock.after(interval_ms, sum(steps_ms))
    if steps_ms:
        assert stepwise[0] <= earliest_ms <= latest_ms <= stepwise[1]


@given(TIMES, st.integers(0, 30 * DAY_US), st.integers(0, 10**6), PPM, st.integers(0, 999))
def test_truth_is_inside_what_an_answer_proves(sent_ms, there_us, back_us, ppm, odd_us):
    """The ledger reads whole seconds somewhere between our asking and our hearing.

    A receipt may be two weeks late: what our own crystal lost meanwhile counts too.
    """
    read_us = sent_ms * 1000 + there_us
    heard_us = read_us + back_us
    counted_us = (heard_us - sent_ms * 1000) * (1_000_000 + ppm) // 1_000_000
    trip_ms = (odd_us + counted_us) // 1000 - odd_us // 1000
    earliest_ms, latest_ms = clock.observed(read_us // 1_000_000, trip_ms)
    assert earliest_ms <= heard_us // 1000 <= latest_ms


# -- what a boot believes -----------------------------------------------------------------------

SINCE = st.integers(0, 90_000 * 1000)  # ms between a receipt and a boot, up to more than a day
RATES = st.integers(-50_000, 50_000)  # of an RC clock, in ppm
RTC_MS = st.integers(clock.BUILT_S * 1000, clock.NEVER_MS // 2)


def rtc_at(rtc_ms, elapsed_ms, ppm, step_s=0):
    """What a battery clock reads (s) `elapsed_ms` after it read `rtc_ms`."""
    return (rtc_ms + elapsed_ms * (1_000_000 + ppm) // 1_000_000) // 1000 + step_s


RESET_CLOCK = clock.CLAIM_S_MAX, clock.RTC_DRIFT_PPM


@given(RTC_MS, RTC_MS, st.integers(0, 5_000), SINCE, RATES, st.data())
def test_a_battery_clock_that_runs_within_its_tolerance_tells_no_lie(
    truth_ms, rtc_ms, width_ms, elapsed_ms, ppm, data
):
    """However wrong it is, and whatever floor is below the truth."""
    before_ms = data.draw(st.integers(0, width_ms))
    proven = clock.seconds((truth_ms - before_ms, truth_ms - before_ms + width_ms))
    floor_s = data.draw(st.integers(clock.BUILT_S, (truth_ms + elapsed_ms) // 1000))
    interval_ms = clock.claimed(
        rtc_at(rtc_ms, elapsed_ms, ppm), (rtc_ms // 1000, *proven), floor_s, *RESET_CLOCK
    )
    assert floor_s * 1000 <= interval_ms[0] <= truth_ms + elapsed_ms <= interval_ms[1]
    if elapsed_ms < 80_000_000:
        assert interval_ms[1] - interval_ms[0] <= 10_000 + elapsed_ms * 13 // 100


@given(RTC_MS, SINCE, st.integers(-315_360_000, 315_360_000), st.data())
def test_a_step_moves_the_reader_by_less_than_a_day(truth_ms, elapsed_ms, step_s, data):
    """The most a step can do while the reader is off: no reader alone can tell it from time."""
    proven = clock.seconds((truth_ms - 1000, truth_ms))
    floor_s = data.draw(st.integers(proven[0], (truth_ms + elapsed_ms) // 1000))
    rtc_s = rtc_at(truth_ms, elapsed_ms, 0, step_s)
    interval_ms = clock.claimed(rtc_s, (truth_ms // 1000, *proven), floor_s, *RESET_CLOCK)
    true_s = (truth_ms + elapsed_ms) // 1000
    if interval_ms[0] <= true_s * 1000 + 999 and true_s * 1000 <= interval_ms[1]:
        return
    off_s = min(abs(interval_ms[end] // 1000 - true_s) for end in (0, 1))
    assert off_s <= min(abs(step_s), clock.CLAIM_S_MAX) + 3
    assert interval_ms[0] >= floor_s * 1000  # and never into the past of what is on record


@given(RTC_MS, st.integers(0, 400 * 86_400_000), st.integers(-9, 9), st.data())
def test_a_crystal_of_its_own_is_believed_for_a_year_and_tells_no_lie(
    truth_ms, elapsed_ms, ppm, data
):
    proven = clock.seconds((truth_ms - 1000, truth_ms))
    floor_s = data.draw(st.integers(clock.BUILT_S, (truth_ms + elapsed_ms) // 1000))
    crystal = clock.CRYSTAL_CLAIM_S_MAX, clock.CRYSTAL_DRIFT_PPM
    rtc_s = rtc_at(truth_ms, elapsed_ms, ppm)
    interval_ms = clock.claimed(rtc_s, (truth_ms // 1000, *proven), floor_s, *crystal)
    assert floor_s * 1000 <= interval_ms[0] <= truth_ms + elapsed_ms
    if rtc_s - truth_ms // 1000 <= clock.CRYSTAL_CLAIM_S_MAX:
        assert truth_ms + elapsed_ms <= interval_ms[1]
        assert interval_ms[1] - interval_ms[0] <= 6_000 + elapsed_ms * 21 // 1_000_000


@pytest.mark.parametrize("step_s", [-315_360_000, -86_400, -3600, 86_400, 315_360_000])
@pytest.mark.parametrize("elapsed_s", [1, 1800, 3599])
def test_steps_that_are_disbelieved(step_s, elapsed_s):
    """Back beyond the last receipt, or on by a day or more."""
    truth_s = clock.BUILT_S + 5_000_000
    rtc_s = truth_s + elapsed_s + step_s
    interval_ms = clock.claimed(rtc_s, (truth_s, truth_s, truth_s + 1), truth_s, *RESET_CLOCK)
    assert interval_ms == (truth_s * 1000, clock.NEVER_MS)


@given(INTERVALS, INTERVALS, st.data())
def test_narrowing_keeps_the_truth_and_widens_nothing(interval_ms, proof_ms, data):
    result = clock.narrowed(interval_ms, proof_ms)
    assert result[0] <= result[1]
    assert proof_ms[0] <= result[0] <= result[1] <= proof_ms[1]
    low, high = max(interval_ms[0], proof_ms[0]), min(interval_ms[1], proof_ms[1])
    if low <= high:
        truth_ms = data.draw(st.integers(low, high))
        assert result[0] <= truth_ms <= result[1]
        assert interval_ms[0] <= result[0] <= result[1] <= interval_ms[1]
    else:
        assert result == proof_ms


@given(st.integers(-(1 << 50), 1 << 50), st.integers(0, 1 << 50))
def test_seconds_are_rounded_outward_and_fit_a_record(earliest_ms, width_ms):
    earliest_s, latest_s = clock.seconds((earliest_ms, earliest_ms + width_ms))
    assert 0 <= earliest_s <= latest_s <= 0xFFFFFFFF
    if earliest_ms >= 0 and earliest_ms + width_ms <= 0xFFFFFFFF * 1000:
        assert earliest_s * 1000 <= earliest_ms
        assert earliest_ms + width_ms <= latest_s * 1000


def test_a_clock_nobody_has_set_is_known_to_nobody():
    aged = clock.after(clock.NEVER_SET, 86_400_000)
    floored = clock.claimed(None, None, clock.BUILT_S, *RESET_CLOCK)
    for interval_ms in (clock.NEVER_SET, aged, floored):
        assert not clock.is_known(interval_ms, 365 * 86_400_000)
    assert clock.seconds(clock.NEVER_SET) == (0, 0xFFFFFFFF)
