"""Clock faults in a real MicroPython: the same bytes at every pin as in this process."""

import pytest

from firmware.drivers.ticks import WRAP_US
from simulator.host.hardware import EPOCH_1970_S, EPOCH_2000_S
from tests.vm.test_homes_agree import Reader

STEPS = 150  # about a minute
FAULTS = {
    "wraps at the boot": lambda hardware: setattr(hardware, "ticks_from_us", WRAP_US - 1),
    "wraps soon": lambda hardware: setattr(hardware, "ticks_from_us", WRAP_US - 2_000_000),
    "wraps later": lambda hardware: setattr(hardware, "ticks_from_us", WRAP_US - 9_876_543),
    "fast": lambda hardware: setattr(hardware, "drift_ppm", 199),
    "slow": lambda hardware: setattr(hardware, "drift_ppm", -199),
    "never set": lambda hardware: setattr(hardware, "rtc_set", False),
    "1970": lambda hardware: hardware.restart_rtc(EPOCH_1970_S),
    "2000": lambda hardware: hardware.restart_rtc(EPOCH_2000_S),
    "a year on": lambda hardware: setattr(hardware, "rtc_step_s", 31_536_000),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_transcript_in_both_homes(reader_image, fault):
    readers = Reader(), Reader(reader_image)
    for reader in readers:
        FAULTS[fault](reader.hardware)
    assert readers[0].play(STEPS) == readers[1].play(STEPS)
    host, vm = readers
    assert host.hardware.clock.now_us == vm.hardware.clock.now_us
    lines = host.transcript.lines
    assert lines == vm.transcript.lines > 500
