"""What a broker carries at most: QoS 1 from one paho client to another, nothing done with it.

The same adapter as agent and ledger use (adapters/mqtt.py), writes gathered as they do it. The
subscriber is a process of its own, as they are:
    python -m tools.bench.raw_mqtt HOST PORT
"""

import json
import select
import subprocess
import sys
import time
from dataclasses import dataclass

from adapters.mqtt import MqttPort
from tools import child
from tools.rooms import ROOT

_TOPIC, _END = "onecard/bench/raw", "onecard/bench/end"
_WAIT_MS = 20
_CONNECT_S = 10.0
_END_S = 30.0


class NoBroker(Exception):
    """The broker does not answer, or lost what it had acknowledged."""


@dataclass(frozen=True)
class Raw:
    """Messages per second end to end, and the subscriber's CPU seconds per 1,000 of them."""

    per_s: float
    cpu_s: float


def measure(host: str, port: int, payload_bytes: int, window: int, duration_s: float) -> Raw:
    """Publish for `duration_s` with `window` unacknowledged; NoBroker if not all arrives."""
    command = [sys.executable, "-m", "tools.bench.raw_mqtt", host, str(port)]
    with child.start(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as subscriber:
        publisher = MqttPort(host, port, "bench-publisher", subscriptions=[])
        try:
            assert subscriber.stdout is not None
            subscriber.stdout.readline()  # it has subscribed
            connect(publisher)
            start_s = time.monotonic()
            sent = _publish(publisher, bytes(payload_bytes), window, duration_s)
            told = json.loads(subscriber.stdout.readline() or "{}")
            took_s = time.monotonic() - start_s
        finally:
            publisher.close()
            subscriber.kill()
    if told.get("received") != sent:
        raise NoBroker(f"sent {sent}, received {told.get('received', 'not all')}")
    return Raw(sent / took_s, told["cpu_s"] / sent * 1000)


def connect(port: MqttPort) -> None:
    """Step `port` until it is up; NoBroker if that does not happen."""
    until_s = time.monotonic() + _CONNECT_S
    while not port.connected:
        step(port)
        if time.monotonic() > until_s:
            raise NoBroker(port.last_error)


def step(port: MqttPort) -> None:
    """Wait for the socket, shortly, and let the port work."""
    descriptor = port.fileno()
    if descriptor is not None:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN | port.wants_write() * select.POLLOUT)
        poller.poll(_WAIT_MS)
    port.step(time.monotonic_ns() // 1_000_000)


def _publish(port: MqttPort, payload: bytes, window: int, duration_s: float) -> int:
    """Keep the window full for a while, then say that this was all; how many were sent."""
    until_s = time.monotonic() + duration_s
    sent = 0
    while time.monotonic() < until_s and port.connected:
        port.hold()
        while port.unacked < window:
            port.publish(_TOPIC, payload)
            sent += 1
        port.release()
        step(port)
    port.publish(_END, b"")
    until_s = time.monotonic() + _END_S
    while port.unacked and port.connected and time.monotonic() < until_s:
        step(port)
    return sent


def _subscribe(host: str, port: int) -> None:
    """The other process: acknowledge everything, and at the end say how much it was."""
    subscriber = MqttPort(host, port, "bench-subscriber", subscriptions=[_TOPIC, _END])
    connect(subscriber)
    print("ready", flush=True)
    received, is_over = 0, False
    start_s = time.process_time()
    while not is_over:
        step(subscriber)
        subscriber.hold()
        while (message := subscriber.take()) is not None:
            is_over = message.topic == _END
            received += message.topic == _TOPIC
            subscriber.ack(message)
        subscriber.release()
    print(json.dumps({"received": received, "cpu_s": time.process_time() - start_s}), flush=True)
    subscriber.close()


if __name__ == "__main__":
    _subscribe(sys.argv[1], int(sys.argv[2]))
