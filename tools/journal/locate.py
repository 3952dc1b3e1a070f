"""Where the journal lies in what somebody has read off a chip: a whole flash, or the partition.

The partition table says it. Where a dead chip has none that can be read, the divisions that we
give boards are tried; a dump that ends early is told, and what is there of the journal is used.
"""

from dataclasses import dataclass

from tools.device.boards import BOARDS
from tools.device.partition_table import TABLE_AT, TABLE_BYTES, BadTable, Row, decode
from tools.journal.image import SECTOR_BYTES, NotAJournal, has_header

LABEL = "journal"
BY_TABLE, BY_HAND, AS_IT_IS = "partition table", "as given", "the file is the partition"
_CHIP_BYTES = (4 << 20, 8 << 20, 16 << 20)
CHIP_BYTES_MAX = max(_CHIP_BYTES)


@dataclass(frozen=True)
class Place:
    """A partition: `start` and `size` in bytes on the chip, and how that was found.

    `start` is None where nobody knows it: of a file that is the partition alone.
    """

    start: int | None
    size: int
    how: str


@dataclass(frozen=True)
class Located:
    """The partition's bytes, erased where the dump lacks them: `missing` are those sectors."""

    data: bytes
    place: Place
    missing: tuple[int, ...] = ()


def located(dump: bytes, start: int | None = None, size: int = 0) -> Located:
    """The journal in `dump`; `start` and `size` if somebody knows them. NotAJournal."""
    if start is not None:
        return _cut(dump, Place(start, size, BY_HAND))
    place = _by_table(dump) or _by_board(dump)
    if place is not None:
        return _cut(dump, place)
    if len(dump) in _CHIP_BYTES and not _sectors_with_header(dump, 0, len(dump)):
        raise NotAJournal("no partition table, and no journal where our boards have it")
    return Located(dump, Place(None, len(dump), AS_IT_IS))


def row_of(table: bytes) -> Row | None:
    """The journal's row of a partition table; None if it has none, or is none."""
    try:
        return next((row for row in decode(table) if row.label == LABEL), None)
    except BadTable:
        return None


def _by_table(dump: bytes) -> Place | None:
    row = row_of(dump[TABLE_AT : TABLE_AT + TABLE_BYTES])
    return None if row is None else Place(row.start, row.size, BY_TABLE)


def _by_board(dump: bytes) -> Place | None:
    """By the division of ours in which most of the journal's headers lie, if there is one."""
    best, place = 0, None
    for name, board in BOARDS.items():
        row = next(row for row in board.rows if row.label == LABEL)
        found = _sectors_with_header(dump, row.start, row.start + row.size)
        if found > best and len(dump) > row.start:
            best, place = found, Place(row.start, row.size, f"no partition table; as {name}")
    # A partition alone has headers from its first sectors on, wherever a board would have it.
    if place is not None and _sectors_with_header(dump, 0, place.start or 0):
        return None
    return place


def _sectors_with_header(dump: bytes, start: int, end: int) -> int:
    whole = min(end, len(dump)) - SECTOR_BYTES
    return sum(
        has_header(dump[at : at + SECTOR_BYTES]) for at in range(start, whole + 1, SECTOR_BYTES)
    )


def _cut(dump: bytes, place: Place) -> Located:
    start, size = place.start or 0, place.size
    if start % SECTOR_BYTES or size % SECTOR_BYTES or start < 0 or size <= 0:
        raise NotAJournal(f"{place.how}: start and size are multiples of {SECTOR_BYTES}")
    if start + size > CHIP_BYTES_MAX:
        raise NotAJournal(f"{place.how}: it would end behind any chip of ours")
    if start >= len(dump):
        raise NotAJournal(f"cut short: {len(dump)} bytes, and the journal begins at 0x{start:x}")
    data = dump[start : start + size]
    whole = len(data) // SECTOR_BYTES
    missing = tuple(range(whole, size // SECTOR_BYTES))
    data = data[: whole * SECTOR_BYTES].ljust(size, b"\xff")
    return Located(data, place, missing)
