"""Power cuts in a real MicroPython: its process is killed, in the middle of whatever it does."""

from simulator.torture import runner
from simulator.torture.system import SystemUnit, firmware_image, run_unit

EVENTS = 100
SEEDS = 5  # more is a command: onecard sim torture --home vm
POWER_CUTS = ("power cut", "power cut in a program", "power cut in an erase", "power sawtooth")


def test_nothing_is_lost_when_the_process_is_killed():
    firmware_image()
    units = [SystemUnit(seed, events=EVENTS, home="vm") for seed in range(SEEDS)]
    total = runner.run(units, run_unit, jobs=2)
    assert total.result.violations == []
    assert total.result.unresolved == 0
    assert sum(total.result.faults_fired.get(kind, 0) for kind in POWER_CUTS) >= 10
