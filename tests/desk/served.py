"""A desk that is served on loopback, in this process, as `onecard sim desk` serves it."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from simulator.desk.serve import server_of
from simulator.desk.stage import Stage

PATIENCE_S = 60
TOKEN = "token-of-the-test"


@contextmanager
def served(text, path=Path("campus.toml"), **options):
    """Yields (stage, url)."""
    stage = Stage(text, path, **options)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    server = server_of(stage, port, TOKEN)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        until_s = time.monotonic() + PATIENCE_S
        while not server.started and time.monotonic() < until_s:
            time.sleep(0.01)
        yield stage, f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
        stage.close()
        sock.close()
