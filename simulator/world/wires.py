"""Which of a run's sockets have something to read, without asking each of them.

A campus of 2,000 readers has 2,000 sockets, and nearly all of them are silent nearly always: the
kernel is asked once for those that are not.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from itertools import count
from typing import Any

Read = Callable[[], bool]


class Wires:
    """All sockets of a run, and whether anybody has done something to one since the last rest.

    `is_stirred`: something was said, dialled or cut, so brokers and services may have to do
    something about it. `heard` are the streams on which a broker has said something.
    """

    def __init__(self) -> None:
        self.is_stirred = True
        self.heard: set[Any] = set()
        self._selector = selectors.DefaultSelector()
        self._numbers = count(1)

    def number(self) -> int:
        """Of the next that comes: what comes at one moment is dealt with in the order of these."""
        return next(self._numbers)

    def watch(self, sock: socket.socket, read: Read) -> None:
        """Call `read` when there is something; it says whether anything moved."""
        self._selector.register(sock, selectors.EVENT_READ, (self.number(), read))

    def leave(self, sock: socket.socket) -> None:
        """It is going to be closed, or nothing more comes; once is enough."""
        if sock.fileno() >= 0 and sock in self._selector.get_map():
            self._selector.unregister(sock)

    def pump(self, patience_s: float = 0) -> bool:
        """Read wherever there is something, in the order of `watch`; True if anything moved.

        With patience: wait so long for something, where there is nothing.
        """
        ready = [key.data for key, _ in self._selector.select(patience_s)]
        moved = [read() for _, read in sorted(ready, key=lambda one: one[0])]
        return any(moved)

    def close(self) -> None:
        """Watch nobody any more."""
        self._selector.close()
