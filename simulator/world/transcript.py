"""The event log of a run: everything that crossed a reader's pins, antenna, flash and network.

Same scenario, same seed: the same bytes, whether the firmware runs in CPython or in a MicroPython
VM. Bulk (bus bytes) is only hashed; what a person wants to read is kept as lines too.
"""

from __future__ import annotations

import hashlib
from typing import TextIO


class Transcript:
    def __init__(self, file: TextIO | None = None) -> None:
        self._hash = hashlib.sha256()
        self._file = file
        self.lines = 0

    def add(self, time_us: int, who: str, what: str, data: bytes | str | int = b"") -> None:
        """One event: microseconds since the start, a reader's name, a word, and its bytes."""
        text = data.hex() if isinstance(data, bytes) else str(data)
        line = f"{time_us} {who} {what} {text}\n"
        self._hash.update(line.encode())
        self.lines += 1
        if self._file is not None:
            self._file.write(line)

    def sha256(self) -> str:
        return self._hash.hexdigest()
