"""How long a battery lasts: never more than it does, and never up and down."""

from itertools import pairwise

from protocols.rules import battery, posture


def test_minutes_fall_with_the_voltage_and_end_where_the_posture_stops():
    minutes = [battery.minutes_left(mv) for mv in range(4300, 3000, -1)]
    assert minutes[0] == 120 and minutes[-1] == 0
    assert all(0 <= above - below <= 1 for above, below in pairwise(minutes))
    last_mv = battery.CURVE[-1][0]
    assert battery.minutes_left(last_mv) == 0
    assert posture.battery(last_mv) == "battery" and posture.battery(last_mv - 1) == "empty"
    assert [battery.minutes_left(mv) for mv, _ in battery.CURVE] == [m for _, m in battery.CURVE]
