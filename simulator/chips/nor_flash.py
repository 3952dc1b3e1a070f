"""A serial NOR flash as power cuts really leave it.

Programming only clears bits, erasing sets a whole sector. A cut inside either leaves bits that are
neither: such weak bits read differently from one read to the next until the cell is programmed or
erased again. The choice of faults and the reading of weak bits draw from separate streams, so an
added read does not change which fault comes next.
"""

import random

PAGE_BYTES = 256
ERASED = 0xFF
ERASE_PHASES = ("pre-program", "erase", "verify")


class PowerCut(BaseException):
    """The supply is gone. Not an Exception: no handler in the firmware may survive it."""


class NorFlash:
    """`size_bytes` of flash, erased; `rng` seeds the faults.

    `loose_per_million`: chance, per program call, that one bit that should become 0 does not.
    Counters: `operations` (completed), `programmed_bytes`, `erases` per sector.
    """

    def __init__(self, size_bytes: int, rng: random.Random, sector_bytes: int = 4096) -> None:
        if size_bytes % sector_bytes:
            raise ValueError("size must be whole sectors")
        self.size_bytes = size_bytes
        self.sector_bytes = sector_bytes
        self.operations = 0
        self.programmed_bytes = 0
        self.erases = [0] * (size_bytes // sector_bytes)
        self.loose_per_million = 0
        self._faults = random.Random(rng.getrandbits(64))
        self._reads = random.Random(rng.getrandbits(64))
        self._cells = bytearray(b"\xff" * size_bytes)
        self._weak: dict[int, int] = {}
        self._cut_at: int | None = None
        self._is_powered = True

    @property
    def is_powered(self) -> bool:
        """False from a cut until `power_on`."""
        return self._is_powered

    @property
    def weak_bits(self) -> int:
        """How many bits read at random now."""
        return sum(mask.bit_count() for mask in self._weak.values())

    def read(self, addr: int, buf: bytearray | memoryview) -> None:
        """Fill `buf` from `addr` on."""
        self._check(addr, len(buf))
        end = addr + len(buf)
        buf[:] = self._cells[addr:end]
        for at in self._weak:
            if addr <= at < end:
                mask = self._weak[at]
                buf[at - addr] = buf[at - addr] & ~mask | self._reads.getrandbits(8) & mask

    def program(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """AND `data` into the cells at `addr`; raises PowerCut half way when the cut is due."""
        self._check(addr, len(data))
        is_last = self._is_cut_due()
        end = addr + len(data)
        stop = addr + self._faults.randrange(len(data) + 1) if is_last else end
        before = bytes(self._cells[addr:end]) if self.loose_per_million else b""
        for at in range(addr, stop):
            self._program_byte(at, data[at - addr])
        self.programmed_bytes += stop - addr
        if is_last:
            page_end = min(end, (stop // PAGE_BYTES + 1) * PAGE_BYTES)
            for at in range(stop, page_end):
                self._tear_byte(at, data[at - addr])
            self.cut()
            raise PowerCut(f"in program at {addr:#x}")
        if self._faults.randrange(1_000_000) < self.loose_per_million and data:
            self._loosen(addr, self._faults.randrange(len(data)), before, data)
        self.operations += 1

    def erase(self, sector_no: int) -> None:
        """Set every bit of a sector; raises PowerCut half way when the cut is due."""
        start = sector_no * self.sector_bytes
        self._check(start, self.sector_bytes)
        self.erases[sector_no] += 1
        if self._is_cut_due():
            self._tear_erase(start)
            self.cut()
            raise PowerCut(f"in erase of sector {sector_no}")
        self._cells[start : start + self.sector_bytes] = b"\xff" * self.sector_bytes
        self._steady(start, self.sector_bytes)
        self.operations += 1

    def cut_after(self, operations: int) -> None:
        """Let that many more operations complete and cut the power inside the next one."""
        self._cut_at = self.operations + operations

    def cut(self) -> None:
        """Take the power away now, between operations; every call fails until `power_on`."""
        self._is_powered = False
        self._cut_at = None

    def power_on(self) -> None:
        """Give the power back; weak bits stay weak."""
        self._is_powered = True

    def image(self) -> bytes:
        """Return the stored cells; weak bits show one of their two faces."""
        return bytes(self._cells)

    def load(self, image: bytes) -> None:
        """Replace all cells by `image`, every bit steady."""
        if len(image) != self.size_bytes:
            raise ValueError("image has another size")
        self._cells[:] = image
        self._weak.clear()

    def flip(self, addr: int, bit: int) -> None:
        """Flip one bit at rest."""
        self._cells[addr] ^= 1 << bit

    def _check(self, addr: int, size: int) -> None:
        if not self._is_powered:
            raise PowerCut("no power")
        if addr < 0 or addr + size > self.size_bytes:
            raise ValueError(f"{addr:#x}+{size} is outside the flash")

    def _is_cut_due(self) -> bool:
        return self._cut_at is not None and self.operations >= self._cut_at

    def _program_byte(self, at: int, target: int) -> None:
        self._cells[at] &= target
        weak = self._weak.get(at, 0) & target  # a bit programmed to 0 is steady again
        if weak:
            self._weak[at] = weak
        else:
            self._weak.pop(at, None)

    def _tear_byte(self, at: int, target: int) -> None:
        """Of the bits that should fall, some fell, some did not, some hang in between."""
        falling = self._cells[at] & ~target & 0xFF
        touched = falling & self._faults.getrandbits(8)
        weak = touched & self._faults.getrandbits(8)
        self._cells[at] &= ~(touched & ~weak) & 0xFF
        if weak:
            self._weak[at] = self._weak.get(at, 0) | weak

    def _tear_erase(self, start: int) -> None:
        phase = self._faults.choice(ERASE_PHASES)
        count = self.sector_bytes
        kept = self._faults.getrandbits(8 * count).to_bytes(count, "little")
        shaky = self._faults.getrandbits(8 * count).to_bytes(count, "little")
        self._steady(start, count)
        for at in range(count):
            cell = self._cells[start + at]
            if phase == "pre-program":  # every cell is first driven towards 0
                changing = cell & kept[at]
                left = cell & ~changing
            elif phase == "erase":
                changing = ERASED & kept[at]
                left = changing
            else:
                changing = kept[at] & shaky[at - 1] & shaky[at - 2]
                left = ERASED
            self._cells[start + at] = left & 0xFF
            weak = changing & shaky[at]
            if weak:
                self._weak[start + at] = weak

    def _loosen(
        self, addr: int, place: int, before: bytes, data: bytes | bytearray | memoryview
    ) -> None:
        """One bit that should have fallen stays 1; a cell that was 0 already cannot rise."""
        falling = before[place] & ~data[place] & 0xFF
        self._cells[addr + place] |= falling & -falling

    def _steady(self, start: int, size: int) -> None:
        for at in [at for at in self._weak if start <= at < start + size]:
            del self._weak[at]
