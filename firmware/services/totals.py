"""What this POS has taken, for the clerk: this shift, and the last seven days.

Rules of this file. It counts from the records on flash, and it is no book: the ledger's figures
count. A snapshot is stored now and then, beside the journal, which has no byte to spare; what came
after it is read from the records again, so a power cut forgets nothing. A shift is what lies
between two pauses of two hours: lunch and dinner are two of them, and nobody has to press a key
for it. A sale whose time is not known counts for the day that it is at least. One that is
cancelled stays a sale, and counts once more among those that are, when it is. What was paid by
the aggregate code is no sale here: it is the merchant's word, and counts for itself.
"""

import struct
from array import array

from protocols.rules import clock as clock_rules
from protocols.wire import messages

DAYS = 7
STORED_AS = "totals"  # in the board's key-value store
PAUSE_S = 7200
SNAPSHOT_EVERY = 16  # records; fewer than the journal holds back (STAY_RECORDS)
_LOOK_BACK = 256  # records read at a boot that finds no snapshot
# Sums: sales and their fen, the same of cancelled ones, the same by the aggregate code. A
# snapshot: seq, last_s, day; then the sums of the shift, of that day and of the six before it.
_HEAD, _COUNTS = ">IIH", ">" + "HI" * (3 * (1 + DAYS))
_HEAD_BYTES, _COUNTS_BYTES = 10, 18 * (1 + DAYS)
_SUMS, _ALL = 6, 6 * (1 + DAYS)


class Totals:
    """Sums are six numbers: sales, their fen, of those that were cancelled, and of those by scan.

    All of them stand in one array, which takes a quarter of what a list for each day would.
    """

    def __init__(self, board, recorder):
        self._board = board
        self._recorder = recorder
        self._policy = board.settings["policy"]
        self._seq = 0  # up to here all is in the snapshot
        self._last_s = 0
        self._day = 0
        self._all = array("I", bytes(4 * _ALL))
        self._take_up()

    def sums(self, is_shift):
        """The sums of the shift, or of the last seven days that had any."""
        if is_shift:
            return list(self._all[:_SUMS])
        return [
            sum([self._all[at] for at in range(first, _ALL, _SUMS)])
            for first in range(_SUMS, 2 * _SUMS)
        ]

    def step(self):
        """Store a snapshot if many records came since the last one; call when idle."""
        if self._recorder.head_seq() - self._seq >= SNAPSHOT_EVERY:
            self.read_on()
            head = struct.pack(_HEAD, self._seq, self._last_s, self._day)
            try:
                self._board.store(STORED_AS, head + struct.pack(_COUNTS, *self._all))
            except OSError:
                pass  # worn: the next boot knows of fewer sales

    def _take_up(self):
        stored = self._board.stored(STORED_AS)
        head_seq = self._recorder.head_seq()
        if len(stored) == _HEAD_BYTES + _COUNTS_BYTES:
            head = struct.unpack_from(_HEAD, stored)
            if head[0] <= head_seq:  # else of a journal that is gone
                self._seq, self._last_s, self._day = head
                self._all = array("I", struct.unpack_from(_COUNTS, stored, _HEAD_BYTES))
        self._seq = max(self._seq, head_seq - _LOOK_BACK)

    def read_on(self):
        """Count what was taken and cancelled in the records behind the last one looked at."""
        record = None
        for seq in range(self._seq + 1, self._recorder.head_seq() + 1):
            before, record = record, self._recorder.fields(seq)
            if not record:
                continue
            if record["kind"] == messages.CANCEL:
                self._count(record["amount_fen"], record["earliest_s"], 2)
            elif record["kind"] == messages.AGGREGATE:
                self._count(record["amount_fen"], record["earliest_s"], 4)
            elif record.get("result") != messages.COMMITTED:
                continue
            elif record["kind"] == messages.CODE_SALE:
                self._count(record["amount_fen"], record["earliest_s"], 0)
            elif record["kind"] == messages.OUTCOME:
                # Nearly always the record before it: then it is not looked for again.
                intent = record["intent_seq"] == seq - 1 and before
                intent = intent or self._recorder.fields(record["intent_seq"])
                is_spend = intent and intent["kind"] == messages.INTENT
                if is_spend and not intent["flags"] & messages.FLAG_TRY:
                    self._count(intent["amount_fen"], record["earliest_s"], 0)
        self._seq = self._recorder.head_seq()

    def _count(self, amount_fen, time_s, at):
        """One sale more, or one more that is cancelled (`at` 2 of the sums) or by scan (4)."""
        sums = self._all
        if time_s - self._last_s >= PAUSE_S:
            for each in range(_SUMS):
                sums[each] = 0
        self._last_s = max(self._last_s, time_s)
        day = max(clock_rules.day(time_s, self._policy["utc_offset_s"]), self._day)
        gone = min(day - self._day, DAYS) * _SUMS
        if gone:
            for each in range(_ALL - 1, _SUMS - 1, -1):
                sums[each] = sums[each - gone] if each - gone >= _SUMS else 0
        self._day = day
        for each in (at, _SUMS + at):
            sums[each] = min(sums[each] + 1, 0xFFFF)
            sums[each + 1] = min(sums[each + 1] + amount_fen, 0xFFFFFFFF)
