"""What a journal has promised, in a few dicts, and the judge that opens it after a cut.

Steps are what a reader does to its journal: ("append", bytes), ("keep", key, bytes), ("receipt",
how many records stay unbooked), ("prepare",), ("boot",), ("try", bytes): an append that a full
ring refuses without a trace, ("full", bytes): one that must be refused.
"""

from __future__ import annotations

import copy
from random import Random

from firmware.services.journal import Journal, JournalFull
from simulator.chips.nor_flash import NorFlash

LINK_BYTES = 32
NOTE_STEP = 16  # so far the receipts on flash may lie behind, and by the records of a sector
FULL_TRIES = 4
NEWEST_RECORDS, ALL_RECORDS = 6, 1 << 32

Step = tuple


class Broken(Exception):
    """The journal is not what it has to be."""


class Unresolved(Exception):
    """Nothing is lost, but nothing can be written any more either."""


class WatchedFlash(NorFlash):
    """Remembers each program and erase: (address, data or None, is its sector headless).

    `loosen_call`: in the program with that number one bit that should fall does not.
    """

    def __init__(self, size_bytes: int, rng: Random, sector_bytes: int) -> None:
        super().__init__(size_bytes, rng, sector_bytes)
        self.calls: list[tuple[int, bytes | None, bool]] = []
        self.loosen_call = -1

    def program(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """As ever."""
        head = addr - addr % self.sector_bytes
        self.calls.append((addr, bytes(data), self._cells[head : head + 4] == b"\xff" * 4))
        kept = self.loose_per_million
        if len(self.calls) - 1 == self.loosen_call:
            self.loose_per_million = 1_000_000
        try:
            super().program(addr, data)
        finally:
            self.loose_per_million = kept

    def erase(self, sector_no: int) -> None:
        """As ever."""
        self.calls.append((sector_no * self.sector_bytes, None, False))
        super().erase(sector_no)


class Twin:
    """A journal on a flash, and everything it has promised.

    `records`, `kept`: acknowledged. `attempt`, `keeping`: begun and not acknowledged; the next
    boot settles for good whether it is there. `told`: the highest receipt. `is_bad`: whether the
    flash loses bits by itself, so that more than one sector may have to be given up at once.
    """

    def __init__(self, flash: WatchedFlash) -> None:
        self.flash = flash
        self.records: dict[int, bytes] = {}
        self.kept: dict[int, bytes] = {}
        self.attempt: bytes | None = None
        self.keeping: tuple[int, bytes] | None = None
        self.told = 0
        self.is_bad = False
        self.journal = Journal(flash)

    def on(self, flash: WatchedFlash) -> Twin:
        """The same on another flash that holds the same."""
        twin = copy.copy(self)
        twin.flash = flash
        twin.records, twin.kept = dict(self.records), dict(self.kept)
        twin.journal = copy.deepcopy(self.journal, {id(self.flash): flash})
        return twin

    @property
    def head_seq(self) -> int:
        """The newest sequence that was acknowledged."""
        return max(self.records, default=0)

    def do(self, step: Step) -> None:
        """Take one step; PowerCut comes through."""
        name = step[0]
        if name == "append":
            self.append(step[1])
        elif name == "keep":
            self.keep(step[1], step[2])
        elif name == "receipt":
            self.told = max(self.told, self.head_seq - step[1])
            self.journal.receipt(self.head_seq - step[1])
        elif name == "prepare":
            self.journal.prepare()
        elif name == "boot":
            self.boot()
        elif not self._is_refused(step[1]) and name == "full":
            raise Broken("a full journal took a record")

    def append(self, data: bytes) -> None:
        """Append, and note that it was acknowledged."""
        had_room = self.journal.has_room()
        self.attempt = data
        try:
            seq = self.journal.append(data)
        except JournalFull:
            self.attempt = None
            if had_room and not self.is_bad:
                raise Broken("full, and there was room") from None
            raise
        if seq != self.head_seq + 1:
            raise Broken(f"append returned {seq} after {self.head_seq}")
        self.records[seq] = data
        self.attempt = None

    def keep(self, key: int, data: bytes) -> None:
        """Keep a value; a full ring may refuse it."""
        self.keeping = (key, data)
        free = self.journal.free_sectors()
        try:
            self.journal.keep(key, data)
        except JournalFull:
            if free and not self.is_bad:
                raise Broken("a value found no room, and there was some") from None
        else:
            self.kept[key] = data
        self.keeping = None

    def append_in_the_end(self, data: bytes) -> None:
        """Append; if it is full, everything gets its receipt, and at worst the reader reboots."""
        for count in range(FULL_TRIES):
            try:
                self.append(data)
                return
            except JournalFull:
                if count:
                    self.boot()
                self.judge()
                self.do(("receipt", 0))
        raise Unresolved("full for ever, though everything is booked")

    def boot(self) -> None:
        """What a power-on does with the journal."""
        self.journal = Journal(self.flash)
        self.journal.recover()

    def power_cycle(self) -> None:
        """Off and on again: weak cells may look the other way now. Then judge the newest."""
        self.flash.cut()
        self.flash.power_on()
        self.boot()
        self.judge(NEWEST_RECORDS)

    # -- the judge --------------------------------------------------------------------------

    def judge(self, count: int = ALL_RECORDS) -> None:
        """Broken unless everything promised is there and nothing else; settles what was begun.

        Only the newest `count` records are read.
        """
        journal, head = self.journal, self.head_seq
        if self.attempt is not None and journal.head_seq == head + 1:
            head += 1
            self.records[head] = self.attempt
        self.attempt = None
        if journal.head_seq != head:
            raise Broken(f"head {journal.head_seq}, acknowledged {head}")
        behind = self.told - journal.receipted
        # Worn cells may leave no room for the note: then the ledger tells it again.
        if behind < 0 or (not self.is_bad and behind > NOTE_STEP + self.flash.sector_bytes // 48):
            raise Broken(f"receipted {journal.receipted}, told {self.told}")
        for seq in range(max(journal.receipted - 1, head - count, 0), head + 2):
            data = journal.record(seq)
            # Also: receipts are on flash before the space is used that they free.
            kept_from = self.told if self.is_bad else journal.receipted
            if data is None and kept_from < seq <= head:
                raise Broken(f"record {seq} of {head} is lost, receipts until {self.told}")
            if data is not None and data != self.records.get(seq):
                raise Broken(f"record {seq} of {head} is not what was written")
        if head and journal.head_link != self.records[head][-LINK_BYTES:]:
            raise Broken(f"link of {head}")
        if not 0 <= journal.free_sectors() <= journal.sectors:
            raise Broken(f"{journal.free_sectors()} free sectors")
        self._judge_kept()

    def _judge_kept(self) -> None:
        if self.keeping is not None:
            key, data = self.keeping
            if self.journal.kept(key) == data:
                self.kept[key] = data
            self.keeping = None
        for key in range(8):
            if self.journal.kept(key) != self.kept.get(key, b""):
                raise Broken(f"value {key} is {self.journal.kept(key)!r}")

    def _is_refused(self, data: bytes) -> bool:
        before = self.flash.image()
        try:
            self.append(data)
        except JournalFull:
            if self.flash.image() != before:
                raise Broken("a full journal has written") from None
            self.judge()
            return True
        return False
