"""The reader's clock: an interval that is never wrong, only more or less wide."""

import random

import pytest

from firmware.services.clock import RTC_UNCERTAINTY_MS, Clock
from protocols.rules import clock as rules

UTC_S = 1_788_494_400
HOUR_MS = 3_600_000


class Board:
    def __init__(self, utc_s):
        self._utc_s = utc_s

    def utc_s(self):
        return self._utc_s


def test_clock_that_was_never_set_knows_nothing_for_ever():
    clock = Clock(Board(None), 500)
    for now_ms in (500, HOUR_MS, 10_000 * HOUR_MS):
        assert clock.interval_ms(now_ms) == rules.NEVER_SET
    assert not rules.is_known(clock.interval_ms(HOUR_MS), 1 << 40)


def test_battery_clock_is_believed_within_half_a_minute():
    earliest_ms, latest_ms = Clock(Board(UTC_S), 7).interval_ms(7)
    assert earliest_ms == pytest.approx(UTC_S * 1000 - RTC_UNCERTAINTY_MS, abs=1)
    assert latest_ms == pytest.approx(UTC_S * 1000 + RTC_UNCERTAINTY_MS, abs=1)


def test_it_widens_with_drift_and_narrows_with_proof():
    clock = Clock(Board(UTC_S), 0)
    day_ms = 24 * HOUR_MS
    earliest_ms, latest_ms = clock.interval_ms(day_ms)
    width_ms = latest_ms - earliest_ms
    assert width_ms == pytest.approx(2 * RTC_UNCERTAINTY_MS + 2 * day_ms * 200 // 10**6, abs=4)
    clock.observe(UTC_S + 86_400, day_ms - 300, day_ms)
    earliest_ms, latest_ms = clock.interval_ms(day_ms)
    assert latest_ms - earliest_ms <= 1303
    assert earliest_ms <= (UTC_S + 86_400) * 1000 <= latest_ms


def test_first_proof_sets_a_clock_that_was_never_set():
    clock = Clock(Board(None), 0)
    clock.observe(UTC_S, 1000, 1200)
    earliest_ms, latest_ms = clock.interval_ms(1200)
    assert UTC_S * 1000 - 2 <= earliest_ms <= latest_ms <= UTC_S * 1000 + 1201


@pytest.mark.parametrize("wrong_s", [-86_400 * 400, -90, 90, 86_400 * 400])
def test_a_battery_clock_that_lies_gives_way_to_the_proof(wrong_s):
    clock = Clock(Board(UTC_S + wrong_s), 0)
    clock.observe(UTC_S, 0, 100)
    earliest_ms, latest_ms = clock.interval_ms(100)
    assert earliest_ms <= UTC_S * 1000 <= latest_ms and latest_ms - earliest_ms < 1200


def test_a_late_answer_does_not_spoil_what_is_known():
    clock = Clock(Board(None), 0)
    clock.observe(UTC_S, 900, 1000)
    known = clock.interval_ms(61_000)
    clock.observe(UTC_S + 1, 1000, 61_000)  # the round trip took a minute
    earliest_ms, latest_ms = clock.interval_ms(61_000)
    assert earliest_ms >= known[0] - 1 and latest_ms <= known[1] + 1  # rounded outward


@pytest.mark.parametrize("seed", range(20))
def test_the_truth_is_always_inside(seed):
    """Any crystal within its tolerance, any round trips, any battery clock within its own."""
    draw = random.Random(seed)
    ppm = draw.randint(-190, 190)
    now_ms, true_ms = 0, UTC_S * 1000 + draw.randrange(1000)
    clock = Clock(Board((true_ms + draw.randint(-28_000, 28_000)) // 1000), now_ms)
    for _ in range(300):
        elapsed_ms = draw.choice((5, 700, 60_000, HOUR_MS))
        now_ms += elapsed_ms
        true_ms += elapsed_ms + elapsed_ms * ppm // 10**6
        if draw.randrange(3) == 0:
            trip_ms = draw.randrange(min(elapsed_ms, 5000) + 1)
            read_ms = true_ms - draw.randrange(trip_ms + 1)
            clock.observe(read_ms // 1000, now_ms - trip_ms, now_ms)
        earliest_ms, latest_ms = clock.interval_ms(now_ms)
        assert earliest_ms <= true_ms <= latest_ms, f"seed {seed}"
