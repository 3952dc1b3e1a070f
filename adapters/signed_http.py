"""JSON over HTTP between two who share a key: every request and every answer is sealed.

The seal of an answer is over the nonce of its request, so an old answer, or one to somebody else,
is none. TLS hides what is said (`https` in the URL); the seal says by whom, and holds without.
"""

import contextlib
import hmac
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

NONCE, SEAL = "X-Onecard-Nonce", "X-Onecard-Seal"
NONCE_BYTES = 16
ANSWER_BYTES_MAX = 16 << 20
_CHUNK_BYTES = 65_536
_JSON = {"Content-Type": "application/json"}


class NoAnswer(Exception):
    """Nothing that counts as an answer has come; the request may have been carried out."""


def seal_request(key: bytes, nonce: str, method: str, path: str, body: bytes) -> str:
    """What stands in SEAL of a request."""
    return _seal(key, b"request", nonce.encode(), method.encode(), path.encode(), body)


def seal_answer(key: bytes, nonce: str, status: int, body: bytes) -> str:
    """What stands in SEAL of the answer to the request with this nonce."""
    return _seal(key, b"answer", nonce.encode(), b"%d" % status, body)


def is_seal(expected: str, header: str) -> bool:
    """Whether what stands in SEAL is the seal that is expected; `header` may be anything."""
    # As bytes: of text, compare_digest takes ASCII only.
    return hmac.compare_digest(expected.encode(), header.encode("latin-1", "replace"))


class SignedHttp:
    """Requests to the server at `url`, which has the same `key` (32 bytes).

    Each ends `timeout_s` after it began, whatever the peer does; but to connect may take as long
    for each address of its host, and as long again for TLS. random(n) gives n bytes. May be called
    from any thread.
    """

    def __init__(
        self, url: str, key: bytes, timeout_s: float, random: Callable[[int], bytes]
    ) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._key = key
        self._timeout_s = timeout_s
        self._random = random

    def call(self, method: str, path: str, said: dict[str, Any] | None = None) -> tuple[int, Any]:
        """(status, what the JSON of the answer says). Raises NoAnswer."""
        body = b"" if said is None else json.dumps(said).encode()
        nonce, path = self._random(NONCE_BYTES).hex(), self._base + path
        seal = seal_request(self._key, nonce, method, path, body)
        connection, until_s = self._connection(), time.monotonic() + self._timeout_s
        try:
            connection.connect()
            with _ended_at(until_s, connection.sock):
                connection.request(method, path, body, {**_JSON, NONCE: nonce, SEAL: seal})
                response = connection.getresponse()
                answer = _read(response)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(type(error).__name__) from error
        finally:
            connection.close()
        expected = seal_answer(self._key, nonce, response.status, answer)
        if not is_seal(expected, response.getheader(SEAL, "")):
            raise NoAnswer(f"status {response.status} without their seal")
        try:
            return response.status, json.loads(answer)
        except ValueError as error:
            raise NoAnswer("not JSON") from error

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout_s, context=self._tls
        )


def _read(response: http.client.HTTPResponse) -> bytes:
    data = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        data += chunk
        if len(data) > ANSWER_BYTES_MAX:
            raise http.client.HTTPException("too much")
    return bytes(data)


@contextlib.contextmanager
def _ended_at(until_s: float, sock: socket.socket) -> Iterator[None]:
    # The time-out of a socket begins anew with each byte: a peer that drips would never end.
    end = threading.Timer(until_s - time.monotonic(), _shut_down, (sock,))
    end.daemon = True
    end.start()
    try:
        yield
    finally:
        end.cancel()
    if time.monotonic() >= until_s:
        raise TimeoutError


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it is closed
        # Not that of an SSLSocket, which takes its session from under who reads.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _seal(key: bytes, *parts: bytes) -> str:
    # Each with its length: no two lists of parts are the same bytes.
    mac = hmac.new(key, digestmod="sha256")
    for part in parts:
        mac.update(len(part).to_bytes(4, "big") + part)
    return mac.hexdigest()
