"""The reader's journal beside littlefs, in the same real MicroPython, on the same modelled flash.

The same sealed records of spends are kept in three ways (flash_keeper.py): our journal, littlefs
with files that are appended to and synchronised after each record, and littlefs with a file for
each record, small enough to lie with its name. Of eight records all are booked at once and may go.
What is kept has to be on flash when `keep` returns, for the card is debited next.

Programmed bytes, erases by sector and time come from the flash (simulator/chips/nor_flash.py;
600 us a page, 45 ms an erase); `waits` is what a person at the till waits for. A power cut strikes
inside one program or erase after the other: clean (so many bytes are programmed, an erase has not
begun), as littlefs is tested by its makers, or dirty, leaving torn pages and bits that read
differently each time, which is harsher than any chip is known to be every time. Then the reader
starts twice, goes on, and starts again; who

    lost       a record that had been kept and was not booked
    torn       shows bytes that were never a record
    flickers   shows a record at one start and not at the next, nothing booked between them
    dead       does not start, or cannot go on

is counted once for each cut, by the first of these that is found.
"""

import os
import random
import select
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from simulator.chips.nor_flash import NorFlash, PowerCut
from simulator.host.hardware import ERASE_US, PROGRAM_US_PER_PAGE
from tools import child
from tools.bench import flash_keeper
from tools.bench.flash_keeper import ERASE, FOUND, FULL, KEPT, NEXT, OVER, PROGRAM, READ, STARTED
from tools.bench.journal import SECTOR_BYTES, Window
from tools.rooms import ROOT

OURS = "ring"
OTHERS = {
    "appended": "littlefs 2, files appended to",
    "filed": "littlefs 2, a file for each record",
}
SECTORS, SPENDS, BOOKED_EVERY = 24, 1_000, 8
CUT_SECTORS, CUT_SPENDS_BEFORE, CUT_RECORDS, CUTS = 8, 60, 24, 100
GO_ON = 4
CLEAN, DIRTY = "clean", "dirty"
LOST, TORN, FLICKERS, DEAD = "lost", "torn", "flickers", "dead"
JUDGED = (LOST, TORN, FLICKERS, DEAD)
_HEAD = struct.Struct(flash_keeper.HEAD)
_SIZE = struct.Struct(">I")
_HEAP = "heapsize=1m"
_ANSWER_MS = 20_000
_PAGE_BYTES = 256
_RUN = "import sys; from micropython_unix import main; sys.exit(main())"


class NotKept(Exception):
    """A way of keeping records does not work at all; the text is what was said."""


@dataclass
class Life:
    """One life of a reader, from its start to its end or to a power cut."""

    found: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    unbooked: int = 0  # how many of the last ones are not booked
    in_flight: bytes = b""
    waits_us: list[int] = field(default_factory=list)
    started: bool = False
    is_full: bool = False
    is_over: bool = False
    code_bytes: int = 0
    heap_bytes: int = 0
    said: str = ""


class Keeper:
    """MicroPython with one way of keeping, and the flash that answers it."""

    def __init__(self, name: str, flash: NorFlash, books: bool = True) -> None:
        self._name, self._flash, self._books = name, flash, books
        self._operations_us = 0

    def live(self, records: Sequence[bytes], unbooked: int = 0) -> Life:
        """Start, keep `records` after `unbooked` ones that are not booked, and end."""
        life = Life(unbooked=unbooked)
        reader, vm_writer = os.pipe()
        vm_reader, writer = os.pipe()
        command = [sys.executable, "-c", _RUN, "-X", _HEAP, str(flash_keeper.__file__)]
        where = [str(vm_reader), str(vm_writer), self._name]
        sizes = [str(self._flash.size_bytes), str(self._flash.sector_bytes)]
        with child.start(
            [*command, *where, *sizes],
            env={"MICROPYPATH": f"{ROOT}:.frozen"},
            pass_fds=(vm_reader, vm_writer),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            os.close(vm_reader)
            os.close(vm_writer)
            try:
                self._serve(reader, writer, iter(records), life)
            except PowerCut:
                pass
            finally:
                process.kill()
                life.said = (process.communicate()[0] or "").strip()[-300:]
                os.close(reader)
                os.close(writer)
        return life

    def _serve(self, reader: int, writer: int, records: Iterator[bytes], life: Life) -> None:
        """Answer requests until there are none."""
        while not life.is_over:
            request = _read(reader, _HEAD.size)
            if len(request) < _HEAD.size:
                return  # it has ended, or hangs
            op, a, b, size = _HEAD.unpack(request)
            answer = self._answer(op, a, b, _read(reader, size), records, life)
            os.write(writer, _SIZE.pack(len(answer)) + answer)

    def _answer(
        self, op: int, a: int, b: int, data: bytes, records: Iterator[bytes], life: Life
    ) -> bytes:
        if op == READ:
            buffer = bytearray(b)
            self._flash.read(a, buffer)
            return bytes(buffer)
        if op == PROGRAM:
            self._operations_us += PROGRAM_US_PER_PAGE * pages(a, len(data))
            self._flash.program(a, data)
        elif op == ERASE:
            self._operations_us += ERASE_US
            self._flash.erase(a)
        elif op == NEXT:
            life.in_flight = next(records, b"")
            self._operations_us = 0
            return life.in_flight
        elif op == KEPT:
            return self._kept(life)
        else:
            self._note(op, a, b, data, life)
        return b""

    def _kept(self, life: Life) -> bytes:
        life.waits_us.append(self._operations_us)
        life.kept.append(life.in_flight)
        life.in_flight = b""
        life.unbooked += 1
        if not self._books or life.unbooked < BOOKED_EVERY:
            return b""
        life.unbooked = 0
        return bytes(1)

    @staticmethod
    def _note(op: int, a: int, b: int, data: bytes, life: Life) -> None:
        if op == FOUND:
            life.found.append(data)
        elif op == STARTED:
            life.started = True
        elif op == FULL:
            life.is_full = True
        elif op == OVER:
            life.is_over, life.code_bytes, life.heap_bytes = True, a, b


def pages(address: int, count: int) -> int:
    """How many pages of the chip a program touches."""
    return (address + count - 1) // _PAGE_BYTES - address // _PAGE_BYTES + 1 if count else 0


def _read(descriptor: int, size: int) -> bytes:
    """`size` bytes, or less when there are no more, or none for _ANSWER_MS."""
    poller, data = select.poll(), b""
    poller.register(descriptor, select.POLLIN)
    while len(data) < size:
        if not poller.poll(_ANSWER_MS):
            break
        part = os.read(descriptor, size - len(data))
        if not part:
            break
        data += part
    return data


def sealed(spends: int) -> list[bytes]:
    """INTENT and OUTCOME of so many spends, as a POS seals them; all of them differ."""
    window, records = Window(SECTORS), []
    for _ in range(spends):
        window.spend()
        head = window.journal.head_seq
        records += [window.journal.record(seq) or b"" for seq in (head - 1, head)]
        window.journal.receipt(head)
        window.journal.prepare()
    return records


@dataclass(frozen=True)
class Cost:
    """What keeping cost, of one spend where nothing else is said."""

    programmed_bytes: float
    erases_per_1000: float
    worst_per_mean: float  # erases of the most worn sector beside the mean
    wait_ms: float  # mean, until both records are on flash
    worst_wait_ms: float  # of one record
    code_bytes: int
    heap_bytes: int


def cost(name: str, spends: int, sectors: int = SECTORS) -> Cost:
    """Keep the records of `spends`; NotKept if it does not."""
    flash = NorFlash(sectors * SECTOR_BYTES, random.Random(0))
    life = Keeper(name, flash).live(sealed(spends))
    if not life.is_over or life.is_full:
        raise NotKept(f"{name}: {life.said or 'full'}")
    erases = sum(flash.erases)
    return Cost(
        flash.programmed_bytes / spends,
        erases / spends * 1000,
        max(flash.erases) * sectors / max(erases, 1),
        sum(life.waits_us) / spends / 1000,
        max(life.waits_us) / 1000,
        life.code_bytes,
        life.heap_bytes,
    )


def capacity(name: str, sectors: int = SECTORS) -> int:
    """Spends that fit while nothing is booked."""
    flash = NorFlash(sectors * SECTOR_BYTES, random.Random(0))
    life = Keeper(name, flash, books=False).live(sealed(sectors * 24))
    if not life.is_full:
        raise NotKept(f"{name}: {life.said or 'never full'}")
    return len(life.kept) // 2


class CleanFlash(NorFlash):
    """A flash whose cuts leave no bit half way: bytes are whole, and an erase has not begun."""

    def _cut_program(self, addr: int, data: bytes) -> None:
        self._cut_byte = self._faults.randrange(len(data) + 1)
        super()._cut_program(addr, data)

    def _tear_erase(self, sector: int) -> None:
        """Nothing has happened."""


KINDS: dict[str, type[NorFlash]] = {CLEAN: CleanFlash, DIRTY: NorFlash}


class Cuts:
    """A flash on which a reader has kept records for a while, to be cut again and again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._records = sealed(CUT_SPENDS_BEFORE + CUT_RECORDS // 2 + GO_ON)
        before = 2 * CUT_SPENDS_BEFORE
        self._flash = NorFlash(CUT_SECTORS * SECTOR_BYTES, random.Random(0))
        first = Keeper(name, self._flash).live(self._records[:before])
        if not first.is_over:
            raise NotKept(f"{name}: {first.said}")
        self._unbooked, self._image = first.unbooked, self._flash.image()
        self._before = self._records[:before]
        self._cut_ones = self._records[before : before + CUT_RECORDS]
        self._after = self._records[before + CUT_RECORDS :]
        operations = self._flash.operations
        self._life(self._flash, self._cut_ones)
        self.operations = self._flash.operations - operations

    def _life(self, flash: NorFlash, records: Sequence[bytes], books: bool = True) -> Life:
        return Keeper(self._name, flash, books).live(records, self._unbooked)

    def strike(self, at: int, seed: int, kind: str) -> str:
        """Cut inside the `at`th program or erase; one of JUDGED, or empty."""
        flash = KINDS[kind](CUT_SECTORS * SECTOR_BYTES, random.Random(seed))
        flash.load(self._image)
        flash.cut_after(at)
        cut = self._life(flash, self._cut_ones)
        kept = self._before + cut.kept
        needed = set(kept[len(kept) - cut.unbooked :])
        lives = []
        for records in ((), self._after, ()):
            flash.power_on()
            lives.append(self._life(flash, records, books=False))
        return judge(lives, needed, set(self._records))


def judge(lives: Sequence[Life], needed: set[bytes], real: set[bytes]) -> str:
    """What is wrong with three lives after a cut, the second of which goes on: one of JUDGED.

    Empty: nothing is wrong. `needed` was kept before the cut and is not booked, `real` is all that
    ever was a record.
    """
    if not all(life.is_over for life in lives) or any(life.is_full for life in lives):
        return DEAD
    first, second, last = ({*life.found} for life in lives)
    if not needed <= first or not needed | {*lives[1].kept} <= last:
        return LOST
    if not first | second | last <= real:
        return TORN
    return FLICKERS if first != second else ""


def cut_all(name: str, cuts: int) -> tuple[dict[str, Counter[str]], int]:
    """(by kind what was wrong how often, operations there were) over evenly spread cuts."""
    flash = Cuts(name)
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for kind, counter in found.items():
        for number in range(cuts):
            counter[flash.strike(number * flash.operations // cuts, number, kind)] += 1
    return found, flash.operations


QUANTITIES = (
    ("programmed_bytes", "flash programmed for a spend", "bytes"),
    ("erases_per_1000", "erases for 1,000 spends", "sectors"),
    ("worst_per_mean", "erases of the most worn sector, beside the mean", "times"),
    ("wait_ms", "a spend waits for the flash", "ms, modelled"),
    ("worst_wait_ms", "the record that waits longest", "ms, modelled"),
    ("heap_bytes", "heap in use", "bytes"),
)


def rows(
    spends: int = SPENDS, cuts: int = CUTS, sectors: int = SECTORS
) -> list[dict[str, object]]:
    """What keeping costs, how much there is room for, and what power cuts leave."""
    if find_spec("micropython_unix") is None:
        print("littlefs: MicroPython is not installed, no rows", file=sys.stderr)
        return []
    ours, room = cost(OURS, spends, sectors), f"spends that {sectors} sectors hold unbooked"
    held, (bad, operations) = capacity(OURS, sectors), cut_all(OURS, cuts)
    table = []
    for name, against in OTHERS.items():
        theirs = cost(name, spends, sectors)
        for quantity, title, unit in QUANTITIES:
            figures = getattr(ours, quantity), getattr(theirs, quantity)
            table.append(_row(title, *figures, against, unit))
        table.append(_row(room, held, capacity(name, sectors), against, "spends"))
        their_bad, their_operations = cut_all(name, cuts)
        title = f"programs and erases of {CUT_RECORDS} records, each a place to be cut"
        table.append(_row(title, operations, their_operations, against, "operations"))
        for kind in KINDS:
            for what in JUDGED:
                figures = bad[kind][what], their_bad[kind][what]
                table.append(_row(f"{cuts} {kind} cuts, {what}", *figures, against, "cuts"))
    code = "heap of code (littlefs is C in ROM)"
    table.append(_row(code, ours.code_bytes, None, "-", "bytes, from source"))
    return table


def _row(
    name: str, ours: float, other: float | None, against: str, unit: str
) -> dict[str, object]:
    return {
        "name": f"journal, {name}",
        "ours": round(ours, 1),
        "other": None if other is None else round(other, 1),
        "against": against,
        "unit": unit,
    }
