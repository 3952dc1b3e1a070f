"""What was read so far of a journal whose pull may break off: a line for each sector.

Only appended to; a torn last line was never said. The first line says whose it is.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any


class OtherReader(Exception):
    """What is kept here was read from another board."""


class Part:
    """The sectors of one board, `whose`, in a file that nobody else may read. OtherReader."""

    def __init__(self, path: Path, whose: Mapping[str, Any]) -> None:
        self._path, self._whose = path, dict(whose)
        self._sectors: dict[int, bytes] = {}
        path.touch(mode=0o600)
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for at, line in enumerate(data[:whole].splitlines()):
            row = json.loads(line)
            if at == 0 and row != self._whose:
                raise OtherReader(
                    f"{path}: of board {row.get('mac')}; remove it, or take that one"
                )
            if at:
                self._sectors[row["sector"]] = b64decode(row["data"])
        with path.open("r+b") as file:
            file.truncate(whole)
        if not whole:
            self._append(self._whose)

    def has(self, number: int, digest: str) -> bool:
        """Whether a sector was read, and is what hashes to `digest` (SHA-256, hexadecimal)."""
        return number in self._sectors and sha256(self._sectors[number]).hexdigest() == digest

    def sector(self, number: int) -> bytes:
        """What was read of it last."""
        return self._sectors[number]

    def add(self, number: int, data: bytes) -> None:
        """Keep what was read of a sector."""
        self._append({"sector": number, "data": b64encode(data).decode()})
        self._sectors[number] = data

    def _append(self, row: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(row).encode() + b"\n")
