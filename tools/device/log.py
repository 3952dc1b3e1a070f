"""Which board has which number: a line before a board is touched, another when it is done.

A batch goes on behind what stands here. No number is given to two boards, not even where the
station died between the two lines: whoever was begun keeps the number. No key is in it, nor what
one could be guessed from.
"""

import fcntl
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tools.device.errors import DeviceError

_BEGUN = "begun"


class BadLog(Exception):
    """The file cannot be used; the text has its name, the line, and what to do."""


class Log:
    """A file of JSON lines, this process's alone while open; a torn last line was never said.

    BadLog, OSError, before any board is touched.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[tuple[str, int], str] = {}
        self._boards: dict[str, tuple[str, int]] = {}
        self._done: dict[tuple[str, int], dict[str, Any]] = {}
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(handle, "r+b")
        try:
            self._read(path)
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
        return self._done.get((site, device))

    def begin(self, site: str, device: int, mac: str, *, replace: bool = False) -> None:
        """This board is going to have this number, and until it is done it is nothing.

        DeviceError where another board has the number, or the board another one, unless `replace`.
        """
        with self._lock:
            if not replace:
                self._check(site, device, mac)
            self._add({"site": site, "device": device, "mac": mac, _BEGUN: True})

    def add(self, row: Mapping[str, Any]) -> None:
        """Write down what was done: site, device, mac, and whatever else. OSError."""
        with self._lock:
            self._add(dict(row))

    def _check(self, site: str, device: int, mac: str) -> None:
        other = self._numbers.get((site, device))
        if other not in (None, mac):
            raise DeviceError(11, f"{site}/{device} is board {other}")
        mine = self._boards.get(mac)
        if mine not in (None, (site, device)):
            raise DeviceError(11, f"board {mac} is {mine[0]}/{mine[1]}")

    def _read(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadLog(f"{path}: another provisioning writes to it; wait for it") from None
        text = self._file.read()
        self._whole = text.rfind(b"\n") + 1
        for number, line in enumerate(text[: self._whole].split(b"\n")[:-1], 1):
            row = _row(line)
            if row is None:
                raise BadLog(
                    f"{path}:{number}: this line is damaged, and nothing was done. Put a copy of"
                    " the file back; or take the line out: its board is done again then, and"
                    " which one that is, `onecard device show` says of each"
                )
            self._note(row)

    def _add(self, row: dict[str, Any]) -> None:
        file = self._file
        file.truncate(self._whole)
        file.seek(self._whole)
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        self._whole = file.tell()
        self._note(row)

    def _note(self, row: dict[str, Any]) -> None:
        mac: str = row["mac"]
        whose = row["site"], row["device"]
        before = self._numbers.get(whose, mac)
        if before and before != mac and self._boards.get(before) == whose:
            del self._boards[before]
        for elder in [number for number, board in self._numbers.items() if board == mac]:
            if elder != whose:
                self._done.pop(elder, None)
                # Until it is done the board may still be that one.
                if not row.get(_BEGUN):
                    del self._numbers[elder]
        self._numbers[whose], self._boards[mac] = mac, whose
        self._done.pop(whose, None)
        if not row.get(_BEGUN):
            self._done[whose] = row


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    kinds = {"site": str, "device": int, "mac": str}
    if not isinstance(row, dict) or any(type(row.get(name)) is not kinds[name] for name in kinds):
        return None
    return row
