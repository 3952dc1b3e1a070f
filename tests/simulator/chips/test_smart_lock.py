"""Bolt and cells by themselves: what the motor draws, where it stops, what cold does."""

import pytest

from protocols.rules import lock
from simulator.chips import smart_lock
from simulator.chips.alkaline import Pack
from simulator.chips.smart_lock import SmartLock
from simulator.world.clock import ReaderClock, World


def made(percent=100, celsius=20):
    clock = ReaderClock(World(0))
    cuts = []
    pack = Pack(clock, lambda: cuts.append(clock.now_us), percent, celsius)
    return clock, pack, SmartLock(clock, pack), cuts


def test_its_end_contact_stops_the_motor_whatever_the_pins_say():
    clock, pack, bolt, _ = made()
    bolt.drive(lock.DRAW)
    assert pack.load_ua == smart_lock.RUN_UA
    clock.advance_us(60_000_000)
    assert pack.load_ua == 0 and bolt.bolt == smart_lock.DRAWN
    assert bolt.levels() & (lock.DRAWN | lock.THROWN) == lock.DRAWN
    bolt.drive(lock.THROW)
    clock.advance_us(100_000)
    bolt.reset()
    assert 0 < bolt.bolt < smart_lock.DRAWN and pack.load_ua == 0
    assert not bolt.levels() & (lock.DRAWN | lock.THROWN)


def test_what_blocks_it_makes_it_stall_until_it_is_let_go():
    clock, pack, bolt, _ = made()
    bolt.blocked_at = 300
    bolt.drive(lock.DRAW)
    clock.advance_us(1_000_000)
    assert bolt.levels() & (lock.DRAWN | lock.THROWN) == 0
    assert (bolt.bolt, pack.load_ua) == (300, smart_lock.STALL_UA)
    bolt.drive(lock.THROW)
    clock.advance_us(1_000_000)
    assert bolt.levels() & lock.THROWN


@pytest.mark.parametrize(("percent", "celsius"), [(100, 20), (30, 20), (100, -10)])
def test_weak_and_cold_cells_make_it_slower(percent, celsius):
    clock, _, bolt, _ = made(percent, celsius)
    bolt.drive(lock.DRAW)
    clock.advance_us(smart_lock.STROKE_US)
    is_fresh = (percent, celsius) == (100, 20)
    assert (bolt.levels() & lock.DRAWN != 0) == is_fresh
    clock.advance_us(lock.MOTOR_MS * 1000 - smart_lock.STROKE_US)
    assert bolt.levels() & lock.DRAWN, "and still within what the rules give it"


def test_empty_cells_break_down_under_it():
    _, pack, bolt, cuts = made(1, -20)
    pack.draw("awake", 50_000)
    assert cuts == [] or pack.terminal_mv() < 3300
    cuts.clear()
    bolt.drive(lock.DRAW)
    assert len(cuts) == 1


def test_charge_is_drawn_by_name_whoever_looks_when():
    drawn = []
    for looks in (1, 70):
        clock, pack, bolt, _ = made()
        pack.draw("awake", 40_000)
        bolt.drive(lock.DRAW)
        for _ in range(looks):
            clock.advance_us(7_000_000 // looks)
            pack.terminal_mv()
            bolt.levels()
        drawn.append(pack.drawn_by)
    assert drawn[0] == drawn[1]
    assert drawn[0]["awake"] == 40_000 * 7_000_000 and drawn[0]["motor"] > 0


def test_a_hundred_percent_is_what_was_measured():
    clock, pack, _, _ = made()
    pack.draw("tester", 100_000)
    clock.advance_us(10 * 3_600_000_000)
    assert pack.charge_mah() == pack.capacity_mah - 1000
