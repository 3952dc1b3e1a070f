"""What the four alkaline cells of a lock have left, and when that has to be said (R23.3b)."""

GOOD, LOW, EMPTY = 0, 1, 2
CELLS = 4
# Of one cell, in mV: what it reads while the lock is awake, and under its motor.
LOW_MV, EMPTY_MV = 1200, 1050
LOADED_LOW_MV, LOADED_EMPTY_MV = 1050, 950
# Cells that read so much more than those before them are other ones (a rest gives back less).
SWAP_MV = 120


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
