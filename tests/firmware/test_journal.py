"""The journal against a dict: what append() has returned for is there until it is booked."""

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.services.journal import RESERVE_SECTORS, Journal, JournalFull
from protocols.wire import messages, seal
from tests.firmware import ring
from tests.firmware.ring import (
    APPEND,
    PREPARE,
    REBOOT,
    RECEIPT,
    SECTOR_BYTES,
    Bookkeeper,
    PlainFlash,
    content,
    play,
)

SECTORS = 6
MEGABYTE = 1 << 20
# Two update slots, boot loader, NVS and tables take this much of a board's flash.
FIRMWARE_BYTES = {4: 31 * MEGABYTE // 10, 8: 41 * MEGABYTE // 10, 16: 41 * MEGABYTE // 10}
SPENDS_MIN = 16_000


def filled(flash, size=113):
    """A journal in which no further sector can be opened, and how many records that took."""
    journal = Journal(flash)
    journal.recover()
    count = 0
    while True:
        try:
            journal.append(content(count + 1, size))
        except JournalFull:
            return journal, count
        count += 1


# -- failures -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 32, 257, 4096])
def test_record_of_a_wrong_size_is_not_taken(size):
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    with pytest.raises(ValueError):
        journal.append(bytes(size))
    assert flash.programs == 0 and journal.head_seq == 0


@pytest.mark.parametrize("size", [33, 113, 256])
def test_full_ring_takes_nothing_and_loses_nothing(size):
    flash = PlainFlash(SECTORS)
    journal, count = filled(flash, size)
    assert count >= SECTORS * (SECTOR_BYTES // (size + 16) - 2)
    assert not journal.has_room() and journal.free_sectors() == 0
    image = bytes(flash.cells)
    for _ in range(3):
        with pytest.raises(JournalFull):
            journal.append(content(0, size))
    assert flash.cells == image and journal.head_seq == count
    journal = Journal(flash)
    journal.recover()
    for seq in range(1, count + 1):
        assert journal.record(seq) == content(seq, size)
    # One booked sector is room for as many records again.
    journal.receipt(count // SECTORS + 1)
    assert journal.free_sectors() == 1
    assert journal.append(content(count + 1, size)) == count + 1
    assert journal.record(count) == content(count, size)


@pytest.mark.parametrize("seed", range(3))
def test_records_are_read_in_any_order(seed):
    """Whatever was read before, and while old ones are booked, given up and written over."""
    journal, draw = Journal(PlainFlash(SECTORS)), random.Random(seed)
    journal.recover()
    for seq in range(1, 400):
        assert journal.append(content(seq, 113)) == seq
        journal.receipt(seq - 60)
        journal.prepare()
        known = {at for at in range(1, seq + 1) if journal._ring.sector_of(at) >= 0}
        assert set(range(seq - 59, seq + 1)) & set(range(1, seq + 1)) <= known
        wanted = draw.choice([seq, seq - 1, draw.randrange(1, seq + 1), journal._cursor[0] + 1])
        for at in (wanted, wanted, wanted + 1, wanted - 1):
            if at in known:
                assert journal.record(at) == content(at, 113), (seed, seq, at)
            else:
                assert at not in range(1, seq + 1) or journal.record(at) is None


def test_what_was_just_read_is_not_looked_for_from_the_sectors_head(monkeypatch):
    """A receipt asks for the tag of what was sent last, an OUTCOME for its INTENT."""
    journal = Journal(PlainFlash(SECTORS))
    journal.recover()
    for seq in range(1, 31):
        journal.append(content(seq, 113))
    read, entry = [], journal._reader.entry
    monkeypatch.setattr(
        journal._reader, "entry", lambda *where: read.append(where) or entry(*where)
    )
    for seq, entries in ((25, 25), (25, 1), (26, 1), (29, 3), (28, 28)):
        read.clear()
        assert journal.record(seq) == content(seq, 113)
        assert len(read) == entries, seq


def test_the_reserve_is_there_when_spending_stops():
    """From the last spend that may start on, two sectors can still be filled."""
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    while journal.has_room():
        journal.append(bytes(113))
    stopped = journal.head_seq
    with pytest.raises(JournalFull):
        while True:
            journal.append(bytes(113))
    assert journal.head_seq - stopped >= (RESERVE_SECTORS - 1) * 30


def test_flash_that_takes_nothing_at_all_is_full():
    class Dead(PlainFlash):
        def program(self, address, data):
            raise OSError(5)

        def erase(self, sector):
            raise OSError(5)

    flash = Dead(SECTORS)
    journal = Journal(flash)
    journal.recover()
    with pytest.raises(JournalFull):
        journal.append(bytes(40))
    assert journal.head_seq == 0 and journal.retired == SECTORS


class WornFlash(PlainFlash):
    """Some sectors do not erase any more, raise at it, or do not take a bit of what is written.

    `worn` maps sectors to one of these; the wear shows after `turns` erases.
    """

    def __init__(self, sectors, worn, turns=1):
        PlainFlash.__init__(self, sectors)
        self._worn = worn
        self._turns = turns

    def _fault(self, sector):
        return self._worn.get(sector) if self.erases[sector] > self._turns else None

    def erase(self, sector):
        self.erases[sector] += 1
        fault = self._fault(sector)
        if fault == "raises":
            raise OSError(5)
        if fault != "stuck":
            start = sector * SECTOR_BYTES
            self.cells[start : start + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES

    def program(self, address, data):
        sector = address // SECTOR_BYTES
        if self._fault(sector) == "mute":
            raise OSError(5)
        PlainFlash.program(self, address, data)
        at = sector * SECTOR_BYTES + {"header": 3, "entry": 600}.get(self._fault(sector), -1)
        if address <= at < address + len(data):
            self.cells[at] |= 0x08


FAULTS = ["stuck", "raises", "mute", "header", "entry"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", range(3))
def test_worn_sector_is_given_up(seed, fault):
    flash = WornFlash(8, {seed + 2: fault})
    books = play(flash, seed, 900)
    assert books.journal.generation > 2 * 8 + 4
    end = books.journal.generation + 8
    while books.journal.generation < end:  # a boot forgets which ones are bad: find it again
        books.do((APPEND, 113))
    assert books.journal.retired == (fault != "entry")


@pytest.mark.parametrize("seed", range(4))
def test_half_the_sectors_worn(seed):
    draw = random.Random(seed)
    worn = {sector: draw.choice(FAULTS) for sector in draw.sample(range(12), 6)}
    print(f"seed {seed}: {worn}")
    play(WornFlash(12, worn, draw.randrange(3)), seed, 700)


def test_flash_that_misreads_once_at_boot_loses_nothing():
    """At a brown-out flash may answer wrongly for a moment; a boot must not heal that away."""

    class Misreading(PlainFlash):
        wrong = -1

        def read(self, address, buffer):
            PlainFlash.read(self, address, buffer)
            if self.reads == self.wrong:
                buffer[:] = bytes(len(buffer))

    flash = Misreading(4)
    books = play(flash, 3, 300)
    image = bytes(flash.cells)
    flash.reads = 0
    Journal(flash).recover()
    total = flash.reads
    for wrong in range(1, total + 1):
        flash.cells[:] = image
        flash.reads, flash.wrong = 0, wrong
        journal = Journal(flash)
        journal.recover()
        assert (journal.head_seq, journal.head_link) == (
            books.journal.head_seq,
            books.journal.head_link,
        )
        books.boot()
    print(f"{total} reads")


def test_garbage_on_a_new_flash_is_not_taken_for_records():
    flash = PlainFlash(SECTORS)
    flash.cells[:] = random.Random(1).randbytes(flash.size_bytes)
    assert play(flash, 1, 400).journal.generation > SECTORS


# -- the model ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(1, 5))
def test_against_a_dict_for_many_turns(seed):
    flash = PlainFlash(SECTORS)
    journal = play(flash, seed, 1500).journal
    assert journal.generation >= 6 * SECTORS
    # A prepared sector is erased once more after a reboot; nothing else wears unevenly.
    print(f"seed {seed}: {journal.generation} sectors opened, erases {flash.erases}")
    assert max(flash.erases) - min(flash.erases) <= 6
    assert journal.retired == 0


OPERATIONS = st.one_of(
    st.tuples(st.just(APPEND), st.integers(33, 256)),
    st.tuples(st.just(APPEND), st.sampled_from([90, 113, 256])),
    st.tuples(st.just(RECEIPT), st.integers(0, 60)),
    st.sampled_from([(PREPARE,), (REBOOT,)]),
)


@given(st.lists(OPERATIONS, max_size=120))
def test_against_a_dict(operations):
    books = Bookkeeper(PlainFlash(4))
    books.boot()
    for operation in operations:
        books.do(operation)
    books.boot()


def test_micropython_leaves_the_same_flash(micropython, repo_root):
    program = [str(repo_root / "tests" / "firmware" / "ring.py"), "5", "1200"]
    environment = dict(os.environ, MICROPYPATH=f"{repo_root}:.frozen", PYTHONPATH=str(repo_root))

    def outcome(*interpreter):
        command = [*interpreter, *program]
        done = subprocess.run(
            command, env=environment, cwd=repo_root, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    here = outcome(sys.executable)
    assert len(here.split()) == 7
    assert outcome(micropython) == here


# -- receipts -------------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [0, 1, 15, 16, 17, 100])
def test_receipts_survive_a_reboot(behind):
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    for number in range(120):
        journal.append(content(number, 60))
        journal.receipt(journal.head_seq - behind)
    told = journal.receipted
    assert told == 120 - behind
    journal = Journal(flash)
    journal.recover()
    assert told - ring.NOTE_STEP < journal.receipted <= told


def test_receipt_is_on_flash_before_its_sector_is_erased():
    class Watched(PlainFlash):
        def erase(self, sector):
            copy = PlainFlash(SECTORS)
            copy.cells[:] = self.cells
            journal = Journal(copy)
            journal.recover()
            for seq in range(journal.receipted + 1, journal.head_seq + 1):
                assert journal.record(seq) is not None
            copy.cells[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = bytes(SECTOR_BYTES)
            for seq in range(journal.receipted + 1, journal.head_seq + 1):
                assert journal.record(seq) is not None, f"{seq} was in sector {sector}"
            PlainFlash.erase(self, sector)

    flash = Watched(SECTORS)
    play(flash, 8, 600)
    assert min(flash.erases) > 1


def test_receipts_that_say_nothing_new_cost_nothing():
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    for number in range(40):
        journal.append(content(number, 60))
    journal.receipt(30)
    programs = flash.programs
    for upto in (0, 1, 29, 30, 41, 1 << 31):
        journal.receipt(upto)
    assert journal.receipted == 30 and flash.programs == programs


def test_the_newest_record_stays_even_when_it_is_booked():
    """A boot goes on from it: boot id, and an intent that nobody has closed."""
    flash = PlainFlash(SECTORS)
    books = Bookkeeper(flash)
    books.boot()
    ring.fill_sector(books)
    head = books.journal.head_seq
    books.journal.receipt(head)

    class Power(Exception):
        pass

    def cut(address, data):
        PlainFlash.program(flash, address, data)
        raise Power

    flash.program = cut  # the header of the next sector is its last act
    books.journal.prepare()
    with pytest.raises(Power):
        books.journal.append(bytes(256))
    del flash.program
    journal = Journal(flash)
    journal.recover()
    assert journal.generation == 2 and journal.head_seq == head
    assert journal.record(head) == books.records[head]


# -- reading --------------------------------------------------------------------------------


def test_reading_on_costs_three_reads_a_record():
    flash = PlainFlash(SECTORS)
    _, count = filled(flash)
    journal = Journal(flash)
    journal.recover()
    flash.reads = 0
    for seq in range(1, count + 1):
        assert journal.record(seq) == content(seq, 113)
    assert flash.reads <= 3 * count + 8 * SECTORS


def test_records_in_any_order():
    flash = PlainFlash(SECTORS)
    journal, count = filled(flash)
    order = list(range(1, count + 1)) * 2
    random.Random(2).shuffle(order)
    for seq in order:
        assert journal.record(seq) == content(seq, 113)
    for seq in (0, count + 1, count + 1000, 0xFFFFFFFF):
        assert journal.record(seq) is None


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(8, 2048, 8), (8, 500, 4), (3, 4000, 3), (8, 112, 0), (0, 1, 0)],
)
def test_records_from_keeps_its_bounds(count, size, expected):
    flash = PlainFlash(SECTORS)
    journal, total = filled(flash)
    for first in (1, 30, total - 7):
        records = journal.records_from(first, count, size)
        assert records == [content(first + i, 113) for i in range(expected)]
    assert journal.records_from(total, 8, 2048) == [content(total, 113)]
    assert journal.records_from(total + 1, 8, 2048) == []


# -- costs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sectors", [8, 64, 998])
def test_recovery_is_bounded(sectors):
    """One header a sector, the entries of one sector, and a look for its end; no more, ever."""
    worst = (0, 0)
    for count in (0, 1, 200, 250):
        flash = PlainFlash(sectors)
        journal = Journal(flash)
        journal.recover()
        for number in range(count):
            journal.append(content(number, 33 if count == 250 else 113))
        flash.reads = flash.read_bytes = 0
        journal = Journal(flash)
        journal.recover()
        assert journal.head_seq == count
        worst = max(worst, (flash.reads, flash.read_bytes))
    print(f"{sectors} sectors: at most {worst[0]} reads, {worst[1]} bytes")
    assert worst[0] <= 2 * sectors + 2 * ring.RECORDS_IN_SECTOR_MAX + 4 * SECTOR_BYTES // 256 + 90
    assert worst[1] <= 104 * sectors + 6 * SECTOR_BYTES


def spend_records(seq, link):
    """INTENT and OUTCOME of a spend in a reader's third year, sealed."""
    key = bytes(range(32))
    head = {
        "device": 1001,
        "earliest_s": 1_880_000_000,
        "latest_s": 1_880_000_060,
        "boot_id": 900,
        "mono_ms": 40_000_000,
    }
    intent = {
        **head,
        "kind": messages.INTENT,
        "seq": seq,
        "card_no": 59_999,
        "counter": 3_000,
        "amount_fen": 1_250,
        "before_fen": 18_000,
        "after_fen": 16_750,
        "merchant_no": 71,
        "last_device": 1003,
        "last_seq": 200_000,
        "flags": messages.FLAG_OFFLINE,
    }
    outcome = {
        **head,
        "kind": messages.OUTCOME,
        "seq": seq + 1,
        "intent_device": 1001,
        "intent_seq": seq,
        "result": messages.COMMITTED,
    }
    first = seal.seal(key, messages.encode_record(intent), link)
    return first, seal.seal(key, messages.encode_record(outcome), seal.tag_of(first))


def test_bytes_per_spend_and_spends_per_board():
    flash = PlainFlash(32)
    journal = Journal(flash)
    journal.recover()
    sealed_bytes = spends = 0
    while journal.has_room():
        for record in spend_records(300_000 + 2 * spends, journal.head_link):
            sealed_bytes += len(record)
            journal.append(record)
        spends += 1
        journal.prepare()
    ratio_percent = 100 * flash.programmed_bytes // sealed_bytes
    per_sector = spends / (32 - RESERVE_SECTORS)
    print(f"{sealed_bytes // spends} sealed bytes a spend, {ratio_percent} % of that on flash")
    assert ratio_percent <= 130
    for size, taken in FIRMWARE_BYTES.items():
        sectors = (size * MEGABYTE - taken) // SECTOR_BYTES
        capacity = int((sectors - RESERVE_SECTORS) * per_sector)
        print(f"{size} MB board: {sectors} sectors, {capacity} spends")
        if size == 8:
            assert capacity >= SPENDS_MIN


def test_the_eight_megabyte_board_really_holds_them():
    """Not by arithmetic: every one of them is appended. Its records come back at both ends."""
    sectors = (8 * MEGABYTE - FIRMWARE_BYTES[8]) // SECTOR_BYTES
    flash = CountingFlash(sectors)
    journal = Journal(flash)
    journal.recover()
    first = spend_records(300_000, bytes(32))
    for _ in range(SPENDS_MIN):
        assert journal.has_room()
        for record in first:
            journal.append(record)
    assert journal.record(1) == first[0] and journal.record(2 * SPENDS_MIN) == first[1]
    assert not any(flash.erases[sectors - RESERVE_SECTORS :])


class CountingFlash(PlainFlash):
    """A large flash that is only ever written once: quick."""

    def program(self, address, data):
        self.cells[address : address + len(data)] = data


@pytest.mark.parametrize("byte", [0, 3, 20, 60])
def test_a_rotten_bit_right_behind_the_gap_that_a_boot_leaves(byte):
    """Found by torture: neither the gap nor the record behind it reads as an entry."""
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    journal.append(content(1, 76))
    journal = Journal(flash)
    journal.recover()  # leaves a gap behind record 1
    journal.append(content(2, 76))
    at = flash.cells.index(content(2, 76)) - 12
    journal.append(content(3, 76))
    flash.cells[at + byte] ^= 0x10
    journal = Journal(flash)
    journal.recover()
    assert [journal.record(seq) for seq in (1, 2, 3)] == [content(seq, 76) for seq in (1, 2, 3)]


@pytest.mark.parametrize("byte", range(12))
def test_what_was_cut_behind_a_gap_with_a_rotten_bit_is_not_written_over(byte):
    """Found by torture: the gap did not look like one, so the next boot stopped in front of it.

    Behind it stood an entry that had been cut: blank while the voltage was high. What was written
    over it was a mixture of both as soon as it was low.
    """
    flash = PlainFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    journal.append(content(1, 76))
    gap = flash.cells.index(content(1, 76)) + 76
    journal = Journal(flash)
    journal.recover()  # leaves a gap behind record 1
    at_high_voltage = bytes(flash.cells)
    journal.append(content(7, 76))  # cut at its very end
    at_low_voltage = bytes(flash.cells)
    flash.cells[:] = at_high_voltage
    flash.cells[gap + byte] ^= 0x10
    journal = Journal(flash)
    journal.recover()
    journal.append(content(2, 76))
    flash.cells[:] = bytes(
        high & low for high, low in zip(flash.cells, at_low_voltage, strict=True)
    )
    journal = Journal(flash)
    journal.recover()
    assert [journal.record(seq) for seq in (1, 2)] == [content(seq, 76) for seq in (1, 2)]


@pytest.mark.parametrize("bit", range(0, 96, 7))
@pytest.mark.parametrize("nth", [0, 1])
def test_a_gap_is_whole_even_where_a_bit_does_not_fall_at_once(nth, bit):
    flash = LooseFlash(SECTORS)
    journal = Journal(flash)
    journal.recover()
    journal.append(content(1, 76))
    gap = flash.cells.index(content(1, 76)) + 76
    flash.loosen(gap + bit // 8, 1 << bit % 8, nth)
    journal = Journal(flash)
    journal.recover()
    assert flash.cells[gap : gap + 12] == bytes(12)


class LooseFlash(PlainFlash):
    """Of one byte a bit does not fall, once."""

    def loosen(self, place, mask, nth):
        """At `place` the bits of `mask` do not fall the `nth` time that they should."""
        self.loose = place, mask, nth

    def program(self, address, data):
        place, mask, nth = getattr(self, "loose", (-1, 0, 0))
        data = bytearray(data)
        if (
            address <= place < address + len(data)
            and self.cells[place] & ~data[place - address] & mask
        ):
            if nth == 0:
                data[place - address] |= mask
            self.loose = place, mask, nth - 1
        super().program(address, data)
