"""Readers that only deliver: the device's own MQTT client and delivery, over real sockets."""

import select
import socket
import time
from collections.abc import Callable

from protocols.link.delivery import NOTHING, SEND_HELLO, Delivery
from protocols.wire import messages, mqtt, seal, topics
from protocols.wire.mqtt_client import MqttClient
from tools.bench.prepared import SITE, Device

_KEEPALIVE_S = 300  # longer than anything is measured: who waits for nothing need not speak
_BATCH_BYTES = messages.BATCH_BYTES_MAX - 40  # CBOR around the records
_READ_BYTES = 65536
_POLL_MS = 20


class TooSlow(Exception):
    """The others did not answer in time."""


def now_ms() -> int:
    """The host's monotonic clock."""
    return time.monotonic_ns() // 1_000_000


class LoadReader:
    """One device on a connection of its own: HELLO, then one BATCH at a time, until told stored.

    It owns nothing to send until `go`. Receipts are verified as the firmware does it. Its BATCHes
    are of at most `records_max` records.
    """

    def __init__(
        self, device: Device, host: str, port: int, records_max: int = messages.BATCH_RECORDS_MAX
    ) -> None:
        self.delivery = Delivery(0, 0)
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.device = device.device
        self._device = device
        self._records_max = records_max
        self._receipt_key = seal.derive(device.key, messages.RECEIPT_LABEL)
        # A name of its own: amqtt may still be parting from the one before.
        own_port = self.socket.getsockname()[1]
        self._client = MqttClient(f"bench-{device.device}-{own_port}", _KEEPALIVE_S)
        self._up = topics.up(SITE, device.device)
        self._down = topics.down(SITE, device.device)
        self._unsent = b""
        self._client.connect(now_ms())
        self._flush()

    @property
    def stored(self) -> bool:
        """Whether the agent has said that it holds all there is."""
        return self.delivery.answering and self.delivery.stored == self.delivery.head

    @property
    def receipted(self) -> bool:
        """Whether the ledger has said that it has booked all there is."""
        return self.delivery.receipted == self.delivery.head

    @property
    def untold(self) -> int:
        """How many records it has that are not there to be sent yet."""
        return len(self._device.records) - self.delivery.head

    def go(self, records: int | None = None) -> None:
        """So many records more are there to be sent now; without a number all there are."""
        known = len(self._device.records)
        head = known if records is None else self.delivery.head + records
        self.delivery.advance(min(head, known))
        self._speak(now_ms())

    def step(self) -> None:
        """Take what has come, and say what follows from it."""
        time_ms = now_ms()
        self._client.tick(time_ms)
        try:
            data = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            data = None
        if data == b"":
            raise ConnectionError(f"the broker closed on device {self._device.device}")
        for event in self._client.receive(data) if data else ():
            self._take(event, time_ms)
        self._speak(time_ms)

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._client.disconnect()
        self._flush()
        self.socket.close()

    def _take(self, event: tuple, time_ms: int) -> None:
        if event[0] == mqtt.CONNACK:
            self._client.subscribe(self._down)
        elif event[0] == mqtt.SUBACK:
            self.delivery.connected(time_ms)
        elif event[0] == mqtt.PUBLISH:
            _, topic, payload, qos, retain, packet_id, _ = event
            # amqtt greets a new client with what is retained for the subscriptions of others.
            if topic == self._down and not retain:
                self._take_answer(payload, time_ms)
            if qos:
                self._client.puback(packet_id)

    def _take_answer(self, payload: bytes, time_ms: int) -> None:
        expected = (messages.STORED, messages.RECEIPT, messages.CARDS)
        fields = messages.decode_message(payload, expected)
        if fields["type"] == messages.CARDS:
            return  # it keeps no map
        if fields["type"] == messages.STORED:
            self.delivery.on_stored(fields["upto"], time_ms)
            return
        body = seal.unseal(self._receipt_key, fields["sealed"], messages.RECEIPT_LABEL)
        self.delivery.on_receipt(messages.decode_receipt(body)["upto"], time_ms)

    def _speak(self, time_ms: int) -> None:
        wanted = self.delivery.wanted(time_ms)
        if wanted == SEND_HELLO:
            self._say_hello(time_ms)
        elif wanted != NOTHING:
            self._send_batch(time_ms)
        self._flush()

    def _say_hello(self, time_ms: int) -> None:
        fields = {
            "device": self._device.device,
            "boot_id": 7,
            "receipted": self.delivery.receipted,
            "head": self.delivery.head,
        }
        self._client.publish(self._up, messages.encode_message(messages.HELLO, fields))
        self.delivery.hello_sent(time_ms)

    def _send_batch(self, time_ms: int) -> None:
        data, count = batch_of(
            self._device, self.delivery.stored, self.delivery.head, self._records_max
        )
        self._client.publish(self._up, data)
        self.delivery.batch_sent(self.delivery.stored + count, time_ms)

    def _flush(self) -> None:
        self._unsent += bytes(self._client.data_to_send())
        if self._unsent:
            try:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
            except BlockingIOError:
                pass  # the loop comes back soon


def batch_of(
    device: Device,
    stored: int,
    head: int | None = None,
    records_max: int = messages.BATCH_RECORDS_MAX,
) -> tuple[bytes, int]:
    """The BATCH that follows record `stored`, as far as `head`, and how many records are in it."""
    records: list[bytes] = []
    room = _BATCH_BYTES
    for sealed in device.records[stored:head][:records_max]:
        room -= len(sealed)
        if room < 0:
            break
        records.append(sealed)
    fields = {"device": device.device, "records": records}
    return messages.encode_message(messages.BATCH, fields), len(records)


def play(readers: list[LoadReader], until: Callable[[], bool], timeout_s: float) -> None:
    """Step the readers whose sockets have something, until `until()`; TooSlow if it never is."""
    by_descriptor = {reader.socket.fileno(): reader for reader in readers}
    poller = select.poll()
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    deadline_s = time.monotonic() + timeout_s
    while not until():
        ready = poller.poll(_POLL_MS)
        for descriptor, _events in ready:
            by_descriptor[descriptor].step()
        if not ready:
            for reader in readers:
                reader.step()
        if time.monotonic() > deadline_s:
            raise TooSlow(f"not done after {timeout_s:g} s")
