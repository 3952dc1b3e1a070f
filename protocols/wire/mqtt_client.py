"""MQTT 3.1.1 for a reader: bytes in, events out, bytes to send; no socket, no clock.

Rules of this file. Every session is a clean one. Whatever ends a connection (malformed bytes, an
answer that does not come) is an MqttError, after which only `connect` is left. Time is `now_ms`.
"""

import struct

from protocols.wire.mqtt import (
    CONNACK,
    CONNECTION_DEAD,
    DISCONNECT,
    DUP,
    MALFORMED_PACKET,
    OUTGOING_FULL,
    PACKET_BYTES_MAX,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBLISH,
    RETAIN,
    SUBACK,
    SUBSCRIBE,
    SUBSCRIPTION_REFUSED,
    UNEXPECTED_PACKET,
    WINDOW_FULL,
    MqttError,
    PacketReader,
    connect_packet,
    field,
    is_topic,
    packet,
    parse,
)

OUTGOING_BYTES_MAX = 8192
WINDOW_MAX = 8  # publishes that wait for their PUBACK
ANSWER_MS = 10000  # for CONNACK, SUBACK, PINGRESP and PUBACK
RESENDS_MAX = 1
_GRANTED = ((0,), (1,), (SUBSCRIPTION_REFUSED,))  # what our SUBSCRIBE may be answered


class MqttClient:
    """One connection after the other, as a client with a clean session.

    Calls append to the bytes that `data_to_send` hands out; publish and subscribe return the
    packet id. Call `tick` first in every step: what follows happens at the time it was given.
    `session` (bool): the broker has accepted us. `resends`: publishes repeated with DUP.
    """

    def __init__(
        self,
        client_id,
        keepalive_s,
        will_topic=None,
        will_payload=None,
        username=None,
        password=None,
        packet_bytes_max=PACKET_BYTES_MAX,
    ):
        self._connect = connect_packet(
            client_id, keepalive_s, will_topic, will_payload, username, password
        )
        # A quarter before the broker's patience begins to run out.
        self._idle_ms = keepalive_s * 750
        self._packet_bytes_max = packet_bytes_max
        self._packet_id = 0
        self._now_ms = 0
        self.resends = 0
        self._reset()

    def _reset(self):
        self._reader = PacketReader(self._packet_bytes_max)
        self._out = bytearray()
        self._error = None
        self._owed = {}  # type << 16 | packet id of an answer: when it is due
        self._window = []  # in order: [packet id, packet, due_ms, resends]
        self._sent_ms = self._heard_ms = self._now_ms
        self.session = False

    # -- what we say ------------------------------------------------------------------------

    def connect(self, now_ms):
        """Begin a new connection: everything of the one before is forgotten."""
        self._now_ms = now_ms
        self._reset()
        self._owed[CONNACK << 16] = self._now_ms + ANSWER_MS
        self._append(self._connect)

    def subscribe(self, topic_filter):
        """Ask for a filter with QoS 1; returns the packet id that the SUBACK will carry."""
        packet_id = self._next_id()
        self._owed[SUBACK << 16 | packet_id] = self._now_ms + ANSWER_MS
        self._append(
            packet(SUBSCRIBE << 4 | 2, struct.pack(">H", packet_id), field(topic_filter), b"\x01")
        )
        return packet_id

    def publish(self, topic, payload, qos=1, retain=False):
        """Publish bytes; returns the packet id that the PUBACK will carry (0 for QoS 0).

        A publish is kept and sent again until it is acknowledged or the connection is over.
        """
        if qos not in (0, 1) or not is_topic(topic):
            raise ValueError("a topic without wildcards, and QoS 0 or 1")
        first = PUBLISH << 4 | qos << 1 | (RETAIN if retain else 0)
        if not qos:
            self._append(packet(first, field(topic), payload))
            return 0
        if len(self._window) >= WINDOW_MAX:
            raise MqttError(WINDOW_FULL)
        packet_id = self._next_id()
        data = packet(first, field(topic), struct.pack(">H", packet_id), payload)
        self._append(data)
        self._window.append([packet_id, data, self._now_ms + ANSWER_MS, 0])
        return packet_id

    def puback(self, packet_id):
        """Acknowledge a received QoS 1 message: we answer for its content now."""
        self._append(packet(PUBACK << 4, struct.pack(">H", packet_id)))

    def ping(self):
        """Ask the broker whether it is still there."""
        self._owed[PINGRESP << 16] = self._now_ms + ANSWER_MS
        self._append(packet(PINGREQ << 4))

    def disconnect(self):
        """Leave in good order: the broker drops our will."""
        self._append(packet(DISCONNECT << 4))

    def data_to_send(self):
        """All bytes to send now (maybe none); they are the caller's from here."""
        if not self._out:
            # Not our own empty buffer: it would fill again in the caller's hands.
            return b""
        data = self._out
        self._out = bytearray()
        return data

    @property
    def unacked(self):
        """How many publishes wait for their PUBACK."""
        return len(self._window)

    # -- what we hear -----------------------------------------------------------------------

    def receive(self, data):
        """The events (list of tuples, see `parse`) that `data` completes, in any fragmentation.

        Only CONNACK, SUBACK, PUBLISH, PUBACK and PINGRESP come out. An error behind a good event
        is raised by the next call, so the events do not depend on how the bytes were cut.
        """
        if self._error is not None:
            raise self._error
        events = []
        try:
            for packet_type, flags, body in self._reader.feed(data):
                self._take(parse(packet_type, flags, body), events)
        except MqttError as error:
            self._error = error
            if not events:
                raise
        return events

    def _take(self, event, events):
        kind = event[0]
        if not self.session and kind != CONNACK:
            raise MqttError(UNEXPECTED_PACKET)
        if kind == PUBACK:
            # The second answer to a publish that was sent twice finds nothing, and is no event.
            waiting = self._waiting(event[1])
            if waiting is None:
                return
            self._window.remove(waiting)
        elif kind != PUBLISH:
            owed = kind << 16 | (event[1] if kind == SUBACK else 0)
            if self._owed.pop(owed, None) is None:
                raise MqttError(UNEXPECTED_PACKET)
            if kind == SUBACK and event[2] not in _GRANTED:
                raise MqttError(MALFORMED_PACKET)
            if kind == CONNACK:
                self.session = event[1] == 0
        self._heard_ms = self._now_ms
        events.append(event)

    # -- time -------------------------------------------------------------------------------

    def tick(self, now_ms):
        """Do what is due at `now_ms`: resend, ping; returns when to call again.

        MqttError CONNECTION_DEAD when an answer is overdue.
        """
        self._now_ms = now_ms
        if self._error is not None:
            raise self._error
        for due_ms in self._owed.values():
            if now_ms >= due_ms:
                raise MqttError(CONNECTION_DEAD)
        for waiting in self._window:
            if now_ms >= waiting[2]:
                self._resend(waiting)
        if now_ms >= self._ping_ms():
            self.ping()
        return self.due_ms()

    def _resend(self, waiting):
        if waiting[3] == RESENDS_MAX:
            raise MqttError(CONNECTION_DEAD)
        waiting[1][0] |= DUP
        waiting[2] = self._now_ms + ANSWER_MS
        waiting[3] += 1
        self.resends += 1
        self._append(waiting[1])

    def _ping_ms(self):
        """When the next ping is due: nothing said or nothing heard for too long."""
        if not self.session or not self._idle_ms or PINGRESP << 16 in self._owed:
            return self._now_ms + ANSWER_MS
        return min(self._sent_ms, self._heard_ms) + self._idle_ms

    def due_ms(self):
        """When `tick` has to be called again, unless bytes arrive before."""
        if self._error is not None:
            return self._now_ms
        due_ms = self._ping_ms()
        for owed_ms in self._owed.values():
            due_ms = min(due_ms, owed_ms)
        for waiting in self._window:
            due_ms = min(due_ms, waiting[2])
        return due_ms

    def _next_id(self):
        # Ids go round: one is not used again soon, when a late second PUBACK might still come.
        while True:
            self._packet_id = self._packet_id % 0xFFFF + 1
            if self._waiting(self._packet_id) is None:
                return self._packet_id

    def _waiting(self, packet_id):
        for waiting in self._window:
            if waiting[0] == packet_id:
                return waiting
        return None

    def _append(self, data):
        if len(self._out) + len(data) > OUTGOING_BYTES_MAX:
            raise MqttError(OUTGOING_FULL)
        self._out.extend(data)
        self._sent_ms = self._now_ms
