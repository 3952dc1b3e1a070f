"""TCP without waiting: a connection attempt that is stepped, and a stream that reads ahead."""

import errno
import select
import socket

DIAL_MS = 5_000
HELD_BYTES_MAX = 1 << 20
_READ_BYTES = 65_536


class Dial:
    """One attempt to reach `address` (host, port); every address of the name is tried in turn.

    Looking up a name may block: configure numbers, or a name the hosts file knows.
    """

    def __init__(self, address: tuple[str, int], now_ms: int) -> None:
        self.error = ""
        self.deadline_ms = now_ms + DIAL_MS
        self._socket: socket.socket | None = None
        try:
            self._targets = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
        except OSError as error:
            self._targets = []
            self.error = f"cannot find {address[0]}: {error}"

    def fileno(self) -> int | None:
        return self._socket.fileno() if self._socket is not None else None

    def step(self, now_ms: int) -> socket.socket | None:
        """The connected, non-blocking socket once there is one; else None, and see `error`."""
        while not self.error:
            if self._socket is None:
                self._start()
            elif now_ms >= self.deadline_ms:
                self._next("no answer in time")
                self.deadline_ms = now_ms + DIAL_MS
            elif not _is_writable(self._socket):
                return None
            else:
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number == 0:
                    return self._take()
                self._next(errno.errorcode.get(number, str(number)))
        return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _start(self) -> None:
        family, kind, protocol, _name, where = self._targets.pop(0)
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        # Small messages answer each other here; Nagle would add 40 ms to every one of them.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._socket.connect_ex(where)
        if number not in (0, errno.EINPROGRESS):
            self._next(errno.errorcode.get(number, str(number)))

    def _next(self, why: str) -> None:
        self.close()
        if not self._targets:
            self.error = why

    def _take(self) -> socket.socket:
        connected, self._socket = self._socket, None
        assert connected is not None
        return connected


class Stream:
    """The part of a socket that paho uses, reading 64 KiB at a time.

    paho asks for one byte, then one more, then the rest, each a system call. `dry` becomes True
    when a read found nothing: the caller knows that it has seen everything there is.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._ahead = b""
        self._held: bytearray | None = None
        self._at = 0
        self.dry = False

    def recv(self, count: int) -> bytes:
        if self._at == len(self._ahead):
            self.dry = True  # unless the next line brings something
            self._ahead = self._socket.recv(_READ_BYTES)
            self._at = 0
            self.dry = False
        chunk = self._ahead[self._at : self._at + count]
        self._at += len(chunk)
        return chunk

    def send(self, data: bytes) -> int:
        if self._held is None:
            return self._socket.send(data)
        if len(self._held) >= HELD_BYTES_MAX:
            raise BlockingIOError
        self._held += data
        return len(data)

    def hold(self) -> None:
        """Collect what is sent from now on (up to HELD_BYTES_MAX) until `release`."""
        if self._held is None:
            self._held = bytearray()

    def release(self) -> bool:
        """Send what was collected in as few writes as it takes; False if some is left."""
        while self._held:
            try:
                del self._held[: self._socket.send(self._held)]
            except BlockingIOError:
                return False
        self._held = None
        return True

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        self._socket.setblocking(flag)

    def close(self) -> None:
        self._socket.close()


def _is_writable(sock: socket.socket) -> bool:
    # poll, not select: a box that serves many readers has descriptors above 1024.
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    return bool(poller.poll(0))
