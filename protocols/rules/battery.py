"""How many minutes a POS still has on its battery, from the battery's voltage (R23.1a).

Nobody has measured a cell under the reader's load yet. Until then this is the line that the
simulator's battery falls along, 4150 mV full to 3300 mV in two hours, as far as the voltage at
which the reader stops; rounded down, so that what is promised is there.
"""

STOP_MV = 3350  # below it the battery may not last for another card dialogue
_FALL_MV, _FALL_MIN = 850, 120


def minutes_left(battery_mv):
    """Minutes until the reader stops; 0 from STOP_MV downwards."""
    return max(battery_mv - STOP_MV, 0) * _FALL_MIN // _FALL_MV
