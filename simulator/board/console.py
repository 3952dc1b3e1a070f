"""MicroPython at a board's console: the unix port on a terminal of its own, this board's flash
behind it.

The VM has the board's file system, on its own flash chip, and the port's modules that provisioning
uses (shims beside this file). It runs boot.py and not main.py, as a board whose program was
interrupted: main.py lives in simulator.vm, where a world is around it.
"""

from __future__ import annotations

import os
import pty
import struct
import subprocess
import sys
import time
import tty
from pathlib import Path

from simulator.board.flash_file import SECTOR_BYTES, FlashFile
from simulator.vm.bridge import LAUNCHER, SHIMS, require_vm

_OWN_SHIMS = Path(__file__).parent / "shims"
_HEAD = struct.Struct("<iiii")
_ANSWER = struct.Struct("<iii")
_HEAP_BYTES = 1 << 20  # a board with PSRAM has more; at the console nothing is short
FLASH_READ, FLASH_PROGRAM, FLASH_ERASE, NVS_GET, NVS_SET, NVS_ERASE, MAC, RESET, WATCHDOG = range(
    9
)
_NOT_FOUND = -0x1102


class Console:
    """A life of the VM: `terminal` is its side of the wire, `requests` asks for hardware."""

    def __init__(self, flash: FlashFile, mac: bytes) -> None:
        self._flash, self._mac = flash, mac
        self._starved_s: float | None = None  # when its watchdog ends it, if that is armed
        self.terminal, inner = pty.openpty()
        tty.setraw(inner)
        self.requests, vm_writer = os.pipe()
        vm_reader, self._writer = os.pipe()
        arguments = ["-X", f"heapsize={_HEAP_BYTES}", "-i", str(_OWN_SHIMS / "boot_console.py")]
        arguments += [str(vm_reader), str(vm_writer), str(_OWN_SHIMS), str(SHIMS)]
        launch = [sys.executable, "-I", "-S", str(LAUNCHER), str(require_vm()), ""]
        try:
            self._process = subprocess.Popen(
                [*launch, *arguments],
                stdin=inner,
                stdout=inner,
                stderr=inner,
                pass_fds=(vm_reader, vm_writer),
                start_new_session=True,
                env={"TERM": "dumb"},
            )
        finally:
            for handle in (vm_reader, vm_writer, inner):
                os.close(handle)

    def serve(self) -> bool:
        """Answer one request; False: this life is over (reset, or the VM ended)."""
        head = self._exactly(_HEAD.size)
        if len(head) < _HEAD.size:
            return False
        op, a, b, size = _HEAD.unpack(head)
        data = self._exactly(size)
        if op == RESET:
            return False
        result, found = self._do(op, a, b, data)
        os.write(self._writer, _ANSWER.pack(result, len(found), 0) + found)
        return True

    def left_s(self) -> float | None:
        """Until its watchdog ends this life; None: it has none, as nobody can stop one."""
        return None if self._starved_s is None else max(self._starved_s - time.monotonic(), 0)

    def end(self) -> None:
        """Off, at any moment."""
        self._process.kill()
        self._process.wait()
        for handle in (self.terminal, self.requests, self._writer):
            os.close(handle)

    def _do(self, op: int, a: int, b: int, data: bytes) -> tuple[int, bytes]:
        flash = self._flash
        if op == FLASH_READ:
            return 0, flash.read(a, b)
        if op == FLASH_PROGRAM:
            flash.program(a, data)
        elif op == FLASH_ERASE:
            flash.erase(a * SECTOR_BYTES, SECTOR_BYTES)
        elif op == MAC:
            return 0, self._mac
        elif op == WATCHDOG:
            self._starved_s = time.monotonic() + a / 1000
        else:
            return self._nvs(op, data[:a].decode(), data[a:])
        return 0, b""

    def _nvs(self, op: int, key: str, value: bytes) -> tuple[int, bytes]:
        store = self._flash.nvs()
        if op != NVS_SET and key not in store:
            return _NOT_FOUND, b""
        if op == NVS_GET:
            return len(store[key]), store[key]
        if op == NVS_SET:
            store[key] = value
        else:
            del store[key]
        try:
            self._flash.set_nvs(store)
        except OSError as error:
            return -(error.errno or 1), b""
        return 0, b""

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = os.read(self.requests, size - len(data))
            if not more:
                break
            data += more
        return data
