"""A cable between one MQTT client after the other and a broker: counts bytes, and breaks once.

A connection of TCP on each side and threads between them. It breaks at the `at`th PUBLISH of all
that were sent since it was made, in one of the ways of BREAKS; connections made after that are
whole. A cut closes both ends.
"""

import contextlib
import socket
import threading

from protocols.wire.mqtt import PUBACK, PUBLISH, PacketReader, packet

INSIDE, BEHIND, SILENT = (
    "cut inside a packet",
    "cut before the acknowledgement",
    "silent from then on",
)
BREAKS = (INSIDE, BEHIND, SILENT)


class Cable:
    """Listens on `port` of this machine; `up_bytes` and `down_bytes` have passed."""

    def __init__(self, broker_port: int, how: str = "", at: int = 0) -> None:
        self._broker_port, self._how, self._at = broker_port, how, at
        self._published = 0
        self.broken = 0
        self.up_bytes = self.down_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Cable":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for end in self._open:
            _close(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # the cable is put away
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
            for end in (client, broker):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, broker]
            Strand(self, client, broker).start()

    def is_due(self) -> bool:
        """Whether this PUBLISH is the one that it breaks at."""
        self._published += 1
        if self._how and not self.broken and self._published == self._at:
            self.broken += 1
            return True
        return False

    @property
    def how(self) -> str:
        """One of BREAKS, or empty: it never breaks."""
        return self._how


class Strand:
    """One connection through the cable."""

    def __init__(self, cable: Cable, client: socket.socket, broker: socket.socket) -> None:
        self._cable, self._client, self._broker = cable, client, broker
        self._is_silent = self._is_mute = False

    def start(self) -> None:
        """Move bytes both ways from now on."""
        for work in (self._up, self._down):
            threading.Thread(target=work, daemon=True).start()

    def _up(self) -> None:
        reader = PacketReader()
        with contextlib.suppress(OSError):
            while data := self._client.recv(4096):
                self._cable.up_bytes += len(data)
                for kind, flags, body in reader.feed(data):
                    whole = packet(kind << 4 | flags, body)
                    if kind == PUBLISH and self._cable.is_due():
                        whole = self._strike(whole)
                    if not self._is_silent:
                        self._broker.sendall(whole)
        if not self._is_silent:
            _close(self._broker)

    def _strike(self, whole: bytearray) -> bytearray:
        if self._cable.how == SILENT:
            self._is_silent = True
        elif self._cable.how == INSIDE:
            self._broker.sendall(whole[: len(whole) // 2])
            self._cut()
        self._is_mute = self._cable.how == BEHIND
        return whole

    def _down(self) -> None:
        reader = PacketReader()
        with contextlib.suppress(OSError):
            while data := self._broker.recv(4096):
                if self._is_silent:
                    continue
                self._cable.down_bytes += len(data)
                for kind, flags, body in reader.feed(data):
                    if kind == PUBACK and self._is_mute:
                        self._cut()
                    self._client.sendall(packet(kind << 4 | flags, body))

    def _cut(self) -> None:
        _close(self._client)
        _close(self._broker)
        raise OSError("cut")


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
        end.close()
