"""What a peer may answer: nothing but NoAnswer comes of it, in the time that was given."""

import socket
import threading
import time

import pytest

from adapters.signed_http import SEAL, NoAnswer, SignedHttp

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.fixture
def behind():
    """behind(serve, timeout_s): a SignedHttp to a peer that does serve(socket)."""
    listener, threads = socket.create_server(("127.0.0.1", 0)), []

    def start(serve, timeout_s=5):
        def run():
            peer, _ = listener.accept()
            with peer:
                peer.recv(65_536)
                serve(peer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return SignedHttp(url, bytes(32), timeout_s, bytes)

    yield start
    for thread in threads:
        thread.join()
    listener.close()


@pytest.mark.parametrize("seal", [b"", b"00", b"\xe9" * 64, "封".encode()])
def test_what_is_no_seal_is_no_answer(behind, seal):
    head = HEAD + SEAL.encode() + b": " + seal
    http = behind(lambda peer: peer.sendall(head + b"\r\n\r\n{}"))
    with pytest.raises(NoAnswer, match="without their seal"):
        http.call("GET", "/orders/x")


def drip(head, rest):
    """A peer that says `head` and then `rest` again and again, for as long as it is heard."""

    def serve(peer):
        end_s = time.monotonic() + 5
        try:
            peer.sendall(head)
            while time.monotonic() < end_s:
                time.sleep(0.05)
                peer.sendall(rest)
        except OSError:
            pass

    return serve


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"{"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"{"),
    ],
    ids=["status", "headers", "body", "last body"],
)
def test_a_peer_that_drips_holds_a_call_no_longer_than_its_time(behind, head, rest):
    http, begin_s = behind(drip(head, rest), timeout_s=0.3), time.monotonic()
    with pytest.raises(NoAnswer):
        http.call("GET", "/orders/x")
    assert time.monotonic() - begin_s < 3
    for one in threading.enumerate():
        if isinstance(one, threading.Timer):
            one.join(1)
            assert not one.is_alive()
