"""Time as an interval: the truth stays inside, whatever the crystal does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.rules import clock
from tests.rules.tables import CLOCK

TIMES = st.integers(0, 0xFFFFFFFF * 1000)
INTERVALS = st.tuples(TIMES, st.integers(0, 10**9)).map(lambda d: (d[0], d[0] + d[1]))


@pytest.mark.parametrize(
    ("what", "arguments", "expected"), CLOCK, ids=[f"{line[0]}{line[1]}" for line in CLOCK]
)
def test_table(what, arguments, expected):
    assert getattr(clock, what)(*arguments) == expected


@given(INTERVALS, st.integers(0, 30 * 86_400_000), st.integers(-199, 199), st.data())
def test_truth_stays_inside_while_the_crystal_drifts(interval_ms, elapsed_ms, ppm, data):
    truth_ms = data.draw(st.integers(*interval_ms))
    counted_ms = elapsed_ms + elapsed_ms * ppm // 1_000_000  # what our crystal makes of it
    earliest_ms, latest_ms = clock.after(interval_ms, counted_ms)
    assert earliest_ms <= truth_ms + elapsed_ms <= latest_ms


@given(INTERVALS, st.lists(st.integers(0, 86_400_000), max_size=10))
def test_asking_more_often_only_widens(interval_ms, steps_ms):
    stepwise = interval_ms
    for step_ms in steps_ms:
        stepwise = clock.after(stepwise, step_ms)
    earliest_ms, latest_ms = clock.after(interval_ms, sum(steps_ms))
    if steps_ms:
        assert stepwise[0] <= earliest_ms <= latest_ms <= stepwise[1]


@given(TIMES, st.integers(0, 60_000), st.integers(0, 60_000))
def test_truth_is_inside_what_an_answer_proves(sent_ms, there_ms, back_ms):
    """The ledger reads whole seconds somewhere between our asking and our hearing."""
    read_s = (sent_ms + there_ms) // 1000
    heard_ms = sent_ms + there_ms + back_ms
    earliest_ms, latest_ms = clock.observed(read_s, there_ms + back_ms)
    assert earliest_ms <= heard_ms <= latest_ms


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
    for interval_ms in (clock.NEVER_SET, aged):
        assert not clock.is_known(interval_ms, 365 * 86_400_000)
    assert clock.seconds(clock.NEVER_SET) == (0, 0xFFFFFFFF)
