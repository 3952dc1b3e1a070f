"""Addresses of hosts by name, looked up beside the loop.

getaddrinfo waits for as long as a dead name server lets it (30 s and more) and cannot be told to
stop. Rules of this file. Each look-up has a thread that nobody waits for, a process that ends
neither. While one hangs no other one of the same address is begun: there are never more threads
than addresses in a configuration. The two ends of a look-up are each closed by their own thread.
"""

import socket
import threading
import time
from typing import Any

Targets = list[tuple[Any, ...]]  # as getaddrinfo gives them
FRESH_S = 60.0  # so long is an answer good that came when nobody waited for it any more


class Lookup:
    """One look-up of `address` (host, port): `fileno` is readable, and `is_done`, at its end."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._targets: Targets = []
        self._is_taken = False
        self._done_s: float | None = None
        self._wake: socket.socket | None = None
        self._bell: socket.socket | None = None
        self.error = ""
        try:
            # Numbers need nobody, and no thread: who runs in virtual time has them at once.
            self._targets = socket.getaddrinfo(
                *address, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )
            self._end()
        except (OSError, UnicodeError):
            self._begin()

    @property
    def is_done(self) -> bool:
        return self._done_s is not None

    @property
    def is_spent(self) -> bool:
        """Whether it is of no use to another attempt: failed, taken, or too old."""
        if self._done_s is None:
            return False
        return bool(self.error) or self._is_taken or _now_s() - self._done_s > FRESH_S

    def fileno(self) -> int | None:
        return None if self._wake is None else self._wake.fileno()

    def take(self) -> Targets:
        """What it has found, once it is done; nothing where there is an `error`."""
        self._is_taken = True
        self.close()
        return list(self._targets)

    def close(self) -> None:
        """Nobody waits for it any more; what it finds is kept."""
        if self._wake is not None:
            self._wake.close()
            self._wake = None

    def _begin(self) -> None:
        self._wake, self._bell = socket.socketpair()
        # Not of a pool: the interpreter would wait for its threads before it ends.
        thread = threading.Thread(target=self._run, name="look up a name", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self.error = str(error)
            self._end()

    def _run(self) -> None:
        try:
            self._targets = socket.getaddrinfo(*self._address, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            self.error = str(error)
        self._end()

    def _end(self) -> None:
        self._done_s = _now_s()
        if self._bell is not None:
            self._bell.close()


class Names:
    """What one port looks up, and what it has found before. For one thread."""

    def __init__(self) -> None:
        self._lookups: dict[tuple[str, int], Lookup] = {}
        self._known: dict[tuple[str, int], Targets] = {}

    def look_up(self, address: tuple[str, int]) -> Lookup:
        """The look-up of this address that is under way or was not taken yet, or a new one."""
        lookup = self._lookups.get(address)
        if lookup is None or lookup.is_spent:
            if lookup is not None:
                lookup.close()
            lookup = self._lookups[address] = Lookup(address)
        return lookup

    def take(self, address: tuple[str, int]) -> Targets:
        """What the look-up of this address has found, which is done; remembered."""
        targets = self._lookups[address].take()
        if targets:
            self._known[address] = targets
        return list(targets)

    def known(self, address: tuple[str, int]) -> Targets:
        """What was found last, however long ago; nothing if nothing ever was."""
        return list(self._known.get(address, ()))


def _now_s() -> float:
    return time.monotonic()
