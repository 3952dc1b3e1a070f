"""One MQTT 3.1.1 connection that a single loop can step: paho without its threads.

Rules of this file. Every session is clean and every connection is a new paho client: nothing is
ever carried over, because no promise of this system rests on a broker's or a client's queue. What
was not acknowledged is sent again by the application, which knows what is still true. Nothing a
network or a broker does raises out of `step`; it shows as `connected`, `sessions` and `counters`.
"""

import socket
import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from paho.mqtt import MQTTException
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from adapters.dialing import Contexts, Dial, Stream, TlsStream, peer_certificate, stream_over
from adapters.failover import BACKOFF_MS_MAX, Address, Failover
from adapters.keepalive import Keepalive
from adapters.names import Names
from adapters.subscriptions import Subscriptions

NETWORK = "network"
PAYLOAD_BYTES_MAX = 64 * 1024
INBOX_MAX = 512
UNACKED_MAX = 4096
# A session this old was a good one: the next loss starts again with the shortest back-off.
STEADY_MS = 5_000
HANDSHAKE_MS = 10_000
ACK_TIMEOUT_MS = 10_000
PROBE_MS = 5_000
# What malformed packets raise inside paho, beside its own return codes.
_PROTOCOL_ERRORS = (OSError, ValueError, IndexError, KeyError, struct.error, MQTTException)


class Message:
    """A message from the broker. Owed: one `MqttPort.ack`, once its content is safe.

    `link` names the way it came, where there are several.
    """

    __slots__ = ("epoch", "link", "mid", "payload", "qos", "retain", "topic")

    def __init__(
        self,
        topic: str,
        payload: bytes,
        retain: bool,
        mid: int = 0,
        qos: int = 0,
        epoch: int = 0,
        link: str = NETWORK,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.retain = retain
        self.mid = mid
        self.qos = qos
        self.epoch = epoch
        self.link = link


class MqttPort:
    """A connection to one broker, or to one node of a cluster, that keeps itself up.

    `subscriptions` are filters (of QoS `subscription_qos`, which is 1 where nobody says that a
    broker had better deliver at 0). `will` and `birth` are (topic, payload), retained: the
    broker publishes the will when we vanish, we publish the birth once subscribed. `counters`
    (name -> int) only ever grow. Time: `now_ms` is the caller's clock for back-off and time-outs;
    keep-alive runs on the host's clock, because the broker lives there too: a link without a word
    is given up within 1.5 of them (adapters/keepalive.py). `secure`:
    TLS, with the context that it gives for each connection (adapters/identity.py);
    `peer_certificate` (DER) is what the broker has shown at the last one. `login`: user and
    password, for brokers that are not ours. `fallbacks`: further nodes of the same cluster, tried
    in turn when the one before is of no use. `probe`: a topic to which nobody listens; a port
    with fallbacks says something there every PROBE_MS, since a node that is cut off from its
    others keeps its connections and answers pings, but acknowledges nothing.
    """

    def __init__(
        self,
        host: str,
        port: int,
        client_id: str,
        *,
        subscriptions: Sequence[str],
        keepalive_s: int = 60,
        will: tuple[str, bytes] | None = None,
        birth: tuple[str, bytes] | None = None,
        ack_timeout_ms: int = ACK_TIMEOUT_MS,
        secure: Contexts | None = None,
        login: tuple[str, str] | None = None,
        fallbacks: Sequence[Address] = (),
        probe: str = "",
        subscription_qos: int = 1,
    ) -> None:
        self._failover = Failover([(host, port), *fallbacks])
        self._probe = probe if fallbacks else ""
        self._probe_ms = 0
        self._secure = secure
        self._login = login
        self._client_id = client_id
        self._subscriptions = Subscriptions(subscriptions, subscription_qos)
        self._keepalive_s = keepalive_s
        self._keepalive = Keepalive(keepalive_s, 0.0)
        self._will = will
        self._birth = birth
        self._ack_timeout_ms = ack_timeout_ms
        self._names = Names()
        self._dial: Dial | None = None
        self._stream: Stream | None = None
        self._client: _Client | None = None
        self._lost = ""
        self._closed = False
        self._epoch = 0
        self._inbox: deque[Message] = deque()
        self._now_ms = 0
        self._opened_ms = 0
        self._progress_ms = 0
        self._retry_ms: int | None = None
        self.connected = False
        self.sessions = 0
        self.unacked = 0
        self.last_error = ""
        self.peer_certificate = b""
        self.counters = {
            "received": 0,
            "published": 0,
            "not_published": 0,
            "oversize": 0,
            "bad_topic": 0,
            "late_acks": 0,
            "lost_sessions": 0,
            "failed_dials": 0,
        }

    # --- what a loop needs -------------------------------------------------------------------

    def step(self, now_ms: int) -> int:
        """Do what can be done without waiting; the time (ms) by which to call again."""
        self._now_ms = now_ms
        if self._closed:
            return now_ms + BACKOFF_MS_MAX
        if self._client is None:
            self._step_dial(now_ms)
        if self._client is not None:
            self._step_client(now_ms)
        return self._due_ms(now_ms)

    @property
    def address(self) -> Address:
        """(host, port) of what it is connected to, or tries next."""
        return self._failover.address

    @property
    def node(self) -> str:
        """That address for people; "" where there is no other one."""
        return self._failover.node

    @property
    def is_opening(self) -> bool:
        """Whether a connection is being made now; False while up and while backing off."""
        return not self.connected and (self._dial is not None or self._client is not None)

    def fileno(self) -> int | None:
        """The descriptor to wait on, or None while there is none."""
        if self._stream is not None:
            return self._stream.fileno()
        return self._dial.fileno() if self._dial is not None else None

    def wants_read(self) -> bool:
        """False while the inbox is full: then waiting for the descriptor would spin."""
        return len(self._inbox) < INBOX_MAX

    def wants_write(self) -> bool:
        """Whether the descriptor should also be waited on for writing."""
        if self._client is None or self._stream is None:
            return self._dial is not None and self._dial.wants_write
        return self._client.want_write() or self._stream.is_holding

    # --- messages ----------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Hand a QoS 1 message to the socket; its packet id, or 0 when it went nowhere.

        0 means no connection, or more than UNACKED_MAX unanswered. Nothing is queued here.
        """
        if self._client is None or not self.connected or self.unacked >= UNACKED_MAX:
            self.counters["not_published"] += 1
            return 0
        if self.unacked == 0:
            self._progress_ms = self._now_ms
        self.unacked += 1
        self.counters["published"] += 1
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else 0

    def take(self) -> Message | None:
        """The oldest message not taken yet, or None."""
        return self._inbox.popleft() if self._inbox else None

    def ack(self, message: Message) -> None:
        """PUBACK `message`. One of an earlier session is only counted: its broker forgot it."""
        if self._client is None or message.epoch != self._epoch:
            self.counters["late_acks"] += 1
        elif message.qos == 1:
            self._client.ack(message.mid, 1)

    def listen(self, subscriptions: Sequence[str]) -> None:
        """Be subscribed to these filters from now on, in later sessions too, and to no others.

        What old and new ones both bring comes on without a gap; some of it may come twice.
        """
        self._subscriptions.change(subscriptions, self._client)
        if self._stream is not None and self._stream.is_holding:
            # At once: what nobody wants any more comes until the broker has read it.
            self.release()
            self.hold()

    def hold(self) -> None:
        """Collect what is published and acknowledged, for one write at `release`: see there."""
        if self._stream is not None:
            self._stream.hold()

    def release(self) -> None:
        """Write what was collected since `hold`. Optional: without `hold` all goes out at once.

        Many small answers cost one system call instead of one each, and keep their order.
        """
        if self._stream is None or self._lost:
            return
        try:
            self._stream.release()
        except OSError as error:
            self._lost = str(error)

    def close(self) -> None:
        """Leave in good order: what the will would say is said, then DISCONNECT."""
        self.release()
        if self._client is not None and self.connected and not self._lost:
            if self._will is not None:
                self.publish(self._will[0], self._will[1], retain=True)
            self._client.disconnect()
            self._client.loop_write()
        self._closed = True
        self._drop()

    # --- connecting --------------------------------------------------------------------------

    def _step_dial(self, now_ms: int) -> None:
        if self._dial is None:
            if self._retry_ms is not None and now_ms < self._retry_ms:
                return
            self._dial = Dial(self.address, now_ms, self._secure, self._names)
        sock = self._dial.step(now_ms)
        if sock is not None:
            self._dial = None
            self._open(sock, now_ms)
        elif self._dial.error:
            self.counters["failed_dials"] += 1
            self._fail(self._dial.error, now_ms)

    def _open(self, sock: socket.socket, now_ms: int) -> None:
        self.peer_certificate = peer_certificate(sock)
        self._stream = stream_over(sock)
        self._opened_ms = self._progress_ms = now_ms
        self._keepalive = Keepalive(self._keepalive_s, time.monotonic())
        self._lost = ""
        self._inbox.clear()
        self.unacked = 0
        self._subscriptions.forget()
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=True,
            protocol=paho.MQTTv311,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.stream = self._stream
        client.max_inflight_messages_set(0)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        if self._login is not None:
            client.username_pw_set(*self._login)
        if self._will is not None:
            client.will_set(self._will[0], self._will[1], qos=1, retain=True)
        self._client = client
        self._epoch += 1
        try:
            client.connect(*self.address, keepalive=self._keepalive_s)
        except _PROTOCOL_ERRORS as error:
            self._lost = str(error)

    def _ready(self) -> None:
        self.connected = True
        self.sessions += 1
        if self._birth is not None:
            self.publish(self._birth[0], self._birth[1], retain=True)

    # --- a session ---------------------------------------------------------------------------

    def _step_client(self, now_ms: int) -> None:
        client, stream = self._client, self._stream
        assert client is not None and stream is not None
        self.release()
        try:
            stream.dry = False
            while not self._lost and not stream.dry and self.wants_read():
                self._note(client.loop_read())
            if not self._lost and client.want_write():
                self._note(client.loop_write())
            if not self._lost:
                if not self.wants_read():
                    client.ask_again()
                self._note(client.loop_misc())
        except _PROTOCOL_ERRORS as error:
            self._lost = f"{type(error).__name__}: {error}"
        # Who does not read, since its inbox is full, cannot say that nothing came, nor that
        # nothing was acknowledged.
        is_deaf = not self.wants_read()
        if is_deaf:
            self._progress_ms = now_ms
        has_heard = stream.take_heard() or is_deaf
        if self._keepalive.is_silent(has_heard, time.monotonic()) and not self._lost:
            self._lost = "not a word within 1.5 keep-alives"
        self._say_probe(now_ms)
        self._check_time(now_ms)
        if self._lost:
            self._fail(self._lost, now_ms)

    def _note(self, code: int) -> None:
        if code != paho.MQTT_ERR_SUCCESS and not self._lost:
            self._lost = paho.error_string(code)

    def _check_time(self, now_ms: int) -> None:
        if self._lost:
            return
        if not self.connected and now_ms - self._opened_ms > HANDSHAKE_MS:
            self._lost = "no CONNACK or SUBACK in time"
        # TCP can be dead for a quarter of an hour while every send still succeeds.
        elif self.unacked and now_ms - self._progress_ms > self._ack_timeout_ms:
            self._lost = "no PUBACK in time"
        elif self.connected and now_ms - self._opened_ms > STEADY_MS:
            # A node that is cut off from its others lets everybody in, and answers nobody.
            if not self.unacked or self._progress_ms - self._opened_ms > STEADY_MS:
                self._failover.steady()

    def _say_probe(self, now_ms: int) -> None:
        if self._probe and self.connected and now_ms - self._probe_ms >= PROBE_MS:
            self._probe_ms = now_ms
            if not self.unacked:
                self.publish(self._probe, b"")

    def _fail(self, why: str, now_ms: int) -> None:
        if self.connected:
            self.counters["lost_sessions"] += 1
        if isinstance(self._stream, TlsStream):
            why = self._stream.problem or why
            # TLS 1.3 refuses a client once it thinks itself connected, and the reason may be lost.
            why += "" if self.connected else " (before CONNACK: see the broker's log)"
        # Of a cluster it has to be said which node; the next line is about another one.
        self.last_error = f"{self.node}: {why}" if self.node else why
        self._drop()
        self._retry_ms = now_ms + self._failover.failed()

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._dial is not None:
            self._dial.close()
        self._client = self._stream = self._dial = None
        self.connected = False
        self.unacked = 0
        # What was not taken is not acknowledged either: its sender sends it again.
        self._inbox.clear()

    def _due_ms(self, now_ms: int) -> int:
        if self._client is not None:
            if self._stream is not None and not self._stream.dry and self.wants_read():
                return now_ms
            return now_ms + (1_000 if not self.connected or self.unacked else self._idle_ms())
        if self._dial is not None:
            return self._dial.deadline_ms
        return now_ms if self._retry_ms is None else self._retry_ms

    def _idle_ms(self) -> int:
        return min(self._keepalive_s * 250, PROBE_MS)

    # --- paho's callbacks: they note, they never act on the connection ------------------------

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self._lost = f"refused by the broker: {reason}"
            return
        self._subscriptions.ask(client)
        if not self._subscriptions.pending:
            self._ready()

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[Any], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._lost = "the broker refused a subscription"
            return
        self._subscriptions.pending -= 1
        if not self._subscriptions.pending and not self.connected:
            self._ready()

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self.counters["received"] += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        if topic and len(message.payload) <= PAYLOAD_BYTES_MAX:
            self._inbox.append(
                Message(
                    topic,
                    bytes(message.payload),
                    message.retain,
                    message.mid,
                    message.qos,
                    self._epoch,
                )
            )
            return
        # Acknowledged, or the broker would bring the same useless message again and again.
        self.counters["oversize" if topic else "bad_topic"] += 1
        client.ack(message.mid, message.qos)

    def _on_publish(
        self, _client: paho.Client, _data: Any, _mid: int, _reason: Any, _properties: Any
    ) -> None:
        self.unacked -= 1
        self._progress_ms = self._now_ms

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._lost = self._lost or f"connection lost: {reason}"


class _Client(paho.Client):
    """paho over a connection that is already there: its own connect would block the loop."""

    stream: Stream

    def ask_again(self) -> None:
        """Do not wait for the answer to a PINGREQ: nobody reads it, and the next one is due."""
        self._ping_t = 0.0

    def _create_socket_connection(self) -> Any:
        return self.stream
