"""Time as an interval: what a device knows is [earliest, latest], never a point.

Two things prove something about the time. A receipt is sealed and carries the ledger's clock, so
it bounds both ends. A record or a receipt of the past proves that it is later now: the floor. A
battery clock (RTC) proves nothing; it makes a claim, which is believed where a receipt has
confirmed the same clock within the last day and the floor does not contradict it. What is not
known stays open up to NEVER_MS. Every rule that depends on time asks the end of the interval that
is on the safe side (R13, R14.4b). Milliseconds since 1970 inside, seconds outside.
"""

DRIFT_PPM = 200  # worst crystal over temperature, twice its data sheet
# The ESP32 keeps time through a reset with an RC clock of 5 %; its true time is 1/0.95 of that.
RTC_DRIFT_PPM = 60000
CLAIM_S_MAX = 86400  # how long a battery clock is believed after a receipt has confirmed it
# A clock chip with a crystal and a cell of its own (DS3231: 3.5 ppm, and 5 in ten years).
CRYSTAL_DRIFT_PPM, CRYSTAL_CLAIM_S_MAX = 10, 400 * 86400
BUILT_S = 1767225600  # 2026-01-01: nothing runs this firmware before it was written
NEVER_MS = 0xFFFFFFFF * 1000
NEVER_SET = (0, NEVER_MS)
_TICK_MS = 2  # two readings in whole ms are up to that wrong, and a division
_RTC_TICK_MS = 1100  # two readings in whole seconds, of a clock that is 5 % off


def after(interval_ms, elapsed_ms, drift_ppm=DRIFT_PPM):
    """The interval `elapsed_ms` later, wider by what the clock that counted may have drifted."""
    drift_ms = elapsed_ms * drift_ppm // 1000000 + _TICK_MS
    return (interval_ms[0] + max(elapsed_ms - drift_ms, 0), interval_ms[1] + elapsed_ms + drift_ms)


def observed(time_s, round_trip_ms):
    """What an answer proves: the ledger read `time_s` during a round trip that ends now."""
    read_ms = (time_s * 1000, time_s * 1000 + 999)
    return (read_ms[0], after(read_ms, round_trip_ms)[1])


def claimed(rtc_s, confirmed, floor_s, claim_s_max, drift_ppm):
    """What a boot knows whose battery clock reads `rtc_s` (None: never set), after `floor_s`.

    `confirmed` is None, or (rtc_s, earliest_s, latest_s): what it read, and what was proven, when
    the last receipt came. Disbelieved are a clock that has gone back since, or on by more than
    `claim_s_max`, or that is behind the floor. A smaller step since then cannot be told from time.
    `drift_ppm` is what such a clock may be wrong by.
    """
    unknown = (floor_s * 1000, NEVER_MS)
    if rtc_s is None or confirmed is None:
        return unknown
    elapsed_s = rtc_s - confirmed[0]
    if not 0 <= elapsed_s <= claim_s_max:
        return unknown
    proven_ms = (confirmed[1] * 1000 - _RTC_TICK_MS, confirmed[2] * 1000 + _RTC_TICK_MS)
    earliest_ms, latest_ms = after(proven_ms, elapsed_s * 1000, drift_ppm)
    if latest_ms < floor_s * 1000:
        return unknown
    return (max(earliest_ms, floor_s * 1000), latest_ms)


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
