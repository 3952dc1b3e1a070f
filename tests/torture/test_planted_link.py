"""Each planted bug of the link is found by the system torture, at a seed that is clean without.

A change of the simulated world moves the seeds: `python -m tests.torture.test_planted_link` finds
and prints the first ones anew.
"""

import pytest

from simulator.torture.system import SystemUnit, play
from tests.torture.planted_link import PLANTED

KILLED_AT = {
    "repeat is a new row": 4,
    "retransmission is booked again": 0,
    "first come stays": 3,
    "gap is none": 0,
    "number used twice": 0,
    "seal not checked": 0,
    "receipt for what waits": 0,
    "freed when forwarded": 0,
    "reader frees at STORED": 0,
    "STORED before commit": 4,
    "receipts before commit": 41,
}
LOOK_ON = 10  # seeds beyond it, looked at only if the first is not it any more
SEEDS_MAX = 1_000


def violations(seed):
    return play(SystemUnit(seed))[0].violations


def killer_of(bug, seeds):
    """The first of `seeds` that breaks with the bug and not without it; None if there is none."""
    for seed in seeds:
        with pytest.MonkeyPatch.context() as patch:
            PLANTED[bug](patch)
            found = violations(seed)
        if found and not violations(seed):
            return seed
    return None


def test_every_bug_has_its_seed():
    assert KILLED_AT.keys() == PLANTED.keys()


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug):
    first = KILLED_AT[bug]
    assert killer_of(bug, range(first, first + LOOK_ON)) is not None


if __name__ == "__main__":
    for name in PLANTED:
        print(f'    "{name}": {killer_of(name, range(SEEDS_MAX))},', flush=True)
