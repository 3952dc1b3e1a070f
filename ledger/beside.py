"""The console beside the ledger: a process of its own that begins, and ends, with it.

It is started again when it dies, after a wait that grows while it keeps dying, so that a port
that is taken costs next to nothing. However the ledger ends, the pipe between them ends as well,
and the console follows.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

FIRST_WAIT_MS, WAIT_MS_MAX = 1_000, 60_000
STEADY_MS = 60_000  # whoever has run for so long has not died at once
LOOK_MS = 1_000
STOP_S = 20
_log = logging.getLogger(__name__)


class Beside:
    """The console that `config_path` describes; `step` keeps it running, `close` ends it."""

    def __init__(self, config_path: str | Path) -> None:
        self._command = [sys.executable, "-m", "ledger.console", str(config_path)]
        self._process: subprocess.Popen[bytes] | None = None
        self._begun_ms = 0
        self._due_ms = 0
        self._wait_ms = FIRST_WAIT_MS
        self.starts = 0

    def step(self, now_ms: int) -> int:
        """Start it where it does not run; the time (ms) by which to call again."""
        process = self._process
        if process is not None:
            code = process.poll()
            if code is None:
                return now_ms + LOOK_MS
            self._ended(process, code, now_ms)
        if now_ms >= self._due_ms:
            self._start(now_ms)
        return max(self._due_ms, now_ms + LOOK_MS) if self._process is None else now_ms + LOOK_MS

    def close(self) -> None:
        """It ends, in its own way if it can within STOP_S."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _leave(process)

    def _start(self, now_ms: int) -> None:
        # It finds the ledger where this one was found.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        try:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, env=environment)
        except OSError as error:
            _log.error("no console: %s", error.strerror)
            self._later(now_ms)
            return
        self._begun_ms = now_ms
        self.starts += 1

    def _ended(self, process: subprocess.Popen[bytes], code: int, now_ms: int) -> None:
        self._process = None
        _leave(process)
        if now_ms - self._begun_ms >= STEADY_MS:
            self._wait_ms = FIRST_WAIT_MS
        self._later(now_ms)
        _log.warning("the console has ended (%d), and is started again", code)

    def _later(self, now_ms: int) -> None:
        self._due_ms = now_ms + self._wait_ms
        self._wait_ms = min(2 * self._wait_ms, WAIT_MS_MAX)


def _leave(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
