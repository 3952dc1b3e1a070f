"""What this reader knows of the time: at boot what its battery clock claims, then what is proven.

A receipt is sealed and carries the ledger's time, so neither a gateway nor a false time server
can set this clock; they can only make it less certain (T19 in the threat model).

Kept in the journal, at most four times an hour: what the battery clock read when a receipt came,
what that receipt proved, and how far the journal went. A boot goes on from there. The newest
record is a floor under it, unless a receipt has been heard since it was written.
"""

import struct

from firmware.services.journal import JournalFull
from protocols.rules import clock as rules
from protocols.wire import messages, seal

KEPT_KEY = 0  # of Journal.keep
KEEP_MS = 900000
_KEPT = "<IIII"  # rtc_s (0: never set), earliest_s, latest_s, sequence of the newest record


class Clock:
    """An interval of UTC milliseconds that widens with drift and narrows with proof.

    `journal` has been recovered; `now_ms` is the board's monotonic time.
    """

    def __init__(self, board, journal, now_ms):
        self._board = board
        self._journal = journal
        self._base_ms = now_ms
        self._keep_ms = now_ms
        kept = journal.kept(KEPT_KEY)
        rtc_s, earliest_s, latest_s, seq = struct.unpack(_KEPT, kept) if kept else (0, 0, 0, 0)
        confirmed = (rtc_s, earliest_s, latest_s) if rtc_s else None
        floor_s = max(rules.BUILT_S, earliest_s)
        # A record of before the receipt may have been written by a clock that it has put right.
        if journal.head_seq > seq:
            floor_s = max(floor_s, _earliest_s(journal))
        self._interval_ms = rules.claimed(
            self._rtc_s(), confirmed, floor_s, rules.CLAIM_S_MAX, rules.RTC_DRIFT_PPM
        )

    def interval_ms(self, now_ms):
        """(earliest, latest) in ms since 1970 at monotonic `now_ms`."""
        return rules.after(self._interval_ms, now_ms - self._base_ms)

    def observe(self, time_s, sent_ms, now_ms):
        """The ledger's clock read `time_s` between `sent_ms` and `now_ms` of ours."""
        if time_s < rules.BUILT_S:
            return  # it has lost its own time
        proof_ms = rules.observed(time_s, now_ms - sent_ms)
        self._interval_ms = rules.narrowed(self.interval_ms(now_ms), proof_ms)
        self._base_ms = now_ms
        if now_ms >= self._keep_ms:
            self._keep_ms = now_ms + KEEP_MS
            self._keep()

    def believe_crystal(self):
        """Behind a boot: the battery clock is a chip by itself, which is believed for longer."""
        kept = self._journal.kept(KEPT_KEY)
        if kept:
            confirmed, floor_s = struct.unpack(_KEPT, kept)[:3], self._interval_ms[0] // 1000
            claim = rules.CRYSTAL_CLAIM_S_MAX, rules.CRYSTAL_DRIFT_PPM
            found = rules.claimed(self._rtc_s(), confirmed, floor_s, *claim)
            self._interval_ms = rules.narrowed(self._interval_ms, found)

    def note_set(self):
        """Keep what is known now beside a battery clock that was just set."""
        self._keep()

    def not_before(self, time_s, now_ms):
        """The ledger's clock has read `time_s`, some time ago: it is later now, and no more."""
        if time_s >= rules.BUILT_S:
            proof_ms = (time_s * 1000, rules.NEVER_MS)
            self._interval_ms = rules.narrowed(self.interval_ms(now_ms), proof_ms)
            self._base_ms = now_ms

    def _rtc_s(self):
        """What the battery clock reads, or None if it was never set.

        One that has lost its time starts somewhere in the past, the same each time: what was
        confirmed after one such start must not be taken up after the next.
        """
        rtc_s = self._board.utc_s()
        return rtc_s if rtc_s is not None and rules.BUILT_S <= rtc_s <= 0xFFFFFFFF else None

    def _keep(self):
        earliest_s, latest_s = rules.seconds(self._interval_ms)
        kept = struct.pack(_KEPT, self._rtc_s() or 0, earliest_s, latest_s, self._journal.head_seq)
        try:
            self._journal.keep(KEPT_KEY, kept)
        except JournalFull:
            pass  # the next boot knows less


def _earliest_s(journal):
    """The earliest time at which the newest record can have been written; 0 if there is none."""
    sealed = journal.record(journal.head_seq) if journal.head_seq else None
    return messages.decode_record(seal.payload_of(sealed))["earliest_s"] if sealed else 0
