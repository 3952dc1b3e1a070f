"""The simulated acquirer as an HTTP server: what ledger/acquirer_client.py speaks to."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from adapters.signed_http import NONCE, SEAL, is_seal, seal_answer, seal_request
from simulator.acquirer.faults import Line
from simulator.acquirer.payments import Payments

_ORDER = re.compile(r"/orders/([\w-]{1,64})(?:/(confirm|void))?")
_STATEMENT = re.compile(r"/statements/(\d{4}-\d\d-\d\d)")
_VERBS: dict[tuple[str, str | None], str] = {("PUT", None): "reserve", ("GET", None): "query"}
_VERBS |= {("POST", verb): verb for verb in ("confirm", "void")}
_BODY_BYTES_MAX = 4096
_OTHER_KEY = bytes(32)


class AcquirerServer(ThreadingHTTPServer):
    """Serves `payments` behind `line` to whoever has `key`; today() is "2026-11-26".

    An answer that never arrives is held for `hold_s`, and then the connection is closed.
    """

    daemon_threads = True

    def __init__(
        self,
        port: int,
        key: bytes,
        payments: Payments,
        line: Line,
        today: Callable[[], str],
        hold_s: float,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.key, self.payments, self.line = key, payments, line
        self.today, self.hold_s = today, hold_s
        self.turn = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: AcquirerServer  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_PUT = do_POST = do_GET  # noqa: N815 - so too

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so too
        """Nothing: order numbers are in its paths."""

    def _answer(self) -> None:
        self.close_connection = True
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, _BODY_BYTES_MAX))
        nonce, seal = self.headers.get(NONCE, ""), self.headers.get(SEAL, "")
        expected = seal_request(self.server.key, nonce, self.command, self.path, body)
        if not is_seal(expected, seal):
            self._say(403, {"error": "not sealed"}, self.server.key)
            return
        order, day = _ORDER.fullmatch(self.path), _STATEMENT.fullmatch(self.path)
        verb = _VERBS.get((self.command, order[2])) if order else None
        if order and verb:
            self._answer_order(verb, order[1], json.loads(body) if body else {})
        elif day and day[1] < self.server.today():
            lines = self.server.payments.statement(day[1])
            self._say(200, {"day": day[1], "lines": lines}, self.server.key)
        else:
            self._say(404, {"error": "nothing here"}, self.server.key)

    def _answer_order(self, verb: str, order_no: str, said: dict[str, Any]) -> None:
        with self.server.turn:
            answer = self.server.line.request(verb, order_no, said)
            is_forged = self.server.line.is_forged
        if answer is None:
            time.sleep(self.server.hold_s)
        else:
            self._say(200, answer, _OTHER_KEY if is_forged else self.server.key)

    def _say(self, status: int, said: dict[str, Any], key: bytes) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(SEAL, seal_answer(key, self.headers.get(NONCE, ""), status, body))
        self.end_headers()
        self.wfile.write(body)
