"""Bytes on raw NOR flash that are believed only when they have been read back.

A cell that a cut has left half way reads one way or the other each time, so one look proves
little. Nothing here raises for what the chip does: it shows in what is read back.
"""

READS = 3  # how often bytes must read right before they are believed, or wrong before they are not
CHUNK = 256  # bytes compared at a time when looking for blank flash
_BLANK = b"\xff" * CHUNK


class FlashBytes:
    """`flash` has size_bytes, sector_bytes, read(addr, buf), program(addr, data), erase(sector).

    At most CHUNK + 16 bytes are programmed at a time.
    """

    def __init__(self, flash):
        self._flash = flash
        self.sector_bytes = flash.sector_bytes
        self.sectors = flash.size_bytes // flash.sector_bytes
        self._again = bytearray(CHUNK + 16)

    def read(self, address, buffer):
        """Fill `buffer` from `address` on, as the flash answers this time."""
        self._flash.read(address, buffer)

    def program(self, address, data):
        """Program and read back; True if the flash holds `data`."""
        self.burn(address, data)
        return self._holds(address, data)

    def burn(self, address, data):
        """Program, whatever comes of it."""
        try:
            self._flash.program(address, data)
        except OSError:
            pass  # it reads back wrong, or not

    def insist(self, address, data):
        """Program again and again until all of it has taken; True if it has.

        Over what stands there already, so that cells half way are so no more.
        """
        for _ in range(READS):
            if self.program(address, data):
                return True
        return False

    def destroy(self, address, size, at, value):
        """Program `size` bytes to zero, after the ones of the byte `value` at `at`.

        Zeros alone would make bits firm that a cut has left half way to 0, and weaken others: cut
        once more, they could leave what was torn whole, for some time. The ones of a byte that is
        known only weaken. Again, where a bit has not fallen.
        """
        for _ in range(READS):
            self.burn(address + at, bytes([value ^ 0xFF]))
            if self.program(address, bytes(size)):
                return

    def erase(self, sector):
        """Erase; True if the sector is blank."""
        try:
            self._flash.erase(sector)
        except OSError:
            pass  # it is not blank, or is
        return self.is_blank(sector, 0)

    def is_blank(self, sector, offset):
        """Whether a sector reads erased from `offset` to its end."""
        start = sector * self.sector_bytes
        for at in range(offset, self.sector_bytes, CHUNK):
            if not self._holds(start + at, _BLANK[: self.sector_bytes - at]):
                return False
        return True

    def _holds(self, address, data):
        again = memoryview(self._again)[: len(data)]
        for _ in range(READS):
            self._flash.read(address, again)
            if again != data:
                return False
        return True
