"""TCP and TLS without waiting: an attempt that is stepped, and a stream that reads ahead."""

import errno
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from adapters.identity import IdentityError
from adapters.names import Lookup, Names, Targets

DIAL_MS = 5_000
HELD_BYTES_MAX = 1 << 20
_READ_BYTES = 65_536
# What a broker's alert says of us, by OpenSSL's names; TLS 1.3 tells only after the handshake.
_ALERTS = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it says that our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not take our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "our certificate is not one for this",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of our certificate",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate",
    "WRONG_VERSION_NUMBER": "it does not speak TLS",
}
# What is wrong with a broker's certificate, by OpenSSL's numbers.
_NOT_OURS = "no authority of ours has signed it"
_FLAWS = {
    9: "by our clock it is not good yet",
    10: "it has expired",
    18: _NOT_OURS,
    19: _NOT_OURS,
    20: _NOT_OURS,
    21: _NOT_OURS,
    26: "it is no broker's",
    62: "it is another host's",
    64: "it is another host's",
}

Contexts = Callable[[], ssl.SSLContext]


class Dial:
    """One attempt to reach `address` (host, port); every address of the name is tried in turn.

    With `secure`, which gives the context of a connection (or IdentityError), it ends with TLS.
    `names`, of who dials more than once, remembers: while nobody can be asked about a name, the
    address that it had last is dialled, but with TLS only, which lets in nobody else than the
    name's owner. Without it another machine may have that address by now, and be told a password.
    """

    def __init__(
        self,
        address: tuple[str, int],
        now_ms: int,
        secure: Contexts | None = None,
        names: Names | None = None,
    ) -> None:
        self.error = ""
        self.deadline_ms = now_ms + DIAL_MS
        self._address = address
        self._host = address[0]
        self._names = Names() if names is None else names
        self._lookup: Lookup | None = None
        self._socket: socket.socket | None = None
        self._context: ssl.SSLContext | None = None
        self._wants_write = True
        self._targets: Targets = []
        try:
            if secure is not None:
                self._context = secure()
            self._lookup = self._names.look_up(address)
        except (IdentityError, OSError) as error:
            self.error = str(error)

    def fileno(self) -> int | None:
        waits_for = self._lookup or self._socket
        return waits_for.fileno() if waits_for is not None else None

    @property
    def wants_write(self) -> bool:
        """Whether to wait for the descriptor to be writable; in a handshake it often is not."""
        return self._lookup is None and self._wants_write

    def step(self, now_ms: int) -> socket.socket | None:
        """The connected, non-blocking socket once there is one; else None, and see `error`."""
        while not self.error:
            if self._lookup is not None:
                if not self._find(self._lookup, now_ms):
                    return None
            elif self._socket is None:
                self._start()
            elif now_ms >= self.deadline_ms:
                self._next("no answer in time")
                self.deadline_ms = now_ms + DIAL_MS
            elif isinstance(self._socket, ssl.SSLSocket):
                if not self._shake_hands(self._socket):
                    return None
                if not self.error and self._socket is not None:
                    return self._take()
            elif not _is_writable(self._socket):
                return None
            else:
                number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    self._next(errno.errorcode.get(number, str(number)))
                elif self._context is None:
                    return self._take()
                else:
                    self._begin_tls(self._context)
        return None

    def close(self) -> None:
        self._lookup = None  # it goes on: its answer is the next attempt's
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _find(self, lookup: Lookup, now_ms: int) -> bool:
        """Whether there are addresses to dial, or an error; False while there is only to wait."""
        why = "no answer about its name in time"
        if lookup.is_done:
            self._targets, why = self._names.take(self._address), lookup.error
        elif now_ms < self.deadline_ms:
            return False
        if not self._targets and self._context is not None:
            self._targets = self._names.known(self._address)
        if not self._targets:
            self.error = f"cannot find {self._host}: {why}"
        self._lookup, self.deadline_ms = None, now_ms + DIAL_MS
        return True

    def _start(self) -> None:
        family, kind, protocol, _name, where = self._targets.pop(0)
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        # Small messages answer each other here; Nagle would add 40 ms to every one of them.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = self._socket.connect_ex(where)
        if number not in (0, errno.EINPROGRESS):
            self._next(errno.errorcode.get(number, str(number)))

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        plain = self._socket
        assert plain is not None
        try:
            self._socket = context.wrap_socket(
                plain, server_hostname=self._host, do_handshake_on_connect=False
            )
        except (OSError, ValueError) as error:  # it can be gone again by now
            plain.close()
            self._next(str(error))

    def _shake_hands(self, secured: ssl.SSLSocket) -> bool:
        """Go on with the handshake; False while there is nothing to do but wait."""
        try:
            secured.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            self._wants_write = isinstance(error, ssl.SSLWantWriteError)
            return False
        except (OSError, ValueError) as error:
            self._next(f"no TLS with {self._host}: {told(error)}")
        return True

    def _next(self, why: str) -> None:
        self.close()
        self._wants_write = True
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
        self._has_heard = False

    def recv(self, count: int) -> bytes:
        if self._at == len(self._ahead):
            self.dry = True  # unless the next line brings something
            self._ahead = self._receive()
            self._at = 0
            self.dry = False
            self._has_heard = True
        chunk = self._ahead[self._at : self._at + count]
        self._at += len(chunk)
        return chunk

    def send(self, data: bytes) -> int:
        if self._held is None:
            return self._transmit(data)
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
                del self._held[: self._transmit(self._held)]
            except BlockingIOError:
                return False
        self._held = None
        return True

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def take_heard(self) -> bool:
        """Whether anything was read since it was last asked for."""
        heard, self._has_heard = self._has_heard, False
        return heard

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        self._socket.setblocking(flag)

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        return self._socket.recv(_READ_BYTES)

    def _transmit(self, data: bytes | bytearray) -> int:
        return self._socket.send(data)


class TlsStream(Stream):
    """The same over TLS. `problem` (text): what ended it, if TLS knows."""

    problem = ""

    def _receive(self) -> bytes:
        return self._told(super()._receive)

    def _transmit(self, data: bytes | bytearray) -> int:
        return self._told(lambda: super(TlsStream, self)._transmit(data))

    def _told(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        except ssl.SSLError as error:
            self.problem = told(error)
            raise


def stream_over(sock: socket.socket) -> Stream:
    """The stream over what a Dial has taken."""
    return TlsStream(sock) if isinstance(sock, ssl.SSLSocket) else Stream(sock)


def peer_certificate(sock: socket.socket) -> bytes:
    """What the other end has proved itself with (DER); nothing without TLS."""
    shown = sock.getpeercert(True) if isinstance(sock, ssl.SSLSocket) else None
    return shown or b""


def told(error: Exception) -> str:
    """What TLS complains of, for people: no bytes of keys or certificates are ever in it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate: {_FLAWS.get(error.verify_code, error.verify_message)}"
    reason = getattr(error, "reason", None)
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return "it hung up"
    return _ALERTS.get(str(reason), str(reason or error))


def _is_writable(sock: socket.socket) -> bool:
    # poll, not select: a box that serves many readers has descriptors above 1024.
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    return bool(poller.poll(0))
