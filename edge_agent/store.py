"""Records on disk, from the commit that precedes STORED until the ledger's receipt.

Rules of this file. A commit that returned is on the disk (adapters.sqlite). The first bytes seen
for (device, seq) are never overwritten; other bytes for it are kept beside them in conflict. Bytes
beyond a gap are not kept: a reader sends in order, so either they are forged, or we do not know
yet where the journal begins, and then the reader's HELLO tells us and it sends the same again.
What the ledger refused leaves the queue but not the disk. Marks change in memory only after the
commit that makes them true. What a receipt frees may be written later than it is known: if the
power fails in between, the ledger is asked again and answers the same.

Booked records stay for a while (retention.py): a ledger that comes back from a backup is sent them
again (`unbook`). A mark on the disk has a checksum, because a wrong one would free what nobody has
booked; a record needs none: its seal is checked by the ledger, and the reader still has it.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from adapters.sqlite import open_database, transaction
from edge_agent.disk import StoreDamaged, StoreFull, StoreUnavailable, unavailable
from edge_agent.marks import Mark
from edge_agent.retention import Retention
from edge_agent.schema import MIGRATIONS
from edge_agent.space import TIGHT, Space, unlimited

DEVICES_MAX = 10_000
CONFLICTS_MAX = 10_000
# Of one device, not yet booked: more than any journal holds, so who has more invents them.
HELD_MAX = 131_072
FREE_ROWS_MAX = 1_024
RUN_ROWS_MAX = 4_096
WRITE_DELAY_MS = 500
MEASURE_MS = 1_000

Record = tuple[int, int, bytes]  # device, seq, sealed


class TooManyDevices(Exception):
    """More devices than one building can have: somebody invents them."""


@dataclass(slots=True)
class Put:
    """What became of a batch of records. `first_new` maps a device to its lowest new sequence."""

    new: int = 0
    repeated: int = 0
    beyond_gap: int = 0
    conflicts: int = 0
    conflicts_kept: int = 0
    first_new: dict[int, int] = field(default_factory=dict)

    def note_new(self, device: int, seq: int) -> None:
        self.new += 1
        self.first_new[device] = min(seq, self.first_new.get(device, seq))


class Store:
    """The records of one agent in one SQLite file (`path`, or ":memory:").

    Booked records are kept for `keep_ms`, all of them within `space`. Raises StoreUnavailable when
    it cannot be opened or read, StoreDamaged at any time, and what open_database raises.
    """

    def __init__(self, path: str, *, keep_ms: int = 0, space: Space | None = None) -> None:
        self.space = space or unlimited()
        self._retention = Retention(keep_ms)
        self._kept: set[int] = set()  # devices of which booked records were here at the start
        self._measure_ms: int | None = None
        self._marks: dict[int, Mark] = {}
        self._unwritten: set[int] = set()
        self._write_ms: int | None = None
        self._to_free: dict[int, int] = {}  # device -> up to where its records may go
        self._path = path
        try:
            self._db = open_database(path, MIGRATIONS)
        except sqlite3.Error as error:
            raise unavailable(error, path) from error
        try:
            self._load()
            self._measure()
        except BaseException:
            self._db.close()
            raise

    def _load(self) -> None:
        query = "SELECT device, receipted, base, stored, receipt, sum FROM device"
        for device, receipted, base, stored, receipt, checksum in self._read(query):
            mark = self._marks[device] = Mark(receipted, base, stored, receipt)
            # None: written by a program that had no sums yet.
            if checksum is not None and checksum != mark.checksum(device):
                raise StoreDamaged(self._path, f"the marks of device {device} are wrong")
            # One look into the index per device, never a scan of the backlog.
            if self._lowest_after(device, -1) <= receipted:
                self._kept.add(device)
        refused = self._read("SELECT DISTINCT device FROM refused")
        self._with_refused = {device for (device,) in refused}
        (self._conflicts,) = self._read("SELECT count(*) FROM conflict")[0]

    def close(self) -> None:
        """Write what is pending, as far as the disk lets us, and close the file."""
        try:
            self.flush()
        except (StoreUnavailable, StoreDamaged):
            pass  # only receipts can be pending, and those the ledger gives again
        self._db.close()

    # --- records in --------------------------------------------------------------------------

    def put_many(self, records: Sequence[Record]) -> Put:
        """Make `records` durable, all of them in one commit.

        Raises StoreUnavailable (nothing was kept, try the same again; StoreFull: some time later)
        or TooManyDevices.
        """
        if not self.space.take(sum(len(sealed) for *_, sealed in records), len(records)):
            raise StoreFull(f"{self.space.used_bytes} of {self.space.limit_bytes} bytes are used")
        put = Put()
        devices = {device for device, _seq, _sealed in records}
        marks = {device: replace(self.mark(device)) for device in devices}
        fresh = [record for record in records if record[1] > marks[record[0]].receipted]
        put.repeated = len(records) - len(fresh)
        # Stable: of two that claim one number the first to arrive is the first to be tried.
        fresh.sort(key=lambda record: record[:2])
        with self._commit():
            for record in fresh:
                mark = marks[record[0]]
                held_from = max(mark.base, mark.receipted)
                if record[1] > min(mark.stored + 1, held_from + HELD_MAX):
                    put.beyond_gap += 1
                    continue
                self._put(record, put)
                mark.stored = max(mark.stored, record[1])
            self._write_marks(marks)
            freed = self._free_some()
        self._marks.update(marks)
        self._conflicts += put.conflicts_kept
        self._written(freed)
        return put

    def _put(self, record: Record, put: Put) -> None:
        device, seq, sealed = record
        if device in self._with_refused:
            # Offered once more: the ledger may know this device by now, so it is asked again.
            self._db.execute(
                "DELETE FROM refused WHERE device = ? AND seq = ? AND sealed = ?", record
            )
        if self._insert(record):
            put.note_new(device, seq)
        elif self._bytes(device, seq) == sealed:
            put.repeated += 1
        else:
            put.conflicts += 1
            self._keep_conflict(record, put)

    def _insert(self, record: Record) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO record VALUES (?, ?, ?)", record)
        return cursor.rowcount == 1

    def _keep_conflict(self, record: Record, put: Put) -> None:
        # Bounded: a conflict is evidence and a second chance, not a way to fill the disk.
        if self._conflicts + put.conflicts_kept >= CONFLICTS_MAX:
            return
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO conflict "
            "SELECT device, seq, ?3, sealed FROM record WHERE device = ?1 AND seq = ?2",
            record,
        )
        put.conflicts_kept += cursor.rowcount

    # --- how far a device has come -----------------------------------------------------------

    def mark(self, device: int) -> Mark:
        """The marks of a device; new devices start at zero. Raises TooManyDevices."""
        mark = self._marks.get(device)
        if mark is None:
            if len(self._marks) >= DEVICES_MAX:
                raise TooManyDevices(f"more than {DEVICES_MAX}")
            mark = self._marks[device] = Mark()
        return mark

    def devices(self) -> list[int]:
        """Every device this store knows, ascending."""
        return sorted(self._marks)

    def stored_upto(self, device: int, receipted: int) -> int:
        """The highest sequence up to which everything after `receipted` is held or booked.

        `receipted` is where the device says its journal begins. It decides from where we count
        what we hold; it frees nothing and never moves our own `receipted` mark, because only the
        ledger's signature says what is booked. A new agent therefore starts in the middle of a
        device's journal without knowing what came before, and an agent that still holds older
        records brings them to the ledger, which answers that it has them. What was freed here
        before the ledger came back from a backup the device may have still: it is asked for.
        """
        mark = self.mark(device)
        start = max(receipted, mark.receipted)
        is_inside = mark.base <= start <= mark.stored
        if not is_inside or (start < mark.stored and self._lacks(device, start + 1)):
            mark.base = start
            mark.stored = self._run_end(device, start)
        return mark.stored

    def first_refused(self, device: int, after: int) -> int | None:
        """The lowest refused sequence of a device above `after`, or None."""
        if device not in self._with_refused:
            return None
        query = "SELECT min(seq) FROM refused WHERE device = ? AND seq > ?"
        return self._read(query, (device, after))[0][0]

    def _lacks(self, device: int, seq: int) -> bool:
        """Whether a sequence that is not booked is neither held nor refused."""
        first = self._lowest_after(device, seq - 1), self.first_refused(device, seq - 1)
        return seq not in first

    def _run_end(self, device: int, start: int) -> int:
        query = "SELECT seq FROM record WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"
        end = start
        for (seq,) in self._read(query, (device, start, RUN_ROWS_MAX)):
            if seq != end + 1:
                break
            end = seq
        return end

    # --- records out -------------------------------------------------------------------------

    def records_after(self, device: int, after: int, count: int) -> list[tuple[int, bytes]]:
        """(seq, sealed) of up to `count` held records after sequence `after`, in order.

        Nothing beyond what is stored without a gap: the ledger could not check its chain.
        """
        query = (
            "SELECT seq, sealed FROM record WHERE device = ? AND seq > ? AND seq <= ? "
            "ORDER BY seq LIMIT ?"
        )
        mark = self.mark(device)
        return self._read(query, (device, max(after, mark.receipted), mark.stored, count))

    def damaged(self, device: int, seq: int) -> StoreDamaged:
        """What to raise when a record that was read is not the one that was kept."""
        return StoreDamaged(self._path, f"device {device}, record {seq}: not what was kept")

    def count(self) -> int:
        """Records held, booked ones not yet freed among them (reads the index: not for loops)."""
        return self._read("SELECT count(*) FROM record")[0][0]

    # --- the ledger's answers ----------------------------------------------------------------

    def apply_receipt(self, device: int, upto: int, receipt: bytes, now_ms: int) -> bool:
        """Note that the ledger booked `device` up to `upto`; True if that is news.

        The caller has verified the ledger's signature. Written with the next commit, or by
        `step` after WRITE_DELAY_MS.
        """
        mark = self._marks.get(device)
        if mark is None or upto <= mark.receipted:
            return False
        mark.receipted = upto
        mark.receipt = receipt
        if mark.stored < upto:
            mark.base = mark.stored = upto
        self._unwritten.add(device)
        self._kept.discard(device)
        self._retention.note(device, upto, now_ms)
        self._ripen(now_ms)
        self._write_by(now_ms + WRITE_DELAY_MS)
        return True

    def unbook(self, device: int, upto: int, receipt: bytes, now_ms: int) -> int | None:
        """The ledger's books end at `upto` for this device: it has come back from a backup.

        The caller knows that from a fresh, signed answer, and `receipt` is its word to the device:
        that of before would let the reader free what is in no books any more. The sequence of the
        first record behind it that is still here, to be sent again (2**32: none is); None if it
        had booked no more.
        """
        mark = self._marks.get(device)
        if mark is None or upto >= mark.receipted:
            return None
        self._retention.forget(device)
        self._kept.discard(device)
        self._to_free.pop(device, None)
        mark.receipted = upto
        mark.receipt = receipt
        if self._lowest_after(device, upto) == upto + 1:
            mark.base, mark.stored = upto, max(mark.stored, self._run_end(device, upto))
        self._unwritten.add(device)
        self._write_by(now_ms + WRITE_DELAY_MS)
        return self._lowest_after(device, upto)

    def apply_refused(self, refused: Sequence[tuple[int, int, int]]) -> dict[int, int]:
        """Take refused (device, seq, code) out of the queue; device -> first seq to send anew.

        If other bytes were offered for a refused sequence they get their turn: whoever managed to
        be first with a forged record must not keep the true one out.
        """
        again: dict[int, int] = {}
        moved: set[int] = set()
        with self._commit():
            for device, seq, code in refused:
                if device not in self._marks or seq <= self._marks[device].receipted:
                    continue  # booked all the same: the receipt frees it
                if self._refuse(device, seq, code):
                    moved.add(device)
                if self._promote(device, seq):
                    again[device] = min(seq, again.get(device, seq))
        self._with_refused |= moved
        return again

    def retry_refused(self, device: int) -> int | None:
        """Put refused records that follow the booked ones directly back; the first, or None.

        A record is refused, among other reasons, because its predecessor was wrong or missing.
        Once the predecessor is booked the seal may fit. Called when a receipt is news, so that
        every record comes back at most once per step of the ledger: no storm.
        """
        start = self.mark(device).receipted
        if self.first_refused(device, start) != start + 1:
            return None
        with self._commit():
            query = "SELECT seq FROM refused WHERE device = ? AND seq > ? ORDER BY seq LIMIT ?"
            rows = self._db.execute(query, (device, start, RUN_ROWS_MAX)).fetchall()
            end = start
            while rows and rows[0][0] == end + 1:
                (end,) = rows.pop(0)
            span = (device, start, end)
            these = "FROM refused WHERE device = ? AND seq > ? AND seq <= ?"
            back = "INSERT OR IGNORE INTO record SELECT device, seq, sealed "
            self._db.execute(back + these, span)
            self._db.execute("DELETE " + these, span)
        return start + 1

    def _refuse(self, device: int, seq: int, code: int) -> bool:
        cursor = self._db.execute(
            "INSERT OR REPLACE INTO refused "
            "SELECT device, seq, ?3, sealed FROM record WHERE device = ?1 AND seq = ?2",
            (device, seq, code),
        )
        self._db.execute("DELETE FROM record WHERE device = ? AND seq = ?", (device, seq))
        return cursor.rowcount == 1

    def _promote(self, device: int, seq: int) -> bool:
        query = "SELECT offered FROM conflict WHERE device = ? AND seq = ? LIMIT 1"
        row = self._db.execute(query, (device, seq)).fetchone()
        if row is None or not self._insert((device, seq, row[0])):
            return False
        where = "DELETE FROM conflict WHERE device = ? AND seq = ? AND offered = ?"
        self._conflicts -= self._db.execute(where, (device, seq, row[0])).rowcount
        return True

    # --- writing -----------------------------------------------------------------------------

    def step(self, now_ms: int) -> int | None:
        """Write pending marks and free what is due; when to call again (ms), or None if never."""
        if self._measure_ms is None or now_ms >= self._measure_ms:
            self._measure_ms = now_ms + MEASURE_MS
            self._measure()
        for device in self._kept:
            self._retention.note(device, self._marks[device].receipted, now_ms)
        self._kept.clear()
        self._ripen(now_ms)
        if self._write_ms is not None and now_ms >= self._write_ms:
            self._write_ms = now_ms + WRITE_DELAY_MS
            self.flush()
        due = [at for at in (self._write_ms, self._retention.due_ms()) if at is not None]
        return min(due, default=None)

    def _measure(self) -> None:
        pages, free, page_bytes = (
            self._read(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.space.measure((pages - free) * page_bytes)

    def _ripen(self, now_ms: int) -> None:
        ripe = self._retention.ripe(now_ms, hurry=self.space.level >= TIGHT)
        if ripe:
            self._to_free |= ripe
            self._write_by(now_ms + WRITE_DELAY_MS)

    def _write_by(self, at_ms: int) -> None:
        if self._write_ms is None:
            self._write_ms = at_ms

    def flush(self) -> None:
        """Write pending marks and free some booked records. Raises StoreUnavailable."""
        if not self._unwritten and not self._to_free:
            return
        with self._commit():
            self._write_marks({})
            freed = self._free_some()
        self._written(freed)

    def _write_marks(self, marks: dict[int, Mark]) -> None:
        pending = {device: self._marks[device] for device in self._unwritten} | marks
        self._db.executemany(
            "INSERT INTO device VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET "
            "receipted = excluded.receipted, base = excluded.base, stored = excluded.stored, "
            "receipt = excluded.receipt, sum = excluded.sum",
            [mark.row(device) for device, mark in pending.items()],
        )

    def _free_some(self) -> set[int]:
        """Delete at most FREE_ROWS_MAX booked records; the devices that have none left."""
        freed = set()
        budget = FREE_ROWS_MAX
        for device, may_go in sorted(self._to_free.items()):
            if budget <= 0:
                break
            upto = min(may_go, self._lowest_after(device, -1) + budget - 1)
            where = "WHERE device = ? AND seq <= ?"
            budget -= self._db.execute(f"DELETE FROM record {where}", (device, upto)).rowcount
            if device in self._with_refused:
                self._db.execute(f"DELETE FROM refused {where}", (device, upto))
            if upto == may_go:
                freed.add(device)
        return freed

    def _written(self, freed: set[int]) -> None:
        self._unwritten.clear()
        for device in freed:
            del self._to_free[device]
        if not self._to_free:
            self._write_ms = None

    @contextmanager
    def _commit(self) -> Iterator[None]:
        try:
            with transaction(self._db):
                yield
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error

    # --- reading -----------------------------------------------------------------------------

    def _read(self, query: str, values: tuple[int, ...] = ()) -> list[tuple]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise unavailable(error, self._path) from error

    def _lowest_after(self, device: int, seq: int) -> int:
        query = "SELECT min(seq) FROM record WHERE device = ? AND seq > ?"
        (lowest,) = self._read(query, (device, seq))[0]
        return 1 << 32 if lowest is None else lowest

    def _bytes(self, device: int, seq: int) -> bytes | None:
        query = "SELECT sealed FROM record WHERE device = ? AND seq = ?"
        row = self._db.execute(query, (device, seq)).fetchone()
        return row[0] if row else None
