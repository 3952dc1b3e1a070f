"""Publishes through one of three MQTT clients in MicroPython: for mqtt_client.py, which counts.

Runs in MicroPython as a main program: mqtt_speaker.py CLIENT HOST PORT WORK COUNT, with the folder
of the client on the path. CLIENT is one of CLIENTS. Prints one dictionary at the end.

WORK is "heap", "deliver" (each message until it is acknowledged, over a new connection when the
one before has failed: a line "failed NUMBER MS WHY" for each failure) or one of WORKS.
"""

# MicroPython has no typing module to take the names of types from, and functions of its own.
# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ANN204
# pyright: reportAttributeAccessIssue=false, reportMissingImports=false

import gc
import select
import socket
import sys
import time

TOPIC, PAYLOAD_BYTES, KEEPALIVE_S = b"onecard/v1/bench/1001/up", 240, 60
WINDOW = 8
_IPPROTO_TCP, _TCP_NODELAY = 6, 1
_LOOK_MS = 100


class Counted:
    """A socket that counts what is written to it."""

    def __init__(self, held):
        self._held = held
        self.writes = self.reads = 0
        self.setblocking, self.close = held.setblocking, held.close

    def write(self, *data):
        self.writes += 1
        return self._held.write(*data)

    send = write

    def read(self, size):
        self.reads += 1
        return self._held.read(size)

    def recv(self, size):
        self.reads += 1
        return self._held.recv(size)


class Ours:
    """Our client, its bytes moved as on the board: one poll, nothing that blocks."""

    def __init__(self, host, port):
        from protocols.wire.mqtt_client import MqttClient

        self._address = socket.getaddrinfo(host, port)[0][-1]
        self.client = MqttClient("bench-1001", KEEPALIVE_S)

    def connect(self):
        self.sock = socket.socket()
        self.sock.connect(self._address)
        self.sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self._used = self.sock
        self._poller = select.poll()
        self._poller.register(self.sock, select.POLLIN)
        self.client.connect(time.ticks_ms())
        while not self.client.session:
            self.turn()

    def use(self, sock):
        self._used = sock

    def turn(self):
        due_ms = self.client.tick(time.ticks_ms())
        data = self.client.data_to_send()
        if data:
            self._used.send(data)
        for _ in self._poller.poll(max(0, time.ticks_diff(due_ms, time.ticks_ms()))):
            data = self._used.recv(512)
            if data == b"":
                raise OSError("closed")
            if data:
                self.client.receive(data)

    def publish(self, payload):
        self.client.publish("onecard/v1/bench/1001/up", payload)
        while self.client.unacked:
            self.turn()

    def begin(self, payload):
        while self.client.unacked >= WINDOW:
            self.turn()
        self.client.publish("onecard/v1/bench/1001/up", payload)

    def end(self):
        while self.client.unacked:
            self.turn()


class Simple:
    """umqtt.simple: it waits by itself. TCP_NODELAY is set for it unless `is_plain`."""

    is_plain = False

    def __init__(self, host, port):
        from umqtt.simple import MQTTClient

        self.client = MQTTClient(b"bench-1001", host, port, keepalive=KEEPALIVE_S)

    def connect(self):
        self.client.connect()
        self.sock = self.client.sock
        if not self.is_plain:
            self.sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)

    def publish(self, payload):
        self.client.publish(TOPIC, payload, qos=1)

    begin = publish

    def end(self):
        pass

    def use(self, sock):
        self.client.sock = sock


class Plain(Simple):
    """umqtt.simple as it comes."""

    is_plain = True


class Simple2:
    """umqtt.simple2: it says by a callback what has become of a publish."""

    def __init__(self, host, port):
        from umqtt.simple2 import MQTTClient

        self.client = MQTTClient("bench-1001", host, port, keepalive=KEEPALIVE_S)
        self.client.set_callback_status(self._told)
        self._waiting = {}

    def connect(self):
        self._waiting.clear()
        self.client.connect()
        self.sock = self.client.sock
        self.sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)

    def use(self, sock):
        self.client.sock = sock

    def _told(self, packet_id, status):
        if status == 0:
            raise OSError("not acknowledged in time")
        self._waiting.pop(packet_id, None)

    def turn(self):
        self.client.poller_r.poll(_LOOK_MS)
        self.client.check_msg()

    def publish(self, payload):
        self.begin(payload)
        self.end()

    def begin(self, payload):
        while len(self._waiting) >= WINDOW:
            self.turn()
        self._waiting[self.client.publish(TOPIC, payload, qos=1)] = True

    def end(self):
        while self._waiting:
            self.turn()


CLIENTS = {"ours": Ours, "simple": Simple, "simple as it comes": Plain, "simple2": Simple2}


def message(number):
    """What is published: its number and filling."""
    head = b"%06d" % number
    return head + bytes(PAYLOAD_BYTES - len(head))


def count(client, messages):
    for number in range(messages):
        client.publish(message(number))
    return {}


def timed(client, messages):
    payload, took_us = message(0), []
    for _ in range(messages):
        start_us = time.ticks_us()
        client.publish(payload)
        took_us.append(time.ticks_diff(time.ticks_us(), start_us))
    took_us.sort()
    return {"median_us": took_us[messages // 2]}


def window(client, messages):
    payload, start_us = message(0), time.ticks_us()
    for _ in range(messages):
        client.begin(payload)
    client.end()
    return {"each_us": time.ticks_diff(time.ticks_us(), start_us) // messages}


def traffic(client, messages):
    """Calls of the socket: each write is a segment of TCP, each read a call into the stack."""
    counted = Counted(client.sock)
    client.use(counted)
    for _ in range(messages):
        client.publish(message(0))
    client.use(client.sock)
    return {"writes": counted.writes, "reads": counted.reads}


def allocated(client, messages):
    """Bytes that a publish leaves to the collector."""
    payload = message(0)
    client.publish(payload)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(messages):
        client.publish(payload)
    return {"allocated": gc.mem_alloc() - before}


def heap(kind, host, port):
    """Live bytes of the code and of a connection that has published."""
    gc.collect()
    before = gc.mem_alloc()
    client = CLIENTS[kind](host, port)
    gc.collect()
    loaded = gc.mem_alloc()
    client.connect()
    client.publish(message(0))
    gc.collect()
    return {"code": loaded - before, "connection": gc.mem_alloc() - loaded}


def deliver(kind, host, port, messages):
    client, failures = None, 0
    for number in range(messages):
        start_ms = time.ticks_ms()
        while True:
            try:
                if client is None:
                    client = CLIENTS[kind](host, port)
                    client.connect()
                client.publish(message(number))
                break
            except Exception as error:  # noqa: BLE001 - whatever a client raises
                took_ms = time.ticks_diff(time.ticks_ms(), start_ms)
                print("failed", number, took_ms, repr(error).replace(" ", "_"))
                client, failures = None, failures + 1
    return {"failures": failures}


WORKS = {
    "count": count,
    "time": timed,
    "window": window,
    "traffic": traffic,
    "allocated": allocated,
}


def main(kind, host, port, work, messages):
    if work == "heap":
        return heap(kind, host, port)
    if work == "deliver":
        return deliver(kind, host, port, messages)
    client = CLIENTS[kind](host, port)
    client.connect()
    return WORKS[work](client, messages)


if __name__ == "__main__":
    print(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
