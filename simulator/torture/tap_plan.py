"""Everything that is to strike a tap: the cases, part by part.

Nothing here counts frames or bytes by itself: an undisturbed tap or boot tells what there is to
strike, so the plan follows the firmware. A part leaves out what another one plays already, and
what cannot come: a card that has left before its INTENT makes nobody write one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from simulator.chips.nor_flash import ERASE_CUTS
from simulator.torture.tap_blows import (
    BYTE,
    CARD_OUTCOMES,
    LATE,
    LEAVE_AFTER,
    LEAVE_BEFORE,
    LEAVE_DURING,
    LOSE_ANSWER,
    LOSE_COMMAND,
    POWER_AFTER,
    POWER_BEFORE,
    POWER_DURING,
    POWER_OUTCOMES,
    TORN,
    TORN_BLOCKS,
    FlashCut,
    RfBlow,
)
from simulator.torture.tap_case import Case, again_course, boot_course
from simulator.torture.tap_start import FRESH, INTENT, STARTS, Course, course_of, writes_of
from simulator.torture.tap_window import CLASSIC, DESFIRE, REGISTER

_SEEDS = range(8)  # where a model draws what is left: a torn block, a torn erase
_SEEDED = ("mixed", "erased")
_DRAWN = {CLASSIC: _SEEDED, DESFIRE: ("mixed", "old", "new")}
# "after" one frame is "before" the next one, and is played one by one; not so in pairs.
_PAIRED = (LOSE_COMMAND, LOSE_ANSWER, LEAVE_DURING, POWER_DURING)


def rf(chip: str = CLASSIC) -> Iterator[Case]:
    """Every frame of one tap x everything that may happen to it."""
    course = course_of(FRESH, chip)
    for blow in _blows(course, (*CARD_OUTCOMES, *POWER_OUTCOMES), chip):
        is_drawn = _tears(course, blow) and blow.torn in _SEEDED
        for seed in _SEEDS if is_drawn else (0,):
            case = Case(FRESH, rf=blow, seed=seed, chip=chip)
            yield case
            if blow.outcome in POWER_OUTCOMES:
                yield replace(case, stays=True)


def register(chip: str = CLASSIC) -> Iterator[Case]:
    """The same on the register model of the front end, once each."""
    for blow in _blows(course_of(FRESH, chip), (*CARD_OUTCOMES, *POWER_OUTCOMES), chip):
        yield Case(FRESH, rf=blow, depth=REGISTER, chip=chip)


def flash(chip: str = CLASSIC) -> Iterator[Case]:
    """Every flash operation of one tap, and every byte of it, wherever in the journal it falls."""
    for start in STARTS:
        for cut in _cuts(course_of(start, chip), _every_byte):
            for seed in {BYTE: (0,), TORN: (cut.at,)}.get(cut.how, _SEEDS):
                case = Case(start, cut=cut, seed=seed, chip=chip)
                yield case
                # Whether the card stays does not depend on where in the journal the spend falls.
                if start == FRESH:
                    yield replace(case, stays=True)


def both(chip: str = CLASSIC) -> Iterator[Case]:
    """A frame that goes wrong and then, in the same tap, the power; wherever both can come."""
    for start in STARTS:
        course = course_of(start, chip)
        commit = course.written_frames[-1]
        for blow in _blows(course, CARD_OUTCOMES, chip):
            if start != FRESH and blow.frame not in course.written_frames:
                continue
            places = _every_byte if start == FRESH and blow.frame == commit else _ends_and_middle
            for cut in _cuts(course, places):
                if _comes_after(start, blow, cut, chip):
                    yield Case(start, rf=blow, cut=cut, chip=chip)


def boot(chip: str = CLASSIC) -> Iterator[Case]:
    """The power goes in a tap, and once more in the boot that follows."""
    course = course_of(FRESH, chip)
    commit = course.written_frames[-1]
    thorough = [
        Case(FRESH, rf=RfBlow(commit, POWER_DURING), chip=chip),
        Case(FRESH, rf=RfBlow(commit, POWER_AFTER), chip=chip),
        Case(FRESH, cut=_middle_of_last(course), chip=chip),
    ]
    rf_blows = [blow for blow in _memorable(course, chip) if blow.outcome in POWER_OUTCOMES]
    brief = [Case(FRESH, rf=blow, chip=chip) for blow in rf_blows]
    brief += [Case(FRESH, cut=cut, chip=chip) for cut in _cuts(course, _ends_and_middle)]
    brief = [case for case in brief if case not in thorough]
    for places, cases in ((_every_byte, thorough), (_ends_and_middle, brief)):
        for case in cases:
            for cut in _cuts(boot_course(case), places):
                yield replace(case, boot=cut)


def again(chip: str = CLASSIC) -> Iterator[Case]:
    """A tap that left something open, and every frame of the next one, at either reader."""
    for case in _firsts(chip):
        for blow in _blows(again_course(case), _PAIRED, chip):
            yield replace(case, rf_again=blow)


def again_cut(chip: str = CLASSIC) -> Iterator[Case]:
    """A tap that left something open, and every flash operation of the next one."""
    commit = course_of(FRESH, chip).written_frames[-1]
    for case in _firsts(chip):
        is_thorough = case.rf in (RfBlow(commit, LEAVE_DURING), RfBlow(commit, POWER_DURING))
        places = _every_byte if is_thorough else _ends_and_middle
        for cut in _cuts(again_course(case), places):
            yield replace(case, cut_again=cut)


PARTS: dict[str, Callable[[str], Iterable[Case]]] = {
    "rf": rf,
    "register": register,
    "flash": flash,
    "both": both,
    "boot": boot,
    "again": again,
    "again_cut": again_cut,
}


# -- what may strike ------------------------------------------------------------------------------


def _blows(course: Course, outcomes: Iterable[str], chip: str) -> Iterator[RfBlow]:
    states = TORN_BLOCKS[chip]
    for frame in range(course.frames):
        for outcome in outcomes:
            blow = RfBlow(frame, outcome)
            for torn in states if _tears(course, blow) else states[:1]:
                yield replace(blow, torn=torn)


def _tears(course: Course, blow: RfBlow) -> bool:
    is_during = blow.outcome in (LEAVE_DURING, POWER_DURING)
    return is_during and blow.frame in course.written_frames


def _cuts(course: Course, places: Callable[[int], Iterable[int]]) -> Iterator[FlashCut]:
    for write, size in enumerate(course.sizes):
        if size == 0:
            for how in ERASE_CUTS:
                yield FlashCut(write, how=how)
        elif write in course.mends:
            # No bit changes: where it ends makes no difference.
            yield FlashCut(write)
        else:
            for at in places(size):
                yield FlashCut(write, at)
                if at < size:
                    yield FlashCut(write, at, TORN)
            yield FlashCut(write, how=LATE)


def _every_byte(size: int) -> Iterable[int]:
    return range(size + 1)


def _ends_and_middle(size: int) -> Iterable[int]:
    return sorted({0, size // 2, size})


def _comes_after(start: str, blow: RfBlow, cut: FlashCut, chip: str) -> bool:
    """Whether the tap gets as far as `cut` although `blow` has come before."""
    course, intent = course_of(start, chip), writes_of(start, chip).index(INTENT)
    if blow.frame >= course.frames_before[cut.write]:
        return False
    is_begun = blow.frame >= course.frames_before[intent]
    return is_begun or blow.outcome in (LOSE_COMMAND, LOSE_ANSWER)


def _memorable(course: Course, chip: str) -> Iterator[RfBlow]:
    """What leaves something behind that the next tap has to find out about."""
    *earlier, commit = course.written_frames
    for frame in earlier:
        for outcome in (LEAVE_DURING, POWER_DURING):
            yield RfBlow(frame, outcome)
    for outcome in (LEAVE_BEFORE, LEAVE_AFTER, POWER_BEFORE, POWER_AFTER):
        yield RfBlow(commit, outcome)
    for outcome in (LEAVE_DURING, POWER_DURING):
        for torn in _DRAWN[chip]:
            yield RfBlow(commit, outcome, torn)


def _firsts(chip: str) -> Iterator[Case]:
    course = course_of(FRESH, chip)
    for is_again_away in (False, True):
        for blow in _memorable(course, chip):
            yield Case(FRESH, rf=blow, is_again_away=is_again_away, chip=chip)
        cut = _middle_of_last(course)
        yield Case(FRESH, cut=cut, is_again_away=is_again_away, chip=chip)


def _middle_of_last(course: Course) -> FlashCut:
    return FlashCut(len(course.sizes) - 1, course.sizes[-1] // 2, TORN)
