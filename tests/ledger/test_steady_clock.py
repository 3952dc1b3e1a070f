"""Nothing is older than the monotonic clock says, whatever is done to the one on the wall."""

import random

import pytest

from ledger.steady_clock import SteadyClock

HOURS_S, DAY_S, NOW_S = 72 * 3600, 86_400, 1_790_000_000


class Clocks:
    """A wall and a monotonic clock; `look` is what the ledger makes of them."""

    def __init__(self):
        self.wall_s, self.monotonic_s = NOW_S, 5
        steady = SteadyClock(lambda: self.wall_s, lambda: self.monotonic_s, HOURS_S)
        self.look = steady.now_s

    def go_on(self, length_s):
        self.wall_s += length_s
        self.monotonic_s += length_s
        return self.look()


def test_a_wall_that_nobody_sets_is_the_time():
    clocks = Clocks()
    assert [clocks.go_on(length_s) for length_s in (0, 60, 9 * DAY_S)] == [
        NOW_S,
        NOW_S + 60,
        NOW_S + 60 + 9 * DAY_S,
    ]


@pytest.mark.parametrize("ahead_s", [1, DAY_S, 4 * DAY_S, 20_000 * DAY_S])
def test_a_wall_that_is_set_ahead_makes_nothing_old(ahead_s):
    clocks = Clocks()
    lost_s = clocks.wall_s
    clocks.go_on(60)
    clocks.wall_s += ahead_s
    assert clocks.look() - lost_s == 60
    assert clocks.go_on(HOURS_S - 61) - lost_s == HOURS_S - 1
    assert clocks.go_on(1) - lost_s == HOURS_S


def test_what_was_stamped_by_the_wrong_wall_is_not_old_when_that_is_put_right():
    """It was behind when the loss was reported: as if that had been years ago."""
    clocks = Clocks()
    lost_s = clocks.wall_s = NOW_S - 900 * DAY_S
    clocks.look()
    clocks.go_on(3600)
    clocks.wall_s = NOW_S + 3600
    assert clocks.look() - lost_s == 3600
    assert clocks.go_on(HOURS_S - 3600) - lost_s == HOURS_S


def test_a_wall_that_is_put_right_again_is_the_time_at_once():
    clocks = Clocks()
    clocks.wall_s += 4 * DAY_S
    clocks.look()
    clocks.wall_s -= 4 * DAY_S
    assert clocks.look() == NOW_S


@pytest.mark.parametrize("seed", range(20))
def test_never_early_and_at_most_the_window_late(seed):
    """Losses and settings of the wall at random: due by the monotonic clock, or later."""
    draw, clocks, losses = random.Random(seed), Clocks(), []
    for _ in range(400):
        now_s = clocks.go_on(draw.randrange(1, 6 * 3600))
        for stamped_s, since_s in losses:
            if now_s - stamped_s >= HOURS_S:
                assert clocks.monotonic_s - since_s >= HOURS_S
        if draw.random() < 0.3:
            losses.append((clocks.wall_s, clocks.monotonic_s))
        if draw.random() < 0.2:
            clocks.wall_s += draw.choice([-9, -1, 1, 9]) * draw.randrange(1, DAY_S)
    set_s = clocks.monotonic_s
    while clocks.monotonic_s - set_s <= HOURS_S + 6 * 3600:
        clocks.go_on(3600)
    assert clocks.look() == clocks.wall_s
