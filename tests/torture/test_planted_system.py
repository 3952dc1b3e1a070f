"""Each planted bug is found by the system torture, at a seed that is clean without it.

A change of the simulated world moves the seeds: `python -m tests.torture.test_planted_system`
finds and prints the first ones anew.
"""

import sys
from functools import cache

import pytest

from simulator.torture.runner import guarded
from simulator.torture.system import SystemUnit, run_unit
from tests.torture import planted_business, planted_link, planted_reader
from tests.torture.faithful import FaithfulPatch
from tests.torture.test_system import SLICE

PLANTED = {**planted_link.PLANTED, **planted_reader.PLANTED, **planted_business.PLANTED}
KILLED_AT = {
    "repeat is a new row": 4,
    "retransmission is booked again": 0,
    "first come stays": 9,
    "gap is none": 36,
    "number used twice": 0,
    "seal not checked": 0,
    "receipt for what waits": 1,
    "freed when forwarded": 0,
    "reader frees at STORED": 0,
    "STORED before commit": 1,
    "receipts before commit": 76,
    "battery clock is believed": 6,
    "receipts tell no round trip": 6,
    "receipts of an earlier boot are timed": 6,
    "time stands still": 0,
    "day of the later end": 18,
    "an earlier day resets the limit": 100,
    "sells on an empty battery": 0,
    "sells blind without bound": 3,
    "sells offline without bound": 0,
    "never offline": 3,
    "never on battery": 0,
    "takes a new spend while one is pending": 229,
    "takes the pending amount again": 1,
    "spends into a full journal": 190,
    "DESFire: unknown taken for unpaid": 121,
    "load written twice": 53,
    "load OUTCOME lost": 3,
    "cancelled twice": 3,
    "cancel paid twice": 13,
    "map forgotten at boot": 1,
    "late spend is no case": 4,
    "code settled twice": 57,
    "boot sells": 6,
}
LOOK_ON = 4  # seeds beyond it, looked at only if the first is not it any more
SEEDS_MAX = 1_000


def violations(seed):
    return guarded(run_unit, SystemUnit(seed)).violations


@cache
def is_clean(seed):
    """Without a bug; `test_system` plays its slice so, and one seed serves many bugs here."""
    return seed in SLICE or not violations(seed)


def killer_of(bug, seeds):
    """The first of `seeds` that breaks with the bug and not without it; None if there is none."""
    for seed in seeds:
        with FaithfulPatch.context() as patch:
            PLANTED[bug](patch)
            found = violations(seed)
        if found and is_clean(seed):
            return seed
    return None


def test_every_bug_has_its_seed():
    assert KILLED_AT.keys() == PLANTED.keys()


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug):
    first = KILLED_AT[bug]
    assert killer_of(bug, range(first, first + LOOK_ON)) is not None


if __name__ == "__main__":
    for name in sys.argv[1:] or PLANTED:
        print(f'    "{name}": {killer_of(name, range(SEEDS_MAX))},', flush=True)
