"""A slice of `onecard sim torture --exhaustive tap`, and what it finds when there is a bug."""

import dataclasses
import random
from functools import cache

import pytest

from simulator.chips.nor_flash import ERASE_CUTS
from simulator.torture import tap, tap_plan
from simulator.torture.result import Result
from simulator.torture.runner import guarded
from simulator.torture.tap_blows import (
    BYTE,
    CARD_OUTCOMES,
    LATE,
    POWER_OUTCOMES,
    TORN,
    TORN_BLOCKS,
    FlashCut,
    RfBlow,
)
from simulator.torture.tap_start import STARTS, course_of
from simulator.torture.tap_window import CLASSIC, DESFIRE
from tests.torture.planted_tap import PLANTED

SEED = 4711
CHIPS = (CLASSIC, DESFIRE)
KINDS = {
    *(f"RF frame: {outcome}" for outcome in (*CARD_OUTCOMES, *POWER_OUTCOMES)),
    *(f"power cut in program: {how}" for how in (BYTE, TORN, LATE)),
    *(f"power cut in erase: {how}" for how in ERASE_CUTS),
    "bits left unstable",
    "told to check the last sale",
    "booked as the card has told elsewhere",
}


@cache
def one_of_everything(chip=CLASSIC):
    """Cases in the order of a seed, each of which strikes in some way that none before it does."""
    cases = [(part, case) for part, all_of in tap_plan.PARTS.items() for case in all_of(chip)]
    random.Random(SEED).shuffle(cases)
    known, found = set(), []
    for part, case in cases:
        ways = set(ways_of(part, case))
        if not ways <= known:
            known |= ways
            found.append(tap.TapUnit(tap.name_of(case)))
    return found


def ways_of(part, case):
    yield part, case.start, case.is_again_away, case.stays
    course = course_of(case.start, case.chip)
    for one in dataclasses.fields(case):
        blow = getattr(case, one.name)
        if isinstance(blow, RfBlow):
            writes_before = sum(frame < blow.frame for frame in course.written_frames)
            is_write = blow.frame in course.written_frames
            stage = writes_before if is_write or one.name == "rf" else None
            yield one.name, blow.outcome, blow.torn, stage, is_write
        elif isinstance(blow, FlashCut):
            is_over = one.name == "cut" and blow.at == course.sizes[blow.write] != 0
            yield case.start, one.name, blow.write, blow.how, is_over


@pytest.mark.parametrize("chip", CHIPS)
def test_nothing_is_lost_and_nothing_is_paid_twice(chip):
    total = Result()
    units = one_of_everything(chip)
    print(f"{len(units)} cases, seed {SEED}")
    for unit in units:
        total.add(tap.run_unit(unit))
    assert not total.violations, total.violations[0]
    assert total.unresolved == 0
    assert total.cut_points == len(units)
    assert set(total.faults_fired) == KINDS | {
        f"EEPROM write torn: {t}" for t in TORN_BLOCKS[chip]
    }


@pytest.mark.parametrize("chip", CHIPS)
def test_the_plan_strikes_every_frame_and_every_byte(chip):
    course = course_of(STARTS[0], chip)
    cases = [tap.case_of(unit.name) for unit in tap.units(("rf", "flash"), chip=chip)]
    struck = {(case.rf.frame, case.rf.outcome) for case in cases if case.rf}
    outcomes = (*CARD_OUTCOMES, *POWER_OUTCOMES)
    assert struck == {(f, outcome) for f in range(course.frames) for outcome in outcomes}
    torn = {(case.rf.frame, case.rf.torn) for case in cases if case.rf}
    assert torn >= {(f, torn) for f in course.written_frames for torn in TORN_BLOCKS[chip]}
    for start in STARTS:
        cuts = {(c.cut.write, c.cut.at) for c in cases if c.cut and c.start == start}
        course = course_of(start, chip)
        for write, size in enumerate(course.sizes):
            if write not in course.mends:
                assert cuts >= {(write, at) for at in range(size + 1)}


@pytest.mark.parametrize("chip", CHIPS)
def test_a_name_is_all_of_a_case(chip):
    for all_of in tap_plan.PARTS.values():
        for case in all_of(chip):
            assert tap.case_of(tap.name_of(case)) == case


def test_a_unit_says_how_to_play_it_again():
    name = "start=fresh,rf=30.leaves-during.mixed,stays"
    assert tap.TapUnit(name).replay == f"onecard sim torture --exhaustive tap --seed {name}"


@pytest.mark.parametrize("name", ["4711", "start", "start=fresh,rf=1", "start=fresh,depht=card"])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError):
        tap.case_of(name)


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug, planter):
    units = one_of_everything()  # before there is a bug to count frames with
    PLANTED[bug](planter)
    assert any(guarded(tap.run_unit, unit).violations for unit in units)
