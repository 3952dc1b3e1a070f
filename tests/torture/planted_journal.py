"""Bugs for the journal, planted by a test and never anywhere else: each takes a defence away.

A torture that does not notice one of them cannot say anything about that defence.
"""

from collections.abc import Callable

import pytest

from firmware.services import journal as journal_module
from firmware.services import journal_bytes
from firmware.services.flash_bytes import FlashBytes
from firmware.services.journal import Journal, JournalFull
from firmware.services.journal_bytes import HEAD_BYTES, HEADER_BYTES, KEPT
from firmware.services.journal_reader import Contents, Reader

PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {}


def planted(name: str) -> Callable:
    """Register a bug under a name."""

    def register(apply: Callable[[pytest.MonkeyPatch], None]) -> Callable:
        PLANTED[name] = apply
        return apply

    return register


@planted("what was programmed is not read back")
def _not_read_back(patch):
    def program(self, address, data):
        self.burn(address, data)
        return True

    patch.setattr(FlashBytes, "program", program)


@planted("the newest is not programmed again at boot")
def _newest_stays_weak(patch):
    take_up = Journal._take_up

    def take_up_as_is(self, header, contents):
        self._bytes.insist = self._bytes._holds
        take_up(self, header, contents)
        del self._bytes.insist

    patch.setattr(Journal, "_take_up", take_up_as_is)


@planted("the tail is taken for blank when it looks so")
def _no_gap(patch):
    def leave_gap(self, offset):
        self._offset = offset
        if not self._bytes.is_blank(self._ring.active, offset):
            self._kill(offset)

    patch.setattr(Journal, "_leave_gap", leave_gap)


@planted("only the first byte of the tail is checked")
def _first_byte_is_blank(patch):
    def leave_gap(self, offset):
        first = bytearray(1)
        self._bytes.read(self._ring.active * self._sector_bytes + min(offset, 4095), first)
        self._offset = offset
        if first != b"\xff":
            self._kill(offset)

    patch.setattr(Journal, "_leave_gap", leave_gap)


@planted("a torn tail is left as it is")
def _tail_lives_on(patch):
    def kill(self, offset):
        self._offset = self._sector_bytes

    patch.setattr(Journal, "_kill", kill)


@planted("the CRC leaves out the data")
def _crc_of_head_only(patch):
    whole = journal_bytes.crc32
    patch.setattr(
        journal_bytes, "crc32", lambda data, start=None: whole(data) if start is None else start
    )


@planted("an entry needs no CRC")
def _no_crc(patch):
    def parse_entry(generation, buffer, room):
        length = journal_bytes.entry_length(buffer, room)
        if length < 0:
            return None
        return buffer[2], int.from_bytes(buffer[4:8], "little"), length

    patch.setattr(journal_bytes, "parse_entry", parse_entry)


@planted("space is freed before the receipt")
def _frees_unbooked(patch):
    give_up = Journal._give_up_booked

    def give_up_all(self):
        self.receipted, kept = self.head_seq, self.receipted
        give_up(self)
        self.receipted = kept

    patch.setattr(Journal, "_give_up_booked", give_up_all)


@planted("a full ring overwrites its oldest sector")
def _overwrites(patch):
    erase_next = Journal._erase_next

    def erase(self):
        sector = erase_next(self)
        after = (self._ring.active + 1) % self.sectors
        if sector < 0 and after not in self._bad:
            self._bytes.erase(after)
            return after
        return sector

    patch.setattr(Journal, "_erase_next", erase)


@planted("the sequence is the count of records")
def _sequence_from_count(patch):
    recover = Journal.recover

    def recover_and_count(self):
        recover(self)
        whole = [seq for seq in range(1, self.head_seq + 1) if self.record(seq) is not None]
        self.head_seq = len(whole)

    patch.setattr(Journal, "recover", recover_and_count)


@planted("a sector is erased before its receipt is on flash")
def _never_notes(patch):
    patch.setattr(Journal, "note", lambda self: None)


@planted("a bad sector is fatal")
def _bad_sector_is_fatal(patch):
    def open_next(self):
        sector = self._blank if self._blank >= 0 else self._erase_next()
        self._blank = -1
        if sector < 0 or not self._open(sector):
            raise JournalFull

    patch.setattr(Journal, "_open_next", open_next)


@planted("what is kept is only in memory until the next sector")
def _kept_in_memory(patch):
    def keep(self, key, data):
        self._kept[key] = bytes(data)

    patch.setattr(Journal, "keep", keep)


@planted("a sector gets its header before what is kept")
def _header_first(patch):
    opened = Journal._open

    def open_and_carry(self, sector):
        kept, self._kept = self._kept, {}
        is_open = opened(self, sector)
        self._kept = kept
        for key in sorted(kept) if is_open else ():
            self._write(KEPT, key, kept[key])
        return is_open

    patch.setattr(Journal, "_open", open_and_carry)


@planted("a header that a boot did not see is believed later")
def _late_header_believed(patch):
    patch.setattr(Contents, "is_behind", lambda self, before: False)


@planted("a sector that looks blank at boot is used")
def _blank_of_before(patch):
    recover = Journal.recover

    def recover_and_reuse(self):
        recover(self)
        after = (self._ring.active + 1) % self.sectors
        if self._ring.active >= 0 and self._bytes.is_blank(after, 0):
            self._blank = after

    patch.setattr(Journal, "recover", recover_and_reuse)


@planted("the flash is expected to be awake at boot")
def _awake(patch):
    patch.setattr(journal_module, "SLOW_READS_MAX", 0)


@planted("what follows a gap is not looked for")
def _stops_at_a_gap(patch):
    patch.setattr(Reader, "_look_beyond", lambda self, sector, offset: None)


@planted("a value is kept over the last one, in place")
def _kept_in_place(patch):
    keep = Journal.keep

    def keep_in_place(self, key, data):
        old = self._kept.get(key)
        if old is None or len(old) != len(data) or old == data:
            keep(self, key, data)
            return
        place = self._ring.active * self._sector_bytes + HEADER_BYTES
        for other in sorted(self._kept):
            if other == key:
                break
            place += journal_bytes.span(len(self._kept[other]))
        entry = journal_bytes.entry(self.generation, KEPT, key, data)
        if self._bytes.program(place, entry[:HEAD_BYTES]) and self._bytes.program(place, entry):
            self._kept[key] = bytes(data)
        else:
            keep(self, key, data)

    patch.setattr(Journal, "keep", keep_in_place)
