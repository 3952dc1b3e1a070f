"""The journal: an append-only ring of records on raw NOR flash, with no file system under it.

One sector (4 KiB) after the other is erased, given a header, and filled with entries. Programming
only clears bits, so a cut leaves nothing, a torn entry (its CRC fails) or the whole entry.
Rules of this file:
- an entry counts once it has been read back equal; until then nothing depends on it;
- what lies torn at the tail is killed (its head programmed to zero) before anything is appended:
  an unstable cell can never resurrect a record whose number was used again;
- a torn header is killed likewise before anything is appended in the sector before it;
- after every boot the newest header and record are programmed once more with the very bytes that
  passed their CRC: a cut may have left cells half way that read right only by luck;
- a sector is erased only when every record in it has the ledger's receipt, and that receipt is
  noted on flash first (where worn cells leave no room for the note, the ledger is asked again);
- a blank sector of before a boot is erased again before it is used;
- the sector of the newest record stays, booked or not: a boot goes on from that record.

Sector header: magic u32, generation u32, first_seq u32, receipted u32, link 32 bytes, crc32.
Entry: length u16, kind u8, 0x5A, seq u32, crc32, data, padding to 4. All little endian.
Both CRCs cover the generation, so a stale entry is never taken for a new one. A sector is erased
once per turn of the ring: generation // sectors is its wear.
"""

import struct
from array import array
from binascii import crc32

RECORD_BYTES_MAX = 256
RESERVE_SECTORS = 2  # kept for what must still be written when spending has stopped
_RECORD, _RECEIPTED = 1, 2
_MAGIC = 0x314A434F  # "OCJ1"
_HEADER = "<IIII32s"
_HEADER_BYTES = 48
_FIRST_ENTRY = _HEADER_BYTES + 4
_ENTRY_HEAD = "<HBBI"
_ENTRY_BYTES = 12
_MARK = 0x5A
_LINK_BYTES = 32
_NONE = 0xFFFFFFFF
_NOTE_STEP = 16  # receipts are noted this many records apart; they can be asked for again
_CHUNK = 256  # bytes compared at a time when looking for blank flash
_BLANK = b"\xff" * _CHUNK
_READS = 3  # a torn cell may read right once


class JournalFull(Exception):
    """Every record in the ring still waits for its receipt. Nothing was written."""


class Journal:
    """The ring on one flash partition; call recover() once before anything else.

    `flash` has size_bytes, sector_bytes, read(addr, buf), program(addr, data) and erase(sector).
    head_seq and head_link: sequence and last 32 bytes (the seal's tag) of the newest record.
    receipted: the highest sequence known to be booked. retired: sectors given up since boot.
    """

    def __init__(self, flash):
        self._flash = flash
        self._sector_bytes = flash.sector_bytes
        self.sectors = flash.size_bytes // flash.sector_bytes
        self._first_seqs = array("I", b"\xff" * (4 * self.sectors))  # _NONE: not in use
        self._entry = bytearray(_ENTRY_BYTES + RECORD_BYTES_MAX + 4)
        self._again = bytearray(_ENTRY_BYTES + RECORD_BYTES_MAX + 4)
        self._bad = []
        self._active = self._oldest = -1
        self._offset = self._sector_bytes
        self._blank = -1  # a sector erased ahead of its use
        self._noted = 0
        self._cursor = (0, 0, 0)  # sequence, sector, offset where the next read goes on
        self.generation = 0
        self.retired = 0
        self.head_seq = 0
        self.head_link = bytes(_LINK_BYTES)
        self.receipted = 0

    def recover(self):
        """Find the newest record on flash and heal what a cut has left.

        Bounded: one header per sector, and the entries of one sector.
        """
        generations = array("I", bytes(4 * self.sectors))  # 0: no header
        newest = None
        for sector in range(self.sectors):
            header = self._read_header(sector)
            if header is not None:
                generations[sector], self._first_seqs[sector] = header[:2]
                if newest is None or header[0] > newest[0]:
                    newest, self._active = header, sector
        if newest is None:
            return
        self.generation, first_seq, self.receipted, self.head_link = newest
        self.head_seq = first_seq - 1
        self._burn(self._active * self._sector_bytes, _header(*newest))
        self._find_oldest(generations)
        self._walk_active()
        self._noted = self.receipted
        self._give_up_booked()

    def append(self, data):
        """Write one record (33 to 256 bytes); returns its sequence once it was read back equal."""
        if not _LINK_BYTES < len(data) <= RECORD_BYTES_MAX:
            raise ValueError("a record has 33 to 256 bytes")
        for _ in range(self.sectors):
            # A record leaves room for a note: erasing the next sector may need one first.
            if self._offset + _span(len(data)) + _ENTRY_BYTES > self._sector_bytes:
                self._open_next(self.head_seq + 1)
            if self._write(_RECORD, self.head_seq + 1, data):
                self.head_seq += 1
                self.head_link = bytes(data[-_LINK_BYTES:])
                return self.head_seq
        raise JournalFull()

    def has_room(self):
        """Whether another spend may start; the reserve stays for what has to follow it."""
        return self.free_sectors() >= RESERVE_SECTORS

    def free_sectors(self):
        """How many more sectors can be opened before the ring is full."""
        if self._active < 0:
            return self.sectors - len(self._bad)
        free = (self._oldest - self._active - 1) % self.sectors
        return free - sum([(bad - self._active - 1) % self.sectors < free for bad in self._bad])

    def prepare(self):
        """Erase the next sector ahead of its use; call when idle, for an erase takes long."""
        if self._blank < 0 and self._offset > self._sector_bytes // 2 and self._active >= 0:
            self._blank = self._erase_next()

    def receipt(self, upto):
        """Everything up to sequence `upto` is booked: its flash may be used again."""
        if not self.receipted < upto <= self.head_seq:
            return
        self.receipted = upto
        if upto - self._noted >= _NOTE_STEP:
            self._note()
        self._give_up_booked()

    def records_from(self, seq, count_max, bytes_max):
        """Up to `count_max` records (bytes) from sequence `seq` on, `bytes_max` in all."""
        records = []
        while len(records) < count_max and seq <= self.head_seq:
            data = self.record(seq)
            if data is None or len(data) > bytes_max:
                break
            bytes_max -= len(data)
            records.append(data)
            seq += 1
        return records

    def record(self, seq):
        """The record of a sequence as bytes, or None if it is not on flash any more."""
        wanted, sector, offset = self._cursor
        if wanted != seq:
            sector, offset = self._sector_of(seq), _FIRST_ENTRY
        while sector >= 0:
            entry = self._read_entry(sector, offset)
            if entry is None:
                return self._record_beyond(seq, sector)
            kind, found, length = entry
            offset += _span(length)
            if kind == _RECORD and found == seq:
                self._cursor = (seq + 1, sector, offset)
                return bytes(memoryview(self._entry)[_ENTRY_BYTES : _ENTRY_BYTES + length])
        return None

    # -- sectors ----------------------------------------------------------------------------

    def _record_beyond(self, seq, sector):
        """The cursor ran off a sector's end: go on where the sequence must be."""
        self._cursor = (0, 0, 0)
        home = self._sector_of(seq)
        return self.record(seq) if home >= 0 and home != sector else None

    def _sector_of(self, seq):
        """The sector in use that holds a sequence; -1 if it is booked and given up."""
        best = -1
        sector = self._oldest
        while sector >= 0 and self._first_seqs[sector] <= seq:
            best = sector
            sector = self._next_used(sector)
        return best

    def _next_used(self, sector):
        """The sector that was opened after `sector`; -1 behind the active one."""
        if sector != self._active:
            for step in range(1, self.sectors):
                after = (sector + step) % self.sectors
                if self._first_seqs[after] != _NONE:
                    return after
        return -1

    def _find_oldest(self, generations):
        """Go round behind the active sector; a generation that does not rise is a skipped one."""
        last = 0
        for step in range(1, self.sectors + 1):
            sector = (self._active + step) % self.sectors
            if generations[sector] > last:
                last = generations[sector]
                if self._oldest < 0:
                    self._oldest = sector
            else:
                self._first_seqs[sector] = _NONE
                if self._oldest < 0:
                    self._kill_header(sector)

    def _give_up_booked(self):
        """Give up every sector whose last record is booked and not the newest."""
        while True:
            after = self._next_used(self._oldest)
            if after < 0:
                return
            last_seq = self._first_seqs[after] - 1
            if last_seq > self.receipted or last_seq == self.head_seq:
                return
            self._first_seqs[self._oldest] = _NONE
            self._oldest = after

    def _erase_next(self):
        """Erase the next free sector in ring order; -1 if the next one is in use."""
        for step in range(1, self.sectors + 1):
            sector = (self._active + step) % self.sectors
            if self._first_seqs[sector] != _NONE:
                break
            if sector in self._bad:
                continue
            if self._noted < self.receipted:
                self._note()
            self._erase(sector)
            if self._is_blank(sector, 0):
                return sector
            self._retire(sector)
        return -1

    def _open_next(self, first_seq):
        sector = self._blank if self._blank >= 0 else self._erase_next()
        self._blank = -1
        while sector >= 0:
            header = _header(self.generation + 1, first_seq, self.receipted, self.head_link)
            if self._program(sector * self._sector_bytes, header):
                self.generation += 1
                self._active, self._offset = sector, _FIRST_ENTRY
                self._first_seqs[sector] = first_seq
                if self._oldest < 0:
                    self._oldest = sector
                self._noted = self.receipted
                self._give_up_booked()
                return
            self._retire(sector)
            sector = self._erase_next()
        raise JournalFull()

    def _retire(self, sector):
        self._bad.append(sector)
        self.retired += 1
        self._kill_header(sector)

    def _read_header(self, sector):
        """(generation, first_seq, receipted, link) of a sector, or None."""
        buffer = memoryview(self._entry)[:_FIRST_ENTRY]
        for _ in range(_READS):
            self._flash.read(sector * self._sector_bytes, buffer)
            magic, generation, first_seq, receipted, link = struct.unpack_from(_HEADER, buffer)
            crc = struct.unpack_from("<I", buffer, _HEADER_BYTES)[0]
            if magic == _MAGIC and crc == crc32(buffer[:_HEADER_BYTES]):
                return generation, first_seq, receipted, link
            if magic == _NONE:
                break
        return None

    def _kill_header(self, sector):
        """Make sure that a sector not in use has no header, now or when read another time."""
        if self._word(sector, 0) not in (0, _NONE):
            self._burn(sector * self._sector_bytes, bytes(_FIRST_ENTRY))

    # -- entries ----------------------------------------------------------------------------

    def _walk_active(self):
        """Take up the entries of the active sector; make the newest firm and kill a torn tail."""
        base = self._active * self._sector_bytes
        offset = _FIRST_ENTRY
        newest, end = memoryview(self._again), 0
        while True:
            for _ in range(_READS):  # what cannot be read is killed
                entry = self._read_entry(self._active, offset)
                if entry is not None:
                    break
            else:
                break
            kind, seq, length = entry
            end = _ENTRY_BYTES + length
            newest[:end] = memoryview(self._entry)[:end]
            if kind == _RECORD:
                self.head_seq = seq
                self.head_link = bytes(newest[end - _LINK_BYTES : end])
            else:
                self.receipted = max(self.receipted, seq)
            at, offset = offset, offset + _span(length)
        if end:
            self._burn(base + at, newest[:end])
        self._offset = offset
        if offset < self._sector_bytes and not self._is_blank(self._active, offset):
            self._kill(offset)

    def _write(self, kind, seq, data):
        """Write an entry into the active sector, which has the room; False if it did not take."""
        offset = self._offset
        self._offset += _span(len(data))
        head = struct.pack(_ENTRY_HEAD, len(data), kind, _MARK, seq)
        crc = struct.pack("<I", crc32(data, crc32(head, self.generation)))
        if self._program(self._active * self._sector_bytes + offset, head + crc + data):
            return True
        # Cells that do not take the data: nothing more goes into this sector.
        self._kill(offset)
        return False

    def _note(self):
        """Write down how far the receipts go. Not worth failing for: it can be asked again."""
        if self._offset + _ENTRY_BYTES <= self._sector_bytes:
            if self._write(_RECEIPTED, self.receipted, b""):
                self._noted = self.receipted

    def _kill(self, offset):
        """Close the active sector at `offset`: a head of zeros is never a valid entry."""
        room = min(_ENTRY_BYTES, self._sector_bytes - offset)
        self._burn(self._active * self._sector_bytes + offset, bytes(room))
        self._offset = self._sector_bytes

    def _read_entry(self, sector, offset):
        """(kind, seq, length) with the data behind the head in self._entry, or None."""
        if offset + _ENTRY_BYTES > self._sector_bytes:
            return None
        view = memoryview(self._entry)
        base = sector * self._sector_bytes + offset
        self._flash.read(base, view[:_ENTRY_BYTES])
        length, kind, mark, seq = struct.unpack_from(_ENTRY_HEAD, view)
        if mark != _MARK or kind not in (_RECORD, _RECEIPTED) or length > RECORD_BYTES_MAX:
            return None
        if offset + _span(length) > self._sector_bytes:
            return None
        end = _ENTRY_BYTES + length
        self._flash.read(base + _ENTRY_BYTES, view[_ENTRY_BYTES:end])
        crc = struct.unpack_from("<I", view, 8)[0]
        generation = self.generation if sector == self._active else self._word(sector, 4)
        if crc != crc32(view[_ENTRY_BYTES:end], crc32(view[:8], generation)):
            return None
        return kind, seq, length

    # -- bytes on flash ---------------------------------------------------------------------

    def _program(self, address, data):
        """Program and read back; True if the flash holds `data`."""
        self._burn(address, data)
        again = memoryview(self._again)[: len(data)]
        for _ in range(_READS):
            self._flash.read(address, again)
            if again != data:
                return False
        return True

    def _burn(self, address, data):
        """Program, whatever comes of it."""
        try:
            self._flash.program(address, data)
        except OSError:
            pass  # it reads back wrong, or not

    def _erase(self, sector):
        """Erase, whatever comes of it."""
        try:
            self._flash.erase(sector)
        except OSError:
            pass  # it is not blank, or is

    def _word(self, sector, offset):
        word = bytearray(4)
        self._flash.read(sector * self._sector_bytes + offset, word)
        return struct.unpack("<I", word)[0]

    def _is_blank(self, sector, offset):
        buffer = memoryview(self._again)[:_CHUNK]
        for at in range(offset, self._sector_bytes, _CHUNK):
            part = buffer[: min(_CHUNK, self._sector_bytes - at)]
            for _ in range(_READS):
                self._flash.read(sector * self._sector_bytes + at, part)
                if part != _BLANK[: len(part)]:
                    return False
        return True


def _header(generation, first_seq, receipted, link):
    """The bytes at the start of a sector."""
    header = struct.pack(_HEADER, _MAGIC, generation, first_seq, receipted, link)
    return header + struct.pack("<I", crc32(header))


def _span(length):
    """Bytes an entry takes on flash."""
    return (_ENTRY_BYTES + length + 3) & ~3
