"""What this POS has taken, for the clerk: this shift, and the last seven days.

Rules of this file. It counts from the records on flash, and it is no book: the ledger's figures
count. A snapshot is stored now and then, beside the journal, which has no byte to spare; what came
after it is read from the records again, so a power cut forgets nothing. A shift is what lies
between two pauses of two hours: lunch and dinner are two of them, and nobody has to press a key
for it. A sale whose time is not known counts for the day that it is at least.
"""

import struct

from protocols.rules import clock as clock_rules
from protocols.wire import messages

DAYS = 7
STORED_AS = "totals"  # in the board's key-value store
PAUSE_S = 7200
SNAPSHOT_EVERY = 16  # records; fewer than the journal holds back (STAY_RECORDS)
_LOOK_BACK = 256  # records read at a boot that finds no snapshot
# seq, last_s, shift sales and fen, day; then sales and fen of that day and the six before it.
_HEAD, _DAY = ">IIHIH", ">HI"
_HEAD_BYTES, _DAY_BYTES = 16, 6


class Totals:
    """`shift`: [sales, fen]; `days`: the same for each of seven days, the newest first."""

    def __init__(self, board, recorder, utc_offset_s):
        self._board = board
        self._recorder = recorder
        self._utc_offset_s = utc_offset_s
        self._seq = 0  # up to here all is in the snapshot
        self._last_s = 0
        self._day = 0
        self.shift = [0, 0]
        self.days = [[0, 0] for _ in range(DAYS)]
        self._take_up()

    def seven_days(self):
        """[sales, fen] of the last seven days that had any."""
        return [sum([day[0] for day in self.days]), sum([day[1] for day in self.days])]

    def step(self):
        """Store a snapshot if many records came since the last one; call when idle."""
        if self._recorder.head_seq() - self._seq >= SNAPSHOT_EVERY:
            self.read_on()
            self._board.store(STORED_AS, self._snapshot())

    def _take_up(self):
        stored = self._board.stored(STORED_AS)
        head_seq = self._recorder.head_seq()
        if len(stored) == _HEAD_BYTES + DAYS * _DAY_BYTES:
            head = struct.unpack_from(_HEAD, stored)
            if head[0] <= head_seq:  # else of a journal that is gone
                self._seq, self._last_s, self.shift[0], self.shift[1], self._day = head
                for at in range(DAYS):
                    day = struct.unpack_from(_DAY, stored, _HEAD_BYTES + at * _DAY_BYTES)
                    self.days[at] = list(day)
        self._seq = max(self._seq, head_seq - _LOOK_BACK)

    def read_on(self):
        """Count the sales among the records behind the last one that was looked at."""
        for seq in range(self._seq + 1, self._recorder.head_seq() + 1):
            outcome = self._recorder.fields(seq)
            if not outcome or outcome["kind"] != messages.OUTCOME:
                continue
            if outcome["result"] == messages.COMMITTED:
                intent = self._recorder.fields(outcome["intent_seq"])
                is_spend = intent and intent["kind"] == messages.INTENT
                if is_spend and not intent["flags"] & messages.FLAG_TRY:
                    self._count(intent["amount_fen"], outcome["earliest_s"])
        self._seq = self._recorder.head_seq()

    def _count(self, amount_fen, time_s):
        if time_s - self._last_s >= PAUSE_S:
            self.shift = [0, 0]
        self._last_s = max(self._last_s, time_s)
        day = max(clock_rules.day(time_s, self._utc_offset_s), self._day)
        for _ in range(min(day - self._day, DAYS)):
            self.days.insert(0, [0, 0])
            self.days.pop()
        self._day = day
        for sums in (self.shift, self.days[0]):
            sums[0] = min(sums[0] + 1, 0xFFFF)
            sums[1] = min(sums[1] + amount_fen, 0xFFFFFFFF)

    def _snapshot(self):
        head = self._seq, self._last_s, self.shift[0], self.shift[1], self._day
        data = struct.pack(_HEAD, *head)
        for day in self.days:
            data += struct.pack(_DAY, *day)
        return data
