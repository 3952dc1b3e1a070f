"""What the four alkaline cells of a lock have left, and when that has to be said (R23.3b).

Rules of this file. LOW is said long before EMPTY, and EMPTY while there is enough for many more
strokes: below it nobody is let in, but a bolt that is out of place is still thrown. What counts is
the voltage while the lock is awake and the least under its motor; the second has in it what cold,
age and contacts do to the cells. A grade that was found in the cold ends when it is warm again,
any other one with the cells.
"""

GOOD, LOW, EMPTY = 0, 1, 2
CELLS = 4
# Of one cell, in mV: a published table of alkaline cells under a light load has half of its charge
# at 1200, a fifth at 1100 and a tenth at 1000. The regulator needs 3300 of all four.
LOW_MV, EMPTY_MV = 1110, 1010
LOADED_LOW_MV, LOADED_EMPTY_MV = 1010, 910
# Cells that read so much more than those before them are other ones: a rest gives back less.
SWAP_MV = 150
SURE_LOOKS = 3  # in a row: one reading of a converter says little
COLD_CELSIUS, WARM_CELSIUS = 5, 12
# So often power was lost and the bolt found adrift: the motor is what breaks the cells down.
BREAKDOWNS_MAX = 3


def grade(battery_mv, loaded_mv):
    """GOOD, LOW or EMPTY for what the pack reads awake, and at least under the motor, if not 0."""
    for found, awake_mv, under_mv in (
        (EMPTY, EMPTY_MV, LOADED_EMPTY_MV),
        (LOW, LOW_MV, LOADED_LOW_MV),
    ):
        if battery_mv < CELLS * awake_mv or 0 < loaded_mv < CELLS * under_mv:
            return found
    return GOOD


def are_new(battery_mv, before_mv):
    """Whether cells that read so much behind a power cut are other ones than before it."""
    return battery_mv >= before_mv + CELLS * SWAP_MV
