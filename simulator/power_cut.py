"""What a power cut leaves of the files that a process writes: nothing that was not flushed.

The process is a real one, on a real file system; strace writes down what it asks of the kernel.
Played back here, each file has two contents, the one that other processes see, and the one that
has been flushed; so has each folder its names. A disk may also have written a part of the rest
already, in any order and in sectors: `left` takes what luck it should have.
"""

import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os.path import join
from pathlib import Path

SECTOR_BYTES = 512
_CALLS = (
    *("openat", "write", "pwrite64", "lseek", "ftruncate", "fsync", "fdatasync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir"),
)
_LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_PATH = re.compile(r"(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>, )?" + _TEXT.pattern)
_HANDLE = re.compile(r"^(\d+)<((?:\\x[0-9a-f]{2})*)>")
_BEGUN, _RESUMED = " <unfinished ...>", re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")


class NoStrace(Exception):
    """strace is not installed."""


class NotUnderstood(Exception):
    """The process did something to its files that is not modelled here."""


def traced(command: Sequence[str], log: Path) -> list[str]:
    """`command` as one to run in its place: the same process id, and every write in `log`."""
    if shutil.which("strace") is None:
        raise NoStrace("needs strace (Debian package)")
    options = ("-D", "-f", "-y", "-xx", "--seccomp-bpf", "-e", "signal=none", "-s", "16777216")
    return ["strace", *options, "-e", "trace=" + ",".join(_CALLS), "-o", str(log), *command]


def wait_for_end(log: Path, pid: int) -> None:
    """Until strace has written down that process `pid` is gone."""
    command = ["tail", "--pid", str(pid), "-n", "+1", "-f", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as tail:
        assert tail.stdout is not None
        for line in tail.stdout:
            if line.startswith(f"{pid} ") and "+++ " in line[:40]:
                break
        tail.kill()


@dataclass
class _File:
    seen: bytearray = field(default_factory=bytearray)
    flushed: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)  # None: its end

    def write(self, at: int, data: bytes) -> None:
        _put(self.seen, at, data)
        self.waiting.append((at, data))

    def cut(self, size: int) -> None:
        _end(self.seen, size)
        self.waiting.append((size, None))

    def flush(self) -> None:
        self.flushed[:] = self.seen
        self.waiting.clear()

    def left(self, luck: random.Random | None) -> bytes:
        found = bytearray(self.flushed)
        if luck is None:
            return bytes(found)
        for at, data in self.waiting:
            if data is None:
                if luck.random() < 0.5:
                    _end(found, at)
                continue
            for first in range(0, len(data), SECTOR_BYTES):
                if luck.random() < 0.5:
                    _put(found, at + first, data[first : first + SECTOR_BYTES])
        return bytes(found)


class Disk:
    """The files below `folder`, which is there and flushed; those in it already are, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._names: dict[str, _File] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                self._names[str(path)] = _File(bytearray(data), bytearray(data))
        self._flushed_names = dict(self._names)
        self._waiting_names: list[tuple[str, _File | None]] = []
        self._waiting_folders: set[str] = set()
        self._at: dict[str, int] = {}  # descriptor -> where its next write goes

    def play(self, log: Path) -> Iterator[str]:
        """Do what `log` says, call by call; each call's name once it is done."""
        for line in _whole(log.read_text(encoding="ascii", errors="replace").splitlines()):
            match = _LINE.match(line)
            if match and int(match[3]) >= 0 and self._do(*match.groups()):
                yield match[1]

    def left(self, luck: random.Random | None = None) -> dict[str, bytes]:
        """File name -> content after a cut now; with `luck`, some of what was not flushed too."""
        names, gone = dict(self._flushed_names), sorted(self._waiting_folders)
        if luck is not None:
            for name, file in self._waiting_names[: luck.randint(0, len(self._waiting_names))]:
                _name(names, name, file)
            gone = [folder for folder in gone if luck.random() < 0.5]
        lost = tuple(folder + "/" for folder in gone)
        return {n: file.left(luck) for n, file in names.items() if not n.startswith(lost)}

    def bring_back(self, luck: random.Random | None = None) -> None:
        """Make the real folder what is left."""
        for path in Path(self._folder).rglob("*"):
            if path.is_file():
                path.unlink()
        for name, data in self.left(luck).items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(data)

    def _do(self, call: str, arguments: str, result: str, opened: str | None) -> bool:
        """Whether this was about a file of ours."""
        if call == "openat":
            return self._open(_plain(opened or ""), arguments, result)
        if call in ("fsync", "fdatasync", "write", "pwrite64", "lseek", "ftruncate"):
            handle = _HANDLE.match(arguments)
            path = _plain(handle[2]) if handle else ""
            if handle is None or not self._is_ours(path):
                return False
            self._write(call, handle[1], path, arguments[handle.end() :], int(result))
            return True
        paths = [join(_plain(at), _plain(text)) for at, text in _PATH.findall(arguments)]
        if not any(self._is_ours(path) for path in paths):
            return False
        if call.startswith("unlink"):
            self._rename(paths[0], None)
        elif call == "mkdir":
            self._waiting_folders.add(paths[0])
        elif call.startswith(("rename", "link")):
            self._rename(paths[1], self._names[paths[0]])
            if call.startswith("rename"):
                self._rename(paths[0], None)
        return True

    def _open(self, path: str, arguments: str, descriptor: str) -> bool:
        if not self._is_ours(path) or "O_DIRECTORY" in arguments:
            return False
        if path not in self._names:
            if "O_CREAT" not in arguments:
                return False
            self._rename(path, _File())
        file = self._names[path]
        if "O_TRUNC" in arguments and file.seen:
            file.cut(0)
        self._at[descriptor] = len(file.seen) if "O_APPEND" in arguments else 0
        return True

    def _write(self, call: str, descriptor: str, path: str, rest: str, result: int) -> None:
        if call in ("fsync", "fdatasync"):
            if path in self._names:
                self._names[path].flush()
            else:
                self._flush_names(path)
            return
        file = self._names.get(path)
        if file is None:  # a folder that is read through
            return
        if call == "lseek":
            self._at[descriptor] = result
        elif call == "ftruncate":
            file.cut(int(rest.rpartition(" ")[2]))
        else:
            match = _TEXT.search(rest)
            if match is None:
                raise NotUnderstood(f"{call}: {rest[:80]}")
            data = _bytes(match[1])[:result]
            at = int(rest.rpartition(" ")[2]) if call == "pwrite64" else self._at[descriptor]
            file.write(at, data)
            if call == "write":
                self._at[descriptor] = at + len(data)

    def _is_ours(self, path: str) -> bool:
        # SQLite's -shm is shared memory: it is made anew, whatever stands in it.
        return path.startswith(self._folder) and not path.endswith("-shm")

    def _rename(self, name: str, file: _File | None) -> None:
        _name(self._names, name, file)
        self._waiting_names.append((name, file))

    def _flush_names(self, folder: str) -> None:
        here = {path for path in self._waiting_folders if path.rpartition("/")[0] == folder}
        self._waiting_folders -= here
        waiting, self._waiting_names = self._waiting_names, []
        for name, file in waiting:
            if name.rpartition("/")[0] == folder:
                _name(self._flushed_names, name, file)
            else:
                self._waiting_names.append((name, file))


def _name(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file


def _whole(lines: list[str]) -> Iterator[str]:
    """Lines of strace with those put together that another thread has interrupted."""
    begun: dict[str, str] = {}
    for line in lines:
        if line.endswith(_BEGUN):
            begun[line.partition(" ")[0]] = line.removesuffix(_BEGUN)
        elif (match := _RESUMED.match(line)) and match[1] in begun:
            yield begun.pop(match[1]) + match[2]
        else:
            yield line


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _plain(text: str) -> str:
    """A path as strace writes it, without what it adds to one that is gone."""
    return _bytes(text.removesuffix("(deleted)")).decode()


def _put(data: bytearray, at: int, more: bytes) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(more)] = more


def _end(data: bytearray, size: int) -> None:
    if len(data) > size:
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))
