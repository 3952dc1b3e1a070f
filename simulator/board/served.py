"""A board on a serial port that is a pseudo terminal: real esptool and real mpremote speak to it.

Such a port has no DTR and RTS, by which esptool resets a board. So a board here goes to its ROM's
download mode when somebody greets the ROM, and starts anew when the port is closed behind that.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from simulator.board.console import Console
from simulator.board.flash_file import FlashFile, PowerCut
from simulator.board.rom import GREETING, Rom

FLASH_BYTES = 8 << 20
FLASH, FACTS = "flash.bin", "board.json"
_READ_BYTES = 65536
_POLL_S = 0.01  # a terminal does not tell that somebody has opened it
# What the ROM says for as long as there is nothing to start.
_NO_IMAGE = b"rst:0x10 (RTCWDT_RTC_RESET),boot:0x13\r\ninvalid header: 0xffffffff\r\n"


def make(folder: Path, mac: bytes) -> None:
    """A bare board in a new folder: a blank chip, and the number that its maker has burnt in."""
    folder.mkdir(parents=True)
    (folder / FACTS).write_text(json.dumps({"mac": mac.hex()}))
    FlashFile(folder / FLASH, FLASH_BYTES).close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The board in `folder` under power while this is open; its port. OSError if there is none."""
    facts = json.loads((folder / FACTS).read_text())
    with Board(folder, facts) as board:
        yield board.port


class Board:
    """One board in a thread of its own. `facts`: mac, and for tests `cut_after` (operations of
    its flash until the power goes) and `is_dead` (nothing answers)."""

    def __init__(self, folder: Path, facts: dict) -> None:
        self._flash = FlashFile(folder / FLASH, FLASH_BYTES)
        self._flash.operations_left = facts.get("cut_after")
        self._mac = bytes.fromhex(facts["mac"])
        self._is_dead = bool(facts.get("is_dead"))
        self._rom: Rom | None = None
        self._console: Console | None = None
        self._wire, outer = pty.openpty()
        tty.setraw(outer)
        self.port = os.ttyname(outer)
        os.close(outer)
        self._name_held = -1
        self._ended, self._end = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"board {folder.name}", daemon=True)

    def __enter__(self) -> Board:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.write(self._end, b"x")
        self._thread.join()
        for handle in (self._wire, self._name_held, self._ended, self._end):
            if handle >= 0:
                os.close(handle)
        self._flash.close()

    def _run(self) -> None:
        try:
            self._start()
            while self._turn():
                pass
        finally:
            self._off()

    def _turn(self) -> bool:
        """Serve whatever is to be served; False: the board is to end."""
        inner = [] if self._console is None else [self._console.requests, self._console.terminal]
        left_s = None if self._console is None else self._console.left_s()
        if left_s == 0:
            self._start()
            return True
        ready = select.select([self._wire, self._ended, *inner], [], [], left_s)[0]
        if self._ended in ready:
            return False
        try:
            if self._wire in ready:
                self._hear()
            elif ready and self._console is not None:
                self._serve(self._console, ready)
        except PowerCut:
            # The adapter is fed by the same cable: the port is gone as well. Nobody gets its name
            # while this board is there: what was meant for it would reach another one.
            self._name_held = os.open(self.port, os.O_RDWR | os.O_NOCTTY)
            os.close(self._wire)
            self._wire = -1
            return False
        return True

    def _hear(self) -> None:
        try:
            data = os.read(self._wire, _READ_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            if self._rom is not None:
                self._start()
            console = self._console
            asked = [] if console is None else [console.requests]
            ready = select.select([self._ended, *asked], [], [], _POLL_S)[0]
            if console is not None and console.requests in ready:
                self._serve(console, ready)
            return
        if self._is_dead:
            return
        if self._rom is None and GREETING in data:
            self._off()
            self._rom = Rom(self._flash, self._mac)
        if self._rom is not None:
            self._say(self._rom.feed(data))
        elif self._console is not None:
            os.write(self._console.terminal, data)
        else:
            self._say(_NO_IMAGE)

    def _serve(self, console: Console, ready: list[int]) -> None:
        if console.requests in ready:
            if not console.serve():
                # What it has said before it was reset is on its way already.
                while select.select([console.terminal], [], [], 0)[0]:
                    self._say(os.read(console.terminal, _READ_BYTES))
                self._start()
        elif console.terminal in ready:
            try:
                self._say(os.read(console.terminal, _READ_BYTES))
            except OSError:  # the VM has ended
                self._start()

    def _say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._wire, data) :]

    def _start(self) -> None:
        self._off()
        if not self._is_dead and self._flash.can_boot():
            self._console = Console(self._flash, self._mac)

    def _off(self) -> None:
        self._rom = None
        if self._console is not None:
            self._console.end()
            self._console = None
