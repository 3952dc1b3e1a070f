"""Which board has which number: a line for each that was provisioned, flushed before it counts.

A batch goes on behind what stands here, and no number is given to two boards. No key is in it.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.device.errors import DeviceError


class Log:
    """A file of JSON lines; a torn last line was never said."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[tuple[str, int], str] = {}
        self._boards: dict[str, tuple[str, int]] = {}
        self._done: dict[tuple[str, int], dict[str, Any]] = {}
        text = path.read_bytes() if path.exists() else b""
        self._whole = text.rfind(b"\n") + 1
        for line in text[: self._whole].splitlines():
            row = json.loads(line)
            self._note(row)

    def done(self, site: str, device: int) -> dict[str, Any] | None:
        """What stands of a reader, or None."""
        return self._done.get((site, device))

    def check(self, site: str, device: int, mac: str) -> None:
        """Whether this board may have this number. DeviceError."""
        other = self._numbers.get((site, device))
        if other not in (None, mac):
            raise DeviceError(11, f"{site}/{device} is board {other}")
        mine = self._boards.get(mac)
        if mine not in (None, (site, device)):
            raise DeviceError(11, f"board {mac} is {mine[0]}/{mine[1]}")

    def add(self, row: Mapping[str, Any]) -> None:
        """Write down what was done: site, device, mac, and whatever else. OSError."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+b") as file:
            file.truncate(self._whole)
            file.seek(self._whole)
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._whole = file.tell()
        self._note(dict(row))

    def _note(self, row: dict[str, Any]) -> None:
        whose = row["site"], row["device"]
        before = self._numbers.get(whose)
        if before is not None:
            self._boards.pop(before, None)
        elder = self._boards.get(row["mac"])
        if elder is not None:
            self._numbers.pop(elder, None)
            self._done.pop(elder, None)
        self._numbers[whose], self._boards[row["mac"]] = row["mac"], whose
        self._done[whose] = row
