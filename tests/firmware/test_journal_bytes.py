"""The journal's bytes: one wrong bit is found and put right, two are never taken for one."""

import random

import pytest

from firmware.services import journal_bytes
from firmware.services.journal_bytes import HEAD_BYTES, HEADER_BYTES, KEPT, RECEIPTED, RECORD

GENERATION = 41
ENTRIES = [
    (RECORD, 9, 33),
    (RECORD, 70_000, 113),
    (RECORD, 3, 256),
    (RECEIPTED, 5, 0),
    (KEPT, 2, 8),
]


def entry_of(kind, seq, size):
    data = random.Random(f"{kind} {seq}").randbytes(size)
    return bytearray(journal_bytes.entry(GENERATION, kind, seq, data))


def flipped(whole, *bits):
    torn = bytearray(whole)
    for bit in bits:
        torn[bit >> 3] ^= 1 << (bit & 7)
    return torn


@pytest.mark.parametrize(("kind", "seq", "size"), ENTRIES)
def test_every_single_bit_of_an_entry_is_put_right(kind, seq, size):
    whole = entry_of(kind, seq, size)
    room = len(whole) + 40  # what follows it on flash is blank
    for bit in range(8 * len(whole)):
        torn = flipped(whole, bit) + b"\xff" * 40
        assert journal_bytes.parse_entry(GENERATION, torn, room) is None
        assert journal_bytes.mend_entry(GENERATION, torn, room) == (kind, seq, size), bit
        assert torn[: len(whole)] == whole


def test_an_entry_that_reads_right_needs_no_mending():
    """Found by torture: the one bad bit was unstable, and right when it was looked for."""
    buffer = bytearray(journal_bytes.entry(7, journal_bytes.RECORD, 3, bytes(40)))
    assert journal_bytes.mend_entry(7, buffer, len(buffer)) == (journal_bytes.RECORD, 3, 40)


@pytest.mark.parametrize(("kind", "seq", "size"), [entry for entry in ENTRIES if entry[2] < 40])
def test_no_two_bits_of_an_entry_are_taken_for_one(kind, seq, size):
    whole = entry_of(kind, seq, size)
    bits = range(8 * len(whole))
    for first in bits:
        for second in bits[first + 1 :: 1 if size < 10 else 7]:
            torn = flipped(whole, first, second)
            assert journal_bytes.mend_entry(GENERATION, torn, len(torn)) is None, (first, second)


def test_every_single_bit_of_a_header_is_put_right_and_no_two():
    values = (7, 300_001, 299_990, bytes(range(32)))
    whole = journal_bytes.header(*values)
    assert len(whole) == HEADER_BYTES
    for bit in range(8 * HEADER_BYTES):
        torn = flipped(whole, bit)
        assert journal_bytes.parse_header(torn) is None
        assert journal_bytes.mend_header(torn) == values
    for first in range(8 * HEADER_BYTES):
        for second in range(first + 1, 8 * HEADER_BYTES, 5):
            assert journal_bytes.mend_header(flipped(whole, first, second)) is None


def test_no_two_wrong_bits_of_the_longest_entry_look_like_one():
    """All pairs: the effects of single bits on the CRC differ, and so do those of all pairs."""
    bits = 8 * (HEAD_BYTES + 256)
    zero = journal_bytes.crc32(bytes(bits // 8))
    effects = set()
    for bit in range(bits):
        effects.add(journal_bytes.crc32(bytes(flipped(bytes(bits // 8), bit))) ^ zero)
    effects |= {1 << bit for bit in range(32)}  # the CRC's own
    assert len(effects) == bits + 32
    one, *rest = effects
    ordered = [one, *rest]
    assert not any(
        first ^ second in effects
        for at, first in enumerate(ordered)
        for second in ordered[at + 1 :]
    )


@pytest.mark.parametrize("junk", [b"\xff" * 300, bytes(300)])
def test_blank_and_killed_flash_is_no_entry_and_no_header(junk):
    assert journal_bytes.parse_entry(1, junk, 268) is None
    assert journal_bytes.mend_entry(1, bytearray(junk), 268) is None
    assert journal_bytes.mend_header(bytearray(junk)) is None


def test_an_entry_of_another_generation_is_none():
    whole = entry_of(RECORD, 9, 60)
    assert journal_bytes.parse_entry(GENERATION, whole, 300) == (RECORD, 9, 60)
    assert journal_bytes.parse_entry(GENERATION + 1, whole, 300) is None
