"""Readers that deliver to whoever answers: `agent_beside` sends by these, all of one kind at once.

Both keep one BATCH outstanding and send the same bytes. What differs is when a record counts as
delivered, because that is what differs between those who carry it: an agent says STORED, a
gateway or a bridge says nothing, and the broker's PUBACK is all there is.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from protocols.wire import mqtt, topics
from protocols.wire.mqtt_client import MqttClient
from tools.bench.load_reader import LoadReader, batch_of, now_ms
from tools.bench.prepared import SITE, Device

_KEEPALIVE_S = 300
_READ_BYTES = 65536
_POLL_MS = 5
_AGAIN_MS = 200  # a broker that is not there is tried again


class Sender(Protocol):
    """One reader with records to deliver. `untold`: so many are not there to be sent yet."""

    device: int
    socket: socket.socket

    @property
    def untold(self) -> int: ...
    @property
    def stored(self) -> bool: ...
    def go(self, records: int | None = None) -> None: ...
    def step(self) -> None: ...
    def close(self) -> None: ...


class PubackSender:
    """One reader for whom a PUBACK is the answer. It comes back when its broker has gone, and
    sends again what had no PUBACK."""

    def __init__(self, device: Device, host: str, port: int, records_max: int) -> None:
        self.device = device.device
        self.delivered = self.head = 0
        self._device = device
        self._address = (host, port)
        self._records_max = records_max
        self._client = MqttClient(f"bench-{device.device}", _KEEPALIVE_S)
        self._waiting = (0, 0)  # packet id of the outstanding BATCH, and its last record
        self._unsent = b""
        self._dial()

    @property
    def untold(self) -> int:
        return len(self._device.records) - self.head

    @property
    def stored(self) -> bool:
        return self.delivered == self.head

    def go(self, records: int | None = None) -> None:
        """So many records more are there to be sent now; without a number all there are."""
        known = len(self._device.records)
        self.head = known if records is None else min(self.head + records, known)
        self._speak()

    def step(self) -> None:
        """Take what has come, and say what follows from it."""
        if not self._is_up:
            self._redial()
            return
        self._client.tick(now_ms())
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"":
            self._hang_up()
            return
        for event in self._client.receive(data) if data else ():
            if event[0] == mqtt.CONNACK:
                self._may_speak = True
            elif event[0] == mqtt.PUBACK and event[1] == self._waiting[0]:
                self.delivered = self._waiting[1]
                self._waiting = (0, 0)
        self._speak()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def _dial(self) -> None:
        self._is_up = self._may_speak = False
        self._again_ms = now_ms() + _AGAIN_MS
        self.socket = socket.socket()
        with contextlib.suppress(OSError):
            self.socket.connect(self._address)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.setblocking(False)
            self._is_up = True
            self._waiting, self._unsent = (0, 0), b""
            self._client.connect(now_ms())
            self._flush()

    def _redial(self) -> None:
        if now_ms() >= self._again_ms:
            self.socket.close()
            self._dial()

    def _hang_up(self) -> None:
        self.socket.close()
        self._is_up = False
        self._again_ms = now_ms() + _AGAIN_MS

    def _speak(self) -> None:
        if self._is_up and self._may_speak and not self._waiting[0] and not self.stored:
            data, count = batch_of(self._device, self.delivered, self.head, self._records_max)
            packet_id = self._client.publish(topics.up(SITE, self.device), data)
            self._waiting = (packet_id, self.delivered + count)
        if self._is_up:
            self._flush()

    def _flush(self) -> None:
        self._unsent += bytes(self._client.data_to_send())
        try:
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except BlockingIOError:
            pass  # the loop comes back soon
        except OSError:
            self._hang_up()


MakeSender = Callable[[Device, str, int, int], Sender]


def stored_sender(device: Device, host: str, port: int, records_max: int) -> Sender:
    """One reader for whom STORED is the answer: the device's own delivery."""
    return LoadReader(device, host, port, records_max)


def step_all(senders: Sequence[Sender], for_s: float) -> None:
    """Let all of them work for a while."""
    until_s = time.monotonic() + for_s
    while (left_s := until_s - time.monotonic()) > 0:
        ready, _, _ = select.select(
            [sender for sender in map(_open_socket, senders) if sender is not None],
            [],
            [],
            min(left_s, _POLL_MS / 1000),
        )
        chosen = [one for one in senders if one.socket in ready] if ready else senders
        for sender in chosen:
            sender.step()


def _open_socket(sender: Sender) -> socket.socket | None:
    return sender.socket if sender.socket.fileno() >= 0 else None
