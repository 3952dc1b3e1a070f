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
    """What is kept here was read from another board, or is no file of ours."""


class Part:
    """The sectors of one board, `whose`, in a file that nobody else may read. OtherReader."""

    def __init__(self, path: Path, whose: Mapping[str, Any]) -> None:
        self._path, self._whose = path, dict(whose)
        self._sectors: dict[int, bytes] = {}
        path.touch(mode=0o600)
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        self._read(data[:whole] or data)
        with path.open("r+b") as file:
            file.truncate(whole)
        if not whole:
            self._append(self._whose)

    def _read(self, data: bytes) -> None:
        """OtherReader: these are no lines of this board, and the file stays as it is."""
        first, *lines = data.splitlines() or [b""]
        # A first line that was cut off is the beginning of ours.
        is_ours = first == _line(self._whose) if data.endswith(b"\n") else not lines
        if not is_ours or not _line(self._whose).startswith(first):
            raise OtherReader(f"{self._path}: not of this board; remove it, or take another OUT")
        try:
            for row in map(json.loads, lines):
                self._sectors[row["sector"]] = b64decode(row["data"])
        except (ValueError, KeyError, TypeError):
            raise OtherReader(f"{self._path}: a line of it is damaged; remove it") from None

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
            file.write(_line(row) + b"\n")


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row).encode()
