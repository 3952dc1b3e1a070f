"""A board's whole flash chip as a file: programming clears bits, erasing sets a sector's.

What is where follows from the partition table in it, as ESP-IDF reads it: 32 bytes a row at
0x8000, the end marked by anything that is no row.
"""

from __future__ import annotations

import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

SECTOR_BYTES = 4096
TABLE_AT, _TABLE_ROWS_MAX = 0x8000, 95
_ROW = struct.Struct("<HBBII16sI")
_ROW_MAGIC = 0x50AA
_NVS_HEAD = struct.Struct("<II")
_IMAGE_MAGIC = 0xE9
BOOTLOADER_AT = 0x1000  # of an ESP32; other chips begin at 0
_APP_TYPE = 0


class PowerCut(Exception):
    """The power is gone in the middle of what was written."""


@dataclass(frozen=True)
class Partition:
    """A row of the table."""

    type: int
    subtype: int
    start: int
    size: int
    label: str


class FlashFile:
    """The chip. `operations_left`: after so many sectors erased or pages programmed, PowerCut."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.operations_left: int | None = None
        if not path.exists():
            path.write_bytes(b"\xff" * size_bytes)
        self._file = path.open("r+b")
        self._memory = mmap.mmap(self._file.fileno(), size_bytes)

    def close(self) -> None:
        self._memory.close()
        self._file.close()

    def read(self, start: int, size: int) -> bytes:
        return bytes(self._memory[start : start + size])

    def program(self, start: int, data: bytes) -> None:
        """Clear the bits that are 0 in `data`."""
        at = start
        while data:
            size = min(len(data), 256 - at % 256)
            self._work()
            now = int.from_bytes(self._memory[at : at + size], "little")
            page = (now & int.from_bytes(data[:size], "little")).to_bytes(size, "little")
            self._memory[at : at + size] = page
            at, data = at + size, data[size:]

    def erase(self, start: int, size: int) -> None:
        """Set every bit of the sectors that `size` bytes from `start` lie in."""
        end = -(-(start + size) // SECTOR_BYTES) * SECTOR_BYTES
        for at in range(start // SECTOR_BYTES * SECTOR_BYTES, end, SECTOR_BYTES):
            self._work()
            self._memory[at : at + SECTOR_BYTES] = b"\xff" * SECTOR_BYTES

    def partitions(self) -> list[Partition]:
        """The rows of the table; none where there is none."""
        rows = []
        for number in range(_TABLE_ROWS_MAX):
            row = self.read(TABLE_AT + number * _ROW.size, _ROW.size)
            magic, kind, subtype, start, size, label, _flags = _ROW.unpack(row)
            if magic != _ROW_MAGIC:
                break
            rows.append(Partition(kind, subtype, start, size, label.rstrip(b"\0").decode()))
        return rows

    def partition(self, label: str) -> Partition | None:
        return next((row for row in self.partitions() if row.label == label), None)

    def can_boot(self) -> bool:
        """Whether there is a bootloader, and a program in the table's first partition for one."""
        app = next((row for row in self.partitions() if row.type == _APP_TYPE), None)
        starts = [BOOTLOADER_AT] + ([app.start] if app else [])
        return app is not None and all(self.read(at, 1)[0] == _IMAGE_MAGIC for at in starts)

    def nvs(self) -> dict[str, bytes]:
        """The key-value store of its partition. Its bytes are ours, not those of ESP-IDF."""
        row = self.partition("nvs")
        if row is None:
            return {}
        size, check = _NVS_HEAD.unpack(self.read(row.start, _NVS_HEAD.size))
        text = self.read(row.start + _NVS_HEAD.size, min(size, row.size))
        if size > row.size or crc32(text) != check:
            return {}
        return {key: bytes.fromhex(value) for key, value in json.loads(text).items()}

    def set_nvs(self, store: dict[str, bytes]) -> None:
        """Store it whole: NVS promises the old or the new one after a cut. OSError: no room."""
        row = self.partition("nvs")
        text = json.dumps({key: value.hex() for key, value in store.items()}).encode()
        if row is None or _NVS_HEAD.size + len(text) > row.size:
            raise OSError(0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._work()
        data = _NVS_HEAD.pack(len(text), crc32(text)) + text
        self._memory[row.start : row.start + len(data)] = data

    def _work(self) -> None:
        if self.operations_left is None:
            return
        if self.operations_left <= 0:
            raise PowerCut
        self.operations_left -= 1
