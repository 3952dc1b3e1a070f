"""What the four alkaline cells of a lock have left, and when that has to be said (R23.3b).

Rules of this file. LOW is said long before EMPTY, and EMPTY while there is enough for many more
strokes: below it nobody is let in, but a bolt that is out of place is still thrown. What counts is
the voltage that the motor would leave: measured, or foretold by what the lock reads awake and how
cold it is. A grade that was found in the cold ends when it is warmer, another with the cells.
"""

GOOD, LOW, EMPTY = 0, 1, 2
CELLS = 4
# What the motor must leave of the pack: the regulator needs 3300.
LOADED_MV_MIN = 3640
# Above what is empty, in mV of the pack: while the lock is awake, and under the motor.
LOW_MARGIN_MV, LOADED_LOW_MARGIN_MV = 400, 300
# Other cells read so much more than those before them: a rest gives back less.
SWAP_MV = 600
READINGS = 3  # of a converter, for one that counts
WARMER_K = 8
# So often power was lost and the bolt found adrift: the motor is what breaks the cells down.
BREAKDOWNS_MAX = 3
# As assumed for cells that are half empty; the simulator's alkaline.py has the sources.
_MOTOR_MA = 150
_CELL_MOHM, _CONTACTS_MOHM = 430, 200
_WARM_CELSIUS, _COLD_PERCENT_PER_K = 20, 5
_UNKNOWN_CELSIUS = 0  # what a lock without thermometer reckons with


def grade(battery_mv, loaded_mv, celsius):
    """GOOD, LOW or EMPTY for what the pack reads awake, and at least under the motor, if not 0.

    `celsius`: whole degrees, None where nobody knows.
    """
    empty_mv = LOADED_MV_MIN + sag_mv(celsius)
    for found, margin_mv, loaded_margin_mv in (
        (EMPTY, 0, 0),
        (LOW, LOW_MARGIN_MV, LOADED_LOW_MARGIN_MV),
    ):
        if battery_mv < empty_mv + margin_mv:
            return found
        if 0 < loaded_mv < LOADED_MV_MIN + loaded_margin_mv:
            return found
    return GOOD


def sag_mv(celsius):
    """By how much the motor takes half empty cells down at a temperature."""
    cold_k = max(_WARM_CELSIUS - (_UNKNOWN_CELSIUS if celsius is None else celsius), 0)
    cell_mohm = _CELL_MOHM * (100 + _COLD_PERCENT_PER_K * cold_k) // 100
    return _MOTOR_MA * (CELLS * cell_mohm + _CONTACTS_MOHM) // 1000


def are_new(battery_mv, before_mv):
    """Whether cells that read so much behind a power cut are other ones than before it."""
    return battery_mv >= before_mv + SWAP_MV
