"""One world clock, one clock per reader; nothing ever runs before its time or twice."""

import pytest

from simulator.chips.nor_flash import PowerCut
from simulator.reader import Reader
from simulator.world.clock import ReaderClock, World
from simulator.world.randomness import Seeds


def test_events_run_in_order_of_time_then_of_scheduling():
    world, ran = World(0), []
    for name, at_us in (("late", 30), ("first", 10), ("second", 10), ("past", -5)):
        world.at(at_us, lambda name=name: ran.append((world.now_us, name)))
    while world.step(20):
        pass
    assert ran == [(0, "past"), (10, "first"), (10, "second")]
    assert world.now_us == 20
    assert world.step(40)
    assert ran[-1] == (30, "late")


def test_a_readers_event_runs_in_the_middle_of_its_step():
    clock, seen = ReaderClock(World(0)), []
    clock.at(50, lambda: seen.append(clock.now_us))
    clock.advance_us(49)
    assert seen == []
    clock.advance_us(100)
    assert seen == [50]
    assert clock.now_us == 149


class Steps:
    """A home that takes `step_us` a step and wants to be called again after `pause_us`."""

    def __init__(self, clock, step_us, pause_us):
        self.clock, self.step_us, self.pause_us = clock, step_us, pause_us
        self.ran_us, self.killed = [], 0

    def start(self, now_us):
        return self.run(now_us)

    def run(self, _now_us):
        self.ran_us.append(self.clock.now_us)
        self.clock.advance_us(self.step_us)
        return self.clock.now_us + self.pause_us

    def kill(self):
        self.killed += 1


class Bare:
    """The hardware a Reader needs, and nothing else."""

    def __init__(self, world):
        self.clock = ReaderClock(world)
        self.lines = []

    def log(self, what, data=b""):
        self.lines.append(what)

    def power_on(self):
        pass

    def power_off(self):
        pass


@pytest.fixture
def reader():
    world = World(0)
    hardware = Bare(world)
    home = Steps(hardware.clock, step_us=100, pause_us=1000)
    made = Reader("r", world, hardware, home, lambda _now_us: None)
    made.world = world
    return made


def run(reader, until_us):
    while reader.world.step(until_us):
        pass


def test_a_reader_steps_when_it_wants_to_and_earlier_when_woken(reader):
    reader.switch_on()
    run(reader, 1100)
    reader.wake(1500)
    reader.wake(1800)
    run(reader, 2700)
    assert reader.home.ran_us == [0, 1100, 1500, 2600]


def test_power_fails_in_the_middle_of_a_step(reader):
    reader.cut_power_at(1150)
    reader.switch_on()
    run(reader, 5000)
    assert reader.home.ran_us == [0, 1100]
    assert reader.home.killed == 1
    assert not reader.is_on
    assert reader.hardware.clock.now_us >= 1150


def test_power_fails_between_two_steps(reader):
    reader.cut_power_at(700)
    reader.switch_on()
    run(reader, 5000)
    assert reader.home.ran_us == [0]
    assert not reader.is_on
    reader.switch_on()
    run(reader, 5500)
    assert reader.boots == 2
    assert reader.home.ran_us[1] == 5000


def test_a_cut_of_the_dead_harms_nobody(reader):
    reader.cut_power_at(700)
    run(reader, 1000)
    assert reader.home.killed == 0


def test_power_cut_is_not_an_exception_that_firmware_can_catch():
    assert not issubclass(PowerCut, Exception)


def test_streams_of_one_seed_do_not_move_each_other():
    alone = Seeds(7).stream("a").random()
    both = Seeds(7)
    both.stream("b").random()
    assert both.stream("a").random() == alone != Seeds(8).stream("a").random()
