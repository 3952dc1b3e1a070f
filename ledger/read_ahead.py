"""Reading on another core: during a booking, what comes next is read and its seals are checked.

A process of its own takes deliveries apart and finds the runs in them (ledger/runs.py): straight
pieces of chains of readers whose keys it has. It knows nothing of the books and decides nothing;
booking looks whether a run goes on where they end. What is in no run is checked there.

Where it fails, the ledger reads by itself from then on: nothing hangs on it but time.
"""

import gc
import logging
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, BinaryIO

from ledger import runs
from ledger.chain import SealKey
from ledger.claims import Claim, parse_claim
from ledger.runs import Run

Delivery = Sequence[bytes]
Keys = dict[int, list[bytes]]  # of each device, oldest first
SealKeys = dict[int, list[SealKey]]
ANSWER_S_MAX = 10  # 8,192 records take a tenth of one; a dead process must not stop the books
_SIZE_BYTES = 4
_FORMAT = 2  # of marshal
# What is under way: a portion, and the answer to it. Else each would wait for the other to read.
_ROOM_BYTES = 4 << 20
_BROKEN = (OSError, EOFError)

_log = logging.getLogger(__name__)


@contextmanager
def without_collection() -> Iterator[None]:
    """Nothing in the block makes circles of objects; to look for them took a tenth of it."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


@dataclass(slots=True)
class Portion:
    """Deliveries, read: runs, and one by one the claims of readers that have none here.

    `devices`: of each delivery, whose records are in it.
    """

    runs: list[Run] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    devices: list[Iterable[int]] = field(default_factory=list)

    @property
    def one_by_one(self) -> list[Claim]:
        """The claims, and those of the runs that are no plain spends."""
        return [*self.claims, *(claim for run in self.runs for claim in run.others)]

    def read(self, delivery: Delivery) -> None:
        """One more, which is read here and now."""
        claims = [parse_claim(sealed) for sealed in delivery]
        self.claims += claims
        self.devices.append({claim.device for claim in claims})


class ReadAhead:
    """What is in deliveries; what is ahead is read by a process, started when there is any.

    `keys_of` gives the keys of those of some devices that are registered, or raises.
    """

    def __init__(self, keys_of: Callable[[Iterable[int]], Keys]) -> None:
        self._keys_of = keys_of
        self._told: Keys = {}
        self._reader: _Reader | None = None
        self._asked: list[list[bytes]] = []
        self._has_failed = False

    def portion(self, deliveries: Sequence[Delivery], ahead: Sequence[Delivery]) -> Portion:
        """What is in `deliveries`; `ahead` is being read from now on."""
        wanted = [list(delivery) for delivery in deliveries]
        portion = self._answer(wanted) if self._asked else Portion()
        for delivery in wanted[len(portion.devices) :]:
            portion.read(delivery)
        if ahead and not self._has_failed:
            in_no_run = {claim.device for claim in portion.claims}
            self._ask([list(delivery) for delivery in ahead], in_no_run)
        return portion

    def close(self) -> None:
        """The process ends."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._asked = None, []

    def _ask(self, ahead: list[list[bytes]], in_no_run: set[int]) -> None:
        keys = self._keys_of(in_no_run)
        news = {device: keys[device] for device in keys if keys[device] != self._told.get(device)}
        self._told |= news
        try:
            if self._reader is None:
                self._reader = _Reader()
            self._reader.tell((news, ahead))
            self._asked = ahead
        except _BROKEN as error:
            self._fail(error)

    def _answer(self, wanted: list[list[bytes]]) -> Portion:
        """What it says of what it was asked last; none if `wanted` does not begin with that."""
        asked, self._asked = self._asked, []
        if self._reader is None:
            return Portion()
        try:
            found, rows, devices = self._reader.hear()
        except _BROKEN as error:
            self._fail(error)
            return Portion()
        # More may have come since. Else the books could not be written, and the same comes again.
        if asked != wanted[: len(asked)]:
            return Portion()
        in_runs = [runs.run_from(words, self._told[words[0]]) for words in found]
        return Portion(in_runs, [Claim(*row) for row in rows], devices)

    def _fail(self, error: Exception) -> None:
        _log.error("nothing is read ahead any more: %s: %s", type(error).__name__, error)
        self._has_failed = True
        self.close()


class _Reader:
    """The process and the way to it. Raises one of _BROKEN."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        for end in self._socket, theirs:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM_BYTES)
        self._socket.settimeout(ANSWER_S_MAX)
        self._file = self._socket.makefile("rb")
        # It finds the ledger where this one was found.
        path = os.pathsep.join(filter(None, sys.path))
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ledger.read_ahead"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
            )

    def tell(self, what: Any) -> None:
        _send(self._socket, what)

    def hear(self) -> Any:
        return _next(self._file)

    def close(self) -> None:
        self._file.close()
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _serve() -> None:
    """Answer whoever has the other end of stdin, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: it ends with its parent
    # To look for circles between two records took a tenth of all; now it is done between portions.
    gc.freeze()
    gc.disable()
    keys: SealKeys = {}
    with socket.socket(fileno=0) as line, line.makefile("rb") as file:
        while True:
            try:
                news, deliveries = _next(file)
            except EOFError:
                return
            keys |= seal_keys(news)
            found = read(deliveries, keys)
            _send(line, found)
            del news, deliveries, found
            gc.collect()


def read(deliveries: Sequence[Delivery], keys: SealKeys) -> tuple[list[Any], ...]:
    """What a Portion has of them: words of its runs, its claims as rows, and the devices."""
    of_device: dict[int, list[Claim]] = defaultdict(list)
    devices: list[list[int]] = []
    for delivery in deliveries:
        claims = [parse_claim(sealed) for sealed in delivery]
        devices.append(list({claim.device for claim in claims}))
        for claim in claims:
            of_device[claim.device].append(claim)
    found, rows = [], []
    for device, claims in of_device.items():
        words = runs.run_of(claims, keys.get(device, ()))
        if words is None:
            rows += map(_row, claims)
        else:
            found.append(words)
    return found, rows, devices


def _send(line: socket.socket, what: Any) -> None:
    # marshal: lists, tuples, numbers and bytes between two of the same Python, and never code. In
    # its old format, which does not look for what it has said before: there is little of that.
    data = marshal.dumps(what, _FORMAT)
    line.sendall(len(data).to_bytes(_SIZE_BYTES, "big") + data)


def _next(file: BinaryIO) -> Any:
    """What the other end has sent; EOFError when it is gone."""
    size = int.from_bytes(file.read(_SIZE_BYTES), "big")
    data = file.read(size)
    if not size or len(data) < size:
        raise EOFError
    return marshal.loads(data)


def seal_keys(keys: Keys) -> SealKeys:
    """The same, ready to check seals with."""
    return {device: [*map(SealKey, of_device)] for device, of_device in keys.items()}


_row = attrgetter(*Claim.__slots__)


if __name__ == "__main__":
    _serve()
