"""What this POS has taken, for the clerk: this shift, and the last seven days.

Rules of this file. It counts from the records on flash, and it is no book: the ledger's figures
count. A snapshot is stored now and then, beside the journal, which has no byte to spare; what came
after it is read from the records again, so a power cut forgets nothing. A shift is what lies
between two pauses of two hours: lunch and dinner are two of them, and nobody has to press a key
for it. A sale whose time is not known counts for the day that it is at least. One that is
cancelled stays a sale, and counts once more among those that are, when it is.
"""

import struct

from protocols.rules import clock as clock_rules
from protocols.wire import messages

DAYS = 7
STORED_AS = "totals"  # in the board's key-value store
PAUSE_S = 7200
SNAPSHOT_EVERY = 16  # records; fewer than the journal holds back (STAY_RECORDS)
_LOOK_BACK = 256  # records read at a boot that finds no snapshot
# Sums: sales and their fen, cancelled sales and their fen. A snapshot: seq, last_s, day; then the
# sums of the shift, of that day and of the six before it.
_HEAD, _SUMS = ">IIH", ">HIHI"
_HEAD_BYTES, _SUMS_BYTES = 10, 12


class Totals:
    """Sums are lists: sales, their fen, and of those that were cancelled.

    `shift`: of the shift; `days`: of each of seven days, the newest first.
    """

    def __init__(self, board, recorder, utc_offset_s):
        self._board = board
        self._recorder = recorder
        self._utc_offset_s = utc_offset_s
        self._seq = 0  # up to here all is in the snapshot
        self._last_s = 0
        self._day = 0
        self.shift = [0] * 4
        self.days = [[0] * 4 for _ in range(DAYS)]
        self._take_up()

    def seven_days(self):
        """The sums of the last seven days that had any."""
        return [sum([day[at] for day in self.days]) for at in range(4)]

    def step(self):
        """Store a snapshot if many records came since the last one; call when idle."""
        if self._recorder.head_seq() - self._seq >= SNAPSHOT_EVERY:
            self.read_on()
            self._board.store(STORED_AS, self._snapshot())

    def _take_up(self):
        stored = self._board.stored(STORED_AS)
        head_seq = self._recorder.head_seq()
        if len(stored) == _HEAD_BYTES + (1 + DAYS) * _SUMS_BYTES:
            head = struct.unpack_from(_HEAD, stored)
            if head[0] <= head_seq:  # else of a journal that is gone
                self._seq, self._last_s, self._day = head
                sums = [
                    list(struct.unpack_from(_SUMS, stored, _HEAD_BYTES + at * _SUMS_BYTES))
                    for at in range(1 + DAYS)
                ]
                self.shift, self.days = sums[0], sums[1:]
        self._seq = max(self._seq, head_seq - _LOOK_BACK)

    def read_on(self):
        """Count what was sold and cancelled in the records behind the last one looked at."""
        for seq in range(self._seq + 1, self._recorder.head_seq() + 1):
            record = self._recorder.fields(seq)
            if not record:
                continue
            if record["kind"] == messages.CANCEL:
                self._count(record["amount_fen"], record["earliest_s"], 2)
            elif record.get("result") != messages.COMMITTED:
                continue
            elif record["kind"] == messages.CODE_SALE:
                self._count(record["amount_fen"], record["earliest_s"], 0)
            elif record["kind"] == messages.OUTCOME:
                intent = self._recorder.fields(record["intent_seq"])
                is_spend = intent and intent["kind"] == messages.INTENT
                if is_spend and not intent["flags"] & messages.FLAG_TRY:
                    self._count(intent["amount_fen"], record["earliest_s"], 0)
        self._seq = self._recorder.head_seq()

    def _count(self, amount_fen, time_s, at):
        """One sale more, or one more that is cancelled (`at` 2 of the sums)."""
        if time_s - self._last_s >= PAUSE_S:
            self.shift = [0] * 4
        self._last_s = max(self._last_s, time_s)
        day = max(clock_rules.day(time_s, self._utc_offset_s), self._day)
        for _ in range(min(day - self._day, DAYS)):
            self.days.insert(0, [0] * 4)
            self.days.pop()
        self._day = day
        for sums in (self.shift, self.days[0]):
            sums[at] = min(sums[at] + 1, 0xFFFF)
            sums[at + 1] = min(sums[at + 1] + amount_fen, 0xFFFFFFFF)

    def _snapshot(self):
        data = struct.pack(_HEAD, self._seq, self._last_s, self._day)
        for sums in [self.shift] + self.days:
            data += struct.pack(_SUMS, *sums)
        return data
