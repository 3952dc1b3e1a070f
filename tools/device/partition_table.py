"""The partition table of an ESP32 as ESP-IDF has it: rows of 32 bytes at 0x8000, then an MD5.

Source: ESP-IDF Programming Guide, "Partition Tables", binary format.
"""

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

TABLE_AT, TABLE_BYTES = 0x8000, 0xC00
APP, DATA = 0, 1
SECTOR_BYTES = 4096
_APP_ALIGNED, _LABEL_CHARS_MAX = 0x10000, 16
_ROW = struct.Struct("<HBBII16sI")
_MAGIC = 0x50AA
_MD5_HEAD = b"\xeb\xeb" + b"\xff" * 14


class BadTable(Exception):
    """A table that a board must not get, or that is none."""


@dataclass(frozen=True)
class Row:
    """One partition; `start` and `size` in bytes."""

    label: str
    type: int
    subtype: int
    start: int
    size: int


def encode(rows: Iterable[Row], flash_bytes: int) -> bytes:
    """The table's TABLE_BYTES. BadTable: rows that overlap, are not aligned, or behind its end."""
    ordered = sorted(rows, key=lambda row: row.start)
    end = TABLE_AT + SECTOR_BYTES
    for row in ordered:
        aligned = _APP_ALIGNED if row.type == APP else SECTOR_BYTES
        if row.start < end or row.start % aligned or row.size % SECTOR_BYTES or row.size <= 0:
            raise BadTable(f"partition {row.label}: overlaps another one, or is not aligned")
        end = row.start + row.size
        if end > flash_bytes or len(row.label) > _LABEL_CHARS_MAX:
            raise BadTable(f"partition {row.label}: behind the end of the flash, or a long name")
    packed = b"".join(
        _ROW.pack(_MAGIC, row.type, row.subtype, row.start, row.size, row.label.encode(), 0)
        for row in ordered
    )
    packed += _MD5_HEAD + hashlib.md5(packed, usedforsecurity=False).digest()
    if len(packed) > TABLE_BYTES:
        raise BadTable("too many partitions")
    return packed.ljust(TABLE_BYTES, b"\xff")


def decode(data: bytes) -> list[Row]:
    """The rows of a table. BadTable if its MD5 is another one, or there is none."""
    rows: list[Row] = []
    for at in range(0, min(len(data), TABLE_BYTES) - _ROW.size + 1, _ROW.size):
        chunk = data[at : at + _ROW.size]
        if chunk.startswith(_MD5_HEAD):
            if chunk[16:] != hashlib.md5(data[:at], usedforsecurity=False).digest():
                raise BadTable("the table's MD5 is another one")
            return rows
        magic, kind, subtype, start, size, label, _ = _ROW.unpack(chunk)
        if magic != _MAGIC:
            break
        rows.append(
            Row(label.rstrip(b"\0").decode("ascii", "replace"), kind, subtype, start, size)
        )
    raise BadTable("no partition table with an MD5")
