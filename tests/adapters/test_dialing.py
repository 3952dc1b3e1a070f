"""TCP without waiting: refused, silent, closed and slow peers."""

import select
import socket

import pytest

from adapters.dialing import DIAL_MS, HELD_BYTES_MAX, Dial, Stream


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def _dial(address, now_ms=0):
    dial = Dial(address, now_ms)
    for _ in range(100):
        sock = dial.step(now_ms)
        if sock is not None or dial.error:
            return dial, sock
        descriptor = dial.fileno()
        assert descriptor is not None
        poller = select.poll()
        poller.register(descriptor, select.POLLOUT if dial.wants_write else select.POLLIN)
        poller.poll(100)
    raise AssertionError("no end")


def test_a_closed_port_is_an_error_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
    dial, sock = _dial(address)
    assert sock is None
    assert dial.error == "ECONNREFUSED"
    assert dial.fileno() is None


def test_a_name_that_does_not_exist_is_an_error():
    dial, sock = _dial(("no-such-host.invalid", 1))
    assert sock is None
    assert "no-such-host" in dial.error


def test_a_silent_peer_is_given_up_in_time(listener):
    # A full backlog answers nothing to further connections, like a host behind a dead link.
    listener.listen(0)
    crowd = []
    for _ in range(8):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(listener.getsockname())
        crowd.append(one)
    dial = Dial(listener.getsockname(), 0)
    assert dial.step(0) is None
    assert dial.step(DIAL_MS - 1) is None
    assert dial.error == ""
    assert dial.step(DIAL_MS) is None
    assert dial.error == "no answer in time"
    for one in crowd:
        one.close()


def test_a_connection_is_non_blocking_and_without_nagle(listener):
    _, sock = _dial(listener.getsockname())
    assert sock is not None
    assert not sock.getblocking()
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    sock.close()


@pytest.fixture
def ends():
    left, right = socket.socketpair()
    left.setblocking(False)
    yield Stream(left), right
    left.close()
    right.close()


def test_reading_says_when_there_is_nothing_more(ends):
    stream, peer = ends
    with pytest.raises(BlockingIOError):
        stream.recv(1)
    assert stream.dry
    peer.sendall(b"abcdef")
    stream.dry = False
    assert [stream.recv(1), stream.recv(2), stream.recv(9)] == [b"a", b"bc", b"def"]
    assert not stream.dry
    peer.close()
    assert stream.recv(1) == b""


def test_what_is_held_goes_out_in_one_piece_and_in_order(ends):
    stream, peer = ends
    stream.hold()
    for piece in (b"a", b"bc", b"def"):
        assert stream.send(piece) == len(piece)
    peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        peer.recv(10)
    assert stream.is_holding
    assert stream.release()
    assert peer.recv(10) == b"abcdef"
    assert stream.send(b"x") == 1
    assert peer.recv(10) == b"x"


def test_a_slow_peer_gets_all_of_what_was_held(ends):
    stream, peer = ends
    stream.hold()
    data = bytes(range(256)) * (HELD_BYTES_MAX // 256)
    assert stream.send(data) == len(data)
    with pytest.raises(BlockingIOError):
        stream.send(b"too much")
    assert not stream.release()
    got = b""
    while len(got) < len(data):
        got += peer.recv(1 << 20)
        stream.release()
    assert got == data
    assert stream.release()
