"""The agent's port to a serial line: what pyserial does, and what becomes of it."""

import random
import socket
import threading
import time

import pytest
import serial
import serial.rfc2217

from adapters.mqtt import Message
from edge_agent.polling import Polling
from edge_agent.reader_ports import ReaderPorts
from edge_agent.serial_line import SerialLine
from protocols.wire import topics
from protocols.wire.frame import START, UP, decode_frame, encode_frame
from protocols.wire.serial_client import SerialClient
from tests.edge_agent.peers import SITE
from tests.edge_agent.ports import FakePort

LIMIT_S = 20


def until(is_done):
    end_s = time.monotonic() + LIMIT_S
    while not is_done():
        assert time.monotonic() < end_s, "not in time"
        time.sleep(0.005)


@pytest.fixture
def serve():
    """Serve the first that connects, by `talk(connection)`; the port. Over when the test is."""
    servers = []

    def make(talk):
        servers.append(Server(talk))
        return servers[-1].port

    yield make
    for server in servers:
        server.join(LIMIT_S)
        assert not server.is_alive()


@pytest.fixture
def line_to(serve):
    del serve  # its threads end when the lines have been closed
    lines = []

    def make(url, devices=(1001,)):
        lines.append(SerialLine(url, 115_200, list(devices)))
        lines[-1].start()
        return lines[-1]

    yield make
    for line in lines:
        line.close()


class Server(threading.Thread):
    """Serves the first that connects: by `talk(connection)`."""

    def __init__(self, talk):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._talk = talk
        self.start()

    def run(self):
        connection = self._listener.accept()[0]
        with connection:
            self._talk(connection)
        self._listener.close()


def reader_that_says(*payloads):
    """One reader at the other end of a socket, with these messages; what it was told."""
    heard = []

    def talk(connection):
        client = SerialClient(1001, random.Random(27).randbytes)
        client.connect(0)
        client.subscribe("down")
        start_s = time.monotonic()
        connection.settimeout(0.01)
        while len(heard) < 1:
            client.tick(int((time.monotonic() - start_s) * 1000))
            try:
                data = connection.recv(512)
            except TimeoutError:
                data = None
            except OSError:
                data = b""
            if data == b"":
                return
            for event in client.receive(data or b""):
                if event[0] == 9:  # SUBACK: a session has begun
                    for payload in payloads:
                        client.publish("up", payload)
                elif len(event) > 3:
                    heard.append(event[2])
            try:
                connection.sendall(client.data_to_send())
            except OSError:
                return

    return talk, heard


def test_messages_by_a_socket(serve, line_to):
    talk, heard = reader_that_says(b"one", b"two " * 100)
    line = line_to(f"socket://127.0.0.1:{serve(talk)}")
    until(lambda: len(line._polling.inbox) == 2)
    assert line.connected and line.counters["readers_up"] == 1
    assert line.take() == (1001, b"one")
    assert line.take() == (1001, b"two " * 100)
    assert line.take() is None
    assert line.take_events() == [("reader_up", 1001)]
    assert line.publish(1001, b"three " * 90)
    until(lambda: heard)
    assert heard == [b"three " * 90]
    until(lambda: not line.connected)
    assert "socket disconnected" in line.last_error


@pytest.mark.filterwarnings("ignore:set:DeprecationWarning")  # pyserial names its thread so
def test_a_line_behind_rfc2217_with_an_adapter_that_hears_itself(serve, line_to):
    """The server's port is a loop: what is sent comes back, and is nobody's answer."""

    def talk(connection):
        port = serial.serial_for_url("loop://", timeout=0.01)
        writer = connection.makefile("wb", buffering=0)
        manager = serial.rfc2217.PortManager(port, writer)
        connection.settimeout(0.01)
        while True:
            try:
                data = connection.recv(512)
            except TimeoutError:
                data = None
            except OSError:
                return
            if data == b"":
                return
            port.write(b"".join(manager.filter(data or b"")))
            back = port.read(port.in_waiting)
            try:
                connection.sendall(b"".join(manager.escape(back)))
            except OSError:
                return

    line = line_to(f"rfc2217://127.0.0.1:{serve(talk)}")
    until(lambda: line.counters.get("echoed", 0) >= 2)
    assert line.connected
    assert line.take() is None
    assert line.counters["readers_up"] == 0
    assert line.take_events() == [("reader_silent", 1001)]


def test_a_port_that_is_not_there_is_tried_again(line_to, tmp_path):
    line = line_to(str(tmp_path / "ttyUSB0"))
    until(lambda: line.counters["lost_ports"] >= 2)
    assert not line.connected
    assert "ttyUSB0" in line.last_error
    assert not line.publish(1001, b"nobody")


def test_the_loop_is_woken(serve, line_to):
    """By a message, by a port that opens and by one that is lost; and it can be hushed."""
    talk, _ = reader_that_says(b"one")
    line = line_to(f"socket://127.0.0.1:{serve(talk)}")
    until(lambda: line._polling.inbox)
    wake = socket.socket(fileno=line.fileno())
    try:
        assert wake.recv(1, socket.MSG_PEEK) == b"!"
        line.hush()
        with pytest.raises(BlockingIOError):
            wake.recv(1, socket.MSG_PEEK)
    finally:
        wake.detach()


# -- many ways to readers --------------------------------------------------------------------


class FakeLine:
    """A line without readers: what it is told is a list."""

    def __init__(self, *devices):
        self.devices = list(devices)
        self.url = f"/dev/line-of-{devices[0]}"
        self.connected, self.last_error = True, ""
        self.counters = {"polls": 5}
        self.inbox = []
        self.said = []

    def take(self):
        return self.inbox.pop(0) if self.inbox else None

    def publish(self, device, payload):
        self.said.append((device, payload))
        return True


def test_each_reader_is_told_where_it_hangs():
    network, first, second = FakePort(), FakeLine(1001), FakeLine(1002, 1003)
    network.up()
    ports = ReaderPorts(SITE, network, [first, second])
    for device in (1001, 1003, 1004):
        assert ports.publish(topics.down(SITE, device), b"to %d" % device)
    assert first.said == [(1001, b"to 1001")]
    assert second.said == [(1003, b"to 1003")]
    assert network.sent() == [(topics.down(SITE, 1004), b"to 1004")]


def test_what_is_heard_has_its_readers_topic_and_is_never_acknowledged_to_a_broker():
    network, line = FakePort(), FakeLine(1001)
    network.up()
    ports = ReaderPorts(SITE, network, [line])
    network.deliver(topics.up(SITE, 1004), b"by the network")
    line.inbox.append((1001, b"by the line"))
    first, second = ports.take(), ports.take()
    assert (first.topic, first.payload, first.retain) == (
        topics.up(SITE, 1001),
        b"by the line",
        False,
    )
    assert second.payload == b"by the network"
    assert ports.take() is None
    ports.ack(first)
    ports.ack(Message(topics.up(SITE, 1004), b"", retain=False, mid=7, qos=1))
    assert [message.mid for message in network.acked] == [7]
    assert ports.counters == {"line1_connected": 1, "line1_polls": 5}


# -- polling alone ---------------------------------------------------------------------------


def test_answers_that_are_none():
    """Another number, an older poll, a session that is not ours: nothing of it is heard."""
    polling = Polling([1001, 1002], 115_200)
    due_ms = polling.step(0)
    (device, session, control, _) = decode_frame(polling.data_to_send()[1:-1])
    assert (device, session, control) == (1001, 0, START)
    polling.receive(bytes(encode_frame(1001, 77, UP)), 5)
    assert polling.is_waiting, "a second one may answer"
    polling.step(due_ms)
    (device, session, control, _) = decode_frame(polling.data_to_send()[1:-1])
    assert (device, session, control) == (1001, 77, 1)
    now_ms = due_ms + 1
    for frame in (
        encode_frame(1001, 77, UP | 2, b"x"),
        encode_frame(1001, 78, UP | 1, b"x"),
        encode_frame(1002, 77, UP | 1, b"x"),
        encode_frame(1001, 77, 1, b"x"),
    ):
        polling.receive(bytes(frame), now_ms)
        assert polling.is_waiting and not polling.inbox
    polling.receive(bytes(encode_frame(1001, 77, UP | 1, b"x")), now_ms)
    assert list(polling.inbox) == [(1001, b"x")]
    assert not polling.is_waiting
    counted = {name: polling.counters[name] for name in ("late", "unasked", "echoed")}
    assert counted == {"late": 2, "unasked": 1, "echoed": 1}


def test_a_reader_that_never_ends_a_message_fills_no_memory():
    polling = Polling([1001], 115_200)
    polling.step(polling.step(0) - 1)
    polling.receive(bytes(encode_frame(1001, 9, UP)), 1)
    now_ms = 1_000
    for _ in range(40):
        now_ms = max(polling.step(now_ms), now_ms)
        data = polling.data_to_send()
        if not data:
            continue
        (_, session, control, _) = decode_frame(data[1:-1])
        if session:
            polling.receive(bytes(encode_frame(1001, 9, UP | 64 | control, bytes(240))), now_ms)
            now_ms += 10
    assert polling.counters["too_long"] > 2
    assert not polling.inbox
