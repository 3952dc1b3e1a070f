"""What an attendance machine says to a card (R7.4). What punches mean is the ledger's matter.

In and out are not keyed, because the wrong key loses a day: the first punch of a day is when
somebody came and the last one when they left (ledger/attendance.py). So a punch too many does no
harm, and every one is kept. Whoever punches twice within REPEAT_MS is told so and may go.
"""

from protocols.rules import clock

REPEAT_MS = 60000
UNKNOWN_TIME = "--:--"
# Beyond this a display would promise a minute that the record does not.
_SHOWN_WIDTH_MS = 60000
_REMEMBERED_MAX = 64


class Recent:
    """Whose punch was a moment ago. In memory: it changes what is said, never what is kept."""

    def __init__(self):
        self._punches = []  # (card_no, ms), the newest last

    def punched(self, card_no, now_ms):
        """Remember a punch; whether it repeats one."""
        kept = [punch for punch in self._punches if now_ms - punch[1] < REPEAT_MS]
        is_repeated = False
        for known, _ in kept:
            if known == card_no:
                is_repeated = True
        kept.append((card_no, now_ms))
        self._punches = kept[-_REMEMBERED_MAX:]
        return is_repeated


def time_text(interval_ms, policy):
    """The local time as "08:01", or UNKNOWN_TIME where the clock does not know the minute."""
    if interval_ms[1] - interval_ms[0] > _SHOWN_WIDTH_MS:
        return UNKNOWN_TIME
    earliest_s, latest_s = clock.seconds(interval_ms)
    minute = ((earliest_s + latest_s) // 2 + policy["utc_offset_s"]) // 60 % 1440
    return "%02d:%02d" % (minute // 60, minute % 60)
