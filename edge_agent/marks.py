"""How far one device has come, in memory and as a row of the table `device`."""

import struct
import zlib
from dataclasses import dataclass

_SUMMED = ">IQQQ"


@dataclass(slots=True)
class Mark:
    """How far one device has come; see the table `device`."""

    receipted: int = 0
    base: int = 0
    stored: int = 0
    receipt: bytes | None = None

    def row(self, device: int) -> tuple[int, int, int, int, bytes | None, int]:
        """What the table keeps of it."""
        checksum = self.checksum(device)
        return device, self.receipted, self.base, self.stored, self.receipt, checksum

    def checksum(self, device: int) -> int:
        """CRC-32 over the row: against what a disk does, not against people."""
        numbers = struct.pack(_SUMMED, device, self.receipted, self.base, self.stored)
        return zlib.crc32(self.receipt or b"", zlib.crc32(numbers))
