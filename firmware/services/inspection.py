"""The merchant's day (R17): the daily inspection and the fault report, each one key and a record.

What an inspection finds wrong is shown at once, the worst first; the record says all of it. A
reader that nobody inspects for a day writes the same record by itself (docs/adr/0054): under its
seal it says up to when the books have all of it, and is nobody's inspection.
"""

from protocols.rules import battery, reasons
from protocols.rules import clock as clock_rules
from protocols.wire import messages

_U16 = 0xFFFF
_MINUTES_MAX = 9999
_DAY_MS = 86400000


class Inspection:
    """Looks at what a merchant has to keep in order.

    `ages`: how old card map and last receipt were then, in minutes, as text; "-": nobody knows.
    """

    def __init__(self, recorder, clock, supply, front_end, policy, load_ma, card_map):
        self._recorder = recorder
        self._clock = clock
        self._supply = supply
        self._chip = front_end.chip
        self._load_ma = load_ma  # what the reader draws from its battery
        self._policy = policy
        self._card_map = card_map
        self._due_ms = _DAY_MS  # behind the boot, which is a record too
        self.ages = ()

    def inspect(self, is_online, now_ms, by_clock=0):
        """Write an INSPECTION record; returns the reason of what is wrong, or APPROVED."""
        self._due_ms = now_ms + _DAY_MS
        interval_ms = self._clock.interval_ms(now_ms)
        earliest_s, latest_s = clock_rules.seconds(interval_ms)
        is_known = self._is_known(now_ms)
        stale_s, map_s = self._policy["map_stale_s"], self._card_map.made_s()
        known_s = map_s, self._recorder.receipt_s
        self.ages = [
            str(min(max(latest_s - at_s, 0) // 60, _MINUTES_MAX)) if is_known and at_s else "-"
            for at_s in known_s
        ]
        has_room = self._recorder.has_room()
        held = self._card_map.map_in_use()
        supply = self._supply
        self._recorder.note(
            messages.INSPECTION,
            now_ms,
            network=int(is_online),
            waiting=self._recorder.waiting(),
            battery_mv=supply.battery_mv(),
            clock_width_s=latest_s - earliest_s,
            reader_faults=min(self._chip.faults, _U16),
            free_sectors=min(self._recorder.free_sectors(), _U16),
            battery_test=supply.test,
            map_made_s=map_s,
            receipt_s=known_s[1],
            map_epoch=held[2] if held else 0,
            by_clock=by_clock,
        )
        for is_wrong, reason in (
            (not has_room, reasons.JOURNAL_FULL),
            (self._chip.faults, reasons.READER_FAULT),
            (supply.word() == "empty", reasons.BATTERY_EMPTY),
            (not is_known, reasons.CLOCK_UNKNOWN),
            (not is_online, reasons.OFFLINE),
            (stale_s and latest_s - map_s > stale_s, reasons.OVER_STALE_LIMIT),
        ):
            if is_wrong:
                return reason
        return battery.fault(supply.test, self._load_ma, earliest_s)

    def idle(self, is_online, now_ms):
        """Once a day, while nobody is there: what proves that nothing of before is missing.

        Without the time it would prove nothing, and waits for that.
        """
        if now_ms >= self._due_ms and self._is_known(now_ms):
            self.inspect(is_online, now_ms, 1)
            self.ages = ()

    def _is_known(self, now_ms):
        width_max_ms = self._policy["clock_width_max_ms"]
        return clock_rules.is_known(self._clock.interval_ms(now_ms), width_max_ms)

    def report(self, last_reason, is_online, now_ms):
        """Write a FAULT record: somebody has to come and look."""
        self._recorder.note(
            messages.FAULT, now_ms, network=int(is_online), last_reason=last_reason
        )
