"""The far end of `agent_beside`: hears what was carried, by whom ever, and notes each record.

A process of its own, at the broker of the card centre:
    python -m tools.bench.beside_upstream HOST PORT FILE
FILE grows by MARK_BYTES for each record that arrives, in that order. Nothing is answered, but for
what ThingsBoard's gateway asks before it sends anything (ThingsBoard's device API over MQTT): what
limits it has (method getSessionLimits) and what attributes. They are those of a ThingsBoard in
which nobody has set any.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from adapters.mqtt import MqttPort
from protocols.wire import messages, topics
from tools.bench import raw_mqtt
from tools.bench.prepared import SITE

MARK_BYTES = 8
GATEWAY_TELEMETRY = "v1/gateway/telemetry"
_LIMITS = {
    "rateLimits": {},
    "gatewayRateLimits": {},
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
}
# What a gateway asks -> (where it listens, what it is told); the number of the question follows.
_API: dict[str, tuple[str, dict]] = {
    "v1/devices/me/rpc/request/": ("v1/devices/me/rpc/response/", _LIMITS),
    "v1/devices/me/attributes/request/": ("v1/devices/me/attributes/response/", {}),
}
# A gateway hears answers and nothing else: ThingsBoard does not repeat to it what it has said.
GATEWAY_USER = "gateway"
ACCESS = "\n".join(
    [
        "topic readwrite #",
        f"user {GATEWAY_USER}",
        "topic write v1/#",
        *(f"topic read {answered}+" for answered, _ in _API.values()),
        "",
    ]
)


def mark(sealed: bytes) -> bytes:
    """What stands in FILE for a record."""
    return hashlib.sha256(sealed).digest()[:MARK_BYTES]


def marks(path: Path) -> list[bytes]:
    """All that has arrived so far, in that order."""
    data = path.read_bytes()
    whole = len(data) - len(data) % MARK_BYTES
    return [data[at : at + MARK_BYTES] for at in range(0, whole, MARK_BYTES)]


def records_in(topic: str, payload: bytes) -> list[bytes]:
    """The sealed records of a message: a FORWARD, a BATCH as a reader sent it, or the gateway's
    telemetry, whose values are BATCHes in hexadecimal."""
    if topic == GATEWAY_TELEMETRY:
        batches = list(_telemetry(payload))
    else:
        batches = [payload]
    return [sealed for batch in batches for sealed in _sealed(batch)]


def _telemetry(payload: bytes) -> Iterator[bytes]:
    for entries in json.loads(payload).values():
        for entry in entries:
            for value in entry.get("values", entry).values():
                yield bytes.fromhex(value)


def _sealed(payload: bytes) -> list[bytes]:
    expected = (messages.BATCH, messages.FORWARD, messages.HELLO)
    return messages.decode_message(payload, expected).get("records", [])


def _serve(port: MqttPort, file: BinaryIO) -> None:
    """Note what has come, then acknowledge it."""
    port.hold()
    while (message := port.take()) is not None:
        asked, slash, number = message.topic.rpartition("/")
        if asked + slash in _API:
            answered, answer = _API[asked + slash]
            port.publish(answered + number, json.dumps(answer).encode())
        else:
            records = records_in(message.topic, message.payload)
            file.write(b"".join(mark(sealed) for sealed in records))
        port.ack(message)
    port.release()
    file.flush()


def main(host: str, number: int, path: Path) -> None:
    """Until somebody ends this process, or its broker."""
    heard = [topics.records_filter(), topics.up_filter(SITE), GATEWAY_TELEMETRY]
    heard += [asked + "+" for asked in _API]
    port = MqttPort(host, number, "bench-upstream", subscriptions=heard)
    with path.open("ab") as file:
        raw_mqtt.connect(port)
        print("ready", flush=True)
        while port.connected:
            raw_mqtt.step(port)
            _serve(port, file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
