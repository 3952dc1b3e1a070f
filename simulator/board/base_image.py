"""A base image for simulated boards: what esptool takes for one, with no program for a chip in it.

The console of a simulated board is the unix port; the image only has to be where a real one is.
"""

import hashlib
import struct

_ROW = struct.Struct("<HBBII16sI")
# Of the stock image of 4 MB: name, type, subtype, start, size.
_ROWS = (
    ("nvs", 1, 0x02, 0x9000, 0x6000),
    ("phy_init", 1, 0x01, 0xF000, 0x1000),
    ("factory", 0, 0x00, 0x10000, 0x1F0000),
    ("vfs", 1, 0x81, 0x200000, 0x200000),
)
_BASE_AT, _TABLE_AT, _TABLE_BYTES, _APP_AT = 0x1000, 0x8000, 0xC00, 0x10000
_PROGRAM_BYTES = 64


def base_image() -> bytes:
    """The file, as it is written to 0x1000: bootloader, partition table, program."""
    rows = b"".join(
        _ROW.pack(0x50AA, kind, subtype, start, size, name.encode(), 0)
        for name, kind, subtype, start, size in _ROWS
    )
    digest = hashlib.md5(rows, usedforsecurity=False).digest()
    table = (rows + b"\xeb\xeb" + b"\xff" * 14 + digest).ljust(_TABLE_BYTES, b"\xff")
    image = _program().ljust(_TABLE_AT - _BASE_AT, b"\xff") + table
    return image.ljust(_APP_AT - _BASE_AT, b"\xff") + _program()


def _program() -> bytes:
    """One segment of nothing, with the header, the checksum and the hash of Espressif's format."""
    head = struct.pack("<BBBBI", 0xE9, 1, 2, 0x20, 0x40080000)
    more = struct.pack("<BBBBHBHHBBBBB", 0xEE, 0, 0, 0, 0, 0, 0, 0xFFFF, 0, 0, 0, 0, 1)
    data = bytes(_PROGRAM_BYTES)
    body = head + more + struct.pack("<II", 0x40080000, len(data)) + data
    checksum = 0xEF
    for byte in data:
        checksum ^= byte
    body += bytes(15 - len(body) % 16) + bytes([checksum])
    return body + hashlib.sha256(body).digest()
