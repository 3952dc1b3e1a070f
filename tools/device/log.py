"""Which board has which number: a line before a board is touched, another when it is done.

A batch goes on behind what stands here. No number is given to two boards, not even where the
station died between the two lines: whoever was begun keeps the number. What other
stations have given is read from copies of their logs. No key is in it, nor what one could be
guessed from.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.device.errors import DeviceError

_BEGUN = "begun"


class BadLog(Exception):
    """The file cannot be used; the text has its name, the line, and what to do."""


class _Numbers:
    """Who has which number, by the lines of one log."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[str, int], str] = {}
        self.boards: dict[str, tuple[str, int]] = {}
        self.done: dict[tuple[str, int], dict[str, Any]] = {}

    def check(self, site: str, device: int, mac: str, where: str = "") -> None:
        """DeviceError where another board has the number, or the board another one."""
        other = self.numbers.get((site, device))
        if other not in (None, mac):
            raise DeviceError(11, f"{site}/{device} is board {other}{where}")
        mine = self.boards.get(mac)
        if mine not in (None, (site, device)):
            raise DeviceError(11, f"board {mac} is {mine[0]}/{mine[1]}{where}")

    def note(self, row: dict[str, Any]) -> None:
        """The next line."""
        mac: str = row["mac"]
        whose = row["site"], row["device"]
        before = self.numbers.get(whose, mac)
        if before and before != mac and self.boards.get(before) == whose:
            del self.boards[before]
        for elder in [number for number, board in self.numbers.items() if board == mac]:
            if elder != whose:
                self.done.pop(elder, None)
                # Until it is done the board may still be that one.
                if not row.get(_BEGUN):
                    del self.numbers[elder]
        self.numbers[whose], self.boards[mac] = mac, whose
        self.done.pop(whose, None)
        if not row.get(_BEGUN):
            self.done[whose] = row


class Log:
    """A file of JSON lines, this process's alone while open; a torn last line was never said.

    `elsewhere`: copies of the logs of other stations, which are only read. BadLog, OSError, before
    any board is touched.
    """

    def __init__(self, path: Path, elsewhere: Iterable[Path] = ()) -> None:
        self._lock = threading.Lock()
        self._own = _Numbers()
        self._elsewhere = [(f", by {each}", _read(each, each.read_bytes())) for each in elsewhere]
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(handle, "r+b")
        try:
            self._begin(path)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def done(self, site: str, device: int) -> dict[str, Any] | None:
        """What stands of a reader whose board was done and not begun again since, or None."""
        return self._own.done.get((site, device))

    def begin(self, site: str, device: int, mac: str, *, replace: bool = False) -> str:
        """This board is going to have this number, and until it is done it is nothing.

        DeviceError where another board has the number, or the board another one, here or
        elsewhere, unless `replace`: then the MAC of the board that was made the reader with this
        number and is it no longer, "" if there is none.
        """
        with self._lock:
            if not replace:
                self._own.check(site, device, mac)
                for where, numbers in self._elsewhere:
                    numbers.check(site, device, mac, where)
            logs = (self._own, *(numbers for _where, numbers in self._elsewhere))
            before = [log.done[site, device]["mac"] for log in logs if (site, device) in log.done]
            self._add({"site": site, "device": device, "mac": mac, _BEGUN: True})
        return next((other for other in before if other != mac), "")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write down what was done: site, device, mac, and whatever else. OSError."""
        with self._lock:
            self._add(dict(row))

    def _begin(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadLog(f"{path}: another provisioning writes to it; wait for it") from None
        text = self._file.read()
        self._whole = text.rfind(b"\n") + 1
        self._own = _read(path, text)

    def _add(self, row: dict[str, Any]) -> None:
        file = self._file
        file.truncate(self._whole)
        file.seek(self._whole)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        self._whole = file.tell()
        self._own.note(row)


def _read(path: Path, text: bytes) -> _Numbers:
    """What the whole lines of a log come to. BadLog."""
    found = _Numbers()
    for number, line in enumerate(text[: text.rfind(b"\n") + 1].split(b"\n")[:-1], 1):
        row = _row(line)
        if row is None:
            raise BadLog(
                f"{path}:{number}: this line is damaged, and nothing was done. Put a copy of"
                " the file back; or take the line out: its board is done again then, and"
                " which one that is, `onecard device show` says of each"
            )
        found.note(row)
    return found


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    kinds = {"site": str, "device": int, "mac": str}
    if not isinstance(row, dict) or any(type(row.get(name)) is not kinds[name] for name in kinds):
        return None
    return row
