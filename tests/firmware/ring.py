"""A POS's use of its journal as a script of operations, and a dict that says what must come of it.

Runs in CPython and in MicroPython:

    ring.py SEED STEPS     plays a script on a flash without faults; prints what is left of it
"""

import sys
from binascii import hexlify
from hashlib import sha256

from firmware.services.journal import Journal, JournalFull

SECTOR_BYTES = 4096
RECORD_BYTES_MIN = 33
LINK_BYTES = 32
# What a receipt may forget at a reboot: those since the last note, and those for which the active
# sector had no room any more.
NOTE_STEP = 16
RECORDS_IN_SECTOR_MAX = 85
WORN_BOOTS_MAX = 5
APPEND, RECEIPT, PREPARE, REBOOT = "append", "receipt", "prepare", "reboot"


class PlainFlash:
    """NOR flash as its data sheet says: programming clears bits, erasing sets a sector."""

    sector_bytes = SECTOR_BYTES

    def __init__(self, sectors):
        self.size_bytes = sectors * SECTOR_BYTES
        self.cells = bytearray(b"\xff" * self.size_bytes)
        self.reads = self.read_bytes = self.programs = self.programmed_bytes = 0
        self.erases = [0] * sectors

    def read(self, address, buffer):
        self.reads += 1
        self.read_bytes += len(buffer)
        buffer[:] = self.cells[address : address + len(buffer)]

    def program(self, address, data):
        self.programs += 1
        self.programmed_bytes += len(data)
        for i in range(len(data)):
            self.cells[address + i] &= data[i]

    def erase(self, sector):
        self.erases[sector] += 1
        for at in range(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES):
            self.cells[at] = 0xFF


class Draw:
    """Numbers from a seed, the same in every Python (a linear congruential generator)."""

    def __init__(self, seed):
        self._state = seed * 2654435761 + 12345 & 0xFFFFFFFF

    def below(self, bound):
        self._state = (self._state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._state >> 8) * bound >> 24


def content(number, size):
    """The bytes of a script's append number `number`: no two are alike."""
    return (sha256(b"%d" % number).digest() * 8)[:size]


def script(seed, steps):
    """`steps` operations: (APPEND, size), (RECEIPT, how many remain), (PREPARE,), (REBOOT,)."""
    draw = Draw(seed)
    for _ in range(steps):
        dice = draw.below(100)
        if dice < 76:
            yield (APPEND, (90, 113, RECORD_BYTES_MIN + draw.below(224))[draw.below(3)])
        elif dice < 87:
            yield (RECEIPT, draw.below(40))
        elif dice < 97:
            yield (PREPARE,)
        else:
            yield (REBOOT,)


class Mismatch(Exception):
    """The journal is not what it has to be."""


class Bookkeeper:
    """Drives a journal (of class `make`) and remembers what it has promised.

    `records`: what append() has returned for, by sequence. `attempt`: (sequence, bytes) of an
    append that has not returned. `seen`: everything that was ever read, by sequence. `receipted`
    and `forgotten`: the highest receipt given, and how far a reboot may fall behind it.
    """

    def __init__(self, flash, make=Journal):
        self.flash = flash
        self.make = make
        self.records = {}
        self.attempt = None
        self.seen = {}
        self.receipted = 0
        self.number = 0
        self.journal = None

    def boot(self):
        """What a power-on does; the journal must then agree with the books."""
        self.journal = self.make(self.flash)
        self.journal.recover()
        self.check()

    def do(self, operation):
        """One operation of a script. A full ring is answered with a receipt for most of it."""
        journal = self.journal
        if operation[0] == APPEND:
            if not journal.has_room():
                self._receipt(journal.head_seq - 20)
            self._append_in_the_end(operation[1])
        elif operation[0] == RECEIPT:
            self._receipt(journal.head_seq - operation[1])
        elif operation[0] == PREPARE:
            journal.prepare()
        else:
            self.boot()

    def _append_in_the_end(self, size):
        """Where sectors were retired, a boot looks at them again; then all the receipts come."""
        for _ in range(WORN_BOOTS_MAX):
            try:
                self.append(size)
                return
            except JournalFull:
                self.attempt = None
                self.boot()
                self._receipt(self.journal.head_seq)
        raise Mismatch("full for ever")

    def append(self, size):
        self.number += 1
        data = content(self.number, size)
        self.attempt = (self.journal.head_seq + 1, data)
        seq = self.journal.append(data)
        if seq != self.attempt[0]:
            raise Mismatch(f"append {self.attempt[0]} returned {seq}")
        self.records[seq] = self.seen[seq] = data
        self.attempt = None

    def _receipt(self, upto):
        if upto > self.receipted:
            self.receipted = upto
        self.journal.receipt(upto)

    def check(self):
        """Raise Mismatch unless everything promised is there, and nothing else."""
        journal = self.journal
        head = journal.head_seq
        acknowledged = max(self.records) if self.records else 0
        if self.attempt is not None and head == self.attempt[0]:
            self.records[head] = self.attempt[1]  # not acknowledged, and whole
        elif head != acknowledged:
            raise Mismatch(f"head {head}, acknowledged {acknowledged}")
        self.attempt = None
        behind = self.receipted - journal.receipted
        if not 0 <= behind <= NOTE_STEP + RECORDS_IN_SECTOR_MAX:
            raise Mismatch(f"receipted {journal.receipted}, told {self.receipted}")
        # What is booked may be gone, but never changes.
        for seq in range(max(journal.receipted - 5, 1), head + 1):
            self._check_record(seq, journal.record(seq))
        if head and journal.head_link != self.records[head][-LINK_BYTES:]:
            raise Mismatch(f"link of {head}")
        if journal.record(head + 1) is not None or journal.record(0) is not None:
            raise Mismatch("a record beyond the head")

    def _check_record(self, seq, data):
        if data is None:
            if seq > self.receipted:
                raise Mismatch(f"record {seq} of {self.journal.head_seq} is lost")
            return
        if data != self.records[seq] or data != self.seen.get(seq, data):
            raise Mismatch(f"record {seq} has changed")
        self.seen[seq] = data


def play(flash, seed, steps):
    """The Bookkeeper after a script; its last act is a reboot."""
    books = Bookkeeper(flash)
    books.boot()
    for operation in script(seed, steps):
        books.do(operation)
    books.boot()
    return books


def fill_sector(books):
    """Append until the active sector has no room for a longest record, but for a short one."""
    journal = books.journal
    while not 60 <= SECTOR_BYTES - journal._offset <= 250:
        books.do((APPEND, 90))


def main(seed, steps):
    """One line: the flash's hash, the head, what is booked, turns of the ring, flash traffic."""
    flash = PlainFlash(6)
    journal = play(flash, seed, steps).journal
    print(
        hexlify(sha256(flash.cells).digest()).decode(),
        journal.head_seq,
        journal.receipted,
        journal.generation // journal.sectors,
        flash.programs,
        flash.programmed_bytes,
        sum(flash.erases),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
