"""The agent's page, its metrics and its view as JSON, on this machine only, to be looked at.

    /             for people        /status.json  for `onecard agent top`
    /metrics      for Prometheus    /health       200 while the loop goes on, else 503

It runs in a thread of its own, knows nothing but the last view it was given, and can change
nothing: so it can neither hold the agent up nor be used against it.
"""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jinja2 import Environment, PackageLoader
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from adapters.identity import WARN_DAYS
from edge_agent.metrics import AgentCollector

STALE_MS = 10_000
_HTML, _JSON, _TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
# Whoever makes a browser here look up another name for this address gets nothing.
_HERE = ("localhost", "127.0.0.1", "[::1]")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """Listens on `port` of the loopback from its making on. Raises OSError if it cannot."""

    def __init__(self, port: int, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._view: dict[str, Any] = {}
        self._made_ms = now_ms()
        self._registry = CollectorRegistry()
        self._registry.register(AgentCollector(lambda: self._view))
        loader = PackageLoader("edge_agent", "pages")
        self._template = Environment(loader=loader, autoescape=True).get_template("agent.html")
        self._server = _Server(("127.0.0.1", port), _handler(self))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def show(self, view: dict[str, Any]) -> None:
        """From now on this is what is seen. Nobody may change it any more."""
        self._view, self._made_ms = view, self._now_ms()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _drawn(self, view: dict[str, Any]) -> bytes:
        return self._template.render(view=view, ago=_ago, warn_days=WARN_DAYS).encode()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, kind and body for a path."""
        view = self._view
        if path == "/":
            return 200, _HTML, self._drawn(view)
        if path == "/status.json":
            return 200, _JSON, json.dumps(view).encode()
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)
        if path == "/health":
            if self._now_ms() - self._made_ms > STALE_MS:
                return 503, _TEXT, b"the loop stands still\n"
            return 200, _TEXT, b"ok\n"
        return 404, _TEXT, b"nothing here\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(page: Page) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5
        server_version = "onecard-agent"
        sys_version = ""

        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rsplit(":", 1)[0]
            if host in _HERE:
                status, kind, body = page.answer(self.path)
            else:
                status, kind, body = 421, _TEXT, b"only for this machine\n"
            self.send_response(status)
            for name, value in {**_HEADERS, "Content-Type": kind}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Whoever looks is nobody's business."""

    return Handler


def _ago(time_s: object, utc_s: int) -> str:
    """How long ago that was, roughly, for people; a dash for what a reader has not told yet."""
    if not isinstance(time_s, int):
        return "–"
    past_s = max(utc_s - time_s, 0)
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if past_s >= 2 * unit_s:
            return f"{past_s // unit_s} {unit}"
    return f"{past_s} s"


def monotonic_ms() -> int:
    """The clock of the daemon's loop."""
    return time.monotonic_ns() // 1_000_000
