"""What the image of a journal partition holds, by its format alone (firmware/services/journal.py).

A second reader of that format on purpose: it changes nothing, believes no cursor, and also shows
what the firmware does not look at any more: booked records not yet erased, and what lies torn.
"""

from binascii import crc32
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

SECTOR_BYTES = 4096
RECORD, RECEIPTED, KEPT = 1, 2, 3
_DATA_BYTES_MAX = {RECORD: 256, RECEIPTED: 0, KEPT: 64}
_MAGIC = 0x314A434F
_HEADER = Struct("<IIII32sI")  # magic, generation, first_seq, receipted, link, crc
_ENTRY = Struct("<HBBII")  # length, kind, mark, seq, crc
_MARK = 0x5A
HEAD_BYTES, HEADER_BYTES = _ENTRY.size, _HEADER.size


class NotAJournal(Exception):
    """These bytes are no image of a journal partition; the text says why."""


@dataclass(frozen=True)
class Entry:
    """A whole entry.

    A sealed record, the note (no data) that all up to `seq` is booked, or the value `data` that is
    kept under the key `seq`.
    """

    offset: int
    kind: int
    seq: int
    data: bytes


@dataclass(frozen=True)
class Sector:
    """A sector with a whole header; `link` is the tag of the record before `first_seq`."""

    number: int
    generation: int
    first_seq: int
    receipted: int
    link: bytes
    entries: list[Entry]


@dataclass(frozen=True)
class Torn:
    """Bytes that are neither whole nor blank. Healed: a later boot has closed them with zeros."""

    what: str  # "entry" or "header"
    sector: int
    offset: int
    size_bytes: int
    is_healed: bool

    @property
    def address(self) -> int:
        """Where on the partition it begins."""
        return self.sector * SECTOR_BYTES + self.offset


@dataclass
class Image:
    """`sectors` in the order they were written; `count` is how many the partition has.

    `skipped`: sectors with a whole header that are out of that order.
    """

    count: int
    sectors: list[Sector] = field(default_factory=list)
    skipped: list[Sector] = field(default_factory=list)
    torn: list[Torn] = field(default_factory=list)

    @property
    def everything(self) -> list[Sector]:
        """All sectors with a whole header."""
        return self.sectors + self.skipped


def read_image(data: bytes) -> Image:
    """Take an image apart; NotAJournal if it cannot be one. Erased flash is an empty journal."""
    if not data or len(data) % SECTOR_BYTES:
        raise NotAJournal(f"{len(data)} bytes are not whole sectors of {SECTOR_BYTES}")
    image = Image(len(data) // SECTOR_BYTES)
    for number in range(image.count):
        _read_sector(image, number, data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES])
    if not image.sectors and not _is_blank(data):
        raise NotAJournal("no sector begins with a journal's header")
    found = image.sectors
    image.sectors = _in_order(found)
    in_use = {sector.number for sector in image.sectors}
    image.skipped = [sector for sector in found if sector.number not in in_use]
    image.torn.sort(key=lambda torn: torn.address)
    return image


def kept(image: Image) -> dict[int, bytes]:
    """What the reader keeps under its keys: the sector written last says all of it."""
    entries = image.sectors[-1].entries if image.sectors else []
    found = {entry.seq: entry.data for entry in entries if entry.kind == KEPT}
    return {key: data for key, data in found.items() if data}


def has_header(sector: bytes) -> bool:
    """Whether these bytes begin with the whole header of a journal's sector."""
    if len(sector) < _HEADER.size:
        return False
    magic, *_, crc = _HEADER.unpack_from(sector)
    return magic == _MAGIC and crc == crc32(sector[: _HEADER.size - 4])


def _read_sector(image: Image, number: int, data: bytes) -> None:
    _magic, generation, first_seq, receipted, link, _crc = _HEADER.unpack_from(data)
    if not has_header(data):
        _note_torn(image, "header", number, 0, data, _HEADER.size)
        return
    entries: list[Entry] = []
    offset = _HEADER.size
    while True:
        entry = _next_entry(data, offset, generation)
        end = SECTOR_BYTES if entry is None else entry.offset
        _note_torn(image, "entry", number, offset, data[offset:end], _ENTRY.size)
        if entry is None:
            break
        entries.append(entry)
        offset = end + ((_ENTRY.size + len(entry.data) + 3) & ~3)
    image.sectors.append(Sector(number, generation, first_seq, receipted, link, entries))


def entries_of(sector: bytes, generation: int) -> Iterator[Entry]:
    """The whole entries of a sector whose header says nothing, if it is of that generation."""
    offset = _HEADER.size
    while (entry := _next_entry(sector, offset, generation)) is not None:
        yield entry
        offset = entry.offset + ((_ENTRY.size + len(entry.data) + 3) & ~3)


def _next_entry(data: bytes, offset: int, generation: int) -> Entry | None:
    """The first whole entry from `offset` on: each boot leaves a gap, and cells rot."""
    for at in range(offset, len(data), 4):
        entry = _entry_at(data, at, generation)
        if entry is not None:
            return entry
    return None


def _entry_at(data: bytes, offset: int, generation: int) -> Entry | None:
    if offset + _ENTRY.size > len(data):
        return None
    length, kind, mark, seq, crc = _ENTRY.unpack_from(data, offset)
    end = offset + _ENTRY.size + length
    if mark != _MARK or length > _DATA_BYTES_MAX.get(kind, -1):
        return None
    body = data[offset + _ENTRY.size : end]
    if end > len(data) or crc != crc32(body, crc32(data[offset : offset + 8], generation)):
        return None
    return Entry(offset, kind, seq, body)


def _note_torn(
    image: Image, what: str, number: int, offset: int, rest: bytes, head_bytes: int
) -> None:
    """`rest` follows what is whole: it should be blank, or the gap of a boot with its head zeros.

    A healed head is all zeros.
    """
    if not _is_blank(rest.removeprefix(bytes(_ENTRY.size)) if what == "entry" else rest):
        size_bytes = len(rest.rstrip(b"\xff"))
        is_healed = not any(rest[:head_bytes])
        image.torn.append(Torn(what, number, offset, size_bytes, is_healed))


def _is_blank(data: bytes) -> bool:
    return data.count(0xFF) == len(data)


def _in_order(sectors: list[Sector]) -> list[Sector]:
    """Once round the ring behind the newest: a generation that does not rise is not in use."""
    if not sectors:
        return []
    newest = max(sectors, key=lambda sector: sector.generation)
    at = sectors.index(newest) + 1
    found: list[Sector] = []
    for sector in sectors[at:] + sectors[:at]:
        if not found or sector.generation > found[-1].generation:
            found.append(sector)
    return found
