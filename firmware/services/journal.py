"""The journal: an append-only ring of records on raw NOR flash, with no file system under it.

One sector (4 KiB) after the other is erased, given a header, and filled with entries. Programming
only clears bits, so a cut leaves nothing, a torn entry (its CRC fails) or the whole entry.
Rules of this file:
- an entry counts once it has been read back equal; until then nothing depends on it;
- blank flash of before a boot is never trusted: cells that a cut has left half way may look blank
  today and whole tomorrow. So every boot leaves a gap behind the newest entry, as long as an entry
  can be, and kills its head (programs it to zero): what was begun there never comes back and never
  shines through. And a blank sector of before a boot is erased again before it is used;
- likewise for a header: the newest one is disowned if the sector before it says what it cannot
  have known, for then a boot did not see it, and wrote on there;
- after every boot the newest header and entry are programmed once more with the very bytes that
  passed their CRC: a cut may have left cells half way that read right only by luck;
- an entry that fails its CRC is torn only if nothing whole stands behind it: otherwise it is
  rotten, and is passed over. One rotten bit is put right, in memory and where it can be on flash;
- small values that are kept (PIN failures, lock state, epochs) are written into a new sector
  before its header, which is written last: a cut leaves the old sector's values or the new one's;
- a sector is erased only when every record in it has the ledger's receipt, and that receipt is
  noted on flash first (where worn cells or many boots leave no room, the ledger is asked again);
- the newest records stay, booked or not: a boot goes on from the newest one and says how the last
  spend ended. They go too when the ring would be nearly full of them, the newest last.

Sector header: magic u32 "OCJ1", generation u32, first_seq u32, receipted u32, link 32 bytes,
crc32 of these 48 bytes. Entries follow from byte 52 on, each at a multiple of 4.
Entry: length u16, kind u8, 0x5A, seq u32, crc32, data, padding to 4. The CRC covers the sector's
generation (as its start value), the 8 bytes before it and the data, so that a stale entry is never
taken for a new one. All little endian.
Kinds: 1 a record (33 to 256 bytes); 2 all up to seq is booked (no data); 3 the value kept under
the key seq (0 to 7; at most 64 bytes; the last one of a sector holds). The sector opened last says
all that is kept. Journals of before kind 3 existed have none of it and are otherwise the same.
A sector is erased once per turn of the ring: generation // sectors is its wear.
"""

from array import array

from firmware.services import journal_bytes
from firmware.services.flash_bytes import FlashBytes
from firmware.services.journal_bytes import (
    HEAD_BYTES,
    HEADER_BYTES,
    KEPT,
    KEPT_BYTES_MAX,
    LINK_BYTES,
    MAGIC,
    MARK,
    MARK_AT,
    RECEIPTED,
    RECORD,
    RECORD_BYTES_MAX,
    span,
)
from firmware.services.journal_reader import UNREADABLE, Reader
from firmware.services.journal_ring import NONE, Ring

KEYS = 8
STAY_RECORDS = 40
RESERVE_SECTORS = 2  # kept for what must still be written when spending has stopped
SLOW_READS_MAX = 64  # so many reads after power-on may answer anything at all
_NOTE_STEP = 16  # receipts are noted this many records apart; they can be asked for again
_GAP_BYTES = span(RECORD_BYTES_MAX)  # the longest an entry can be
_NOTES_BYTES = 3 * HEAD_BYTES  # left for a note before a boot, its gap, and a note behind it
# The sequence that was read last, its sector, where it stands there and where it ends.
_NO_CURSOR = (-1, -1, 0, 0)
_NEARLY = 10  # a ring is nearly full when less than one sector in so many is free


class JournalFull(Exception):
    """Every record in the ring still waits for its receipt. Nothing was written."""


class Journal:
    """The ring on one flash partition; call recover() once before anything else.

    `flash`: see FlashBytes. head_seq and head_link: sequence and last 32 bytes (the seal's tag) of
    the newest record. receipted: the highest sequence known to be booked. retired: how often a
    sector was given up since boot.

    One rotten bit in an entry or header costs nothing. Two in one record lose it: it reads as None
    and nothing else. Two in a header hide its sector: unless all in it is booked, nothing is
    appended or erased any more (JournalFull) until it is. Two in the newest entry or header cannot
    be told from a cut.
    """

    def __init__(self, flash):
        self._bytes = FlashBytes(flash)
        self._sector_bytes = flash.sector_bytes
        self.sectors = self._bytes.sectors
        self._ring = Ring(self.sectors)
        self._reader = Reader(self._bytes)
        self._bad = []
        self._doubtful = []  # found at boot with a header that is none, or an old one
        self._offset = self._sector_bytes
        self._blank = -1  # a sector erased ahead of its use
        self._noted = 0
        self._kept = {}
        self._cursor = _NO_CURSOR
        self.generation = 0
        self.retired = 0
        self.head_seq = 0
        self.head_link = bytes(LINK_BYTES)
        self.receipted = 0

    def recover(self):
        """Find the newest record on flash and heal what a cut has left; erases nothing.

        Bounded: one header per sector, and the entries of two sectors. The first SLOW_READS_MAX
        reads may answer wrongly: a header that passes its CRC tells that the flash has woken.
        """
        generations = array("I", bytes(4 * self.sectors))  # 0: no header
        newest = None
        step, end = 0, self.sectors + SLOW_READS_MAX // 2
        while step < end:
            sector = step % self.sectors
            header = self._reader.header(sector)
            if header is UNREADABLE:
                self._doubtful.append(sector)
            elif header is not None:
                if newest is None:
                    end = step + self.sectors  # once round from here
                generations[sector], self._ring.first_seqs[sector] = header[:2]
                if newest is None or header[0] > newest[0]:
                    newest, self._ring.active = header, sector
            step += 1
        if newest is None:
            return
        contents = self._reader.contents(self._ring.active, newest, self._sector_bytes)
        if not contents.is_used:
            before = self._before(generations, newest[0])
            if before is not None and contents.is_behind(before[2]):
                # A boot did not see this one, and wrote on in the sector before it.
                generations[self._ring.active] = 0
                self._ring.first_seqs[self._ring.active] = NONE
                self._burn_header(self._ring.active)
                self._ring.active, newest, contents = before
        self._take_up(newest, contents)
        self._doubtful += self._ring.find_oldest(generations)
        if self._lacks_records():
            self._offset = self._sector_bytes
        else:
            self._kill_headers()
        self._give_up_booked()

    def append(self, data):
        """Write one record (33 to 256 bytes); returns its sequence once it was read back equal."""
        if not LINK_BYTES < len(data) <= RECORD_BYTES_MAX:
            raise ValueError("a record has 33 to 256 bytes")
        self._put(RECORD, self.head_seq + 1, data)
        self.head_seq += 1
        self.head_link = bytes(data[-LINK_BYTES:])
        return self.head_seq

    def keep(self, key, data):
        """Keep a value (at most 64 bytes) under a key (0 to 7) for ever, in place of the last one.

        It is kept once this returns; a cut inside leaves the old value or the new one.
        """
        if not 0 <= key < KEYS or len(data) > KEPT_BYTES_MAX:
            raise ValueError("a key is 0 to 7, a value has at most 64 bytes")
        if data != self.kept(key):
            self._put(KEPT, key, data)
            self._kept[key] = bytes(data)

    def kept(self, key):
        """The value kept under a key; empty if there is none."""
        return self._kept.get(key, b"")

    def has_room(self):
        """Whether another spend may start; the reserve stays for what has to follow it."""
        return self.free_sectors() >= RESERVE_SECTORS

    def is_nearly_full(self):
        """Whether it is time to warn: less than a tenth is left before spending stops."""
        return self.free_sectors() <= RESERVE_SECTORS + self.sectors // _NEARLY

    def free_sectors(self):
        """How many more sectors can be opened before the ring is full."""
        if self._ring.active < 0:
            return self.sectors - len(self._bad)
        if self._lacks_records():
            return 0
        return self._ring.free(self._bad)

    def prepare(self):
        """Erase the next sector ahead of its use; call when idle, for an erase takes long."""
        if self._blank < 0 and self._offset > self._sector_bytes // 2 and self._ring.active >= 0:
            self._blank = self._erase_next()

    def receipt(self, upto):
        """Everything up to sequence `upto` is booked: its flash may be used again."""
        if not self.receipted < upto <= self.head_seq:
            return
        lacked = self._lacks_records()
        self.receipted = upto
        if upto - self._noted >= _NOTE_STEP:
            self.note()
        self._give_up_booked()
        if lacked and not self._lacks_records():
            self._kill_headers()
        if not self.has_room():
            self._bad = []  # perhaps one was only unlucky: all get another chance

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
        if seq > self.head_seq:
            return None
        last, sector, at, offset = self._cursor
        if seq != last + 1:
            home = self._ring.sector_of(seq)
            if home != sector or seq < last:
                sector, offset = home, HEADER_BYTES
            elif seq == last:
                offset = at
        while sector >= 0:
            entry = self._reader.entry(sector, offset)
            if entry is None:
                return self._record_beyond(seq, sector)
            at, kind, found, length = entry
            offset = at + span(length)
            if kind == RECORD and found >= seq:
                self._cursor = (found, sector, at, offset)
                data = self._reader.data(length)
                return data if found == seq else None  # it is rotten
        return None

    # -- sectors ----------------------------------------------------------------------------

    def _record_beyond(self, seq, sector):
        """The cursor ran off a sector's end: go on where the sequence must be."""
        self._cursor = _NO_CURSOR
        home = self._ring.sector_of(seq)
        return self.record(seq) if home >= 0 and home != sector else None

    def _before(self, generations, generation):
        """(sector, header, contents) of the sector opened just before the active one, or None."""
        for sector in range(self.sectors):
            if generations[sector] == generation - 1:
                header = self._reader.header(sector)
                if header:
                    return (
                        sector,
                        header,
                        self._reader.contents(sector, header, self._sector_bytes),
                    )
        return None

    def _lacks_records(self):
        """Whether records without a receipt are missing: rot has hidden their sector."""
        return self._ring.lacks(self.receipted + 1)

    def _give_up_booked(self):
        """Give up every sector in which all is booked, but the newest records only in need."""
        while True:
            after = self._ring.next_used(self._ring.oldest)
            if after < 0:
                return
            last_seq = self._ring.first_seqs[after] - 1
            spare = self.has_room() if last_seq == self.head_seq else not self.is_nearly_full()
            if last_seq > self.receipted or (last_seq > self.head_seq - STAY_RECORDS and spare):
                return
            self._ring.give_up(self._ring.oldest)

    def _erase_next(self):
        """Erase the next free sector in ring order; -1 if the next one is in use."""
        if self._ring.active >= 0 and self._lacks_records():
            return -1
        for step in range(1, self.sectors + 1):
            sector = (self._ring.active + step) % self.sectors
            if self._ring.first_seqs[sector] != NONE:
                break
            if sector in self._bad:
                continue
            if self._noted < self.receipted:
                self.note()
            if self._bytes.erase(sector):
                return sector
            self._retire(sector)
        return -1

    def _open_next(self):
        sector = self._blank if self._blank >= 0 else self._erase_next()
        self._blank = -1
        while sector >= 0:
            if self._open(sector):
                return
            self._retire(sector)
            sector = self._erase_next()
        raise JournalFull()

    def _open(self, sector):
        """Give a blank sector what is kept, then its header; False if it did not take."""
        base, offset = sector * self._sector_bytes, HEADER_BYTES
        for key in sorted(self._kept):
            data = self._kept[key]
            carried = journal_bytes.entry(self.generation + 1, KEPT, key, data)
            if not self._bytes.insist(base + offset, carried):
                return False
            offset += span(len(data))
        first_seq = self.head_seq + 1
        header = journal_bytes.header(
            self.generation + 1, first_seq, self.receipted, self.head_link
        )
        if not self._bytes.insist(base, header):
            return False
        self.generation += 1
        self._offset = offset
        self._ring.use(sector, first_seq)
        self._cursor = _NO_CURSOR
        self._reader.forget()
        self._noted = self.receipted
        self._give_up_booked()
        return True

    def _retire(self, sector):
        self._bad.append(sector)
        self.retired += 1
        self._burn_header(sector)

    def _kill_headers(self):
        """No sector that is not in use may have a header, now or when it is read another time."""
        for sector in self._doubtful:
            if self._ring.first_seqs[sector] == NONE:
                self._kill_header(sector)

    def _kill_header(self, sector):
        if not self._reader.is_headless(sector):
            self._burn_header(sector)

    def _burn_header(self, sector):
        self._bytes.destroy(sector * self._sector_bytes, HEADER_BYTES, 0, MAGIC & 0xFF)

    # -- entries ----------------------------------------------------------------------------

    def _take_up(self, header, contents):
        """Go on in the active sector; make its header and newest entry firm."""
        base = self._ring.active * self._sector_bytes
        self.generation, self.receipted = header[0], contents.receipted
        self.head_seq, self.head_link = contents.head_seq, contents.head_link
        self._kept = contents.kept
        self._noted = contents.receipted
        self._bytes.insist(base, journal_bytes.header(*header))
        if contents.newest:
            self._bytes.insist(base + contents.newest_at, contents.newest)
        self._leave_gap(contents.end)

    def _leave_gap(self, offset):
        """Go on so far behind `offset` that no entry which was begun there reaches it.

        Its head is killed even where all looks blank: its cells may only look so today. A head of
        zeros is the gap of an earlier boot. The last bytes stay for a note, as in _put.
        """
        last = self._sector_bytes - HEAD_BYTES
        is_gap = True
        while is_gap and offset <= last:
            is_gap = self._reader.is_killed(self._ring.active, offset)
            self._kill(offset)
            offset = max(offset + HEAD_BYTES, min(offset + _GAP_BYTES, last))
        if offset <= last and self._bytes.is_blank(self._ring.active, offset):
            self._offset = offset

    def _put(self, kind, seq, data):
        """Write an entry where there is room for it. JournalFull if there is none."""
        for _ in range(self.sectors):
            # Erasing the next sector may need a note first.
            if self._offset + span(len(data)) + _NOTES_BYTES > self._sector_bytes:
                self._open_next()
            if self._write(kind, seq, data):
                return
        raise JournalFull()

    def _write(self, kind, seq, data):
        """Write an entry into the active sector, which has the room; False if it did not take."""
        offset = self._offset
        self._offset += span(len(data))
        entry = journal_bytes.entry(self.generation, kind, seq, data)
        if self._bytes.insist(self._ring.active * self._sector_bytes + offset, entry):
            return True
        # Cells that do not take the data: nothing more goes into this sector.
        self._kill(offset)
        return False

    def note(self):
        """Write down how far the receipts go. Not worth failing for: it can be asked again."""
        if self._offset + HEAD_BYTES <= self._sector_bytes:
            if self._write(RECEIPTED, self.receipted, b""):
                self._noted = self.receipted

    def _kill(self, offset):
        """Close the active sector at `offset`: a head of zeros is never a valid entry."""
        room = min(HEAD_BYTES, self._sector_bytes - offset)
        self._bytes.destroy(self._ring.active * self._sector_bytes + offset, room, MARK_AT, MARK)
        self._offset = self._sector_bytes
