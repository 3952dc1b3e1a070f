"""Starts and kills the simulated acquirer as a child process, with its books in a directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

KEY = bytes(range(32))
_ROOT = Path(__file__).resolve().parents[2]


class AcquirerProcess:
    """One on a loopback `port` (0: a free one); `plan` as in simulator/acquirer/faults.py.

    It keeps silent for `hold_s`. What it has answered survives `kill`.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        plan: dict[str, list[str]] | None = None,
        hold_s: float = 0.6,
    ) -> None:
        self.key_file = directory / "acquirer.key"
        self.key_file.write_text(KEY.hex())
        self.key_file.chmod(0o600)
        books = str(directory / "acquirer.sqlite")
        options = ["--port", str(port), "--plan", json.dumps(plan or {}), "--hold-s", str(hold_s)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulator.acquirer", books, str(self.key_file), *options],
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.port = int(self._out.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tell(self, command: str) -> None:
        """One of the commands of simulator/acquirer/__main__.py; returns when it is done."""
        self._in.write(command + "\n")
        self._in.flush()
        if self._out.readline() != "done\n":
            raise RuntimeError(f"the acquirer did not do: {command}")

    def kill(self) -> None:
        """It ends as by a power cut."""
        self._process.kill()
        self._process.wait()
        self._in.close()
        self._out.close()
