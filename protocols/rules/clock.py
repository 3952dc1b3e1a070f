"""Time as an interval: what a device knows is [earliest, latest], never a point.

A clock nobody has set is the interval NEVER_SET. Every rule that depends on time asks the end of
the interval that is on the safe side (R13, R14.4b). Milliseconds since 1970 inside, seconds
outside.
"""

DRIFT_PPM = 200  # worst crystal over temperature, twice its data sheet
NEVER_SET = (0, 0xFFFFFFFF * 1000)


def after(interval_ms, elapsed_ms, drift_ppm=DRIFT_PPM):
    """The interval `elapsed_ms` later, wider by what the crystal may have drifted."""
    drift_ms = elapsed_ms * drift_ppm // 1000000 + 1
    return (interval_ms[0] + elapsed_ms - drift_ms, interval_ms[1] + elapsed_ms + drift_ms)


def observed(time_s, round_trip_ms):
    """What an answer proves: the ledger read `time_s` during a round trip that ends now."""
    return (time_s * 1000, time_s * 1000 + 999 + round_trip_ms)


def narrowed(interval_ms, proof_ms):
    """Both at once; where they contradict each other the proof wins, for it is signed."""
    earliest_ms = max(interval_ms[0], proof_ms[0])
    latest_ms = min(interval_ms[1], proof_ms[1])
    return (earliest_ms, latest_ms) if earliest_ms <= latest_ms else proof_ms


def is_known(interval_ms, width_max_ms):
    """Whether the interval is narrow enough to judge by."""
    return interval_ms[1] - interval_ms[0] <= width_max_ms


def seconds(interval_ms):
    """(earliest_s, latest_s), rounded outward, within 32 bits."""
    return (
        min(max(interval_ms[0], 0) // 1000, 0xFFFFFFFF),
        min((max(interval_ms[1], 0) + 999) // 1000, 0xFFFFFFFF),
    )


def day(time_s, utc_offset_s):
    """The campus's calendar day as days since 1970, local time."""
    return (time_s + utc_offset_s) // 86400
