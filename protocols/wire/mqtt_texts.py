"""What the numbers of protocols.wire.mqtt mean, for people; readers do not import this."""

from protocols.wire.mqtt import (
    CONNECTION_DEAD,
    CONNECTION_REFUSED,
    MALFORMED_LENGTH,
    MALFORMED_PACKET,
    MALFORMED_TOPIC,
    OUTGOING_FULL,
    PACKET_TOO_LONG,
    QOS_2,
    UNEXPECTED_PACKET,
    UNKNOWN_PACKET,
    WINDOW_FULL,
)

TEXTS = {
    MALFORMED_LENGTH: "the remaining length has more than four bytes",
    PACKET_TOO_LONG: "longer than this side takes",
    UNKNOWN_PACKET: "no packet type with these flags",
    MALFORMED_PACKET: "the fields do not fit the packet",
    MALFORMED_TOPIC: "not a topic of this system",
    QOS_2: "QoS 2 is never spoken here",
    UNEXPECTED_PACKET: "this packet has no place here",
    WINDOW_FULL: "too many publishes without an answer",
    OUTGOING_FULL: "too many bytes wait to be sent",
    CONNECTION_DEAD: "no answer in time",
    CONNECTION_REFUSED: "the broker does not accept us",
}
