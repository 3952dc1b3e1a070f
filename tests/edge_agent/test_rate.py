"""How often a source is heard, and from when on it floods."""

from edge_agent.rate import (
    BUCKETS_MAX,
    BURST,
    FLOOD,
    FLOODS,
    HEARD,
    MESSAGES_PER_S,
    NOT_HEARD,
    Rate,
)
from protocols.wire.messages import BATCH_BYTES_MAX

A, B = ("network", "a"), ("network", "b")
SMALL = 100


def _verdicts(rate, source, times_ms, size_bytes=SMALL):
    return [rate.judge(source, size_bytes, now_ms) for now_ms in times_ms]


def test_a_burst_is_heard_then_not_then_it_is_a_flood_and_nobody_else_is():
    rate = Rate()
    verdicts = _verdicts(rate, A, [0] * (BURST + FLOOD + 5))
    assert verdicts == [HEARD] * BURST + [NOT_HEARD] * (FLOOD - 1) + [FLOODS] * 6
    assert rate.judge(B, SMALL, 0) == HEARD


def test_what_fills_again_is_a_second_of_messages_behind_the_debt():
    rate = Rate()
    _verdicts(rate, A, [0] * 10_000)
    paid_ms = FLOOD * 1_000 // MESSAGES_PER_S
    assert rate.judge(A, SMALL, paid_ms - 1) != HEARD
    assert _verdicts(rate, A, [60_000] * BURST) == [HEARD] * BURST


def test_a_reader_at_its_fastest_is_heard_for_an_hour():
    """It waits for the answer to each: a hundred a second on a fast network."""
    rate = Rate()
    assert set(_verdicts(rate, A, range(0, 3_600_000, 10), BATCH_BYTES_MAX - 1)) == {HEARD}


def test_one_that_is_hardly_above_the_bound_floods_in_the_end():
    rate = Rate()
    verdicts = _verdicts(rate, A, range(0, 30_000, 4))  # 250 a second
    assert verdicts[-1] == FLOODS
    assert verdicts[:BURST] == [HEARD] * BURST


def test_large_messages_are_paid_for_by_their_size():
    rate = Rate()
    verdicts = _verdicts(rate, A, [0] * 10, size_bytes=30 * BATCH_BYTES_MAX)
    assert verdicts[:6] == [HEARD] * 6
    assert verdicts[-1] == FLOODS


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    rate = Rate()
    assert _verdicts(rate, A, [5_000] * (BURST + 1)).count(HEARD) == BURST
    assert rate.judge(A, SMALL, 4_000) == NOT_HEARD


def test_invented_devices_do_not_fill_the_memory():
    rate = Rate()
    for device in range(3 * BUCKETS_MAX):
        assert rate.judge(("network", str(device)), SMALL, 0) == HEARD
    assert len(list(rate.sources())) <= BUCKETS_MAX
