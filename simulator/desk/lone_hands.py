"""Hands at a board of its own: one line for each thing that somebody does there."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from simulator.desk.lone_board import LoneBoard

HELP = """\
keys 12.50     its keypad: digits, . and +, then OK; esc, fn or ttl alone is that key
card zhang-san hold that card there for a second; card zhang-san 60: for 60 ms
pull, plug     its USB adapter, out and in
off, on        its supply, out and in
quit"""
_KEYS = {"esc": b"\x1b", "fn": b"F", "ttl": b"T"}
_HOLD_MS = 1000
_LINE_BYTES_MAX = 256


class Hands:
    """Does what lines of text say; tells what stands on the customer display when it changes."""

    def __init__(self, board: LoneBoard, say: Callable[[str], None]) -> None:
        self._board, self._say = board, say
        self._typed = b""
        self._shown = ""
        self._is_over = False

    def serve(self, fd: int) -> None:
        """Switch it on, and do what is typed there until that ends or says quit."""
        self._board.switch(True)
        try:
            while not self._is_over:
                self._board.live(lambda: self._is_typed(fd) or self._tell(), fd)
        except KeyboardInterrupt:
            pass
        finally:
            self._board.close()

    def do(self, text: str) -> str:
        """One line; "" or why not."""
        verb, *rest = text.split()
        board = self._board
        if verb == "keys" and len(rest) == 1:
            word = rest[0]
            board.press(_KEYS.get(word) or word.encode() + b"\r")
        elif verb == "card" and rest and rest[0] in board.cards:
            hold = rest[1] if len(rest) > 1 else str(_HOLD_MS)
            if not hold.isdecimal():
                return f"{hold!r} are no milliseconds"
            board.hold(rest[0], int(hold))
        elif verb == "card":
            return f"no such card; there are {', '.join(board.cards)}"
        elif verb in ("pull", "plug"):
            (board.tap.pull if verb == "pull" else board.tap.plug)()
        elif verb in ("on", "off"):
            board.switch(verb == "on")
        elif verb == "quit":
            self._is_over = True
        else:
            return HELP
        return ""

    def _is_typed(self, fd: int) -> bool:
        """Whether something was; then it is done."""
        if not _is_readable(fd):
            return False
        data = os.read(fd, 4096)
        self._is_over = self._is_over or not data
        *lines, self._typed = (self._typed + data).split(b"\n")
        self._typed = self._typed[-_LINE_BYTES_MAX:]
        for line in lines:
            text = line.decode(errors="replace").strip()
            answer = self.do(text) if text else ""
            if answer:
                self._say(answer)
        return True

    def _tell(self) -> bool:
        shown = " | ".join(line.strip() for line in self._board.lines if line.strip())
        if shown != self._shown:
            self._shown = shown
            if shown:
                self._say(shown)
        return False


def _is_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])
