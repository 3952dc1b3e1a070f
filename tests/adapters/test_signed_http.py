"""What a peer may answer: nothing but NoAnswer comes of it, in the time that was given."""

import socket
import threading

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
