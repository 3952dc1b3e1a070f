"""Who may be a reader of this agent, as decided so far: one append-only file, an object a line.

Rules of this file. The agent appends what it decides, `onecard agent enrol` what a person does,
one at a time (flock), and a line is on the disk before anybody acts on it. Whoever reads it from
its beginning knows all. A line that was torn by a power cut is closed by the next one and says
nothing. Windows have no part in who is admitted: they open and close for a running agent only.
"""

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.wire import topics

NAME = "enrolment.jsonl"
LINE_BYTES_MAX = 1_024
LINK_CHARS_MAX = 256
PERSON_CHARS_MAX = 32
MINUTES_MAX = 120
# What people ask for, and what the agent has done of it.
OPEN, CLOSE, OPENED, CLOSED = "open", "close", "opened", "closed"
# Of a device: taken before there was a list; then heard on its link for the first time; taken in a
# window; by a person, who may also have turned it away.
KNOWN, SEEN, ENROLLED, APPROVED, DENIED = "known", "seen", "enrolled", "approved", "denied"
_OF_DEVICE = (KNOWN, SEEN, ENROLLED, APPROVED, DENIED)
_OF_WINDOW = (OPEN, CLOSE, OPENED, CLOSED)


class Decisions:
    """The file `path`. Raises OSError, FileNotFoundError if nobody has created it yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inode = 0
        self._offset = 0

    def create(self) -> None:
        """Make an empty file for this user alone if there is none. PermissionError: it is open."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(handle).st_mode & 0o077:
                raise PermissionError(f"{self.path}: others may use it; chmod 600 it")
            os.fsync(handle)
        finally:
            os.close(handle)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def append(self, *decisions: dict[str, Any]) -> None:
        """Have `decisions` on the disk, or raise OSError: then perhaps the first of them are."""
        texts = [json.dumps(decision, separators=(",", ":")) for decision in decisions]
        lines = "".join(text + "\n" for text in texts).encode()
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                lines = b"\n" + lines  # the end of one that was torn
            if os.write(handle, lines) != len(lines):
                raise OSError(f"{self.path}: only a part was written")
            os.fsync(handle)
        finally:
            os.close(handle)

    def news(self) -> tuple[bool, list[bytes]]:
        """Whether this is the whole file, and the lines since the last call otherwise.

        The whole file comes first, and again whenever it is another one or has become shorter.
        """
        status = os.stat(self.path)
        is_whole = status.st_ino != self._inode or status.st_size < self._offset
        if is_whole:
            self._offset = 0
        elif status.st_size == self._offset:
            return False, []
        with open(self.path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # whoever writes has what we read on the disk
            file.seek(self._offset)
            data = file.read()
        whole_lines = data[: data.rfind(b"\n") + 1]
        self._inode = status.st_ino
        self._offset += len(whole_lines)
        return is_whole, whole_lines.split(b"\n")[:-1]


@dataclass
class Standing:
    """What all decisions together say.

    `links`: device -> the link it hangs on; None: whichever it is heard on first. `ways`: device
    -> how it came in. `denied`: (device, link) that were turned away. `is_open`: of the window, as
    the agent has said last, until `open_until_s` by its clock. `bad_lines` say nothing.
    """

    links: dict[int, str | None] = field(default_factory=dict)
    ways: dict[int, str] = field(default_factory=dict)
    denied: set[tuple[int, str]] = field(default_factory=set)
    is_open: bool = False
    open_until_s: int = 0
    bad_lines: int = 0

    def apply(self, line: bytes) -> dict[str, Any] | None:
        """Take the next line of the file; what it says, or None if it says nothing."""
        decision = _checked(line)
        if decision is None:
            self.bad_lines += bool(line)
            return None
        act = decision["act"]
        if act in _OF_WINDOW:
            if act in (OPENED, CLOSED):
                self.is_open = act == OPENED
                self.open_until_s = decision.get("until_s", 0)
            return decision
        device: int = decision["device"]
        link: Any = decision.get("link")  # a text of all but KNOWN
        if act == DENIED:
            self.denied.add((device, link))
            if self.links.get(device) == link:
                self.links.pop(device, None)
                self.ways.pop(device, None)
            return decision
        self.denied.discard((device, link))
        self.links[device] = link
        if act != SEEN:
            self.ways[device] = act
        return decision

    def is_mentioned(self, device: int) -> bool:
        """Whether anything was ever decided of a device that still holds."""
        return device in self.links or any(device == denied for denied, _link in self.denied)


def standing(path: Path) -> Standing:
    """What the file `path` says now, for those who only look. Raises OSError."""
    found = Standing()
    for line in Decisions(path).news()[1]:
        found.apply(line)
    return found


def is_person(name: str) -> bool:
    """Whether this is how staff are called here: a word of a-z, 0-9 and -."""
    is_word = all(char == "-" or char in "0123456789" or "a" <= char <= "z" for char in name)
    return is_word and 1 <= len(name) <= PERSON_CHARS_MAX


def is_link(link: Any) -> bool:
    """Whether a reader may hang on a link of this name."""
    return isinstance(link, str) and 1 <= len(link) <= LINK_CHARS_MAX and link.isprintable()


def _checked(line: bytes) -> dict[str, Any] | None:
    """What a line says, if it says something whole that we know."""
    if len(line) > LINE_BYTES_MAX:
        return None
    try:
        decision = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(decision, dict):
        return None
    act = decision.get("act")
    if act == OPEN:
        minutes = decision.get("minutes")
        return decision if type(minutes) is int and 1 <= minutes <= MINUTES_MAX else None
    if act in _OF_WINDOW:
        return decision if type(decision.get("until_s", 0)) is int else None
    device, link = decision.get("device"), decision.get("link")
    if act not in _OF_DEVICE or type(device) is not int or not 1 <= device <= topics.DEVICE_MAX:
        return None
    is_sound = link is None if act == KNOWN else is_link(link)
    return decision if is_sound else None
