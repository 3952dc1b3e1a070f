"""Random walks over the states of a door and a model of its circuit (simulator/door_walk.py).

    python -m tools.bench.door_walks [WALKS] [FIRST]

The first violation ends it and names its seed. `onecard bench` does a thousandth of what a release
wants (10^6), with other seeds than the tests.
"""

import sys
import time

from simulator.door_walk import Walk

RELEASE_WALKS, BENCH_WALKS, FIRST = 1_000_000, 1_000, 1_000_000
_TELL_WALKS = 10_000


def walked(walks: int, first: int) -> tuple[int, set[str]]:
    """How many walks held, from seed `first` on, and which states they have been in."""
    states: set[str] = set()
    for number in range(walks):
        states |= Walk(first + number).run().states
        if (number + 1) % _TELL_WALKS == 0:
            print(f"{number + 1} walks, next seed {first + number + 1}", flush=True)
    return walks, states


def rows(walks: int = BENCH_WALKS) -> list[dict[str, object]]:
    """Walks without a violation, beside what a release wants; and how many a second."""
    begin_s = time.perf_counter()
    held, states = walked(walks, FIRST)
    rate = held / (time.perf_counter() - begin_s)
    against = f"before a release; {len(states)} states seen, {rate:.0f} walks a second"
    return [
        {
            "name": "door, random walks without a violation",
            "ours": held,
            "other": RELEASE_WALKS,
            "against": against,
            "unit": "walks",
        }
    ]


if __name__ == "__main__":
    chosen = [int(word) for word in sys.argv[1:]] + [RELEASE_WALKS, 0][len(sys.argv) - 1 :]
    held, states = walked(*chosen[:2])
    print(f"{held} walks from seed {chosen[1]}, no violation, {len(states)} states")
