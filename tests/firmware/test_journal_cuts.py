"""The journal under power cuts as flash really takes them: torn, half way, and read by luck.

The power goes inside every flash operation of a script, then again inside every operation of the
recovery. Whatever append() has returned for must be there, for ever and unchanged, and a number
once seen never gets other bytes. Journals with planted bugs show that this would be noticed.
`make soak` draws new seeds for ONECARD_SOAK_S seconds (default 60) and prints them.
"""

import copy
import functools
import os
import random
import time

import pytest

from firmware.services.journal import RECORD_BYTES_MAX, Journal
from simulator.chips.nor_flash import NorFlash, PowerCut
from tests.firmware.ring import (
    APPEND,
    PREPARE,
    RECEIPT,
    RECORD_BYTES_MIN,
    SECTOR_BYTES,
    Mismatch,
    PlainFlash,
    fill_sector,
    play,
)

SECTORS = 7
NEVER = 1 << 40
LOOSE_PER_MILLION = 30_000
SOAK_S = int(os.environ.get("ONECARD_SOAK_S", "60"))


class WeakFlash(NorFlash):
    """Dies when a program is all but done: a few of its bits read one way or the other."""

    def program(self, addr, data):
        if not self._is_cut_due():
            super().program(addr, data)
            return
        before = bytes(self._cells[addr : addr + len(data)])
        for at, byte in enumerate(data):
            self._program_byte(addr + at, byte)
        for _ in range(self._faults.randrange(4)):
            at = self._faults.randrange(len(data))
            falling = before[at] & ~data[at]
            if falling:
                self._weak[addr + at] = falling & -falling
        self.cut()
        raise PowerCut(f"late in program at {addr:#x}")


class LooseFlash(NorFlash):
    """One program in thirty leaves a bit that should have become 0."""

    def program(self, addr, data):
        self.loose_per_million = LOOSE_PER_MILLION
        super().program(addr, data)


FLASHES = (NorFlash, WeakFlash, LooseFlash)


class Outage:
    """A ring that has turned, its books, and a script of what follows; all of it from `seed`.

    `make` is the class of the journal, `flash` that of the flash it comes to lie on. Where the
    outage is `brief`, the script is one record, for which a prepared sector has to be opened.
    """

    def __init__(self, seed, flash=NorFlash, make=Journal, brief=False):
        draw = random.Random(seed)
        self.seed, self._flash, self._make = seed, flash, make
        self._is_brief = brief
        self._books, self._image = _turned(seed % 2, brief)
        self._script = [(APPEND, RECORD_BYTES_MAX)] if brief else list(_operations(draw))

    def find(self):
        """(cuts made, None), or (cut, what was wrong) of the first cut that shows a bug."""
        cut = 0
        while True:
            try:
                books = self._start(cut)
                if _run(books, self._script):
                    return cut, None
                _check(books)
            except Mismatch as error:
                return cut, error
            cut += 1

    def _start(self, cut):
        """The books on a flash with faults of its own, booted; the power will go."""
        flash = self._flash(SECTORS * SECTOR_BYTES, random.Random(self.seed * 1000 + cut))
        flash.load(self._image)
        books = copy.copy(self._books)
        books.records, books.seen = dict(books.records), dict(books.seen)
        books.flash, books.make = flash, self._make
        books.boot()
        if self._is_brief:
            books.do((PREPARE,))
        flash.cut_after(cut)
        return books


@functools.cache
def _turned(seed, brief):
    """The books of a ring that has turned, and what its flash holds."""
    plain = PlainFlash(SECTORS)
    books = play(plain, seed, 340)
    if brief:
        fill_sector(books)
    return books, bytes(plain.cells)


def _operations(draw):
    """Long records: a sector is opened every 16 of them, with and without being prepared."""
    for _ in range(32):
        yield (APPEND, draw.choice((90, 113, 200, 256)))
        if draw.randrange(5) == 0:
            yield (RECEIPT, draw.randrange(6))
        if draw.randrange(9) == 0:
            yield (PREPARE,)


def _run(books, operations):
    """Play the operations; False if the power went on the way."""
    try:
        for operation in operations:
            books.do(operation)
    except PowerCut:
        books.flash.power_on()
        return False
    return True


def _check(books):
    """Boot after a cut: at once, and with a second cut at every operation of the recovery."""
    cut = 0
    while True:
        again = copy.deepcopy(books)
        again.flash.cut_after(cut)
        attempt = again.attempt  # a boot that dies decides nothing about it
        if _run(again, [("reboot",)]):
            break
        again.attempt = attempt
        again.boot()
        _go_on(again, 3)
        cut += 1
    again.flash.cut_after(NEVER)
    _go_on(again, 20)


def _go_on(books, count):
    """Boot and write, again and again: what was settled once stays settled."""
    books.boot()
    for number in range(count):
        books.do((APPEND, RECORD_BYTES_MIN if number < 3 else RECORD_BYTES_MAX))
        if number < 3:
            books.boot()
    books.boot()


@pytest.mark.parametrize(("seed", "flash"), list(enumerate(FLASHES)))
def test_cut_in_every_operation(seed, flash):
    cuts, error = Outage(seed, flash).find()
    assert error is None, f"seed {seed}, cut in operation {cuts}: {error}"
    assert cuts > 35


@pytest.mark.parametrize("flash", FLASHES[:2])
def test_cut_where_a_sector_is_opened(flash):
    for seed in range(8):
        cuts, error = Outage(seed, flash, brief=True).find()
        assert error is None, f"seed {seed}, cut in operation {cuts}: {error}"
        assert cuts >= 2  # header, record


class TailLivesOn(Journal):
    """Leaves a torn entry as it is and goes on in the next sector."""

    def _kill(self, offset):
        self._offset = self._sector_bytes


class TornHeaderLivesOn(Journal):
    def _kill_header(self, sector):
        pass


class NewestStaysWeak(Journal):
    """Programs nothing at boot but zeros."""

    _is_up = False

    def recover(self):
        Journal.recover(self)
        self._is_up = True

    def _burn(self, address, data):
        if self._is_up or not any(data):
            Journal._burn(self, address, data)


class BelievesFlash(Journal):
    """Does not read back what it has programmed."""

    def _program(self, address, data):
        self._burn(address, data)
        return True


class AppendsBlindly(BelievesFlash):
    """Takes what follows the last good entry for blank."""

    def _is_blank(self, sector, offset):
        return True


class GivesUpUnbooked(Journal):
    """Overwrites what no receipt has come for."""

    def _give_up_booked(self):
        self.receipted, kept = self.head_seq, self.receipted
        Journal._give_up_booked(self)
        self.receipted = kept


# A journal with a bug, the flash that shows it, and whether a brief outage does.
PLANTED = [
    (TailLivesOn, WeakFlash, False),
    (TornHeaderLivesOn, WeakFlash, True),
    (NewestStaysWeak, WeakFlash, False),
    (BelievesFlash, LooseFlash, False),
    (AppendsBlindly, NorFlash, False),
    (GivesUpUnbooked, NorFlash, False),
]


@pytest.mark.parametrize(("make", "flash", "brief"), PLANTED)
def test_planted_bug_is_found(make, flash, brief):
    for seed in range(400):
        cut, error = Outage(seed, flash, make, brief).find()
        if error is not None:
            print(f"seed {seed}, cut in operation {cut}: {error}")
            return
    pytest.fail("nobody noticed")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak():
    first = seed = random.SystemRandom().randrange(1 << 30)
    cuts = 0
    end_s = time.monotonic() + SOAK_S
    print(f"seeds from {first}")
    while time.monotonic() < end_s:
        for flash in FLASHES:
            for brief in (True, False):
                count, error = Outage(seed, flash, brief=brief).find()
                where = f"seed {seed}, {flash.__name__}, brief {brief}, cut {count}"
                assert error is None, f"{where}: {error}"
                cuts += count
        seed += 1
    print(f"seeds {first} to {seed - 1}: {cuts} cuts")
