"""`ssl` of the ESP32 port: this MicroPython's own mbedTLS, over sockets that the world answers.

Here alone something of the host comes in: its random numbers, and its clock against certificates.
So what is sent differs from run to run; what the firmware hears does not. Loaded by no image but
one that speaks TLS; names that the firmware has too would stay long in all of them.
"""

import errno
import io

import tls

CERT_REQUIRED = tls.CERT_REQUIRED
PROTOCOL_TLS_CLIENT = tls.PROTOCOL_TLS_CLIENT


class _Bytes(io.IOBase):
    """What mbedTLS reads from and writes to: the socket, with numbers for its errors."""

    def __init__(self, sock):
        self._sock = sock

    def readinto(self, buffer):
        try:
            data = self._sock.recv(len(buffer))
        except OSError as _caught:
            return None if _caught.errno == errno.EAGAIN else -_caught.errno
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        try:
            return self._sock.send(data)
        except OSError as _caught:
            return None if _caught.errno == errno.EAGAIN else -_caught.errno

    def ioctl(self, _request, _argument):
        return 0


class _Socket:
    def __init__(self, sock, secured):
        self._sock = sock
        self.read = secured.read
        self.write = secured.write

    def ioctl(self, mask, woken):
        return self._sock.ioctl(mask, woken)

    def close(self):
        self._sock.close()


class SSLContext:
    def __init__(self, protocol):
        self._context = tls.SSLContext(protocol)
        self.verify_mode = CERT_REQUIRED

    def load_cert_chain(self, cert, key):
        self._context.load_cert_chain(cert, key)

    def load_verify_locations(self, cafile=None, cadata=None):
        if cafile is not None:
            raise RuntimeError("a reader has no files")
        self._context.load_verify_locations(cadata)

    def wrap_socket(self, sock, do_handshake_on_connect=True, server_hostname=None):
        if do_handshake_on_connect:
            raise RuntimeError("a handshake that waits would stop the reader")
        self._context.verify_mode = self.verify_mode
        secured = self._context.wrap_socket(
            _Bytes(sock), server_hostname=server_hostname, do_handshake_on_connect=False
        )
        return _Socket(sock, secured)
