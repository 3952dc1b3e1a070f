"""A link without a word, by the host's clock: when it is given up, and when it must not be."""

import pytest

from adapters.keepalive import Keepalive

KEEPALIVE_S = 60
PING_S = 0.02  # to the broker and back


def given_up_s(steps_s, heard_s=()):
    """When a connection of 0 s is given up that is stepped and hears something at these times."""
    keepalive, left = Keepalive(KEEPALIVE_S, 0.0), sorted(heard_s)
    for now_s in steps_s:
        has_heard = bool(left) and left[0] <= now_s
        left = [one for one in left if one > now_s]
        if keepalive.is_silent(has_heard, now_s):
            return now_s
    return None


@pytest.mark.parametrize("between_s", [0.02, 1.0, 5.0])
def test_a_dark_link_is_given_up_within_one_and_a_half(between_s):
    steps = [number * between_s for number in range(int(300 / between_s))]
    lost_s = given_up_s(steps, heard_s=[3.0])
    assert lost_s is not None
    assert KEEPALIVE_S < lost_s - 3.0 <= 1.5 * KEEPALIVE_S


@pytest.mark.parametrize("between_s", [1.0, 5.0])
def test_one_that_only_answers_pings_is_not(between_s):
    steps = [number * between_s for number in range(int(3600 / between_s))]
    answers = [asked_s + PING_S for asked_s in range(KEEPALIVE_S, 3600, KEEPALIVE_S)]
    assert given_up_s(steps, answers) is None


def test_who_was_stopped_asks_first():
    """A suspended machine, a paused desk: an hour without a step is no hour of silence."""
    assert given_up_s([1.0, 3600.0, 3600.1, 3601.0, 7200.0], [3600.05, 7200.0]) is None
    assert given_up_s([1.0, 3600.0, 3614.0, 3616.0]) == 3616.0


def test_without_a_keepalive_nobody_asks():
    assert not Keepalive(0, 0.0).is_silent(False, 1e9)
