"""A desk that is served on loopback, in this process, as `onecard sim desk` serves it."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from simulator.desk.server import app_of
from simulator.desk.stage import Stage

PATIENCE_S = 60
TOKEN = "token-of-the-test"


@contextmanager
def served(text, path=Path("campus.toml"), **options):
    """Yields (stage, url)."""
    stage = Stage(text, path, **options)
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    config = uvicorn.Config(
        app_of(stage, port, TOKEN), log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
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
