"""TLS for a reader on a network: esp32.py's Net, with a certificate and a key of its own in NVS.

The blobs "tls_key", "tls_cert" and "tls_ca1", and "tls_ca2" while the authority is rolled over,
all in DER as `onecard ca issue` writes them. The broker has to prove the very `broker_host` of the
settings. The port's clock begins in 2000 and nobody sets it, so this never fails for want of the
time, nor does it ever see that a broker's certificate has ended (ADR 36).

The handshake goes on whenever something is sent or received. Its arithmetic holds the loop: how
long has not been measured on a chip. Buffers are taken from ESP-IDF's memory, not from the heap.
"""

import select
import ssl

from firmware.boards import esp32

_DER_BYTES_MAX = 1024


class Stream(esp32.Stream):
    """One TLS connection that never blocks; what is wrong with it is an OSError."""

    def __init__(self, address, waiting, context):
        super().__init__(address, waiting)
        self._context = context
        self._host = address[0]

    def connected(self):
        """Whether TCP has been made and TLS has begun; OSError if it was refused."""
        if self._connected or not super().connected():
            return self._connected
        secured = self._context.wrap_socket(
            self._socket, server_hostname=self._host, do_handshake_on_connect=False
        )
        # To poll the wrapped one also tells what lies decrypted in its buffer.
        self._waiting.unregister(self._socket)
        self._socket = secured
        self._waiting.register(secured, select.POLLIN | select.POLLHUP)
        return True

    def send(self, data):
        """How many bytes of `data` were taken: 0 when it would block."""
        try:
            return self._socket.write(data) or 0
        except ValueError as error:
            raise OSError(str(error))

    def recv(self, size):
        """At most `size` bytes; None when there are none yet, b"" when the peer has closed."""
        try:
            return self._socket.read(size)
        except ValueError as error:
            # So the port says that a certificate is not good. It ends the connection, not us.
            raise OSError(str(error))


class Net(esp32.Net):
    """The link, and TLS on it; NotProvisioned when a blob is missing or none of its kind."""

    def __init__(self, board, nvs):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_cert_chain(_der(nvs, "tls_cert"), _der(nvs, "tls_key"))
            context.load_verify_locations(cadata=_der(nvs, "tls_ca1"))
            after = esp32.blob_of(nvs, "tls_ca2", _DER_BYTES_MAX)
            if after is not None:
                context.load_verify_locations(cadata=after)
        except ValueError as error:
            raise esp32.NotProvisioned("tls: %s" % error)
        self._context = context
        super().__init__(board, nvs)

    def open(self, host, port):
        """A Stream on its way to `host`; OSError when it cannot even start."""
        return Stream((host, port), self._waiting, self._context)


def _der(nvs, key):
    blob = esp32.blob_of(nvs, key, _DER_BYTES_MAX)
    if blob is None:
        raise esp32.NotProvisioned("no %s in NVS" % key)
    return blob
