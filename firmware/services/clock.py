"""What this reader knows of the time: its battery clock at boot, then what receipts prove.

A receipt is sealed and carries the ledger's time, so neither a gateway nor a false time server
can set this clock; they can only make it less certain (T19 in the threat model).
"""

from protocols.rules import clock as rules

RTC_UNCERTAINTY_MS = 30000  # a month of 10 ppm since it was last set, as found at boot


class Clock:
    """An interval of UTC milliseconds that widens with drift and narrows with proof."""

    def __init__(self, board, now_ms):
        utc_s = board.utc_s()
        self._base_ms = now_ms
        if utc_s is None:
            self._interval_ms = rules.NEVER_SET
        else:
            self._interval_ms = (
                utc_s * 1000 - RTC_UNCERTAINTY_MS,
                utc_s * 1000 + RTC_UNCERTAINTY_MS,
            )

    def interval_ms(self, now_ms):
        """(earliest, latest) in ms since 1970 at monotonic `now_ms`."""
        if self._interval_ms == rules.NEVER_SET:
            return self._interval_ms
        return rules.after(self._interval_ms, now_ms - self._base_ms)

    def observe(self, time_s, sent_ms, now_ms):
        """The ledger's clock read `time_s` between `sent_ms` and `now_ms` of ours."""
        proof_ms = rules.observed(time_s, now_ms - sent_ms)
        self._interval_ms = rules.narrowed(self.interval_ms(now_ms), proof_ms)
        self._base_ms = now_ms
