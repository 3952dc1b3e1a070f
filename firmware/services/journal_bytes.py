"""The journal's headers and entries as bytes, and how one rotten bit in them is put right.

The format stands in journal.py. CRC-32 over so few bits has a Hamming distance of 5 (Koopman, DSN
2002: up to 2,974 bits; tests/firmware/test_journal_bytes.py tries all pairs), so the one flip that
makes a CRC right again is the only one, and two or three flips are never taken for one.
"""

import struct
from binascii import crc32

RECORD_BYTES_MAX = 256
KEPT_BYTES_MAX = 64
RECORD, RECEIPTED, KEPT = 1, 2, 3
MARK = 0x5A
MARK_AT = 3  # in the head of an entry
HEAD_BYTES = 12  # before the data of an entry
HEADER_BYTES = 52
ENTRY_BYTES_MAX = HEAD_BYTES + RECORD_BYTES_MAX
LINK_BYTES = 32
MAGIC = 0x314A434F  # "OCJ1"
_HEADER = "<IIII32s"
_HEADER_CRC = 48
_HEAD = "<HBBI"
_HEAD_CRC = 8
_POLYNOMIAL = 0xEDB88320
_DATA_MAX = {RECORD: RECORD_BYTES_MAX, RECEIPTED: 0, KEPT: KEPT_BYTES_MAX}


def header(generation, first_seq, receipted, link):
    """The bytes at the start of a sector."""
    data = struct.pack(_HEADER, MAGIC, generation, first_seq, receipted, link)
    return data + struct.pack("<I", crc32(data))


def parse_header(buffer):
    """(generation, first_seq, receipted, link) of HEADER_BYTES, or None."""
    magic, generation, first_seq, receipted, link = struct.unpack_from(_HEADER, buffer)
    if magic != MAGIC or _word(buffer, _HEADER_CRC) != crc32(buffer[:_HEADER_CRC]):
        return None
    return generation, first_seq, receipted, link


def mend_header(buffer):
    """Put one wrong bit of HEADER_BYTES right, in place; then as parse_header."""
    if is_near(_word(buffer, 0), MAGIC):
        error = crc32(buffer[:_HEADER_CRC]) ^ _word(buffer, _HEADER_CRC)
        at = find_flip(error, 8 * _HEADER_CRC)
        if at >= 0:
            _flip(buffer, at)
    return parse_header(buffer)


def entry(generation, kind, seq, data):
    """The bytes of an entry in a sector of that generation, without the padding."""
    head = struct.pack(_HEAD, len(data), kind, MARK, seq)
    return head + struct.pack("<I", crc32(data, crc32(head, generation))) + data


def entry_length(buffer, room):
    """How many bytes of data follow this head; -1 if it is none or they exceed `room`."""
    length, kind, mark, _ = struct.unpack_from(_HEAD, buffer)
    if mark != MARK or length > _DATA_MAX.get(kind, -1) or HEAD_BYTES + length > room:
        return -1
    return length


def parse_entry(generation, buffer, room):
    """(kind, seq, length) of the entry at the start of `buffer`, or None; `room` as above."""
    length = entry_length(buffer, room)
    if length < 0 or _word(buffer, _HEAD_CRC) != _entry_crc(generation, buffer, length):
        return None
    _, kind, _, seq = struct.unpack_from(_HEAD, buffer)
    return kind, seq, length


def mend_entry(generation, buffer, room):
    """Put one wrong bit of the first `room` bytes right, in place; then as parse_entry.

    One that reads differently each time may be right just now.
    """
    found = parse_entry(generation, buffer, room)
    if found is None and is_near(buffer[MARK_AT], MARK):
        for at in _suspects(generation, buffer, room):
            _flip(buffer, at)
            found = parse_entry(generation, buffer, room)
            if found is not None:
                break
            _flip(buffer, at)
    return found


def find_flip(error, bits):
    """Which bit of a message of `bits` must be flipped for its CRC-32 to change by `error`.

    Counted from the lowest bit of the first byte; from `bits` on it is a bit of the CRC itself.
    -1: no single one does it.
    """
    for bit in range(32):
        if error == 1 << bit:
            return bits + bit
    effect = _POLYNOMIAL  # of the last bit; one shift more for each bit before it
    for bit in range(bits - 1, -1, -1):
        if effect == error:
            return bit
        effect = effect >> 1 ^ (_POLYNOMIAL if effect & 1 else 0)
    return -1


def span(length):
    """Bytes an entry takes on flash."""
    return (HEAD_BYTES + length + 3) & ~3


def _suspects(generation, buffer, room):
    """The bits one of which may be wrong, the likely one first."""
    length = struct.unpack_from("<H", buffer)[0]
    if HEAD_BYTES + length <= room:
        bits = 8 * (_HEAD_CRC + length)
        error = _entry_crc(generation, buffer, length) ^ _word(buffer, _HEAD_CRC)
        at = find_flip(error, bits)
        if at >= bits:
            yield at - 8 * length  # the CRC stands before the data
        elif at >= 0:
            yield at if at < 8 * _HEAD_CRC else at + 32
    for bit in range(16):  # a wrong length: the CRC was taken over other bytes
        yield bit


def _entry_crc(generation, buffer, length):
    data = buffer[HEAD_BYTES : HEAD_BYTES + length]
    return crc32(data, crc32(buffer[:_HEAD_CRC], generation))


def is_near(value, wanted):
    """Whether they differ in one bit at most: what is farther off was never ours."""
    differing = value ^ wanted
    return differing & (differing - 1) == 0


def _flip(buffer, bit):
    buffer[bit >> 3] ^= 1 << (bit & 7)


def _word(buffer, offset):
    return struct.unpack_from("<I", buffer, offset)[0]
