"""The serial protocol of an ESP32's ROM, and of the stub that esptool loads into its RAM.

From Espressif's description of the serial protocol (docs of esptool). The stub is not run: once it
would be, this answers as it does, with larger blocks and reads. A frame is SLIP (RFC 1055); a
request is direction 0, op, size and checksum; an answer direction 1, op, size and value, data, and
two bytes of status, from the ROM followed by two more.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator

from simulator.board.flash_file import SECTOR_BYTES, FlashFile

_END, _ESCAPE, _ESCAPED_END, _ESCAPED_ESCAPE = 0xC0, 0xDB, 0xDC, 0xDD
_REQUEST, _ANSWER = struct.Struct("<BBHI"), struct.Struct("<BBHI")
_WORDS4 = struct.Struct("<IIII")
_BAD_REQUEST, _BAD_DATA = b"\x01\x05", b"\x01\x07"
_CHECKSUM_SEED = 0xEF
# How a host begins: SYNC, its size, and what it says.
GREETING = b"\x00\x08\x24\x00\x00\x00\x00\x00\x07\x07\x12\x20"
_SYNC_ANSWERS = 8
_MAGIC_REG, _MAGIC = 0x40001000, 0x00F01D83  # an ESP32, whatever its revision
_EFUSE = 0x3FF5A000
_UART_DIVIDER_REG, _UART_DIVIDER = 0x3FF40014, 347  # 40 MHz by 115,200 baud
_SPI = 0x3FF42000
_SPI_CMD, _SPI_USER2, _SPI_DATA = _SPI, _SPI + 0x24, _SPI + 0x80
_SPI_RUN, _READ_ID = 1 << 18, 0x9F
_MAKER_AND_TYPE = 0x40EF  # Winbond, and what their serial NOR flash says


class Rom:
    """What answers in download mode: feed() takes bytes off the wire and returns those for it."""

    def __init__(self, flash: FlashFile, mac: bytes) -> None:
        self._flash = flash
        self._frame: bytearray | None = None
        self._is_escaped = self._is_stub = False
        low, high = struct.unpack(">HI", mac)
        self._registers = {
            _MAGIC_REG: _MAGIC,
            _EFUSE + 4: high,
            _EFUSE + 8: low,
            _UART_DIVIDER_REG: _UART_DIVIDER,
        }
        self._at = 0
        self._inflate: zlib._Decompress | None = None
        self._reading = b""

    def feed(self, data: bytes) -> bytes:
        """Answers to whatever frames end in `data`."""
        return b"".join(self._answered(frame) for frame in self._frames(data))

    def _frames(self, data: bytes) -> Iterator[bytes]:
        for byte in data:
            if byte == _END:
                if self._frame:
                    yield bytes(self._frame)
                self._frame = bytearray() if not self._frame else None
            elif self._frame is None:
                continue
            elif self._is_escaped:
                self._frame.append(_END if byte == _ESCAPED_END else _ESCAPE)
                self._is_escaped = False
            elif byte == _ESCAPE:
                self._is_escaped = True
            else:
                self._frame.append(byte)

    def _answered(self, frame: bytes) -> bytes:
        if self._reading and len(frame) == 4:
            return self._read_on(int.from_bytes(frame, "little"))
        if len(frame) < _REQUEST.size:
            return b""
        direction, op, size, checksum = _REQUEST.unpack_from(frame)
        data = frame[_REQUEST.size :]
        if direction or len(data) != size:
            return self._answer(op, status=_BAD_REQUEST)
        handler = _OPS.get(op)
        if handler is None:
            return self._answer(op, status=_BAD_REQUEST)
        return handler(self, op, data, checksum)

    def _answer(
        self, op: int, value: int = 0, data: bytes = b"", status: bytes = b"\0\0"
    ) -> bytes:
        body = data + status + (b"" if self._is_stub else b"\0\0")
        return _framed(_ANSWER.pack(1, op, len(body), value) + body)

    def _sync(self, op: int, _data: bytes, _checksum: int) -> bytes:
        return self._answer(op, value=0 if self._is_stub else 0x20120707) * _SYNC_ANSWERS

    def _read_register(self, op: int, data: bytes, _checksum: int) -> bytes:
        return self._answer(op, value=self._registers.get(int.from_bytes(data, "little"), 0))

    def _write_register(self, op: int, data: bytes, _checksum: int) -> bytes:
        for start in range(0, len(data), 16):
            register, value, mask, _delay_us = _WORDS4.unpack_from(data, start)
            self._registers[register] = value & mask
            if register == _SPI_CMD and value & _SPI_RUN:
                self._run_spi()
        return self._answer(op)

    def _run_spi(self) -> None:
        """A command to the flash chip; only who it is, is ever asked."""
        self._registers[_SPI_CMD] = 0
        command = self._registers.get(_SPI_USER2, 0) & 0xFF
        capacity = self._flash.size_bytes.bit_length() - 1
        found = _MAKER_AND_TYPE | capacity << 16
        self._registers[_SPI_DATA] = found if command == _READ_ID else 0

    def _accept(self, op: int, _data: bytes, _checksum: int) -> bytes:
        return self._answer(op)

    def _memory_data(self, op: int, data: bytes, checksum: int) -> bytes:
        is_good = _checksum(data[_WORDS4.size :]) == checksum & 0xFF
        return self._answer(op, status=b"\0\0" if is_good else _BAD_DATA)

    def _memory_end(self, op: int, _data: bytes, _checksum: int) -> bytes:
        said = self._answer(op)
        self._is_stub = True
        return said + _framed(b"OHAI")

    def _begin(self, op: int, data: bytes, _checksum: int) -> bytes:
        size, _blocks, _block_bytes, self._at = _WORDS4.unpack_from(data)
        self._inflate = zlib.decompressobj() if op == 0x10 else None
        if size:
            self._flash.erase(self._at, size)
        return self._answer(op)

    def _block(self, op: int, data: bytes, checksum: int) -> bytes:
        block = data[_WORDS4.size :]
        if _checksum(block) != checksum & 0xFF:
            return self._answer(op, status=_BAD_DATA)
        if self._inflate is not None:
            block = self._inflate.decompress(block)
        self._flash.program(self._at, block)
        self._at += len(block)
        return self._answer(op)

    def _digest(self, op: int, data: bytes, _checksum: int) -> bytes:
        start, size, _, _ = _WORDS4.unpack(data)
        digest = hashlib.md5(self._flash.read(start, size))
        found = digest.digest() if self._is_stub else digest.hexdigest().encode()
        return self._answer(op, data=found)

    def _erase(self, op: int, data: bytes, _checksum: int) -> bytes:
        start, size = struct.unpack("<II", data) if data else (0, self._flash.size_bytes)
        self._flash.erase(start, size)
        return self._answer(op)

    def _read_flash(self, op: int, data: bytes, _checksum: int) -> bytes:
        start, size, _block, _ahead = _WORDS4.unpack(data)
        self._reading = self._flash.read(start, size)
        return self._answer(op) + _framed(self._reading[:SECTOR_BYTES])

    def _read_on(self, acknowledged: int) -> bytes:
        if acknowledged < len(self._reading):
            return _framed(self._reading[acknowledged : acknowledged + SECTOR_BYTES])
        digest, self._reading = hashlib.md5(self._reading).digest(), b""
        return _framed(digest)


_OPS = {
    0x02: Rom._begin,
    0x03: Rom._block,
    0x04: Rom._accept,
    0x05: Rom._accept,
    0x06: Rom._memory_end,
    0x07: Rom._memory_data,
    0x08: Rom._sync,
    0x09: Rom._write_register,
    0x0A: Rom._read_register,
    0x0B: Rom._accept,
    0x0D: Rom._accept,
    0x0F: Rom._accept,
    0x10: Rom._begin,
    0x11: Rom._block,
    0x12: Rom._accept,
    0x13: Rom._digest,
    0xD0: Rom._erase,
    0xD1: Rom._erase,
    0xD2: Rom._read_flash,
}


def _checksum(data: bytes) -> int:
    found = _CHECKSUM_SEED
    for byte in data:
        found ^= byte
    return found


def _framed(data: bytes) -> bytes:
    escaped = data.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + escaped + b"\xc0"
