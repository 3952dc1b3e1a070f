"""What waits here that the ledger has not booked: how many spends, how much, since when.

Behind a boot it is counted anew from the journal, so that nobody gets another allowance by
switching a reader off and on; only as far as a cap, and not at all where policy has none. What is
booked in part is forgotten only when all of it is, and a boot knows only of receipts that were
noted: too much may be counted, never too little.
"""

from protocols.rules import exposure
from protocols.wire import messages

_CAPS = ("offline_count_max", "offline_sum_max_fen", "offline_age_max_s")


class Exposure:
    """`recorder` has recovered; nothing of this boot is written yet."""

    def __init__(self, recorder, policy):
        self._recorder = recorder
        self._policy = policy
        self._forget()
        self._epoch = None  # of the policy that was counted under; that of a cable may be 0
        self._take_up()

    def bar(self, amount_fen, interval_ms):
        """Why not one more without network; see rules/exposure.py."""
        self._take_up()  # another policy may have come: it was counted as far as a cap
        if not self._recorder.waiting():
            self._forget()
        waits = self._count, self._sum_fen, self._oldest_s
        return exposure.bar(self._policy, *waits, amount_fen, interval_ms)

    def note(self, amount_fen, seconds):
        """A spend was made, between those two seconds, or may have been."""
        if amount_fen:
            self._count += 1
            self._sum_fen += amount_fen
            if self._oldest_s is None:
                self._oldest_s = seconds

    def undo(self, amount_fen):
        """A spend that was noted has turned out not to have been."""
        if amount_fen and self._count:
            self._count -= 1
            self._sum_fen -= amount_fen

    def _forget(self):
        self._count = self._sum_fen = 0
        self._oldest_s = None

    def _take_up(self):
        epoch = self._policy["epoch"]
        if self._epoch == epoch or not any(self._policy[cap] for cap in _CAPS):
            return
        self._epoch = epoch
        self._forget()
        recorder = self._recorder
        booked_seq = recorder.receipted_seq()
        for seq in range(booked_seq + 1, recorder.head_seq() + 1):
            record = recorder.fields(seq)
            if record is None:
                continue  # rot: what it was, nobody here can tell
            if record["kind"] == messages.INTENT:
                if exposure.is_over(self._policy, self._count, self._sum_fen):
                    return
                self.note(record["amount_fen"], (record["earliest_s"], record["latest_s"]))
            elif record["kind"] == messages.OUTCOME and record["intent_seq"] > booked_seq:
                if record["result"] == messages.NOT_COMMITTED:
                    intent = recorder.fields(record["intent_seq"])
                    if intent is not None and intent["kind"] == messages.INTENT:
                        self.undo(intent["amount_fen"])
