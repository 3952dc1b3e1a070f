"""`socket` of the ESP32 port (lwIP): non-blocking TCP clients."""

import errno

from bridge import call, post, take
from micropython import const

_NET_OPEN = const(16)
_NET_CONNECTED = const(17)
_NET_SEND = const(18)
_NET_RECV = const(19)
_NET_CLOSE = const(37)

AF_INET = 2
SOCK_STREAM = 1
IPPROTO_TCP = 6
TCP_NODELAY = 1


def _checked(result):
    if result < 0:
        raise OSError(-result)
    return result


class socket:
    def __init__(self, family=AF_INET, type=SOCK_STREAM):
        if family != AF_INET or type != SOCK_STREAM:
            raise RuntimeError("only TCP over IPv4")
        self._handle = -1
        self._blocking = True

    def setblocking(self, flag):
        self._blocking = bool(flag)

    def setsockopt(self, level, name, value):
        if level != IPPROTO_TCP or name != TCP_NODELAY:
            raise RuntimeError("setsockopt")

    def connect(self, address):
        if self._blocking:
            raise RuntimeError("a blocking connect would stop the reader")
        self._handle = _checked(call(_NET_OPEN, address[1], 0, address[0].encode()))
        raise OSError(errno.EINPROGRESS)

    def send(self, data):
        return _checked(call(_NET_SEND, self._handle, 0, data))

    def recv(self, size):
        return take(_checked(call(_NET_RECV, self._handle, size)))

    def close(self):
        if self._handle >= 0:
            post(_NET_CLOSE, self._handle)
        self._handle = -1

    def ioctl(self, mask, woken):
        """What select.poll reports of this socket; a failed connection is writable and hung up."""
        events = mask & 1 if woken else 0
        if mask & 4:
            result = call(_NET_CONNECTED, self._handle)
            if result:
                events |= 4 if result > 0 else 4 | 16
        return events
