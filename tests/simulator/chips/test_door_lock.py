"""The lock's circuit, pin by pin: who is inside can always leave, whatever has failed.

Nothing of the firmware runs here. A "holder" stands in for it, at its best and at its worst.
"""

from itertools import combinations

import pytest

from protocols.rules import door
from simulator.chips.door_lock import (
    HOLD_US_MAX,
    HOLD_US_MIN,
    REMANENCE_US,
    SUPPLY_US,
    TRAIN_EDGES,
    TRAIN_GAP_US,
    DoorLock,
)

TRAIN_US = TRAIN_EDGES * TRAIN_GAP_US
STEP_US = 50_000
# What a person waits for at most, from pressing or from the loss of mains.
RELEASE_US = 1_000_000


class Clock:
    def __init__(self):
        self.now_us = 0


class Site:
    """A door, and a reader that keeps it locked as `pulses` says."""

    def __init__(self, hold_us=HOLD_US_MIN):
        self.clock = Clock()
        self.lock = DoorLock(self.clock, hold_us)
        self.pulses = holds
        self.each_step = lambda site: None

    def run(self, duration_us, step_us=STEP_US):
        end_us = self.clock.now_us + duration_us
        while self.clock.now_us < end_us:
            self.pulses(self)
            self.each_step(self)
            self.clock.now_us = min(self.clock.now_us + step_us, end_us)
        return self

    def locked(self):
        self.run(1_000_000)
        assert self.lock.is_bonded()
        return self


def holds(site):
    """The firmware at work: a new train when the last one is over."""
    if not site.lock.is_sending():
        site.lock.train()


def hangs(_site):
    """A step that never ends: what was under way goes on, and then nothing comes."""


def sticks(level):
    """A pin that stands still."""

    def pulses(site):
        if site.lock.is_sending():
            site.lock.reset()
        site.lock.pin(level)

    return pulses


def dies(site):
    """No power at the chip, or a brown-out that keeps it in reset."""
    site.lock.reset()


def loops(site):
    """A reader that crashes and starts anew, three times a second: its pin moves at each start."""
    if site.clock.now_us // STEP_US % 6 == 0:
        site.lock.reset()
        site.lock.pin(1)
        site.lock.pin(0)


@pytest.mark.parametrize("hold_us", [HOLD_US_MIN, HOLD_US_MAX])
@pytest.mark.parametrize("pulses", [hangs, sticks(0), sticks(1), dies, loops])
def test_a_reader_that_is_not_at_work_holds_nothing(pulses, hold_us):
    """R23.2: hung, stuck, dead, browned out or rebooting is open, within half a second."""
    site = Site(hold_us).locked()
    site.pulses = pulses
    begin_us = site.clock.now_us
    site.run(500_001, step_us=1000 if pulses is not loops else STEP_US)
    assert not site.lock.is_powered()
    assert site.lock.unlocked[-1][0] - begin_us <= 500_000
    site.run(REMANENCE_US)
    assert site.lock.push()
    site.lock.shut()
    site.run(10_000_000)
    assert site.lock.push(), "and so it stays"


def test_a_reader_that_hangs_right_behind_a_new_train_too():
    site = Site(HOLD_US_MAX).locked()
    while site.lock.is_sending():
        site.clock.now_us += 1000
    site.lock.train()
    site.pulses = hangs
    begin_us = site.clock.now_us
    site.run(1_000_000, step_us=1000)
    assert site.lock.unlocked[-1][0] - begin_us <= 500_000


def test_a_pin_that_never_moved_has_never_locked():
    for pulses in (sticks(0), sticks(1), dies, loops):
        site = Site()
        site.pulses = pulses
        site.run(10_000_000)
        assert len(site.lock.unlocked) == 1 and site.lock.push()


@pytest.mark.parametrize("hold_us", [HOLD_US_MIN, HOLD_US_MAX])
@pytest.mark.parametrize("step_us", [1_000, 20_000, 50_000, 120_000])
def test_steps_of_any_length_hold_it(step_us, hold_us):
    site = Site(hold_us)
    site.run(1_000_000, step_us)
    site.run(30_000_000, step_us)
    assert site.lock.is_powered() and len(site.lock.unlocked) == 1


@pytest.mark.parametrize(("gap_us", "is_held"), [(300_000, True), (500_000, False)])
def test_how_long_one_step_may_be(gap_us, is_held):
    """At its worst it begins when a train is over: the steps that firmware may have end sooner."""
    site = Site(HOLD_US_MIN).locked()
    while site.lock.is_sending():
        site.clock.now_us += 1000
    site.clock.now_us += gap_us
    assert site.lock.is_powered() == is_held


def test_without_mains_it_is_open_within_a_second():
    site = Site().locked()
    site.lock.mains(False)
    begin_us = site.clock.now_us
    site.run(RELEASE_US)
    assert site.lock.unlocked[-1][0] - begin_us <= SUPPLY_US
    assert site.lock.push()


@pytest.mark.parametrize("what", ["fire", "press"])
def test_fire_loop_and_exit_button_need_no_firmware(what):
    """And no consent of it: here it goes on insisting on a locked door."""
    site = Site().locked()
    getattr(site.lock, what)(True)
    assert not site.lock.is_powered()
    site.run(REMANENCE_US)
    assert site.lock.push()
    site.lock.shut()
    getattr(site.lock, what)(False)
    assert site.run(1000).lock.is_bonded()


def test_nobody_pushes_a_locked_door_open():
    site = Site().locked()
    assert not site.lock.push()
    site.lock.force()
    assert site.lock.levels() & door.CLOSED == 0
    site.lock.shut()
    assert site.lock.is_bonded()


def test_inputs_are_what_the_world_does():
    site = Site().locked()
    lock = site.lock
    rest = door.CLOSED | door.MAINS | door.FIRE_QUIET | door.EXIT_IDLE | door.INTACT | door.RELAY
    assert lock.levels() == rest
    lock.fire(True)
    lock.press(True)
    lock.case_is_open = lock.key_is_turned = True
    lock.mains(False)
    lock.force()
    assert lock.levels() == door.RELAY | door.KEY
    lock.stuck = {door.RELAY: 0, door.FIRE_QUIET: 1}
    assert lock.levels() == door.KEY | door.FIRE_QUIET


# What can fail, one at a time: how to bring it about at a site.
FAULTS = {
    "mains gone": lambda site: site.lock.mains(False),
    "mains chatter": lambda site: setattr(
        site, "each_step", lambda s: s.lock.mains(s.clock.now_us // 200_000 % 2 == 0)
    ),
    "reader dead": lambda site: setattr(site, "pulses", dies),
    "reader hung": lambda site: setattr(site, "pulses", hangs),
    "reader crashing": lambda site: setattr(site, "pulses", loops),
    "pin stuck high": lambda site: setattr(site, "pulses", sticks(1)),
    "pin stuck low": lambda site: setattr(site, "pulses", sticks(0)),
    "firmware insists": lambda site: setattr(site, "pulses", holds),
    "relay welded": lambda site: setattr(site.lock, "relay_is", "welded"),
    "relay open": lambda site: setattr(site.lock, "relay_is", "open"),
    "fire loop welded": lambda site: setattr(site.lock, "loop_is_welded", True),
    "fire input stuck quiet": lambda site: site.lock.stuck.update({door.FIRE_QUIET: 1}),
    "fire input stuck alarm": lambda site: site.lock.stuck.update({door.FIRE_QUIET: 0}),
    "exit input stuck": lambda site: site.lock.stuck.update({door.EXIT_IDLE: 1}),
    "one pole of the button welded": lambda site: setattr(site.lock, "welded_poles", 1),
    "contact stuck shut": lambda site: site.lock.stuck.update({door.CLOSED: 1}),
    "contact stuck open": lambda site: site.lock.stuck.update({door.CLOSED: 0}),
}
CASES = [(name,) for name in FAULTS] + list(combinations(FAULTS, 2))


@pytest.mark.parametrize("hold_us", [HOLD_US_MIN, HOLD_US_MAX])
def test_no_single_and_no_double_fault_keeps_anybody_in(hold_us):
    for faults in CASES:
        site = Site(hold_us).locked()
        for fault in faults:
            FAULTS[fault](site)
        site.run(300_000)
        site.lock.press(True)
        site.run(REMANENCE_US)
        assert site.lock.push(), faults
        site.lock.shut()
        site.lock.press(False)
        site.run(2_000_000)
        site.lock.press(True)
        site.run(REMANENCE_US)
        assert site.lock.push(), ("the second one out", faults)


def test_a_fire_opens_unless_the_panel_s_own_contact_is_welded():
    for faults in CASES:
        site = Site().locked()
        for fault in faults:
            FAULTS[fault](site)
        site.lock.fire(True)
        site.run(RELEASE_US)
        opens = site.lock.push()
        if "fire loop welded" not in faults:
            assert opens, faults


def test_the_button_would_keep_people_in_if_both_its_poles_were_welded():
    """Or the table above would prove nothing."""
    site = Site().locked()
    site.lock.welded_poles = 2
    site.lock.press(True)
    site.run(RELEASE_US)
    assert not site.lock.push()
