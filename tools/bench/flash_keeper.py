"""Keeps records on flash in MicroPython, in one of three ways; the flash is littlefs.py's.

Runs as a main program: flash_keeper.py READ_FD WRITE_FD KEEPER SIZE_BYTES SECTOR_BYTES. Every look
at the flash, and every word below, is a request to the parent that waits for its answer:
[op, a, b, data] there, data back.

It starts, says what it has found, and then asks for one record after the other until there is no
more. What is booked may go; a record is kept when `keep` has returned.
"""

# MicroPython has no typing module to take the names of types from, and functions of its own.
# ruff: noqa: ANN001, ANN201, ANN202, ANN204, ANN205, B904, SIM115
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false, reportOptionalMemberAccess=false

import gc
import os
import struct
import sys

HEAD = ">BIII"  # op, a, b, bytes of data
READ, PROGRAM, ERASE = 1, 2, 3
STARTED, FOUND, NEXT, KEPT, FULL, OVER = 4, 5, 6, 7, 8, 9
_NO_SPACE = 28
_MOUNT = "/flash"
_FILE_RECORDS = 32  # fill a sector


class Line:
    """Requests to the parent over two pipes."""

    def __init__(self, read_fd, write_fd):
        self._in, self._out = open(read_fd, "rb"), open(write_fd, "wb")

    def ask(self, op, a=0, b=0, data=b""):
        self._out.write(struct.pack(HEAD, op, a, b, len(data)))
        if data:
            self._out.write(data)
        (size,) = struct.unpack(">I", self._in.read(4))
        return self._in.read(size) if size else b""


class Flash:
    """The partition, as the journal wants one."""

    def __init__(self, line, size_bytes, sector_bytes):
        self._line, self.size_bytes, self.sector_bytes = line, size_bytes, sector_bytes

    def read(self, address, buffer):
        buffer[:] = self._line.ask(READ, address, len(buffer))

    def program(self, address, data):
        self._line.ask(PROGRAM, address, 0, data)

    def erase(self, sector):
        self._line.ask(ERASE, sector)


class Blocks:
    """The same as a block device of MicroPython (extended interface)."""

    def __init__(self, flash):
        self._flash, self._size = flash, flash.sector_bytes

    def readblocks(self, block, buffer, offset=0):
        self._flash.read(block * self._size + offset, buffer)

    def writeblocks(self, block, buffer, offset=None):
        if offset is None:
            self._flash.erase(block)
        self._flash.program(block * self._size + (offset or 0), bytes(buffer))

    def ioctl(self, op, argument):
        if op == 4:
            return self._flash.size_bytes // self._size
        if op == 5:
            return self._size
        if op == 6:
            self._flash.erase(argument)
        return 0


class Full(Exception):
    """There is no room for another record."""


class Ring:
    """The reader's journal on raw flash."""

    @staticmethod
    def load():
        import firmware.services.journal  # noqa: F401

    def __init__(self, flash):
        from firmware.services.journal import Journal, JournalFull

        self._journal, self._full = Journal(flash), JournalFull

    def start(self):
        self._journal.recover()
        for seq in range(1, self._journal.head_seq + 1):
            record = self._journal.record(seq)
            if record is not None:
                yield record

    def keep(self, record):
        try:
            self._journal.append(record)
        except self._full:
            raise Full()

    def booked(self, kept):
        """All but the last `kept` records."""
        self._journal.receipt(self._journal.head_seq - kept)

    def idle(self):
        self._journal.prepare()


class _OnLittlefs:
    """Mounts littlefs, formatted by the parent's wish on blank flash only."""

    # What is read and programmed at least. Files of at most four times the larger one are inline.
    read_bytes, program_bytes = 32, 16

    @staticmethod
    def load():
        import vfs  # noqa: F401

    def __init__(self, flash):
        import vfs

        self._vfs, self._blocks = vfs, Blocks(flash)

    def mount(self):
        """Mount; a blank flash is formatted first."""
        sizes = {"readsize": self.read_bytes, "progsize": self.program_bytes}
        first = bytearray(64)
        self._blocks.readblocks(0, first)
        second = bytearray(64)
        self._blocks.readblocks(1, second)
        if first == second == b"\xff" * 64:
            self._vfs.VfsLfs2.mkfs(self._blocks, **sizes)
        self._vfs.mount(self._vfs.VfsLfs2(self._blocks, mtime=False, **sizes), _MOUNT)
        os.chdir(_MOUNT)

    def idle(self):
        """littlefs erases when it writes."""


def _full(error):
    if error.errno == _NO_SPACE:
        raise Full()
    raise error


class Appended(_OnLittlefs):
    """Files of 32 records, appended to and synchronised after each; a booked file goes."""

    def start(self):
        self.mount()
        self._files = sorted(os.listdir())
        self._counts = []
        self._open = None
        for name in self._files:
            count = 0
            with open(name, "rb") as file:
                while True:
                    head = file.read(1)
                    if not head:
                        break
                    yield file.read(head[0])
                    count += 1
            self._counts.append(count)

    def keep(self, record):
        try:
            if self._open is None or self._counts[-1] == _FILE_RECORDS:
                self._next()
            self._open.write(bytes((len(record),)) + record)
            self._open.flush()
        except OSError as error:
            _full(error)
        self._counts[-1] += 1

    def _next(self):
        if self._open is not None:
            self._open.close()
        number = int(self._files[-1]) + 1 if self._files else 0
        name = f"{number:08d}"
        self._open = open(name, "wb")
        self._files.append(name)
        self._counts.append(0)

    def booked(self, kept):
        while len(self._files) > 1 and sum(self._counts[1:]) >= kept:
            os.remove(self._files.pop(0))
            self._counts.pop(0)


class Filed(_OnLittlefs):
    """A file for each record, small enough for littlefs to keep it with its name."""

    def start(self):
        self.mount()
        self._files = sorted(os.listdir())
        for name in self._files[:]:
            with open(name, "rb") as file:
                record = file.read()
            if record:
                yield record
            else:  # cut between its making and its filling
                os.remove(name)
                self._files.remove(name)

    def keep(self, record):
        number = int(self._files[-1]) + 1 if self._files else 0
        name = f"{number:08d}"
        try:
            with open(name, "wb") as file:
                file.write(record)
        except OSError as error:
            _full(error)
        self._files.append(name)

    def booked(self, kept):
        while len(self._files) > kept:
            os.remove(self._files.pop(0))


KEEPERS = {"ring": Ring, "appended": Appended, "filed": Filed}


def main(read_fd, write_fd, keeper, size_bytes, sector_bytes):
    line = Line(read_fd, write_fd)
    flash = Flash(line, size_bytes, sector_bytes)
    gc.collect()
    before = gc.mem_alloc()
    KEEPERS[keeper].load()
    gc.collect()
    loaded = gc.mem_alloc()
    held = KEEPERS[keeper](flash)
    for record in held.start():
        line.ask(FOUND, 0, 0, record)
    line.ask(STARTED)
    try:
        while True:
            record = line.ask(NEXT)
            if not record:
                break
            held.keep(record)
            kept = line.ask(KEPT)  # the records that are not booked, if some have been
            if kept:
                held.booked(kept[0])
            held.idle()
    except Full:
        line.ask(FULL)
    gc.collect()
    line.ask(OVER, loaded - before, gc.mem_alloc() - loaded)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
