"""One wrong bit in a header or an entry is put right from its CRC, as the firmware does.

The bytes of the image are not changed: what comes back is a copy, and where it differs.
"""

from collections.abc import Callable

from firmware.services import journal_bytes
from tools.journal.image import SECTOR_BYTES, Image, Torn, read_image


def mended(data: bytes) -> tuple[bytes, list[int]]:
    """The image with what one bit has spoilt put right, and the offsets of those bytes."""
    copy, found = bytearray(data), []
    while True:
        image = read_image(bytes(copy))
        put_right = [at for torn in image.torn for at in _put_right(copy, image, torn)]
        if not put_right:
            return bytes(copy), sorted(found)
        found += put_right


def _put_right(copy: bytearray, image: Image, torn: Torn) -> list[int]:
    """Where a torn piece was mended in `copy`; nothing if one bit does not do it."""
    if torn.what == "header":
        return _mend(copy, torn.address, journal_bytes.HEADER_BYTES, journal_bytes.mend_header)
    generation = next(one.generation for one in image.everything if one.number == torn.sector)

    def mend(piece: bytearray) -> object:
        return journal_bytes.mend_entry(generation, piece, len(piece))

    # The first behind a boot's gap may be the rotten one.
    end = (torn.sector + 1) * SECTOR_BYTES
    for at in range(torn.address, torn.address + torn.size_bytes, 4):
        room = min(journal_bytes.ENTRY_BYTES_MAX, end - at)
        if room < journal_bytes.HEAD_BYTES:
            break
        if journal_bytes.is_near(copy[at + journal_bytes.MARK_AT], journal_bytes.MARK):
            found = _mend(copy, at, room, mend)
            if found:
                return found
    return []


def _mend(copy: bytearray, at: int, size: int, mend: Callable[[bytearray], object]) -> list[int]:
    before = bytes(copy[at : at + size])
    piece = bytearray(before)
    if mend(piece) is None:
        return []
    copy[at : at + size] = piece
    return [at + byte for byte in range(size) if before[byte] != piece[byte]]
