"""Each planted bug of the DESFire part is found: by the tap torture, or by the DESFire fuzz.

A change of the simulated world moves cases and seeds:
`python -m tests.torture.test_planted_desfire [bug ..]` finds and prints the first ones anew.
"""

import sys

import pytest

from simulator.torture import tap
from simulator.torture.runner import guarded
from simulator.torture.tap_blows import LEAVE_DURING, LOSE_ANSWER, LOSE_COMMAND
from tests.drivers import test_purse_desfire_fuzz as fuzz
from tests.drivers import test_purse_desfire_steps as steps
from tests.torture.faithful import FaithfulPatch
from tests.torture.planted_desfire import PLANTED

SEEDS_MAX = 40
LAST_FRAMES = 3


def tap_violations(name):
    return guarded(tap.run_unit, tap.TapUnit(name)).violations


def first_error(check, *given):
    """What a check of the fuzz raises, in a list, or an empty one."""
    try:
        check(*given)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - any will do
        return [error]
    return []


def fuzz_errors(seed):
    return first_error(fuzz.play, int(seed))


def radio_errors(seed):
    return first_error(fuzz.test_what_a_radio_does_makes_the_reader_break_no_rule, int(seed))


def moment_errors(name):
    step, torn = name.split(".")
    check = steps.test_a_card_that_was_gone_for_a_moment_pays_in_the_same_debit
    return first_error(check, int(step), torn)


def elsewhere_errors(name):
    step, torn = name.split(".")
    check = steps.test_a_card_that_has_paid_elsewhere_in_the_middle_of_a_debit
    return first_error(check, int(step), torn)


def lost_errors(step):
    check = steps.test_an_answer_that_is_lost_is_asked_for_and_its_command_not_told_again
    return first_error(check, int(step))


def time_errors(name):
    busy_us, first = name.split(".")
    check = steps.test_no_card_holds_a_reader_until_its_watchdog_bites
    return first_error(check, int(busy_us), int(first))


CHECKS = {
    "tap": tap_violations,
    "lost": lost_errors,
    "moment": moment_errors,
    "elsewhere": elsewhere_errors,
    "time": time_errors,
    "radio": radio_errors,
    "fuzz": fuzz_errors,
}
_TAP = "start=fresh,rf={},chip=desfire"
_NOT_HEARD, _LEFT_OLD, _LEFT = (
    "14.command-lost.mixed",
    "16.leaves-during.old",
    "16.leaves-during.mixed",
)
KILLED_BY = {
    "intent after debit": (("tap", _TAP.format(_NOT_HEARD)), ("moment", "10.old")),
    "committed before the answer": (("tap", _TAP.format(_LEFT_OLD)), ("moment", "10.old")),
    "refused taken for unpaid": (("fuzz", "0"),),
    "damaged taken for unpaid": (("fuzz", "0"),),
    "unanswered taken for unpaid": (("tap", _TAP.format(_LEFT)), ("moment", "10.new")),
    "unknown taken for paid": (("tap", _TAP.format(_LEFT_OLD)), ("elsewhere", "10.old")),
    "unknown taken for unpaid": (("tap", _TAP.format(_LEFT)), ("elsewhere", "10.old")),
    "committed again without a look": (("moment", "10.new"), ("elsewhere", "10.old")),
    "there is done": (("moment", "10.old"), ("elsewhere", "10.old")),
    "not compared on rejoin": (("elsewhere", "9.old"),),
    "counter stands still": (("tap", _TAP.format(_NOT_HEARD)), ("moment", "10.old")),
    "another reader named": (("moment", "10.old"),),
    "asked again in the same session": (("fuzz", "1"),),
    "abort left out": (("moment", "10.old"),),
    "proof of the sale before": (("fuzz", "0"),),
    "answers without MAC": (("fuzz", "0"),),
    "session outlives its card": (("moment", "10.old"),),
    "told again unasked": (("lost", "0"),),
    "number kept after asking": (("lost", "0"),),
    "command without limit": (("time", "20000000.0"),),
    "talk without limit": (("time", "4900000.0"),),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug, planter):
    assert KILLED_BY[bug]
    PLANTED[bug](planter)
    for check, name in KILLED_BY[bug]:
        assert CHECKS[check](name), (check, name)


def test_every_killer_is_clean_without_a_bug():
    for check, name in sorted({killer for killers in KILLED_BY.values() for killer in killers}):
        assert not CHECKS[check](name), (check, name)


def candidates():
    """Check -> names to try, the cheap ones first."""
    units = [unit.name for unit in tap.units(("rf",), chip="desfire")]
    last = max(tap.case_of(name).rf.frame for name in units)
    ways = (LOSE_COMMAND, LOSE_ANSWER, LEAVE_DURING)
    taps = []
    for name in units:
        blow = tap.case_of(name).rf
        if blow.outcome in ways and last - blow.frame < LAST_FRAMES and "seed" not in name:
            taps.append(name)
    moves = [f"{step}.{torn}" for step in reversed(steps.STEPS) for torn in ("old", "new")]
    return {
        "tap": taps,
        "lost": [str(step) for step in steps.STEPS],
        "moment": moves,
        "elsewhere": moves,
        "time": ["4900000.0", "20000000.0", "20000000.5"],
        "radio": [str(seed) for seed in range(200, 203)],
        "fuzz": [str(seed) for seed in range(SEEDS_MAX)],
    }


def killers_of(bug, names):
    """The first of each check's names that finds the bug."""
    with FaithfulPatch.context() as patch:
        PLANTED[bug](patch)
        for check, all_names in names.items():
            found = next((name for name in all_names if CHECKS[check](name)), None)
            if found is not None:
                yield check, found


if __name__ == "__main__":
    to_try = candidates()
    for planted in sys.argv[1:] or PLANTED:
        print(f"    {planted!r}: {tuple(killers_of(planted, to_try))},", flush=True)
