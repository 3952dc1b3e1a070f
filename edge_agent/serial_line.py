"""A serial line that keeps itself up: one thread, one port of pyserial, one Polling.

`url` is whatever serial_for_url takes: /dev/ttyUSB0, socket://host:port, rfc2217://host:port. A
thread, because opening a port may take seconds, some kinds of port have nothing to wait on, and an
answer is due within milliseconds while the agent writes to its disk. The agent's loop and the
thread meet in Polling, under one lock that is never held while a port is waited for.

Rules of this file. Whatever a port does ends in `last_error` and a new attempt, later each time.
Readers lose nothing by it: what was not answered for is still in their journals.
"""

import socket
import threading
import time
from collections import deque
from typing import Any

import serial

from edge_agent.polling import Polling

BACKOFF_S_MIN, BACKOFF_S_MAX = 0.5, 30.0
STEADY_S = 5.0  # a port that stood so long was a good one
READ_S = 0.01  # how long a read may wait; a byte ends it at once
WRITE_S = 1.0


class SerialLine:
    """One line with its readers `devices`; `start` it once, `close` it in the end.

    `connected`: the port is open. `take_events` gives what people should know, see Polling.
    """

    def __init__(self, url: str, baud: int, devices: list[int]) -> None:
        self.url = url
        self.devices = devices
        self.connected = False
        self.last_error = ""
        self._baud = baud
        self._polling = Polling(devices, baud)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._wake, self._bell = socket.socketpair()
        self._wake.setblocking(False)
        self._bell.setblocking(False)
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"line {url}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop polling and close the port; waits for a read or a write that is under way."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._wake.close()
        self._bell.close()

    # -- the agent's side -----------------------------------------------------------------------

    def take(self) -> tuple[int, bytes] | None:
        """The oldest message of a reader, with its device number, or None."""
        with self._lock:
            return self._polling.inbox.popleft() if self._polling.inbox else None

    def publish(self, device: int, payload: bytes) -> bool:
        """Say a message to a reader, now or never; whether it is on its way."""
        with self._lock:
            return self._polling.send(device, payload)

    def take_events(self) -> list[tuple[str, int]]:
        with self._lock:
            events, self._polling.events = self._polling.events, deque()
        return list(events)

    @property
    def counters(self) -> dict[str, int]:
        """Of Polling, and `lost_ports`; `readers_up` and `turn_ms_max` are of this moment."""
        with self._lock:
            now = {
                "readers_up": self._polling.readers_up(),
                "turn_ms_max": self._polling.turn_ms_max(),
            }
            return {**self._polling.counters, "lost_ports": self._failures, **now}

    def fileno(self) -> int:
        """What becomes readable when there is something to take."""
        return self._wake.fileno()

    def hush(self) -> None:
        """The bell was heard; call it before taking."""
        try:
            while self._wake.recv(64):
                pass
        except BlockingIOError:
            pass

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        backoff_s = BACKOFF_S_MIN
        while not self._stopped.is_set():
            opened_s = time.monotonic()
            try:
                self._serve()
            except Exception as error:  # noqa: BLE001 - a port may raise anything (termios.error)
                self.last_error = f"{type(error).__name__}: {error}"
                self._failures += 1
            self.connected = False
            self._ring()
            if time.monotonic() - opened_s > STEADY_S:
                backoff_s = BACKOFF_S_MIN
            self._stopped.wait(backoff_s)
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    def _serve(self) -> None:
        """Open the port and poll until it fails or we are stopped."""
        with self._open() as port:
            with self._lock:
                self._polling.reset()
            self.connected = True
            self._ring()
            while not self._stopped.is_set():
                self._turn(port)

    def _open(self) -> Any:
        port = serial.serial_for_url(
            self.url,
            do_not_open=True,
            baudrate=self._baud,
            timeout=READ_S,
            # pyserial refuses any for RFC 2217, where it writes to a socket without waiting.
            write_timeout=None if self.url.startswith("rfc2217:") else WRITE_S,
        )
        # On many USB adapters these two lines are the reset of the reader behind them.
        port.dtr = port.rts = False
        if hasattr(port, "exclusive") and self.url.startswith("/"):
            port.exclusive = True
        port.open()
        return port

    def _turn(self, port: Any) -> None:
        now_ms = time.monotonic_ns() // 1_000_000
        with self._lock:
            due_ms = self._polling.step(now_ms)
            data = self._polling.data_to_send()
            is_waiting = self._polling.is_waiting
        if data:
            port.write(data)
        if not is_waiting:
            self._stopped.wait(min((due_ms - now_ms) / 1000, READ_S))
        data = self._read(port, is_waiting)
        if not data:
            return
        with self._lock:
            heard = len(self._polling.inbox) + len(self._polling.events)
            self._polling.receive(data, time.monotonic_ns() // 1_000_000)
            is_news = len(self._polling.inbox) + len(self._polling.events) > heard
        if is_news:
            self._ring()

    def _read(self, port: Any, may_wait: bool) -> bytes:
        """What has arrived; if nothing has, what comes within READ_S, if we may wait for it."""
        data = b""
        while port.in_waiting and len(data) < 4096:
            # A socket says 1 for any number.
            data += port.read(port.in_waiting)
        return data or (port.read(1) if may_wait else b"")

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except BlockingIOError:
            pass  # it rings already
