"""`onecard sim desk`: a stage, a server on loopback, and a browser if somebody wants one."""

from __future__ import annotations

import shutil
import socket
import subprocess
import webbrowser
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import uvicorn

from simulator.desk.server import app_of
from simulator.desk.stage import Stage

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def serve(
    path: Path,
    *,
    port: int = 0,
    seed: int | None = None,
    broker: str = "auto",
    in_vm: Collection[str] = (),
    boards: Mapping[str, str] | None = None,
    opens: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the scenario of a file until it is interrupted; ScenarioError if it cannot be used.

    `in_vm`: readers whose firmware runs in a real MicroPython; VmMissing without one. `boards`: by
    reader, the URL of the serial port of a real one. `port` 0 is a free one.
    `opens`: a browser, in a window of its own where it can.
    """
    sock = socket.create_server(("127.0.0.1", port))
    with sock:
        homes = {"in_vm": in_vm, "boards": boards}
        stage = Stage(path.read_text(encoding="utf-8"), path, seed=seed, broker=broker, **homes)
        try:
            bound = sock.getsockname()[1]
            url = f"http://127.0.0.1:{bound}/"
            say(f"The desk is at {url} (Ctrl-C ends it)")
            if opens:
                _open(url)
            server_of(stage, bound).run(sockets=[sock])
        finally:
            stage.close()


def server_of(stage: Stage, port: int, token: str | None = None) -> uvicorn.Server:
    """What serves a stage; with `should_exit` it ends, whoever still listens."""
    ends: list[uvicorn.Server] = []
    app = app_of(stage, port, token, lambda: ends[0].should_exit)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    ends.append(uvicorn.Server(config))
    return ends[0]


def _open(url: str) -> None:
    for name in _BROWSERS:
        program = shutil.which(name)
        if program:
            quiet = subprocess.DEVNULL
            subprocess.Popen([program, f"--app={url}"], stdout=quiet, stderr=quiet)
            return
    webbrowser.open(url)
