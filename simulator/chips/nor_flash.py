"""A serial NOR flash as power cuts really leave it.

Programming only clears bits, erasing sets a whole sector. A cut inside either leaves bits that are
neither: such weak bits read one way or the other until the cell is programmed or erased again. How
they read hangs together: at one supply voltage and temperature all of them may look alike, at the
next power-on all the other way, so each power-on draws a lean for them.

The choice of faults and the reading of weak bits draw from separate streams, so an added read does
not change which fault comes next.
"""

import random
from itertools import pairwise

PAGE_BYTES = 256
ERASED = 0xFF
# How a cut may strike. "late": every bit has fallen or risen, some of them barely.
PROGRAM_CUTS = ("torn", "late")
ERASE_CUTS = ("pre-program", "erase", "late")
# What a sector may do from some day on: nothing more is erased, nothing more is programmed, one
# bit does not fall any more, or the chip reports an error and does nothing.
SECTOR_FAULTS = ("no erase", "no program", "stuck bit", "error")
# Out of eight reads so many show a weak bit as 1, after one power-on or another.
LEANS = (0, 0, 1, 4, 7, 8, 8)
_STUCK_AT = 68  # where in a sector the stuck bit is: behind a header, in whatever comes first
_STUCK_BITS = 0x18
_GARBAGE = (b"\xff", b"\x00", b"")  # what a chip that has not woken yet answers; b"": noise


class PowerCut(BaseException):
    """The supply is gone. Not an Exception: no handler in the firmware may survive it."""


class NorFlash:
    """`size_bytes` of flash, erased; `rng` seeds the faults.

    `loose_per_million`: chance, per program call, that one bit that should become 0 does not.
    `slow_start_reads`: so many reads after each power-on answer garbage.
    Counters: `operations` (completed), `programmed_bytes`, `erases` per sector. `last_cut` says
    how the last cut struck.
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
        self.slow_start_reads = 0
        self.last_cut = ""
        self._faults = random.Random(rng.getrandbits(64))
        self._reads = random.Random(rng.getrandbits(64))
        self._cells = bytearray(b"\xff" * size_bytes)
        self._weak = bytearray(size_bytes)  # a mask of weak bits for every cell
        self._weak_sectors: set[int] = set()  # which sectors may have any
        self._lean = 4
        self._sleepy_reads = 0
        self._broken: dict[int, str] = {}
        self._cut_at: int | None = None
        self._cut_byte: int | None = None
        self._cut_how = ""
        self._is_powered = True

    @property
    def is_powered(self) -> bool:
        """False from a cut until `power_on`."""
        return self._is_powered

    @property
    def weak_bits(self) -> int:
        """How many bits are neither 0 nor 1 now."""
        return int.from_bytes(self._weak, "little").bit_count() if self._weak_sectors else 0

    def read(self, addr: int, buf: bytearray | memoryview) -> None:
        """Fill `buf` from `addr` on."""
        count = len(buf)
        self._check(addr, count)
        end = addr + count
        buf[:] = self._cells[addr:end]
        if self._sleepy_reads:
            self._sleepy_reads -= 1
            self._answer_garbage(buf)
        elif self._weak_sectors:
            weak = int.from_bytes(self._weak[addr:end], "little")
            if weak:
                shown = int.from_bytes(buf, "little") & ~weak | self._faces(8 * count) & weak
                buf[:] = shown.to_bytes(count, "little")

    def program(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """AND `data` into the cells at `addr`; raises PowerCut half way when the cut is due."""
        count = len(data)
        self._check(addr, count)
        if self._cut_at is not None and self.operations >= self._cut_at:
            self._cut_program(addr, bytes(data))
        if self._broken:
            data = self._what_sticks(addr, data)
        before = self._cells[addr : addr + count] if self.loose_per_million else b""
        self._fall(addr, data)
        self.programmed_bytes += count
        if before and self._faults.randrange(1_000_000) < self.loose_per_million:
            self._loosen(addr, self._faults.randrange(count), before, data)
        self.operations += 1

    def erase(self, sector_no: int) -> None:
        """Set every bit of a sector; raises PowerCut half way when the cut is due."""
        start = sector_no * self.sector_bytes
        self._check(start, self.sector_bytes)
        self.erases[sector_no] += 1
        fault = self._broken.get(sector_no)
        if self._cut_at is not None and self.operations >= self._cut_at:
            if fault not in ("no erase", "error"):
                self._tear_erase(sector_no)
            self._go(f"erase of sector {sector_no}")
        if fault == "error":
            raise OSError(5, "flash")
        if fault != "no erase":
            self._cells[start : start + self.sector_bytes] = b"\xff" * self.sector_bytes
            self._steady(sector_no)
        self.operations += 1

    def cut_after(self, operations: int, at_byte: int | None = None, how: str = "") -> None:
        """Let that many more operations complete and cut the power inside the next one.

        `at_byte`: a program ends exactly there, every byte before it whole. Otherwise `how` is one
        of PROGRAM_CUTS or ERASE_CUTS; what does not suit the operation, or is empty, is drawn.
        """
        self._cut_at = self.operations + operations
        self._cut_byte, self._cut_how = at_byte, how

    def cut(self) -> None:
        """Take the power away now, between operations; every call fails until `power_on`."""
        self._is_powered = False
        self._cut_at = None

    def power_on(self) -> None:
        """Give the power back; weak bits stay weak, and lean one way or the other for now."""
        self._is_powered = True
        self._lean = self._reads.choice(LEANS)
        self._sleepy_reads = self.slow_start_reads

    def fail_sector(self, sector_no: int, how: str) -> None:
        """From now on a sector is bad in one of the ways of SECTOR_FAULTS; good again if ""."""
        if how and how not in SECTOR_FAULTS:
            raise ValueError(f"{how!r} is none of {SECTOR_FAULTS}")
        self._broken.pop(sector_no, None)
        if how:
            self._broken[sector_no] = how

    def image(self) -> bytes:
        """Return the stored cells; weak bits show one of their two faces."""
        return bytes(self._cells)

    def cells(self, addr: int, count: int) -> bytes:
        """Return some of what `image` does."""
        return bytes(self._cells[addr : addr + count])

    def load(self, image: bytes | bytearray) -> None:
        """Replace all cells by `image`, every bit steady."""
        if len(image) != self.size_bytes:
            raise ValueError("image has another size")
        self._cells[:] = image
        for sector in list(self._weak_sectors):
            self._steady(sector)

    def flip(self, addr: int, bit: int) -> None:
        """Flip one bit at rest."""
        self._cells[addr] ^= 1 << bit

    # -- reading ----------------------------------------------------------------------------

    def _faces(self, bits: int) -> int:
        """What weak bits show in one read, as the power leans at the time."""
        if self._lean in (0, 8):
            return -(self._lean // 8)
        draw = self._reads.getrandbits
        if self._lean == 4:
            return draw(bits)
        rare = draw(bits) & draw(bits) & draw(bits)
        return rare if self._lean == 1 else ~rare

    def _answer_garbage(self, buf: bytearray | memoryview) -> None:
        garbage = self._reads.choice(_GARBAGE)
        buf[:] = garbage * len(buf) if garbage else self._reads.randbytes(len(buf))

    # -- programming ------------------------------------------------------------------------

    def _fall(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Clear bits; one that is programmed to 0 is steady again."""
        end = addr + len(data)
        target = int.from_bytes(data, "little")
        cells = int.from_bytes(self._cells[addr:end], "little") & target
        self._cells[addr:end] = cells.to_bytes(len(data), "little")
        if self._weak_sectors:
            weak = int.from_bytes(self._weak[addr:end], "little")
            if weak:
                self._weak[addr:end] = (weak & target).to_bytes(len(data), "little")

    def _what_sticks(self, addr: int, data: bytes | bytearray | memoryview) -> bytes:
        """`data` with ones where a broken sector does not take the zeros of it."""
        first, last = addr // self.sector_bytes, (addr + len(data) - 1) // self.sector_bytes
        if first not in self._broken and last not in self._broken:
            return bytes(data)
        sticking = bytearray(data)
        for at in range(addr, addr + len(data)):
            fault = self._broken.get(at // self.sector_bytes)
            if fault == "error":
                raise OSError(5, "flash")
            if fault == "no program":
                sticking[at - addr] = ERASED
            elif fault == "stuck bit" and at % self.sector_bytes == _STUCK_AT:
                sticking[at - addr] |= _STUCK_BITS
        return bytes(sticking)

    def _cut_program(self, addr: int, data: bytes) -> None:
        try:
            data = self._what_sticks(addr, data)
        except OSError:
            self._go("program that fails")
        if self._cut_byte is not None:
            stop = min(self._cut_byte, len(data))
            self._fall(addr, data[:stop])
            self.programmed_bytes += stop
            self._cut_how = "byte"
        else:
            if self._cut_how not in PROGRAM_CUTS:
                self._cut_how = self._faults.choice(PROGRAM_CUTS)
            (self._tear_pages if self._cut_how == "torn" else self._barely)(addr, data)
        self._go(f"program at {addr:#x}")

    def _tear_pages(self, addr: int, data: bytes) -> None:
        """Pages land in any order: some are whole, one is half way, some have not begun."""
        end = addr + len(data)
        edges = [addr, *range((addr // PAGE_BYTES + 1) * PAGE_BYTES, end, PAGE_BYTES), end]
        pages = list(pairwise(edges))
        self._faults.shuffle(pages)
        whole = self._faults.randrange(len(pages))
        for start, stop in pages[:whole]:
            self._fall(start, data[start - addr : stop - addr])
            self.programmed_bytes += stop - start
        start, stop = pages[whole]
        done = self._faults.randrange(stop - start + 1)
        self.programmed_bytes += done
        places = list(range(start, stop))
        if self._faults.randrange(2):  # not even the bytes of a page keep their order
            self._faults.shuffle(places)
        for at in places[:done]:
            self._fall(at, data[at - addr : at - addr + 1])
        for at in places[done:]:
            self._tear_byte(at, data[at - addr])

    def _barely(self, addr: int, data: bytes) -> None:
        """All bits have fallen, but some of those that had to are still weak."""
        end = addr + len(data)
        before = int.from_bytes(self._cells[addr:end], "little")
        self._fall(addr, data)
        self.programmed_bytes += len(data)
        falling = before & ~int.from_bytes(data, "little")
        weak = int.from_bytes(self._weak[addr:end], "little")
        for _ in range(self._faults.choice((0, 0, 1, 2, 3, 4, 6, 8))):  # from all of them to few
            falling &= self._faults.getrandbits(8 * len(data))
        self._weak[addr:end] = (weak | falling).to_bytes(len(data), "little")
        self._mark_weak(addr, end)

    def _tear_byte(self, at: int, target: int) -> None:
        """Of the bits that should fall, some fell, some did not, some hang in between."""
        falling = self._cells[at] & ~target & 0xFF
        touched = falling & self._faults.getrandbits(8)
        weak = touched & self._faults.getrandbits(8)
        self._cells[at] &= ~(touched & ~weak) & 0xFF
        self._weak[at] = self._weak[at] & ~(touched & ~weak) | weak
        self._mark_weak(at, at + 1)

    def _loosen(
        self,
        addr: int,
        place: int,
        before: bytes | bytearray,
        data: bytes | bytearray | memoryview,
    ) -> None:
        """One bit that should have fallen stays 1; a cell that was 0 already cannot rise."""
        falling = before[place] & ~data[place] & 0xFF
        self._cells[addr + place] |= falling & -falling

    # -- erasing ----------------------------------------------------------------------------

    def _tear_erase(self, sector: int) -> None:
        """Every cell is first driven to 0, then all rise, then the slow ones are pulsed again."""
        if self._cut_how not in ERASE_CUTS:
            self._cut_how = self._faults.choice(ERASE_CUTS)
        start, count = sector * self.sector_bytes, self.sector_bytes
        draw = self._faults.getrandbits
        bits, ones = 8 * count, (1 << 8 * count) - 1
        some, shaky = draw(bits), draw(bits)
        if self._cut_how == "pre-program":
            cells = int.from_bytes(self._cells[start : start + count], "little")
            weak = cells & some & shaky
            cells &= ~some
        elif self._cut_how == "erase":
            cells, weak = some, some & shaky
        else:
            for _ in range(self._faults.randrange(12)):
                shaky &= draw(bits)
            cells, weak = ones, some & shaky
        self._cells[start : start + count] = cells.to_bytes(count, "little")
        self._weak[start : start + count] = weak.to_bytes(count, "little")
        self._weak_sectors.add(sector)

    # -- power and weakness -------------------------------------------------------------------

    def _check(self, addr: int, size: int) -> None:
        if not self._is_powered:
            raise PowerCut("no power")
        if addr < 0 or addr + size > self.size_bytes:
            raise ValueError(f"{addr:#x}+{size} is outside the flash")

    def _go(self, where: str) -> None:
        self.last_cut = self._cut_how
        self.cut()
        raise PowerCut(f"in {where}")

    def _mark_weak(self, start: int, end: int) -> None:
        self._weak_sectors.update(range(start // self.sector_bytes, -(-end // self.sector_bytes)))

    def _steady(self, sector: int) -> None:
        if sector in self._weak_sectors:
            start = sector * self.sector_bytes
            self._weak[start : start + self.sector_bytes] = bytes(self.sector_bytes)
            self._weak_sectors.discard(sector)


class Cells:
    """The cells of a flash as they are now, to look at: no read of these draws or disturbs."""

    def __init__(self, flash: NorFlash) -> None:
        self.size_bytes = flash.size_bytes
        self.sector_bytes = flash.sector_bytes
        self._flash = flash

    def read(self, addr: int, buf: bytearray | memoryview) -> None:
        """Fill `buf` from `addr` on; weak bits show one of their two faces."""
        buf[:] = self._flash.cells(addr, len(buf))
