"""Reads the journal's headers and entries off flash: more than once, and through a rotten bit."""

from firmware.services import journal_bytes
from firmware.services.flash_bytes import CHUNK, READS
from firmware.services.journal_bytes import (
    ENTRY_BYTES_MAX,
    HEAD_BYTES,
    HEADER_BYTES,
    KEPT,
    LINK_BYTES,
    MARK,
    RECORD,
    span,
)

UNREADABLE = (0, 0, 0, b"")
_BLANK_READS = 2  # how often a header must read erased
_SEARCHES = 2  # how often a sector is searched before nothing is in it
_STEADY, _STEADY_OF = 14, 16
_ROTTEN_BITS_MAX = 8  # of a killed head; one that was begun has more ones, a blank one has 96
_BLANK = b"\xff" * HEADER_BYTES


class Contents:
    """What one sector says: with its header, all that is known at its end.

    `carried`: the values kept that came with the sector; `kept`: those that hold at its end.
    `newest`: the bytes of its last entry, at `newest_at`; `end`: where that ends. `is_used`:
    whether there is a record or a receipt in it.
    """

    def __init__(self, header):
        _, first_seq, self.receipted, self.head_link = header
        self.head_seq = first_seq - 1
        self.carried = {}
        self.kept = {}
        self.newest = None
        self.newest_at = 0
        self.end = HEADER_BYTES
        self.is_used = False

    def take(self, at, kind, seq, whole):
        """The next entry."""
        self.newest, self.newest_at, self.end = whole, at, at + span(len(whole) - HEAD_BYTES)
        if kind == KEPT:
            data = whole[HEAD_BYTES:]
            self.carried.setdefault(seq, data)
            self.kept[seq] = data
            return
        self.is_used = True
        if kind == RECORD:
            self.head_seq = seq
            self.head_link = whole[-LINK_BYTES:]
        else:
            self.receipted = max(self.receipted, seq)

    def is_behind(self, before):
        """Whether the sector opened before this one says what this one cannot have known."""
        if before.head_seq > self.head_seq or before.receipted > self.receipted:
            return True
        return any(self.carried.get(key) != before.kept[key] for key in before.kept)


class Reader:
    """Over FlashBytes. What one bit makes unreadable is put right, if it can be on flash too."""

    def __init__(self, flash_bytes):
        self._flash = flash_bytes
        self._sector_bytes = flash_bytes.sector_bytes
        self._last = (-1, 0)  # a sector and its generation
        self._buffer = bytearray(ENTRY_BYTES_MAX)

    def forget(self):
        """A sector has got another header."""
        self._last = (-1, 0)

    def header(self, sector):
        """(generation, first_seq, receipted, link); None on blank flash, or UNREADABLE."""
        base = sector * self._sector_bytes
        buffer = memoryview(self._buffer)[:HEADER_BYTES]
        blank = 0
        for _ in range(READS):
            self._flash.read(base, buffer)
            header = journal_bytes.parse_header(buffer)
            if header is not None:
                return header
            blank += buffer == _BLANK
            if blank == _BLANK_READS:
                return None
        header = journal_bytes.mend_header(buffer)
        if header is None:
            return UNREADABLE
        self._flash.insist(base, bytes(buffer))
        return header

    def is_headless(self, sector):
        """Whether a sector begins with erased bytes or with the zeros that kill a header."""
        head = memoryview(self._buffer)[:4]
        self._flash.read(sector * self._sector_bytes, head)
        return head == _BLANK[:4] or head == bytes(4)

    def is_killed(self, sector, offset):
        """Whether zeros stand where the head of an entry may begin, but for a few rotten bits."""
        head = memoryview(self._buffer)[:HEAD_BYTES]
        self._flash.read(sector * self._sector_bytes + offset, head)
        ones = sum([byte >> bit & 1 for byte in head for bit in range(8)])
        return ones <= _ROTTEN_BITS_MAX

    def entry(self, sector, offset, mend=True):
        """(offset, kind, seq, length) of the entry at `offset`.

        If that is rotten, of the next one behind it; None if no whole one follows. `mend`: one
        wrong bit is put right on flash too. Not while the entry may yet be called torn: it would
        make firm what a kill has not reached.
        """
        for _ in range(READS):
            entry = self._read(sector, offset)
            if entry is not None:
                return entry
        put_right = self._mend if mend else self._read_mended
        return put_right(sector, offset) or self._look_beyond(sector, offset, put_right)

    def contents(self, sector, header, end):
        """All that stands in a sector before `end`; the last entry only if it reads steadily."""
        contents = Contents(header)
        while contents.end < end:
            entry = self.entry(sector, contents.end, False)
            if entry is None or entry[0] >= end:
                break
            at, kind, seq, length = entry
            contents.take(at, kind, seq, self.whole(length))
        if contents.newest and not self._is_steady(sector, contents.newest_at):
            return self.contents(sector, header, contents.newest_at)
        return contents

    def data(self, length):
        """The data of the entry that was read last."""
        return bytes(memoryview(self._buffer)[HEAD_BYTES : HEAD_BYTES + length])

    def whole(self, length):
        """All of it, head and data."""
        return bytes(memoryview(self._buffer)[: HEAD_BYTES + length])

    def _read(self, sector, offset):
        """As entry(), if the one at `offset` is whole; otherwise None."""
        room = self._room(offset)
        if not room:
            return None
        generation = self._generation_of(sector)
        base = sector * self._sector_bytes + offset
        view = memoryview(self._buffer)
        self._flash.read(base, view[:HEAD_BYTES])
        length = journal_bytes.entry_length(view, room)
        if length < 0:
            return None
        if length:
            self._flash.read(base + HEAD_BYTES, view[HEAD_BYTES : HEAD_BYTES + length])
        entry = journal_bytes.parse_entry(generation, view, room)
        return None if entry is None else (offset,) + entry

    def _mend(self, sector, offset):
        """As _read, with one bit put right, here and on flash."""
        entry = self._read_mended(sector, offset)
        if entry is not None:
            self._flash.insist(sector * self._sector_bytes + offset, self.whole(entry[3]))
        return entry

    def _is_steady(self, sector, offset):
        """Whether an entry is whole nearly each time it is read."""
        whole = 0
        for _ in range(_STEADY_OF):
            if self._read(sector, offset) or self._read_mended(sector, offset):
                whole += 1
        return whole >= _STEADY

    def _read_mended(self, sector, offset):
        room = self._room(offset)
        if not room:
            return None
        generation = self._generation_of(sector)
        base = sector * self._sector_bytes + offset
        view = memoryview(self._buffer)[:room]
        self._flash.read(base, view)
        entry = journal_bytes.mend_entry(generation, view, room)
        return None if entry is None else (offset,) + entry

    def _look_beyond(self, sector, offset, put_right):
        """The first whole entry anywhere behind `offset`; looks more than once."""
        chunk = bytearray(CHUNK)
        first = offset - offset % CHUNK
        for step in range(0, _SEARCHES * (self._sector_bytes - first), CHUNK):
            start = first + step % (self._sector_bytes - first)
            self._flash.read(sector * self._sector_bytes + start, chunk)
            for at in range(3, CHUNK, 4):
                found = start + at - 3
                if found > offset and journal_bytes.is_near(chunk[at], MARK):
                    # The first one behind a gap may have a rotten bit of its own.
                    entry = self._read(sector, found) or put_right(sector, found)
                    if entry is not None:
                        return entry
        return None

    def _room(self, offset):
        """Bytes an entry at `offset` may take; 0 if not even its head has room."""
        room = min(ENTRY_BYTES_MAX, self._sector_bytes - offset)
        return room if room >= HEAD_BYTES else 0

    def _generation_of(self, sector):
        if sector != self._last[0]:
            header = self.header(sector)
            self._last = (sector, header[0] if header else 0)
        return self._last[1]
