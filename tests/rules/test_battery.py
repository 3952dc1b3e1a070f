"""How long a battery lasts: never more than it does, and never up and down."""

from itertools import pairwise

from protocols.rules import battery, posture
from tests.firmware.counter import Counter


def test_minutes_fall_with_the_voltage_and_end_where_the_posture_stops():
    minutes = [battery.minutes_left(mv) for mv in range(4300, 3000, -1)]
    assert minutes[0] > 100 and minutes[-1] == 0
    assert all(0 <= above - below <= 1 for above, below in pairwise(minutes))
    assert battery.minutes_left(battery.STOP_MV) == 0
    assert posture.battery(battery.STOP_MV) == "battery"
    assert posture.battery(battery.STOP_MV - 1) == "empty"


def test_what_is_promised_is_there():
    """The mains go; whenever the clerk looks, the reader serves as long as it has said."""
    counter = Counter()
    counter.hardware.set_mains(False)
    counter.run_ms(1000)
    looks, minute = [], 0
    supply = counter.pos._supply
    while supply.word() == "battery":
        looks.append((minute, supply.minutes_left()))
        counter.run_ms(60_000)
        minute += 1
    assert minute > 100
    assert all(at + promised <= minute for at, promised in looks)
    assert all(at + promised >= minute - 3 for at, promised in looks)
