"""A reader that says the same message over and over, in a process of its own.

    python -m tools.bench.flooder HOST PORT TOPIC PAYLOAD(hex) BYTES_PER_S(0: no bound)

It waits for no answer: PUBACKs are read and thrown away. What it sends is made beforehand, so it
costs the machine that it shares with who is measured as little as a flood can. It stops when its
standard input ends, and prints how many messages went out and what CPU time that took.
"""

import contextlib
import json
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

from protocols.wire import mqtt
from protocols.wire.mqtt_client import MqttClient
from tools import child
from tools.rooms import ROOT

_CONNECT_S = 10.0
_WAIT_MS = 20
_PACKETS_AHEAD = 64
_READ_BYTES = 65_536


@dataclass
class Flood:
    """What was said, once it is over: messages, and CPU seconds of who said it."""

    messages: int = 0
    cpu_s: float = 0.0


@contextmanager
def flooded(
    host: str, port: int, topic: str, payload: bytes, bytes_per_s: int = 0
) -> Iterator[Flood]:
    """`payload` comes again and again on `topic`, over a line of `bytes_per_s` (0: any)."""
    command = [sys.executable, "-m", "tools.bench.flooder", host, str(port), topic, payload.hex()]
    flood = Flood()
    with child.start(
        [*command, str(bytes_per_s)], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()  # it has begun
        try:
            yield flood
        finally:
            process.stdin.close()
            told = json.loads(process.stdout.readline() or "{}")
            flood.messages, flood.cpu_s = told.get("messages", 0), told.get("cpu_s", 0.0)


def _connected(host: str, port: int) -> socket.socket:
    client = MqttClient("bench-flood", 0)
    client.connect(0)
    line = socket.create_connection((host, port), _CONNECT_S)
    line.sendall(bytes(client.data_to_send()))
    while not client.session:
        client.receive(line.recv(_READ_BYTES))
    line.setblocking(False)
    return line


def _packets(topic: str, payload: bytes) -> list[bytes]:
    """PUBLISH packets of QoS 1, each with an identifier of its own."""
    numbers = (struct.pack(">H", number) for number in range(1, _PACKETS_AHEAD + 1))
    first = mqtt.PUBLISH << 4 | 1 << 1
    return [bytes(mqtt.packet(first, mqtt.field(topic), number, payload)) for number in numbers]


def _flood(line: socket.socket, packets: list[bytes], bytes_per_s: int) -> int:
    """Send `packets` in turn until the standard input ends; how many went out whole."""
    ear = select.poll()
    ear.register(sys.stdin, select.POLLIN | select.POLLHUP)
    ear.register(line, select.POLLIN | select.POLLOUT)
    start_s = time.monotonic()
    turns = cycle(packets)
    unsent, sent_bytes = b"", 0
    while not any(fd == sys.stdin.fileno() for fd, _events in ear.poll(_WAIT_MS)):
        with contextlib.suppress(BlockingIOError):
            line.recv(_READ_BYTES)
        with contextlib.suppress(BlockingIOError):
            unsent = unsent or b"".join(next(turns) for _ in packets)
            went = line.send(unsent)
            sent_bytes += went
            unsent = unsent[went:]
        ahead_s = bytes_per_s and sent_bytes / bytes_per_s - (time.monotonic() - start_s)
        if ahead_s > 0:
            time.sleep(ahead_s)
    return sent_bytes // len(packets[0])


def main(host: str, port: str, topic: str, payload: str, bytes_per_s: str) -> None:
    """See the module."""
    line = _connected(host, int(port))
    print("begun", flush=True)
    before_s = time.process_time()
    messages = _flood(line, _packets(topic, bytes.fromhex(payload)), int(bytes_per_s))
    cpu_s = time.process_time() - before_s
    print(json.dumps({"messages": messages, "cpu_s": round(cpu_s, 6)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
