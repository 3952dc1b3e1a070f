"""How long the battery of a POS lasts, from its voltage under load (R23.1a: about two hours).

One lithium-ion cell, discharged at the reader's own load of about half its capacity an hour. Its
voltage falls fast at first, then slowly, then off a cliff, so the way down is a table: each row is
(millivolts, minutes left). Between two rows it is a straight line, rounded down: what is promised
is there. An aged cell falls faster; the self-test measures by how much, and is not built yet.
"""

CURVE = (
    (4100, 120),
    (3950, 100),
    (3820, 75),
    (3720, 50),
    (3620, 25),
    (3500, 8),
    (3350, 0),
)


def minutes_left(battery_mv):
    """Minutes until the reader stops, at its usual load; 0 to 120."""
    above_mv, above_min = CURVE[0]
    if battery_mv >= above_mv:
        return above_min
    for at_mv, at_min in CURVE:
        if battery_mv >= at_mv:
            span_mv = above_mv - at_mv
            return at_min + (battery_mv - at_mv) * (above_min - at_min) // span_mv
        above_mv, above_min = at_mv, at_min
    return 0
