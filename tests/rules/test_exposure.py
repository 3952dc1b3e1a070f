"""What may wait at one reader without network: count, sum and age, by a clock that doubts."""

import pytest

from protocols.rules import exposure, reasons, spending

POLICY = {
    "clock_width_max_ms": 120_000,
    "offline_count_max": 3,
    "offline_sum_max_fen": 1_000,
    "offline_age_max_s": 3_600,
}
NONE = POLICY | dict.fromkeys(("offline_count_max", "offline_sum_max_fen", "offline_age_max_s"), 0)
FINE, FULL, OLD = reasons.APPROVED, reasons.OVER_READER_LIMIT, reasons.OFFLINE_TOO_LONG
NOW_S = 1_800_000_000
SURE = (NOW_S * 1000, NOW_S * 1000)


def wide(before_s, after_s):
    return ((NOW_S - before_s) * 1000, (NOW_S + after_s) * 1000)


@pytest.mark.parametrize(
    ("count", "sum_fen", "oldest_s", "amount_fen", "interval_ms", "answer"),
    [
        (0, 0, None, 1_000, SURE, FINE),
        (0, 0, None, 1_001, SURE, FULL),
        (2, 500, (NOW_S, NOW_S), 500, SURE, FINE),
        (2, 500, (NOW_S, NOW_S), 501, SURE, FULL),
        (3, 3, (NOW_S, NOW_S), 1, SURE, FULL),
        (1, 1, (NOW_S - 3_600, NOW_S), 1, SURE, FINE),
        (1, 1, (NOW_S - 3_601, NOW_S), 1, SURE, OLD),  # perhaps
        (1, 1, (NOW_S - 3_600, NOW_S), 1, wide(0, 1), OLD),  # perhaps
        # An unknown clock: only what is surely too old.
        (1, 1, (NOW_S - 9_000, NOW_S - 3_700), 1, wide(100, 9_000), FINE),
        (1, 1, (NOW_S - 9_000, NOW_S - 3_701), 1, wide(100, 9_000), OLD),
    ],
)
def test_caps_of_a_reader(count, sum_fen, oldest_s, amount_fen, interval_ms, answer):
    waits = count, sum_fen, oldest_s, amount_fen, interval_ms
    assert exposure.bar(POLICY, *waits) == answer
    assert exposure.bar(NONE, *waits) == FINE, "no cap"


def test_whoever_counts_stops_where_nothing_can_come_any_more():
    assert not exposure.is_over(POLICY, 2, 999)
    assert exposure.is_over(POLICY, 3, 0) and exposure.is_over(POLICY, 0, 1_000)
    assert not exposure.is_over(NONE, 10**6, 10**6)


@pytest.mark.parametrize(
    ("stale_s", "expired_s", "age_s", "left"),
    [
        (0, 7_200, 10**6, None),  # it does not matter
        (3_600, 7_200, 3_600, None),
        (3_600, 7_200, 3_601, 59),
        (3_600, 7_200, 7_200, 0),
        (3_600, 7_200, 9_999, 0),
        (3_600, 0, 9_999, -1),
    ],
)
def test_the_minutes_that_an_old_list_is_good_for(stale_s, expired_s, age_s, left):
    policy = {"map_stale_s": stale_s, "map_expired_s": expired_s}
    assert spending.list_left(policy, NOW_S - age_s, (NOW_S * 1000, NOW_S * 1000)) == left
