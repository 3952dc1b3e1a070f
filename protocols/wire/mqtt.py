"""The packets of MQTT 3.1.1: a byte stream cut into packets, packets taken apart and built.

Knows both directions, so that the reader's client and the simulator's wire tap read with the same
eyes. Rules of this file: QoS 2 is never spoken, meeting it is an error; topics are printable
ASCII, as all of ours are. Format: OASIS standard "MQTT Version 3.1.1", sections 2 and 3.
"""

import struct

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
_QOS_2_TYPES = (5, 6, 7)  # PUBREC, PUBREL, PUBCOMP

PACKET_BYTES_MAX = 4096
SUBSCRIPTION_REFUSED = 0x80
RETAIN, DUP = 1, 8  # flags of a PUBLISH

MALFORMED_LENGTH = 141
PACKET_TOO_LONG = 142
UNKNOWN_PACKET = 143
MALFORMED_PACKET = 144
MALFORMED_TOPIC = 145
QOS_2 = 146
UNEXPECTED_PACKET = 147
WINDOW_FULL = 148
OUTGOING_FULL = 149
CONNECTION_DEAD = 150
CONNECTION_REFUSED = 151


class MqttError(Exception):
    """This connection is over: `code` is a number of this module.

    In words: mqtt_texts.py, which no reader imports.
    """

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class PacketReader:
    """Cuts one direction of a connection into packets, however its bytes arrive."""

    def __init__(self, packet_bytes_max=PACKET_BYTES_MAX):
        self._body_bytes_max = packet_bytes_max
        self._first = -1  # the packet's first byte; -1 between packets
        self._length = 0
        self._shift = 0
        self._body = None  # bytearray once the length is known
        self._filled = 0

    def feed(self, data):
        """Generate (type, flags, body bytes) for every packet that `data` completes.

        A generator: run it to its end before feeding again. MqttError ends the connection.
        """
        at, end = 0, len(data)
        while at < end:
            if self._body is None:
                self._take_head(data[at])
                at += 1
            else:
                count = min(end - at, self._length - self._filled)
                self._body[self._filled : self._filled + count] = data[at : at + count]
                self._filled += count
                at += count
            if self._body is not None and self._filled == self._length:
                packet = (self._first >> 4, self._first & 15, bytes(self._body))
                self._first, self._body = -1, None
                yield packet

    def _take_head(self, byte):
        if self._first < 0:
            self._first = byte
            self._length = self._shift = 0
            return
        self._length |= (byte & 127) << self._shift
        self._shift += 7
        if self._length > self._body_bytes_max:
            raise MqttError(PACKET_TOO_LONG)
        if byte < 128:
            self._body = bytearray(self._length)
            self._filled = 0
        elif self._shift == 28:
            raise MqttError(MALFORMED_LENGTH)


def parse(packet_type, flags, body):
    """The event of one packet of either direction; MqttError if it is none.

    (CONNECT, client_id, keepalive_s, clean, will_topic or None)
    (CONNACK, code, session_present)     (SUBSCRIBE, packet_id, ((filter, qos), ..))
    (SUBACK, packet_id, (code, ..))      (UNSUBSCRIBE, packet_id, (filter, ..))
    (PUBLISH, topic, payload, qos, retain, packet_id or 0, dup)
    (PUBACK, packet_id)  (UNSUBACK, packet_id)  (PINGREQ,)  (PINGRESP,)  (DISCONNECT,)
    """
    if packet_type in _QOS_2_TYPES:
        raise MqttError(QOS_2)
    wanted, parser = _PARSERS.get(packet_type, (-1, None))
    if parser is None or (flags != wanted and packet_type != PUBLISH):
        raise MqttError(UNKNOWN_PACKET)
    return parser(packet_type, flags, body)


def _parse_empty(packet_type, _flags, body):
    _expect(not body)
    return (packet_type,)


def _parse_id(packet_type, _flags, body):
    _expect(len(body) == 2)
    return (packet_type, _packet_id(body, 0))


def _parse_connack(packet_type, _flags, body):
    # A refusal never has a session; codes 0 to 5 are all there are.
    _expect(len(body) == 2 and body[0] <= 1 and body[1] <= 5 and not (body[0] and body[1]))
    return (packet_type, body[1], body[0] == 1)


def _parse_suback(packet_type, _flags, body):
    _expect(len(body) >= 3)
    codes = tuple(body[2:])
    _expect(all(code <= 2 or code == SUBSCRIPTION_REFUSED for code in codes))
    return (packet_type, _packet_id(body, 0), codes)


def _parse_publish(packet_type, flags, body):
    qos = flags >> 1 & 3
    if qos == 2:
        raise MqttError(QOS_2)
    _expect(qos < 2 and (qos or not flags & DUP))
    topic, at = _text(body, 0)
    _expect_topic(is_topic(topic))
    packet_id = 0
    if qos:
        packet_id = _packet_id(body, at)
        at += 2
    return (packet_type, topic, body[at:], qos, bool(flags & RETAIN), packet_id, bool(flags & DUP))


def _parse_subscribe(packet_type, _flags, body):
    packet_id, at = _packet_id(body, 0), 2
    filters = []
    while at < len(body) or not filters:
        name, at = _text(body, at)
        if packet_type == UNSUBSCRIBE:
            filters.append(name)
            continue
        _expect(at < len(body) and body[at] <= 2)
        filters.append((name, body[at]))
        at += 1
    return (packet_type, packet_id, tuple(filters))


def _parse_connect(packet_type, _flags, body):
    _expect(body[:7] == b"\x00\x04MQTT\x04" and len(body) >= 10)
    flags = body[7]
    _expect(not flags & 1 and flags >> 3 & 3 < 3 and (flags & 4 or not flags & 0x38))
    _expect(flags & 0x80 or not flags & 0x40)
    keepalive_s = body[8] << 8 | body[9]
    client_id, at = _text(body, 10)
    will_topic = None
    if flags & 4:
        will_topic, at = _text(body, at)
        at = _skip(body, at)
    if flags & 0x80:
        at = _skip(body, at)
    if flags & 0x40:
        at = _skip(body, at)
    _expect(at == len(body))
    return (packet_type, client_id, keepalive_s, bool(flags & 2), will_topic)


# type: (the only flags it may carry, parser); PUBLISH looks at its flags itself
_PARSERS = {
    CONNECT: (0, _parse_connect),
    CONNACK: (0, _parse_connack),
    PUBLISH: (0, _parse_publish),
    PUBACK: (0, _parse_id),
    SUBSCRIBE: (2, _parse_subscribe),
    SUBACK: (0, _parse_suback),
    UNSUBSCRIBE: (2, _parse_subscribe),
    UNSUBACK: (0, _parse_id),
    PINGREQ: (0, _parse_empty),
    PINGRESP: (0, _parse_empty),
    DISCONNECT: (0, _parse_empty),
}


def is_topic(topic):
    """Whether `topic` names one topic: not empty, no wildcard."""
    return bool(topic) and "+" not in topic and "#" not in topic


def _expect(condition):
    if not condition:
        raise MqttError(MALFORMED_PACKET)


def _expect_topic(condition):
    if not condition:
        raise MqttError(MALFORMED_TOPIC)


def _packet_id(body, at):
    _expect(at + 2 <= len(body))
    packet_id = body[at] << 8 | body[at + 1]
    _expect(packet_id)
    return packet_id


def _skip(body, at):
    """The end of the length-prefixed field at `at`."""
    _expect(at + 2 <= len(body))
    end = at + 2 + (body[at] << 8 | body[at + 1])
    _expect(end <= len(body))
    return end


def _text(body, at):
    # ASCII only: MicroPython and CPython disagree about what broken UTF-8 is.
    end = _skip(body, at)
    for i in range(at + 2, end):
        _expect_topic(32 <= body[i] < 127)
    return body[at + 2 : end].decode(), end


def packet(first, *parts):
    """One packet as a bytearray: its first byte, then the parts (bytes-like) of its body."""
    length = sum(len(part) for part in parts)
    out = bytearray((first,))
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    for part in parts:
        out.extend(part)
    return out


def field(value):
    """Text or bytes behind their length, as MQTT writes both."""
    if isinstance(value, str):
        value = value.encode()
    return struct.pack(">H", len(value)) + value


def connect_packet(client_id, keepalive_s, will_topic, will_payload, username, password):
    """CONNECT with a clean session; the will, if any, has QoS 1 and is retained."""
    flags = 2  # clean session
    parts = [field(client_id)]
    if will_topic is not None:
        flags |= 0x2C  # will, QoS 1, retained
        parts += [field(will_topic), field(will_payload)]
    if username is not None:
        flags |= 0x80
        parts.append(field(username))
        if password is not None:
            flags |= 0x40
            parts.append(field(password))
    head = b"\x00\x04MQTT\x04" + struct.pack(">BH", flags, keepalive_s)
    return packet(CONNECT << 4, head, *parts)
