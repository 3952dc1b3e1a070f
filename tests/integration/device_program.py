"""A reader's network side as a program of its own, for CPython and for the real MicroPython.

    device_program.py client PORT     every word of the MQTT client, once before and once after the
                                      broker is restarted (which is asked for on standard output)
    device_program.py uplink PORT N   the uplink with N records, until all of them are booked

Each line of output is one thing that happened. Real sockets, real time.
"""

import select
import socket
import sys
import time

from firmware.services.uplink import Uplink
from protocols.wire import mqtt
from protocols.wire.mqtt_client import MqttClient
from tests.link.bench import DEVICE, KEY, SITE, Source

EAGAIN, EINPROGRESS, ECONNREFUSED = 11, 115, 111
LIMIT_MS = 40000
TOPIC = "onecard/test/kept"


def now_ms():
    """Monotonic milliseconds of the host."""
    return time.ticks_ms() if hasattr(time, "ticks_ms") else time.monotonic_ns() // 1000000


def say(*words):
    """One line, at once."""
    print(*words)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


class SocketStream:
    """A non-blocking TCP connection with the methods of a board's stream."""

    def __init__(self, host, port):
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(6, 1, 1)  # TCP_NODELAY, which MicroPython has no name for
        try:
            self._socket.connect(socket.getaddrinfo(host, port)[0][-1])
        except OSError as error:
            if error.errno != EINPROGRESS:
                raise
        self.poll = select.poll()
        self.poll.register(self._socket, select.POLLIN | select.POLLOUT)

    def connected(self):
        for event in self.poll.poll(0):
            if event[1] & (select.POLLERR | select.POLLHUP):
                raise OSError(ECONNREFUSED)
            if event[1] & select.POLLOUT:
                self.poll.modify(self._socket, select.POLLIN)
                return True
        return False

    def send(self, data):
        try:
            return self._socket.send(data)
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            return 0

    def recv(self, size):
        try:
            return self._socket.recv(size)
        except OSError as error:
            if error.errno != EAGAIN:
                raise
            return None

    def close(self):
        self._socket.close()


class SocketNet:
    """board.net over the host's sockets."""

    client = MqttClient
    stream = None

    def is_up(self):
        return True

    def open(self, host, port):
        self.stream = SocketStream(host, port)
        return self.stream


class Board:
    def __init__(self, port):
        self.net = SocketNet()
        self.settings = {"broker_host": "127.0.0.1", "broker_port": port}


class Session:
    """An MqttClient on a real socket; waits for events, up to LIMIT_MS in all."""

    def __init__(self, port, client_id, will_topic=None, will_payload=None):
        self.client = MqttClient(client_id, 60, will_topic, will_payload)
        self._port = port
        self._limit_ms = now_ms() + LIMIT_MS
        self._events = []
        self._stream = None

    def connect(self):
        """Connect, however often it takes; the CONNACK's event."""
        while True:
            try:
                self._stream = SocketStream("127.0.0.1", self._port)
                while not self._stream.connected():
                    self._pause()
                self.client.connect(now_ms())
                return self.wait(mqtt.CONNACK)
            except OSError:
                self._pause()

    def wait(self, kind):
        """The next event of this kind; others keep. OSError when the connection ends."""
        while True:
            for i in range(len(self._events)):
                if self._events[i][0] == kind:
                    return self._events.pop(i)
            self.step()
            self._pause()

    def flush(self):
        """Send what there is."""
        unsent = bytes(self.client.data_to_send())
        while unsent:
            unsent = unsent[self._stream.send(unsent) :]

    def step(self):
        """Send and receive what there is."""
        self.client.tick(now_ms())
        self.flush()
        data = self._stream.recv(512)
        if data == b"":
            self.close()
            raise OSError("closed")
        if data:
            self._events += self.client.receive(data)

    def take(self):
        """The oldest event, or None."""
        return self._events.pop(0) if self._events else None

    def close(self):
        self._stream.close()

    def _pause(self):
        if now_ms() > self._limit_ms:
            raise SystemExit("timed out")
        time.sleep(0.001)


def wait_message(session, retain):
    """The next message that was (not) retained and comes with the QoS of our subscription."""
    while True:
        event = session.wait(mqtt.PUBLISH)
        # amqtt also greets a new client with what is retained for the subscriptions of others.
        if event[4] == retain and event[3] == 1:
            return event


def run_client(port):
    """Connect, subscribe, publish, hear, ping; twice, with a new broker between."""
    session = Session(port, "device-client")
    for turn in (1, 2):
        say("connack", session.connect()[1])
        packet_id = session.client.subscribe(TOPIC)
        suback = session.wait(mqtt.SUBACK)
        say("suback", suback[1] == packet_id, suback[2][0])
        if turn == 1:
            kept = wait_message(session, retain=True)
            say("message", kept[2].decode(), "qos", kept[3], "retain", kept[4])
            session.client.puback(kept[5])
        packet_id = session.client.publish(TOPIC, b"live")
        say("puback", session.wait(mqtt.PUBACK)[1] == packet_id)
        live = wait_message(session, retain=False)
        say("message", live[2].decode(), "qos", live[3], "retain", live[4])
        session.client.puback(live[5])
        session.client.ping()
        session.wait(mqtt.PINGRESP)
        say("pong")
        if turn == 1:
            say("restart the broker")
            try:
                session.wait(mqtt.CONNECT)
            except OSError:
                say("closed")
    session.client.disconnect()
    session.flush()
    say("done")


def run_uplink(port, count):
    """Deliver `count` records; says what is booked and, at the end, what was counted."""
    source = Source()
    board = Board(port)

    def on_receipt(upto, time_s, sent_ms, at_ms):
        source.receipted = upto
        say("booked", upto, time_s, sent_ms is not None and sent_ms <= at_ms)

    uplink = Uplink(board, source, SITE, DEVICE, KEY, on_receipt)
    source.grow(count)
    limit_ms = now_ms() + LIMIT_MS
    online = False
    while source.receipted < count and now_ms() < limit_ms:
        due_ms = uplink.step(now_ms())
        if uplink.online != online:
            online = uplink.online
            say("online" if online else "offline")
        wait_ms = max(0, min(due_ms - now_ms(), 50))
        if uplink.stream is not None:
            uplink.stream.poll.poll(wait_ms)
        else:
            time.sleep(wait_ms / 1000)
    say("sessions", uplink.counters["sessions"], "booked", source.receipted)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        run_client(int(sys.argv[2]))
    else:
        run_uplink(int(sys.argv[2]), int(sys.argv[3]))
