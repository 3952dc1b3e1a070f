"""Reading on another core: during a booking, what comes next is read and its seals are checked.

A process of its own takes deliveries apart and holds each record's seal against the record before
it, where it has both and the device's keys. It knows nothing of the books and decides nothing: all
it says is under which key and over which tag a seal holds (Claim.under, Claim.over), and booking
looks whether the chain has these (ledger/booking.py). What it does not say is checked there.

Where it fails, the ledger reads by itself from then on: nothing hangs on it but time.
"""

import dataclasses
import gc
import logging
import marshal
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, BinaryIO

from ledger.chain import SealKey
from ledger.claims import UNCHECKED, Claim, parse_claim
from protocols.wire import messages, seal

Delivery = Sequence[bytes]
Keys = dict[int, list[bytes]]  # of each device, oldest first
SealKeys = dict[int, list[SealKey]]
Links = dict[tuple[int, int], bytes]
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


class ReadAhead:
    """The claims of deliveries; what is ahead is read by a process, started when there is any.

    `keys_of` gives the keys of those of some devices that are registered, or raises.
    """

    def __init__(self, keys_of: Callable[[Iterable[int]], Keys]) -> None:
        self._keys_of = keys_of
        self._told: Keys = {}
        self._reader: _Reader | None = None
        self._asked: list[list[bytes]] = []
        self._has_failed = False

    def claims(
        self, deliveries: Sequence[Delivery], ahead: Sequence[Delivery]
    ) -> list[list[Claim]]:
        """The claims of `deliveries`, in their order; `ahead` is being read from now on."""
        wanted = [list(delivery) for delivery in deliveries]
        batches = self._answer(wanted) if self._asked else []
        unread = wanted[len(batches) :]
        batches += [[parse_claim(sealed) for sealed in delivery] for delivery in unread]
        if ahead and not self._has_failed:
            unchecked = {c.device for batch in batches for c in batch if c.under == UNCHECKED}
            self._ask([list(delivery) for delivery in ahead], unchecked)
        return batches

    def close(self) -> None:
        """The process ends."""
        if self._reader is not None:
            self._reader.close()
        self._reader, self._asked = None, []

    def _ask(self, ahead: list[list[bytes]], unchecked: set[int]) -> None:
        keys = self._keys_of(unchecked)
        news = {device: keys[device] for device in keys if keys[device] != self._told.get(device)}
        self._told |= news
        try:
            if self._reader is None:
                self._reader = _Reader()
            self._reader.tell((news, ahead))
            self._asked = ahead
        except _BROKEN as error:
            self._fail(error)

    def _answer(self, wanted: list[list[bytes]]) -> list[list[Claim]]:
        """What it says of what it was asked last; none if `wanted` does not begin with that."""
        asked, self._asked = self._asked, []
        if self._reader is None:
            return []
        try:
            rows = self._reader.hear()
        except _BROKEN as error:
            self._fail(error)
            return []
        # More may have come since. Else the books could not be written, and the same comes again.
        if asked != wanted[: len(asked)]:
            return []
        return [
            [Claim(sealed, *row) for sealed, row in zip(*pair, strict=True)]
            for pair in zip(asked, rows, strict=True)
        ]

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
    links: Links = {}
    with socket.socket(fileno=0) as line, line.makefile("rb") as file:
        while True:
            try:
                news, deliveries = _next(file)
            except EOFError:
                return
            keys |= seal_keys(news)
            rows, links = _read(deliveries, keys, links)
            _send(line, rows)
            del news, deliveries, rows
            gc.collect()


def _read(
    deliveries: list[list[bytes]], keys: SealKeys, links: Links
) -> tuple[list[list[tuple[Any, ...]]], Links]:
    """What is to be said of them; and their own links: a chain goes on to the next portion."""
    batches = [[parse_claim(sealed) for sealed in delivery] for delivery in deliveries]
    claims = [claim for batch in batches for claim in batch]
    new = {(claim.device, claim.seq): claim.link for claim in claims}
    check(claims, keys, links | new)
    return [[_row(claim) for claim in batch] for batch in batches], new


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


def check(claims: Iterable[Claim], keys: SealKeys, links: Links) -> None:
    """Note under which key and over which tag the seals hold, as far as that is known.

    `links`: of (device, seq), what the record behind it must follow.
    """
    for claim in claims:
        if not claim.link or claim.kind == messages.LOST:
            continue  # no seal, or not over the record before
        over = seal.CHAIN_START if claim.seq == 1 else links.get((claim.device, claim.seq - 1))
        if over is None:
            continue
        for key_no, key in enumerate(keys.get(claim.device, ())):
            if key.holds(claim.sealed, over):
                claim.over, claim.under = over, key_no


# The fields of a claim behind the first: whoever asked has the record itself.
_row = attrgetter(*(field.name for field in dataclasses.fields(Claim)[1:]))


if __name__ == "__main__":
    _serve()
