"""Reads the journal's headers and entries off flash: more than once, and through a rotten bit."""

from firmware.services import journal_bytes
from firmware.services.flash_bytes import CHUNK, READS
from firmware.services.journal_bytes import ENTRY_BYTES_MAX, HEAD_BYTES, HEADER_BYTES, MARK

UNREADABLE = (0, 0, 0, b"")
_BLANK_READS = 2  # how often a header must read erased
_BLANK = b"\xff" * HEADER_BYTES


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
        self._flash.mend(base, bytes(buffer))
        return header

    def is_headless(self, sector):
        """Whether a sector begins with erased bytes or with the zeros that kill a header."""
        head = memoryview(self._buffer)[:4]
        self._flash.read(sector * self._sector_bytes, head)
        return head == _BLANK[:4] or head == bytes(4)

    def entry(self, sector, offset):
        """(offset, kind, seq, length) of the entry at `offset`.

        If that is rotten, of the next one behind it; None if no whole one follows.
        """
        for _ in range(READS):
            entry = self._read(sector, offset)
            if entry is not None:
                return entry
        return self._mend(sector, offset) or self._look_beyond(sector, offset)

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
        """As _read, with one bit put right."""
        room = self._room(offset)
        if not room:
            return None
        generation = self._generation_of(sector)
        base = sector * self._sector_bytes + offset
        view = memoryview(self._buffer)[:room]
        self._flash.read(base, view)
        entry = journal_bytes.mend_entry(generation, view, room)
        if entry is None:
            return None
        self._flash.mend(base, self.whole(entry[2]))
        return (offset,) + entry

    def _look_beyond(self, sector, offset):
        """The first whole entry anywhere behind `offset`."""
        chunk = bytearray(CHUNK)
        for start in range(offset - offset % CHUNK, self._sector_bytes, CHUNK):
            self._flash.read(sector * self._sector_bytes + start, chunk)
            for at in range(3, CHUNK, 4):
                if chunk[at] == MARK and start + at - 3 > offset:
                    entry = self._read(sector, start + at - 3)
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
